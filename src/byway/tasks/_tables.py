"""Reads a table of text (.csv): one column of labels, all others numbers.

DuckDB reads it, but takes 40 MiB of memory and a seventh of a second before its first line: small tables are read line by line sooner. What
it refuses is read line by line too, which either finds the place that is wrong or reads what DuckDB could not.
"""

import array
import csv
import glob
import mmap
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from byway.core.errors import DataError
from byway.tasks._parts import Samples

# Below so many bytes a table is read line by line.
SMALL = 8 * 2**20
# Rows that are brought from columns into rows at once: as many as a cache holds.
ROWS = 4096
# A whole number as one writes it, and what nobody writes of a quantity: a zero before another digit, as in the code 01.
WHOLE, CODE = re.compile(r"0|-?[1-9]\d{0,17}"), re.compile(r"[+-]?0\d")


class Table(NamedTuple):
    """Where a table is, and how it is written.

    Attributes:
        path: the file.
        delimiter: what parts the columns.
        header: their names.
        at: the number of the column of labels.
    """

    path: Path
    delimiter: str
    header: list[str]
    at: int


def read_csv(path: Path, target: str) -> Samples:
    """A table with a line of column names: one column of labels, all others numbers.

    Labels are numbers where each is written as that number is, or where they hold quantities, with a fraction; else they are the
    text that is there, so that two labels which are written differently (01 and 1) stay two.

    Args:
        path: the file; columns are parted by commas, semicolons or tabs, whichever the first line has most of.
        target: the column of labels; "" for the last.

    Raises:
        DataError: it is no such table.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as stream:
            first = stream.readline()
            stream.seek(0)
            table = Table(path, max(",;\t", key=first.count), [], 0)
            lines = _lines(table, stream)
            _, header = next(lines, (0, []))
            header = [name.strip() for name in header]
            empty = next(lines, None) is None
            if len(header) < 2 or empty:
                raise DataError(
                    f"{path} has {len(header)} columns and {'0' if empty else 'some'} lines below their names",
                    "some numbers and a label in each line",
                    "check the file",
                )
        if all(_is_number(name) for name in header):
            raise DataError(f"{path} begins with the numbers {', '.join(header[:3])} ...", "the names of the columns", "add a first line")
        table = table._replace(header=header, at=column(path, header, target or header[-1]))
        found = None if path.stat().st_size < SMALL or not first.strip() else _by_duckdb(table)
        return _line_by_line(table) if found is None else found
    except (OSError, UnicodeDecodeError, csv.Error) as problem:
        raise DataError(f"{path} cannot be read: {problem}", "a table as text, in UTF-8", "save it again as .csv") from problem


def column(where: Any, columns: list[Any], target: Any) -> int:
    """The number of the column of labels, by its name."""
    if target not in columns:
        raise DataError(
            f"{where} has no column {target!r}", f"one of {', '.join(map(str, columns))}", "name the column of labels as target"
        )
    if len(set(columns)) < len(columns):
        raise DataError(f"{where} has two columns of one name", "each name once", "rename one")
    return columns.index(target)


def _lines(table: Table, stream: Any) -> Iterator[tuple[int, list[str]]]:
    """The cells of each line that is not empty, with its number in the file."""
    # Strict, as a quote that is never closed would take in all the lines that follow.
    reader = csv.reader(stream, delimiter=table.delimiter, strict=True)
    for line in reader:
        if line:
            yield reader.line_num, line


def _line_by_line(table: Table) -> Samples:
    """The table, or what is wrong with it and where; nothing is kept but the numbers and the labels."""
    numbers, labels, header, at = array.array("d"), [], table.header, table.at
    with table.path.open(newline="", encoding="utf-8-sig") as stream:
        lines = _lines(table, stream)
        next(lines)
        for number, line in lines:
            if len(line) == len(header) + 1 and not line[-1]:
                del line[-1]  # a delimiter that ends the line
            if len(line) != len(header):
                raise DataError(f"line {number} of {table.path} has {len(line)} columns", f"{len(header)}, as the first", "mend that line")
            label = line.pop(at).strip()
            if not label:
                raise DataError(f"line {number} of {table.path} has no {header[at]}", "a label", "fill it in, or drop the line")
            labels.append(label)
            try:
                numbers.extend(map(_number, line))
            except ValueError:
                wrong = next(i for i, cell in enumerate(line) if not _is_number(cell))
                given = f"{line[wrong]!r}" if line[wrong].strip() else "nothing"
                raise DataError(
                    f"{table.path} has {given} in line {number}, column {header[wrong + (wrong >= at)]!r}",
                    "a number",
                    "mend it, drop the column, or code it as numbers",
                ) from None
    return Samples(np.frombuffer(numbers).reshape(len(labels), len(header) - 1), _as_written(labels), {})


def _by_duckdb(table: Table) -> Samples | None:
    """The same by DuckDB; None where it refuses, and where something is missing."""
    import duckdb

    names = [f"c{i}" for i in range(len(table.header))]  # DuckDB takes "a" and "A" for one name
    label = names[table.at]
    # A name with * in it is that of one file. Nothing is downloaded, and nothing is written beside what is read.
    settings: dict[str, Any] = {"autoinstall_known_extensions": "false", "autoload_known_extensions": "false", "temp_directory": ""}
    sql = "FROM read_csv(?, columns=?, delim=?, header=true, quote='\"', escape='\"', auto_detect=false)"
    with duckdb.connect(config=settings) as base:

        def ask(what: str, kind: str) -> Any:
            kinds = {name: "VARCHAR" if name == label else kind for name in names}
            return base.execute(f"SELECT {what} {sql}", [glob.escape(str(table.path.resolve())), kinds, table.delimiter])

        try:
            held = ask("*", "DOUBLE").fetchnumpy()
            if any(np.ma.is_masked(one) for one in held.values()):
                return None
            features = [name for name in names if name != label]
            # To DuckDB 1_0 is ten. Few tables have such a thing anywhere.
            if (
                _holds(table.path, b"_")
                and ask(f"count(*) FILTER (contains(concat({', '.join(features)}), '_'))", "VARCHAR").fetchall()[0][0]
            ):
                return None
        except duckdb.Error:
            return None
    labels = [one.strip() for one in held.pop(label)]
    if "" in labels:
        return None
    x = np.empty((len(labels), len(features)))
    for start in range(0, len(x), ROWS):
        for i, name in enumerate(features):
            x[start : start + ROWS, i] = held[name][start : start + ROWS]
    return Samples(x, _as_written(labels), {})


def _holds(path: Path, what: bytes) -> bool:
    with path.open("rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as text:
        return text.find(what) >= 0


def _as_written(labels: list[str]) -> np.ndarray:
    """Labels as an array; see `read_csv`."""
    distinct = set(labels)
    if all(_is_number(one) and not CODE.match(one) for one in distinct):
        value = {one: float(one) for one in distinct}
        if not all(number.is_integer() for number in value.values()) and len(set(value.values())) == len(distinct):
            return np.array([value[one] for one in labels])
        if all(WHOLE.fullmatch(one) for one in distinct):
            return np.array(labels, dtype=np.int64)
    return np.array(labels)


def _number(cell: str) -> float:
    """What a cell holds; Python would take 1_0 for ten."""
    if "_" in cell:
        raise ValueError
    return float(cell)


def _is_number(cell: str) -> bool:
    try:
        _number(cell)
    except ValueError:
        return False
    return True
