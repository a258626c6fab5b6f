"""Samples that stay where they are, on disk: what is asked for is read, and nothing else.

Samples are drawn in any order, so each is a read of its own: from a disk it costs a page (4 KiB) at
least, unless it lies in the system's cache.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from byway.core.errors import DataError
from byway.tasks._parts import Form, Given, Samples, in_order, paired

WAY = "save them with numpy.save as x.npy and y.npy, or as x-1.npy, y-1.npy, x-2.npy ..."


class Shards:
    """Arrays, one after another as if they were one. `byway.Data` takes them, and fetches the
    samples of a few updates at a time.

    Args:
        arrays: "samples *inputs" each, of one shape and type. An array on disk is a `np.memmap`, as
            `np.load(path, mmap_mode="r")` gives it; or whatever has a shape and a dtype and gives
            the samples of a slice and of rising numbers, as datasets of h5py and zarr do.
        channel: whether an axis of a single channel is added, as grey images lack it.

    Attributes:
        shape: of all samples together.
        dtype: of their numbers.

    Raises:
        DataError: there is none, or they differ in shape or type.
    """

    def __init__(self, arrays: Sequence[Any], channel: bool = False):
        self._arrays = list(arrays)
        forms = [(np.dtype(one.dtype), tuple(one.shape[1:])) for one in self._arrays]
        if not forms or not all(one.shape for one in self._arrays):
            raise DataError(
                f"{len(forms)} shards",
                "arrays of samples, one at least",
                "check what they were made from",
            )
        if wrong := [form for form in forms if form != forms[0]]:
            given = [f"{kind} of shape {shape}" for kind, shape in (wrong[0], forms[0])]
            raise DataError(
                f"shards of {' beside '.join(given)}",
                "samples of one shape and type",
                "bring them to the same form",
            )
        ends = np.cumsum([len(one) for one in self._arrays])
        self._starts = ends - [len(one) for one in self._arrays]
        self.dtype, self.shape = forms[0][0], (int(ends[-1]), *forms[0][1], *[1] * channel)

    @property
    def ndim(self) -> int:
        """How many axes there are."""
        return len(self.shape)

    def with_channel(self) -> "Shards":
        """The same with an axis of a single channel."""
        return Shards(self._arrays, True)

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, which: slice | np.ndarray) -> np.ndarray:
        """The samples of a slice, or of several numbers in any order."""
        numbers = (
            np.arange(*which.indices(len(self))) if isinstance(which, slice) else np.asarray(which)
        )
        found = np.empty((len(numbers), *self.shape[1:]), self.dtype)
        # As they lie, so that a disk goes over them once.
        order = np.argsort(numbers, kind="stable")
        rising = numbers[order]
        cuts = [*np.searchsorted(rising, self._starts), len(rising)]
        for i, array in enumerate(self._arrays):
            mine = rising[cuts[i] : cuts[i + 1]] - self._starts[i]
            if len(mine):
                run = (np.diff(mine) == 1).all()
                held = array[mine[0] : mine[-1] + 1] if run else array[mine]
                if len(held) != len(mine):
                    raise IndexError(f"{len(held)} of {len(mine)} samples in shard {i + 1}")
                found[order[cuts[i] : cuts[i + 1]]] = np.reshape(held, (len(mine), *self.shape[1:]))
        return found


class Rows:
    """Some samples of shards, in an order of their own; fetched when they are asked for.

    Args:
        shards: where they are.
        numbers: which, "samples".
        ready: what is made of those that are asked for; nothing by default.
        shape: that of one sample then.
        dtype: their type then.
    """

    def __init__(
        self,
        shards: Any,
        numbers: np.ndarray,
        ready: Callable[[np.ndarray], np.ndarray] = lambda x: x,
        shape: tuple[int, ...] | None = None,
        dtype: Any = None,
    ):
        self.shards, self.numbers, self._ready = shards, numbers, ready
        self.shape = (len(numbers), *(shards.shape[1:] if shape is None else shape))
        self.dtype = np.dtype(shards.dtype if dtype is None else dtype)

    @property
    def ndim(self) -> int:
        """How many axes there are."""
        return len(self.shape)

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, which: slice | np.ndarray) -> np.ndarray:
        """The samples of a slice, or of several numbers in any order."""
        return self._ready(self.shards[self.numbers[which]])


def read_arrays(path: Path, form: Form) -> Samples:
    """A .npy of samples with a .npy of labels beside it, left on disk.

    Args:
        path: the samples.
        form: what was said of them.

    Raises:
        DataError: one is missing, or broken.
    """
    y = np.asarray(_opened(path.parent / (form.target or "y.npy"))) if form.labelled else None
    return {"train": Given(Shards([_opened(path)]), y)}


def read_shards(folder: Path, labelled: bool) -> Samples:
    """The .npy of a folder, left on disk: x.npy and y.npy, or shards x-1.npy, y-1.npy, x-2.npy ...;
    x_test.npy and so on if there are such.

    Raises:
        DataError: some are missing, or broken, or they are not as many samples as labels.
    """
    files: dict[str, dict[str, Path]] = {}
    for path in in_order(folder.glob("*.npy")):
        name, _, shard = path.stem.partition("-")
        files.setdefault(name, {})[shard] = path
    read = {}
    for part, names in paired(folder, list(files), labelled, WAY).items():
        x = files[names["x"]]
        if not labelled:
            read[part] = Given(Shards([_opened(path) for path in x.values()]), None)
            continue
        y = files[names["y"]]
        if alone := x.keys() ^ y.keys():
            raise DataError(
                f"{folder} holds one of {names['x']} and {names['y']} for the shard {min(alone)!r}",
                "both of each",
                WAY,
            )
        pairs = [(_opened(x[shard]), np.asarray(_opened(y[shard]))) for shard in x]
        if wrong := [
            path for path, (a, b) in zip(x.values(), pairs, strict=True) if len(a) != len(b)
        ]:
            raise DataError(
                f"{wrong[0]} has not as many samples as there are labels for it",
                "a label for each",
                "check the two files",
            )
        read[part] = Given(Shards([a for a, _ in pairs]), np.concatenate([b for _, b in pairs]))
    return read


def _opened(path: Path) -> np.ndarray:
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as problem:
        raise DataError(
            f"{path} cannot be read: {str(problem).partition(chr(10))[0]}",
            "an array of numbers or of text, as numpy.save writes it",
            "save it again; text as numpy.array([...], dtype=str), not as objects",
        ) from problem
    if not array.ndim:
        raise DataError(
            f"{path} holds a single number",
            "an array, with a sample or a label in each row",
            "check what was saved",
        )
    return array
