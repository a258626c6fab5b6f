"""Which samples are trained on, validated on and tested: by shares, or in a fold of a
cross-validation.
"""

import re

import numpy as np
from jaxtyping import Integer

from byway.core.errors import ConfigError

# What the setting `fold` of a task means.
FOLD = "the fold that is the test split, as in 2/5, the second of five; none by default"


def fold_of(text: str) -> tuple[int, int]:
    """The number of a fold, from 1 on, and how many there are, of a word such as 2/5.

    Raises:
        ConfigError: it is no such word, or there is no such fold.
    """
    found = re.fullmatch(r"(\d{1,9})/(\d{1,9})", text, re.ASCII)
    number, of = (int(part) for part in found.groups()) if found else (0, 0)
    if of < 2 or not 1 <= number <= of:
        raise ConfigError(
            f"fold = {text!r}",
            "the number of a fold and how many there are, two at least",
            "write it as in 2/5, or leave it out",
        )
    return number, of


def folded(
    labels: Integer[np.ndarray, " samples"], fold: str, seed: int
) -> tuple[Integer[np.ndarray, " rest"], Integer[np.ndarray, " tested"]]:
    """Which samples are not in a fold, and which are. Each sample is in one fold, and each class in
    all of them, in proportion.

    Args:
        labels: the number of each sample's class.
        fold: which fold, as in 2/5.
        seed: draws the folds.

    Raises:
        ConfigError: there are more folds than samples of a class.
    """
    from sklearn.model_selection import StratifiedKFold

    (number, of), counts = fold_of(fold), np.unique(labels, return_counts=True)[1]
    if (fewest := int(counts.min())) < of:
        has = f", where a class has {fewest}" if len(counts) > 1 else f" of {fewest}"
        raise ConfigError(
            f"{of} folds{has} samples",
            f"{fewest} folds at most, so that each tests some of them",
            "ask for fewer folds, or bring more samples",
        )
    splitter = StratifiedKFold(of, shuffle=True, random_state=seed)
    return [*splitter.split(np.zeros(len(labels)), labels)][number - 1]


def parted(labels: np.ndarray, validation: float, test: float, seed: int) -> dict[str, np.ndarray]:
    """Which samples go to which split: shares of the whole, to the nearest sample, with each class
    in proportion.

    Samples stand in a line, those of a class evenly spaced along it, in an order that is drawn; one
    end of the line is the test split, the other the validation split, so a class with few samples
    is trained on first.

    Args:
        labels: the number of each sample's class.
        validation: share for validation.
        test: share for the test.
        seed: draws the order.
    """
    order = np.random.default_rng(seed).permutation(len(labels))
    place = np.empty(len(labels))
    for label in np.unique(labels):
        mine = np.flatnonzero(labels[order] == label)
        place[mine] = (np.arange(len(mine)) + 0.5) / len(mine)
    line = order[np.argsort(place, kind="stable")]
    first, last = round(test * len(line)), len(line) - round(validation * len(line))
    return {
        "train": line[first : max(first, last)],
        "validation": line[max(first, last) :],
        "test": line[:first],
    }
