"""A million samples of twenty numbers: an epoch of a small network, from memory and from disk; and
reading them from a .csv.
"""

import csv
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np

from benchmarks.fitting import peak
from benchmarks.report import Table, Target
from benchmarks.worker import Worker

SAMPLES, FEATURES, CLASSES, BATCH, SIZES = 1_000_000, 20, 5, 256, (20, 64, 5)
# The rows of a table of 785 columns, as MNIST is handed round.
PICTURES = 20_000
READERS = ("byway", "pandas", "duckdb")


def measure(repeats: int) -> list[Table]:
    """A table of training and one for each .csv."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        _write_arrays(folder)
        tables = [_training(folder, repeats)]
        for title, path in (
            ("1,000,000 x 20 numbers", _numbers(folder)),
            (f"{PICTURES:,} x 784 pixels", _pictures(folder)),
        ):
            tables.append(_reading(title, path, repeats))
        return tables


def _training(folder: Path, repeats: int) -> Table:
    raw = {where: [] for where in ("memory", "disk")}
    for _ in range(repeats):
        for where, found in raw.items():
            with Worker() as worker:
                found.append(worker.ask("large:train", where=where, folder=str(folder)))
    rows = [
        {
            "samples in": where,
            "updates": f"{found[0]['updates']:,}",
            "an epoch, median [s]": f"{_median(found, 'seconds'):.2f}",
            "min [s]": f"{min(one['seconds'] for one in found):.2f}",
            "all of fit [s]": f"{_median(found, 'whole'):.2f}",
            "test accuracy [%]": f"{100 * found[0]['accuracy']:.3f}",
        }
        for where, found in raw.items()
    ]
    ratio = _median(raw["disk"], "seconds") / _median(raw["memory"], "seconds")
    targets = [
        Target("an epoch from memory [s]", _median(raw["memory"], "seconds"), 5.0),
        Target("from disk over from memory", ratio, 2.0),
        Target(
            "accuracies that differ",
            float(len({one["accuracy"] for found in raw.values() for one in found}) - 1),
            0.0,
        ),
    ]
    return Table(
        f"An epoch of {SAMPLES * 7 // 10:,} samples, {'-'.join(map(str, SIZES))}, batch {BATCH}, "
        "`bp`",
        rows,
        targets,
        raw,
    )


def _reading(title: str, path: Path, repeats: int) -> Table:
    raw = {reader: [] for reader in READERS}
    for lap in range(repeats + 1):
        for reader, found in raw.items():
            with Worker() as worker:
                one = worker.ask("large:read", reader=reader, path=str(path))
            if lap:  # the first one reads the file from the disk
                found.append(one)
    rows = [
        {
            "reader": reader,
            "median [s]": f"{_median(found, 'seconds'):.2f}",
            "min [s]": f"{min(one['seconds'] for one in found):.2f}",
            "memory at the peak [MB]": f"{_median(found, 'bytes') / 1e6:.0f}",
        }
        for reader, found in raw.items()
    ]
    targets = [
        Target(
            f"{what} over that of {other}",
            _median(raw["byway"], key) / _median(raw[other], key),
            2.0,
        )
        for other in READERS[1:]
        for what, key in (("time", "seconds"), ("memory", "bytes"))
    ]
    size = path.stat().st_size / 1e6
    return Table(
        f"A .csv of {title}, {size:.0f} MB, to one array and its labels, in a fresh process",
        rows,
        targets,
        raw,
    )


def train(where: str, folder: str) -> dict[str, float]:
    """One epoch; in another process."""
    import byway

    byway.use_all_cores()
    arrays = {name: np.load(Path(folder) / f"{name}.npy") for name in "xy"}
    task = byway.Data(**arrays) if where == "memory" else byway.Data(path=folder)
    started = time.perf_counter()
    result = byway.fit(
        byway.mlp(*SIZES), byway.rule("bp"), task, epochs=1, batch=BATCH, looks=0, progress=False
    )
    return {
        "updates": int(result.history["train/loss"].steps[-1]),
        "seconds": result.seconds,
        "whole": time.perf_counter() - started,
        "accuracy": float(result.test["accuracy"][0]),
    }


def read(reader: str, path: str) -> dict[str, float]:
    """One reading, with what has to be imported for it; in another process."""
    before, started = peak(), time.perf_counter()
    if reader == "byway":
        from byway.tasks._parts import Form
        from byway.tasks._tables import read_csv

        before, started = peak(), time.perf_counter()  # whoever trains has imported Byway
        x = read_csv(Path(path), Form())[0]
    elif reader == "pandas":
        import pandas as pd

        frame = pd.read_csv(path)
        x = frame.iloc[:, :-1].to_numpy(dtype=float)
    else:
        import duckdb

        columns = duckdb.execute("SELECT * FROM read_csv(?)", [path]).fetchnumpy()
        x = np.stack([np.asarray(columns[name], float) for name in list(columns)[:-1]], 1)
    return {"seconds": time.perf_counter() - started, "bytes": peak() - before, "rows": len(x)}


def _write_arrays(folder: Path) -> None:
    draw = np.random.default_rng(0)
    x = draw.normal(size=(SAMPLES, FEATURES)).astype(np.float32)
    np.save(folder / "x.npy", x)
    np.save(
        folder / "y.npy", np.argmax(x @ draw.normal(size=(FEATURES, CLASSES)).astype(np.float32), 1)
    )


def _numbers(folder: Path) -> Path:
    x, y = np.load(folder / "x.npy").astype(float), np.load(folder / "y.npy")
    return _table(
        folder / "numbers.csv",
        ([*row, "abcde"[label]] for row, label in zip(x.tolist(), y, strict=True)),
        FEATURES,
    )


def _pictures(folder: Path) -> Path:
    draw = np.random.default_rng(0)
    return _table(
        folder / "pictures.csv",
        ([*draw.integers(0, 256, 784).tolist(), i % 10] for i in range(PICTURES)),
        784,
    )


def _table(path: Path, rows, features: int) -> Path:
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow([*(f"f{i}" for i in range(features)), "label"])
        writer.writerows(rows)
    return path


def _median(found: list[dict], key: str) -> float:
    return statistics.median(one[key] for one in found)
