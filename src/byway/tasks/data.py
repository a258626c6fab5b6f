"""Your own data (data): a table, images, sequences, a series to be forecast or arrays, with labels,
with numbers to be predicted, or with neither.

    x   bytes (uint8) are pixels, divided by 255; all other numbers are standardised over the
        training samples, features one by one, images channel by channel. Images are (height, width,
        channels); sequences (time, features), as long as each likes
    y   labels of any kind, numbered in their order; or, with `kind="regression"`, numbers,
        standardised too. A sequence has one, asked for at its last step, or one at each step. With
        `time`, the next `horizon` values of a series, asked for after the last `history` rows

Shares of the samples, each class in proportion, make validation and test; of a series its end, in
the order of time.
"""

import math
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from typing_extensions import override

from byway.core.encoding import Encoding
from byway.core.errors import ConfigError, DataError
from byway.core.hyper import check_ranges, hyper, hypers
from byway.core.signal import LOSSES, CrossEntropy, SquaredError
from byway.core.task import Split, Suggestion, Task, require_pool
from byway.tasks._encoded import encoded, standardised
from byway.tasks._folds import FOLD, fold_of, folded, parted
from byway.tasks._forecast import Series, windows
from byway.tasks._jitter import JITTER, MOST, jittered
from byway.tasks._parts import WHITE, Form, Given, Samples, called_like
from byway.tasks._ragged import grouped
from byway.tasks._read import Read, blocks, check_like, moments, usable
from byway.tasks._samples import from_dataset, from_frame, read_samples
from byway.tasks._settings import CLASSIFICATION, REGRESSION, UNLABELLED, check_words
from byway.tasks._shards import Rows, Shards
from byway.tasks._tables import is_quantity
from byway.tasks._targets import Classes, Nothing, Numbers, Targets

# So many different whole numbers, or more than some and a third of the samples, may be either:
# somebody has to say.
MANY, SOME = 20, 5


