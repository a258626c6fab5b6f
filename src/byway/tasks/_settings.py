"""What the settings of your own data may say beside each other."""

import re
from typing import Any

from byway.core.errors import ConfigError
from byway.core.signal import LOSSES
from byway.tasks._folds import fold_of
from byway.tasks._parts import STRANGE

CLASSIFICATION, REGRESSION, UNLABELLED = "classification", "regression", "unlabelled"


def check_words(data: Any) -> None:
    """Raise `ConfigError` where settings exclude each other, or one has no meaning beside another.

    Args:
        data: a `Data`, with its settings as they were given.
    """
    if data.name and (STRANGE.search(data.name) or not re.match(r"\w", data.name)):
        raise ConfigError(
            f"name = {data.name!r}",
            "letters, digits, spaces and any of _ - + = . after a letter or a digit",
            "call the data set otherwise: its name is part of the names of folders",
        )
    if data.kind not in ("", CLASSIFICATION, REGRESSION, UNLABELLED):
        raise ConfigError(
            f"kind = {data.kind!r}",
            f"{CLASSIFICATION}, {REGRESSION} or {UNLABELLED}",
            "leave it out for labels",
        )
    if data.loss and (
        data.loss not in LOSSES
        or (data.kind == REGRESSION and data.loss != "squared_error")
        or data.kind == UNLABELLED
    ):
        wanted = {
            REGRESSION: "squared_error",
            UNLABELLED: "none: there is nothing to compare with",
        }.get(data.kind, ", ".join(LOSSES))
        raise ConfigError(
            f"loss = {data.loss!r}{f' for {data.kind}' if data.kind else ''}",
            wanted,
            "leave it out for its default",
        )
    if data.kind == UNLABELLED and (data.target or data.at_end):
        raise ConfigError(
            f"target or at_end for {UNLABELLED} data",
            "neither: they say where y is",
            "leave it out",
        )
    if data.at_end and not data.in_time:
        raise ConfigError(
            "at_end for samples without time",
            "sequences",
            "leave it out, or add sequences=True",
        )
    if data.fold:
        fold_of(data.fold)
        if data.test != (usual := data.__dataclass_fields__["test"].default):
            raise ConfigError(
                f"test = {data.test:g} beside fold = {data.fold}",
                f"{usual:g}, its default: the fold is the test split",
                "leave one of the two out",
            )
    if data.jitter and data.in_time:
        raise ConfigError(
            f"jitter = {data.jitter} for sequences",
            "images: they alone can be shifted",
            "leave it out",
        )
    if data.room and data.in_time:
        raise ConfigError(
            f"room = {data.room} for sequences",
            "none: it is for ff, which sees no time",
            "leave it out",
        )
    if data.time:
        beside = {
            "sequences": data.sequences,
            "group": data.group,
            "at_end": data.at_end,
            "fold": data.fold,
            f"kind = {data.kind!r}": data.kind not in ("", REGRESSION),
        }
        if wrong := [name for name, given in beside.items() if given]:
            raise ConfigError(
                f"time = {data.time!r}, which asks for a forecast, beside {wrong[0]}",
                "a single series of numbers in the order of time: no part of its past is tested "
                "by its future",
                "leave one of the two out",
            )
    elif data.forecasts:
        raise ConfigError(
            "history or horizon without time",
            "the column with the time of each row",
            "name it as time, or leave history and horizon out",
        )
