"""`byway predict`: what a trained network says of new samples."""

import csv
import dataclasses
import itertools
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import tyro

from byway.core.errors import ConfigError, DataError, RunError
from byway.core.given import require_none
from byway.core.score import ACCURACY, R2
from byway.experiment.run import Run
from byway.runs.folder import read
from byway.runs.predictors import load, predictor_of
from byway.tasks._parts import WHITE, Form, Given
from byway.tasks._read import Read, usable
from byway.tasks._samples import read_samples
from byway.training.predictor import Predictor, agreement

NETWORK, DATA = (tyro.conf.arg(metavar=name) for name in ("NETWORK", "DATA"))


@dataclasses.dataclass(frozen=True)
class Predict:
    """Let a trained network answer new samples, and write the answers as a table (.csv): a row for
    each sample, or for each step of a sequence that has an answer at each.

    For example: byway predict runs/demo new.csv --rule dfa --out answers.csv

    Samples are raw, as those that it was trained on: nobody has to scale them. Images are resized
    to what the network takes.

    Attributes:
        network: a file that save() wrote, or a run folder.
        data: the samples: a .csv with the columns that were trained on, an .npz with x, a .npy, or
            a folder of images.
        rule: of a run of several rules, which one's network.
        seed: which learner; the first by default.
        score: say how good the answers are, by the right ones in the data: y of an .npz or beside a
            .npy, the folders that images lie in, the last column of a .csv.
        target: score by this column of a .csv, or several as a,b; or by this .npy.
        group: the column of a .csv that says to which sequence a row, a time step, belongs.
        background: the colour that lies under transparent images, such as white or #808080.
        probabilities: add the probability of each class.
        out: the file to write; the table is printed by default.
    """

    network: Annotated[Path, tyro.conf.Positional, NETWORK]
    data: Annotated[Path, tyro.conf.Positional, DATA]
    rule: str | None = None
    seed: int | None = None
    score: bool = False
    target: str = ""
    group: str = ""
    background: str = WHITE
    probabilities: bool = False
    out: Path | None = None


def run(argv: Sequence[str]) -> None:
    """Run the verb with its flags."""
    asked = tyro.cli(Predict, args=list(argv), prog="byway predict")
    predictor = _predictor(asked)
    given = _given(asked, predictor)
    held = _usable(given, predictor)
    x = held.x if held.lengths is None else _cut(held.x, held.lengths)
    answers = predictor.predict(x)
    shares = predictor.predict_proba(x) if asked.probabilities else None
    said = None if held.y is None else _scored(predictor, answers, held)
    names = range(len(x)) if given.names is None else given.names
    table = _table(predictor, answers, shares, names, held.lengths)
    if asked.out is None:
        _write(table, sys.stdout)
    else:
        try:
            with asked.out.open("w", encoding="utf-8", newline="") as stream:
                _write(table, stream)
        except OSError as problem:
            raise RunError(
                f"{asked.out} cannot be written: {problem.strerror}",
                "a file in a folder that can be written",
                "choose another",
            ) from problem
        print(f"written to {asked.out}")
    if said is not None:
        print(said, file=sys.stderr)


def _predictor(asked: Predict) -> Predictor:
    if not asked.network.is_dir():
        fix = "name a run folder"
        require_none("rule", asked.rule, "beside a file, which holds one network", fix)
        return load(asked.network, asked.seed)
    found = Run.of(read(asked.network, finished=True))
    labels = list(found.finished) if asked.rule is None else [asked.rule]
    if len(labels) > 1:
        raise ConfigError(
            f"{asked.network}, a run of several rules",
            f"one of {', '.join(labels)}",
            f"say which, as in --rule {labels[0]}",
        )
    return predictor_of(found, labels[0], asked.seed)


def _given(asked: Predict, predictor: Predictor) -> Given:
    """What the data hold."""
    encoding, pictures = predictor.encoding, _are_pictures(asked.data)
    shape = encoding.shape
    square = pictures and len(shape) == 3 and shape[0] == shape[1]
    labelled = asked.score or bool(asked.target)
    at_end = bool(asked.group) and encoding.at_end
    side = shape[0] if square else 0
    form = Form(asked.target, side, asked.background, labelled, asked.group, at_end)
    parts = read_samples(asked.data, form)
    if len(parts) > 1:
        raise DataError(
            f"{asked.data}, which holds the parts {', '.join(parts)}",
            "samples of one part",
            "name the folder of one of them, or save x and y of one alone",
        )
    given = parts["train"]
    if pictures and shape[-1:] == (3,) and given.x.shape[-1] == 1:
        return given._replace(x=np.repeat(given.x, 3, -1))  # all of them happen to be grey
    return given


def _are_pictures(data: Path) -> bool:
    return data.is_dir() and not any(data.glob("*.npy"))


def _usable(given: Given, predictor: Predictor) -> Read:
    """The samples, and the right answers where they are there, checked."""
    encoding = predictor.encoding
    x = given.x if isinstance(given.x, np.ndarray | list) else given.x[:]  # they lie on disk
    numbers = not encoding.labels
    return usable("new ", x, given.y, given.mask, encoding.sequences, numbers, encoding.at_end)


def _cut(x: np.ndarray, lengths: np.ndarray) -> list[np.ndarray]:
    """Sequences that were filled up, each as long as it is."""
    return [one[:length] for one, length in zip(x, lengths, strict=True)]


def _scored(predictor: Predictor, answers: np.ndarray, held: Read) -> str:
    """How good the answers are, in words."""
    truth = held.said
    if predictor.classes and all(isinstance(label, str) for label in predictor.classes):
        truth = truth.astype(str)  # of labels such as a, 1 and 01 a file may hold the numbers alone
    stepwise = held.counts is not None and answers.shape[:2] == held.counts.shape
    mine = answers[held.counts] if stepwise else answers
    score = ACCURACY if predictor.classes else R2
    return score.said(agreement(predictor.encoding, mine, truth))


def _table(
    predictor: Predictor,
    answers: np.ndarray,
    shares: np.ndarray | None,
    names: Iterable[Any],
    lengths: np.ndarray | None,
) -> Iterator[list[Any]]:
    """The heading and the rows: one for each sample, or for each step of one."""
    encoding = predictor.encoding
    stepwise = encoding.in_time and not encoding.at_end
    several = answers.shape[1 + stepwise :]
    said = [f"prediction_{i + 1}" for i in range(several[0])] if several else ["prediction"]
    likely = [] if shares is None else [f"p({label})" for label in predictor.classes]
    yield ["sample", *(["step"] if stepwise else []), *said, *likely]
    for number, name in enumerate(names):
        places: list[tuple[int, ...]] = [(number,)]
        if stepwise:
            steps = answers.shape[1] if lengths is None else int(lengths[number])
            places = [(number, step) for step in range(steps)]
        for at in places:
            parts = [answers[at], *([] if shares is None else [shares[at]])]
            row = itertools.chain.from_iterable(np.ravel(part).tolist() for part in parts)
            yield [name, *at[1:], *row]


def _write(rows: Iterator[list[Any]], stream: Any) -> None:
    csv.writer(stream, lineterminator="\n").writerows(rows)