class Data(Task):
    """Arrays, files and folders as a task; read, checked and split as soon as it is made.

    Args:
        x: samples, "samples features", "samples height width" or "samples height width channels";
            with `sequences` "samples time features", or a list of arrays "time features", of
            different lengths.
        y: as many labels (numbers, text or bools), or, with kind="regression", numbers,
            "samples" or "samples out". Of sequences one for each, or one for each step: a list of
            arrays "time ...", or "samples time ...". Nothing, for rules that need no targets.
        mask: of sequences in one array, which steps count, "samples time", or how many of each
            there are, "samples".
        times: of a series, the time of each row, "rows": numbers, dates or text as 2026-11-27. Then
            y are to be forecast, "rows" or "rows targets", and x are all other columns, "rows
            features", or nothing; a network sees both.
        test_x: the test split, where there is one already.
        test_y: its labels or numbers.
        test_mask: its mask.
        validation_x: the validation split, where there is one already.
        validation_y: its labels or numbers.
        validation_mask: its mask.
        hyper: the attributes, below, by name; `path` instead of arrays.

    Attributes:
        classes: the label of each output; empty where y are no labels.

    Raises:
        DataError: the data are missing, broken, of several forms, or too few for the splits; or
            nobody said what y means.
        ConfigError: a share that leaves nothing to a split, or a setting that means nothing for
            such data.
    """

    suggests: ClassVar[Suggestion] = Suggestion(hidden=(128, 128), epochs=30, batch=32)
    path: Path | None = hyper(
        None,
        "a .csv, .npz or .npy, a folder of .npy, or a folder with a folder of images for each "
        "class",
    )
    name: str = hyper(
        "",
        "what the data set is called in tables and reports; by default as its file is, or data",
    )
    kind: str = hyper(
        "",
        "what y means: classification, regression or unlabelled; labels by default, where there "
        "is y",
    )
    target: str = hyper(
        "",
        "the column of a .csv with y, the last by default, several as a,b; or the .npy with those "
        "of a .npy, y.npy by default",
    )
    sequences: bool = hyper(
        False, "whether samples are sequences, of different lengths perhaps: (time, features) each"
    )
    group: str = hyper(
        "", "the column of a .csv that says to which sequence each row, a time step, belongs"
    )
    time: str = hyper(
        "",
        "the column of a .csv with the time of each row: then the next values of target are "
        "forecast from the rows before",
    )
    history: int = hyper(50, "rows that a forecast is made from", unit="row", low=1, high=1_000_000)
    horizon: int = hyper(
        1, "how many of the next values are forecast", unit="row", low=1, high=1_000_000
    )
    at_end: bool = hyper(
        False,
        "whether a sequence has one y, asked for at its last step, where its shape leaves that "
        "open",
    )
    validation: float = hyper(
        0.1,
        "share of the samples kept for validation, unless the data bring a validation part",
        low=0,
        high=1,
    )
    test: float = hyper(
        0.2,
        "share of the samples kept for the test, unless the data bring a test part",
        low=0,
        high=1,
    )
    seed: int = hyper(0, "draws which samples those are", low=0)
    fold: str = hyper("", FOLD)
    standardise: bool = hyper(
        True,
        "whether numbers that are no bytes get mean 0 and deviation 1; bytes are always divided "
        "by 255",
    )
    side: int = hyper(
        0,
        "resize images to this many pixels a side; 0 to leave them as they are",
        unit="pixel",
        low=0,
    )
    background: str = hyper(
        WHITE, "the colour that lies under transparent images, such as white or #808080"
    )
    jitter: int = hyper(0, JITTER, unit="pixel", low=0, high=MOST)
    room: int = hyper(
        0, "inputs of zero in front of each sample's, at least; ff writes the label there", low=0
    )
    features: int = hyper(
        0, "outputs of a network on unlabelled data; as many as inputs by default", low=0
    )
    loss: str = hyper(
        "",
        "cross_entropy, by default for labels, after a softmax; or squared_error, by default for "
        "numbers",
    )

    targets: Targets | None = eqx.field(default=None, repr=False)
    parts: dict[str, tuple[Any, np.ndarray]] | None = eqx.field(default=None, repr=False)
    mean: np.ndarray | None = eqx.field(default=None, repr=False)
    deviation: np.ndarray | None = eqx.field(default=None, repr=False)
    # Makes a fold of the same samples.
    again: Callable[..., "Data"] | None = eqx.field(default=None, repr=False)

    def __init__(
        self,
        x: Any = None,
        y: Any = None,
        *,
        mask: Any = None,
        times: Any = None,
        test_x: Any = None,
        test_y: Any = None,
        test_mask: Any = None,
        validation_x: Any = None,
        validation_y: Any = None,
        validation_mask: Any = None,
        path: Any = None,
        **hyper: Any,
    ):
        known = [field.name for field in hypers(type(self))]
        if unknown := [name for name in hyper if name not in known]:
            raise ConfigError(
                f"Data({unknown[0]}=...)", f"one of {', '.join(known)}", "leave it out"
            )
        for name in known:
            setattr(self, name, hyper.get(name, self.__dataclass_fields__[name].default))
        self.path = None if path is None else Path(path)
        if times is not None:
            self.time = self.time or "times"
            x = np.zeros((np.size(times), 0)) if x is None else x
        check_ranges(self)
        check_words(self)
        if not self.name and self.path is not None:
            self.name = called_like(self.path)
        parts = {
            "train": Given(x, y, mask, times=times),
            "validation": Given(validation_x, validation_y, validation_mask),
            "test": Given(test_x, test_y, test_mask),
        }
        if not self.fold:  # a fold makes no other
            more = {
                f"{part}_{name}": getattr(parts[part], name)
                for part in ("validation", "test")
                for name in ("x", "y", "mask")
            }
            self.again = partial(
                type(self), x, y, mask=mask, times=times, path=path, **more, **hyper
            )
        given = {part: one for part, one in parts.items() if any(a is not None for a in one)}
        partly = len({one.y is None for one in given.values()}) > 1 or any(
            one.x is None for one in given.values()
        )
        if partly or (given and (path is not None or "train" not in given)):
            raise ConfigError(
                "samples without labels, labels without samples, or both arrays and a path",
                "x and y, or path",
                "give one",
            )
        if self.path is not None:
            form = Form(
                self.target,
                self.side,
                self.background,
                self.kind != UNLABELLED,
                self.group,
                self.at_end,
                self.time,
            )
            self._take(read_samples(self.path, form))
        elif given:
            if self.target or self.side or self.background != WHITE or self.group:
                raise ConfigError(
                    "arrays, with a target, side or background, or a group",
                    "none of these: they are for files",
                    "leave it out",
                )
            if self.time and (times is None or len(given) > 1):
                raise ConfigError(
                    f"time = {self.time!r} for arrays, without times or with parts of their own",
                    "one series x, y and times, of which the end is validated and tested",
                    "give times, and all rows as x and y",
                )
            self._take(given)

    @classmethod
    def from_frame(
        cls, frame: Any, target: Any = None, *, group: Any = None, time: Any = None, **hyper: Any
    ) -> "Data":
        """The rows of a pandas data frame.

        Args:
            frame: numbers in every column but `target` and `group`.
            target: the name of the column with y, as it is among `frame.columns`; a list of names
                for several numbers; none with kind="unlabelled".
            group: the name of the column that says to which sequence each row, a time step,
                belongs; None where a row is a sample.
            time: the name of the column with the time of each row, for a forecast.
            hyper: see `Data`.
        """
        unlabelled = hyper.get("kind") == UNLABELLED and target is None
        x, y, groups, times = from_frame(frame, [] if unlabelled else target, group, time)
        if times is not None:
            return cls(x, y, times=times, time=str(time), **hyper)
        if groups is None:
            return cls(x, y, **hyper)
        return cls(*grouped(groups, x, y, hyper.get("at_end", False)), sequences=True, **hyper)

    @classmethod
    def from_dataset(
        cls,
        dataset: Any,
        names: tuple[str, str] = ("image", "label"),
        channels_first: bool = False,
        test_dataset: Any = None,
        side: int = 0,
        background: str = WHITE,
        **hyper: Any,
    ) -> "Data":
        """Anything with a length whose items are pairs (x, y) or dicts: a torch dataset, one of
        Hugging Face, a list.

        Args:
            dataset: all of it is read. An x may be an array, a tensor on the CPU, or an image of
                Pillow.
            names: what x and y are called in a dict.
            channels_first: whether images are (channels, height, width), as torch has them.
            test_dataset: the test split, where there is one already.
            side: as in `Data`, for images of Pillow.
            background: as in `Data`, for images of Pillow.
            hyper: see `Data`.
        """
        form = names, channels_first, side, background, hyper.get("sequences", False)
        test_x, test_y = (None, None) if test_dataset is None else from_dataset(test_dataset, *form)
        return cls(*from_dataset(dataset, *form), test_x=test_x, test_y=test_y, **hyper)

    @property
    @override
    def id(self):
        return self.name or super().id

    @property
    @override
    def input_shape(self):
        first, *rest = self._held["train"][0].shape[1 + self.in_time :]
        return first + self._added, *rest

    @property
    @override
    def outputs(self):
        return self._meaning.outputs

    @property
    @override
    def in_time(self):
        return self.sequences or bool(self.group or self.time)

    @property
    def forecasts(self) -> bool:
        """Whether something was said of a forecast."""
        usual = {name: self.__dataclass_fields__[name].default for name in ("history", "horizon")}
        return any(getattr(self, name) != default for name, default in usual.items())

    @property
    @override
    def in_order(self):
        return bool(self.time)

    @property
    @override
    def scores(self):
        return self._meaning.scores

    @property
    def classes(self) -> tuple[Any, ...]:
        """The label of each output; empty where y are no labels."""
        return self.targets.labels if isinstance(self.targets, Classes) else ()

    @property
    @override
    def spare(self):
        """The inputs that room was made for, and the inputs after it that are the same
        in every training sample.
        """
        if self.in_time:
            return 0
        x, same, first = self._held["train"][0], math.prod(self._held["train"][0].shape[1:]), None
        for _, block in blocks(x):
            if not same:
                break
            flat = block.reshape(len(block), -1)[:, :same]
            first = flat[:1] if first is None else first[:, :same]
            changes = (flat != first).any(0)
            same = int(np.argmax(changes)) if changes.any() else same
        return self._added * math.prod(x.shape[2:]) + same

    @override
    def in_fold(self, fold):
        if self.time:
            raise ConfigError(
                f"{self.id} in folds",
                "samples in no order: the past of a series is not tested by its future",
                "train more seeds instead",
            )
        self._held  # noqa: B018  says so where there are none
        require_pool(type(self), self.id, self.fold)
        fold_of(fold)
        return self.again(fold=fold)  # pyright: ignore[reportOptionalCall]

    @override
    def load(self):
        return {name: self._split(x, y) for name, (x, y) in self._held.items()}

    @override
    def batch(self, split, index, key):
        x, y = (a.at[index].get(mode="promise_in_bounds") for a in split)
        return x.astype(float) / (255 if x.dtype == jnp.uint8 else 1), self._meaning.signal(
            y, self.in_time
        )

    @override
    def lesson(self, split, index, key):
        return self.batch(*jittered(split, index, key, self.jitter), key)

    @override
    def score(self, output, signal):
        return self._meaning.score(output, signal)

    def prepare(self, x: Any) -> np.ndarray:
        """New samples, shaped as the `x` of this task were, as its networks take them: "samples
        *inputs"; sequences are filled up.

        Raises:
            DataError: they are none that this task could have been made from.
        """
        return encoded(self.encoding, x)[0]

    def answers(self, output: Any) -> np.ndarray:
        """What a network's outputs say, "batch out", in the terms of y: labels, or numbers in their
        own units.

        Args:
            output: as the network leaves it, for samples that `prepare` made ready.
        """
        return self.encoding.answers(output)

    @property
    @override
    def encoding(self):
        x, y = self._held["train"]
        counted = self._meaning.counted(y) if self.in_time else np.zeros((0, 1), bool)
        return Encoding(
            shape=x.shape[1 + self.in_time :],
            sequences=self.in_time,
            in_time=self.in_time,
            levels=255 if x.dtype == np.uint8 else None,
            mean=self.mean,
            deviation=self.deviation,
            room=self._added,
            at_end=self.in_time and bool(np.all(counted.sum(1) == 1)),
            **self._meaning.meaning,
        )

    @property
    def _held(self) -> dict[str, tuple[Any, np.ndarray]]:
        if self.parts is None:
            raise DataError(
                "the task data without data",
                "arrays, a file or a folder",
                "give it a path, with --data.path or path=...",
            )
        return self.parts

    @property
    def _meaning(self) -> Targets:
        self._held  # noqa: B018  says so where there are none
        return self.targets  # pyright: ignore[reportReturnType]

    @property
    def _added(self) -> int:
        """How many features, or rows of an image, of zeros come first."""
        return -(-self.room // math.prod(self._held["train"][0].shape[2:]))

    def _split(self, x: Any, y: np.ndarray) -> Split:
        if isinstance(x, Rows):
            dtype = x.dtype if x.dtype == np.uint8 else jnp.zeros(()).dtype
            return Split(Rows(x.shards, x.numbers, self._stored, self.input_shape, dtype), y)  # pyright: ignore[reportArgumentType]
        return Split(jnp.asarray(self._stored(x)), jnp.asarray(y))

    def _stored(self, x: np.ndarray) -> np.ndarray:
        """As a split keeps them. In double precision on the way: numbers far from zero would lose
        their differences.
        """
        held = np.zeros(
            (len(x), *x.shape[1 : 1 + self.in_time], *self.input_shape),
            x.dtype if x.dtype == np.uint8 else jnp.zeros(()).dtype,
        )
        for at, block in blocks(x):
            with np.errstate(over="ignore"):
                held[at, self._added :] = standardised(block, self.mean, self.deviation)
            if not np.isfinite(held[at]).all():
                raise DataError(
                    "samples that overflow when they are standardised",
                    "numbers like those of training",
                    "check their units",
                )
        return held

    def _take(self, given: Samples) -> None:
        if self.time:
            self._forecast(given["train"])
            return
        labelled = given["train"].y is not None
        if self.kind == UNLABELLED and labelled:
            raise ConfigError(f"kind = {UNLABELLED!r}, and y", "one of the two", "leave y out")
        if self.kind in (CLASSIFICATION, REGRESSION) and not labelled:
            raise ConfigError(f"kind = {self.kind!r}, and no y", "y", "give it, or leave kind out")
        read = {
            part: usable(
                "" if part == "train" else f"{part} ",
                one.x,
                one.y,
                one.mask,
                self.in_time,
                self.kind == REGRESSION,
                self.at_end,
            )
            for part, one in given.items()
        }
        whole = read.pop("train")
        for part, one in read.items():
            check_like(part, one.x, whole.x, self.in_time)
        strata = self._numbered(whole, read)
        shares = {
            part: 0.0 if part in read else share
            for part, share in (("validation", self.validation), ("test", self.test))
        }
        if self.fold and read:
            raise ConfigError(
                f"fold = {self.fold} of data with a {' and a '.join(read)} part of their own",
                "one pool of samples",
                "leave that part out, or put all samples into one",
            )
        index = self._folded(strata) if self.fold else parted(strata, **shares, seed=self.seed)
        trains = np.isin(np.arange(len(strata)), index["train"])
        if self.standardise and whole.x.dtype != np.uint8:
            self.mean, self.deviation = moments(*whole.steps(whole.x, trains, counted=False))
        if self.kind == REGRESSION:
            self.targets = _numbers(whole, trains, self.standardise)
        x, y = self._held_of(whole)
        self.parts = {part: (_picked(x, i), y[i]) for part, i in index.items()}
        for part, one in read.items():
            x, y = self._held_of(one)
            self.parts[part] = _picked(x, np.arange(len(y))), y
        if self.jitter and len(self.input_shape) < 2:
            raise ConfigError(
                f"jitter = {self.jitter} of samples of shape {whole.x.shape[1:]}",
                "images: they alone can be shifted",
                "leave it out",
            )
        for name, share in (("validation", self.validation), ("test", self.test)):
            if not len(self.parts[name][0]):
                raise ConfigError(
                    f"{name} = {share:g} of {len(strata)} samples, which is none",
                    "at least one sample",
                    "raise the share",
                )
        if isinstance(self.targets, Classes):
            self._check_classes(whole.said)

    def _forecast(self, given: Given) -> None:
        """Take up a series: windows of it, in the order of time, scaled as its first part is."""
        parts = {"validation": self.validation, "test": self.test}
        series = Series.of(given.x, given.y, given.times)
        trained = series.train(parts)
        if self.standardise:
            self.mean, self.deviation = moments(series.rows, trained)
        mean, deviation = (np.tile(a[0], self.horizon) for a in moments(series.targets, trained))
        zero, one = np.zeros_like(mean), np.ones_like(mean)
        centre, about = (zero, (mean, deviation)) if self.standardise else (mean, (zero, one))
        self.targets = Numbers(SquaredError(), *about, centre, len(mean) == 1)
        last = np.arange(self.history) == self.history - 1
        self.parts = {}
        for part, (x, y) in windows(series, self.history, self.horizon, parts).items():
            steps = np.broadcast_to(y[:, None], (len(y), self.history, *y.shape[1:]))
            counts = np.broadcast_to(last, steps.shape[:2])
            steps = steps[..., 0] if self.targets.flat else steps
            self.parts[part] = x, self.targets.kept(steps, counts)

    def _folded(self, strata: np.ndarray) -> dict[str, np.ndarray]:
        """One fold to test, and of the rest as many samples to validate as without folds."""
        rest, tested = folded(strata, self.fold, self.seed)
        share = min(self.validation * len(strata) / len(rest), 1)
        index = parted(strata[rest], share, 0.0, self.seed)
        return {part: rest[i] for part, i in index.items()} | {"test": tested}

    def _numbered(self, whole: Read, held: dict[str, Read]) -> np.ndarray:
        """Take up what y means. Of each sample a number: in each split are as many with the same
        one, in proportion.
        """
        alike = np.zeros(len(whole.x), int)
        if whole.y is None:
            self.targets = Nothing(
                outputs=self.features or math.prod(whole.x.shape[1 + self.in_time :])
            )
            return alike
        if self.features:
            raise ConfigError(
                f"features = {self.features} for data with y",
                "none: y says how many outputs there are",
                "leave it out",
            )
        if self.kind == REGRESSION:
            return alike
        classes = np.unique(whole.said)
        if len(classes) < 2:
            raise DataError(
                f"labels of one class, {classes.tolist()[0]!r}",
                "two classes or more",
                "check which column or array holds them",
            )
        self.targets = Classes(
            LOSSES[self.loss] if self.loss else CrossEntropy(), tuple(classes.tolist())
        )
        for part, one in held.items():
            if strange := [
                label for label in np.unique(one.said).tolist() if label not in self.classes
            ]:
                raise DataError(
                    f"{part} labels {strange}",
                    f"some of {list(self.classes)}, as in training",
                    "check the two parts",
                )
        return np.searchsorted(classes, whole.said) if len(whole.said) == len(alike) else alike

    def _held_of(self, read: Read) -> tuple[Any, np.ndarray]:
        """Samples, and y as splits keep it."""
        y = np.zeros(len(read.x)) if read.y is None else read.y
        return self._even(read), self.targets.kept(y, read.counts)  # pyright: ignore[reportOptionalMemberAccess]

    def _even(self, read: Read) -> Any:
        """Samples; what fills up sequences is such that it is zero once it is standardised."""
        if read.lengths is None or self.mean is None:
            return read.x
        return np.where(
            np.arange(read.x.shape[1])[:, None] < read.lengths[:, None, None], read.x, self.mean
        )

    def _check_classes(self, said: np.ndarray) -> None:
        """Raise `DataError` where a class is not trained on, or where y may be numbers to be
        predicted and nobody said.
        """
        trained = self._held["train"][1]
        counted = np.bincount(trained[trained >= 0], minlength=len(self.classes))
        if not counted.all():
            lost = self.classes[int(np.argmin(counted))]
            raise DataError(
                f"the class {lost!r} has {int(np.sum(said == lost))} of {len(said)} samples, and "
                "none is left to train on",
                "each class in the training split",
                "bring more samples of it, leave it out, or lower validation and test; numbers to "
                'be predicted need kind="regression"',
            )
        many = len(self.classes)
        # In a file everything is text; what somebody gave as text is.
        countable = said.dtype.kind in "iu" or (
            bool(self.path) and said.dtype.kind == "U" and all(map(is_quantity, self.classes))
        )
        if not self.kind and countable and (many > MANY or (many > SOME and 3 * many > len(said))):
            raise DataError(
                f"{many} different whole numbers as y of {len(said)} samples: labels, or numbers "
                "to be predicted?",
                "a word on what they mean",
                'say kind="regression" or kind="classification"; on the command line --data.kind',
            )


def _numbers(read: Read, trains: np.ndarray, standardise: bool) -> Numbers:
    """What y means where it is to be predicted: its mean and deviation over the training
    samples.
    """
    y: Any = read.y
    mean, deviation = (a.reshape(-1) for a in moments(*read.steps(y, trains, counted=True)))
    zero, one = np.zeros_like(mean), np.ones_like(mean)
    centre, about = (zero, (mean, deviation)) if standardise else (mean, (zero, one))
    return Numbers(SquaredError(), *about, centre, y.ndim == (1 if read.counts is None else 2))


def _picked(x: Any, numbers: np.ndarray) -> Any:
    """Some samples: in memory, or where they are."""
    return Rows(x, numbers) if isinstance(x, Shards) else x[numbers]
