"""Reads a table of text (.csv): a column of labels or some of numbers to be predicted, all others
numbers.

DuckDB reads it, but takes 40 MiB of memory and a seventh of a second before its first line: small
tables are read line by line sooner. What it refuses is read line by line too, which either finds
the place that is wrong or reads what DuckDB could not.
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
from byway.tasks._parts import Form

# Below so many bytes a table is read line by line.
SMALL = 8 * 2**20
# Rows that are brought from columns into rows at once: as many as a cache holds.
ROWS = 4096
# A whole number as one writes it, and what nobody writes of a quantity: a zero before another
# digit, as in the code 01.
WHOLE, CODE = re.compile(r"0|-?[1-9]\d{0,17}"), re.compile(r"[+-]?0\d")


class Table(NamedTuple):
    """Where a table is, and how it is written.

    Attributes:
        path: the file.
        delimiter: what parts the columns.
        header: their names.
        apart: the numbers of the columns that are kept apart, as text: y, and the groups.
    """

    path: Path
    delimiter: str
    header: list[str]
    apart: list[int]


def read_csv(
    path: Path, form: Form
) -> tuple[np.ndarray, np.ndarray | None, np.ndarray | None, np.ndarray | None]:
    """A table with a line of column names: one column of labels, or several of numbers to be
    predicted; all others numbers.

    Labels are numbers where each is written as that number is, or where they hold quantities, with
    a fraction; else they are the text that is there, so that two labels which are written
    differently (01 and 1) stay two.

    Args:
        path: the file; columns are parted by commas, semicolons or tabs, whichever the first line
            has most of.
        form: what was said of it.

    Returns:
        X "rows features"; y, "rows" or of several columns "rows columns", or None; to which group
        each row belongs, or None; and the time of each row as text, or None.

    Raises:
        DataError: it is no such table.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as stream:
            first = stream.readline()
            stream.seek(0)
            table = Table(path, max(",;\t", key=first.count), [], [])
            lines = _lines(table, stream)
            _, header = next(lines, (0, []))
            header = [name.strip() for name in header]
            empty = next(lines, None) is None
            apart = form.labelled or form.group or form.time
            if len(header) < (2 if apart else 1) or empty:
                raise DataError(
                    f"{path} has {len(header)} columns and {'0' if empty else 'some'} lines below "
                    "their names",
                    "some numbers and a label in each line",
                    "check the file",
                )
        if all(_is_number(name) for name in header):
            raise DataError(
                f"{path} begins with the numbers {', '.join(header[:3])} ...",
                "the names of the columns",
                "add a first line",
            )
        targets = _targets(form, header)
        at = columns_of(path, header, targets, "target")
        grouping = columns_of(path, header, [form.group] if form.group else [], "group")
        timing = columns_of(path, header, [form.time] if form.time else [], "time")
        if form.time and set(timing) & set(at):
            raise DataError(
                f"{form.time!r} as time and as target of {path}",
                "two columns, or more",
                "name another column as target",
            )
        table = table._replace(header=header, apart=[*at, *grouping, *timing])
        found = None if path.stat().st_size < SMALL or not first.strip() else _by_duckdb(table)
        x, apart = _line_by_line(table) if found is None else found
        times = np.array(apart.pop()) if timing else None
        groups = np.array(apart.pop()) if grouping else None
        return x, _together(path, targets, apart), groups, times
    except (OSError, UnicodeDecodeError, csv.Error) as problem:
        raise DataError(
            f"{path} cannot be read: {problem}",
            "a table as text, in UTF-8",
            "save it again as .csv",
        ) from problem


def columns_of(where: Any, columns: list[Any], names: list[Any], what: str) -> list[int]:
    """The numbers of columns, by their names."""
    for name in names:
        if name not in columns:
            raise DataError(
                f"{where} has no column {name!r}",
                f"one of {', '.join(map(str, columns))}",
                f"name the column as {what}",
            )
    if len(set(columns)) < len(columns):
        raise DataError(f"{where} has two columns of one name", "each name once", "rename one")
    return [columns.index(name) for name in names]


def _targets(form: Form, header: list[str]) -> list[str]:
    """The names of the columns with y."""
    if not form.labelled:
        return []
    if not form.target:
        return [[name for name in header if name not in (form.group, form.time)][-1]]
    return (
        [form.target]
        if form.target in header
        else [name.strip() for name in form.target.split(",")]
    )


def _together(path: Path, targets: list[str], columns: list[list[str]]) -> np.ndarray | None:
    """The columns of y as one array: a single one as it was written, several as numbers."""
    arrays = [_as_written(column) for column in columns]
    if len(arrays) < 2:
        return arrays[0] if arrays else None
    if wrong := [
        name for name, array in zip(targets, arrays, strict=True) if array.dtype.kind == "U"
    ]:
        raise DataError(
            f"{path} has text in the column {wrong[0]!r}, one of several targets",
            "numbers",
            "name one target, or drop it",
        )
    return np.stack([array.astype(float) for array in arrays], 1)


def _lines(table: Table, stream: Any) -> Iterator[tuple[int, list[str]]]:
    """The cells of each line that is not empty, with its number in the file."""
    # Strict, as a quote that is never closed would take in all the lines that follow.
    reader = csv.reader(stream, delimiter=table.delimiter, strict=True)
    for line in reader:
        if line:
            yield reader.line_num, line


def _line_by_line(table: Table) -> tuple[np.ndarray, list[list[str]]]:
    """The table, or what is wrong with it and where; nothing is kept but the numbers, and as text
    the columns that are kept apart.
    """
    numbers, apart, header, rows = array.array("d"), [[] for _ in table.apart], table.header, 0
    features = [i for i in range(len(header)) if i not in table.apart]
    with table.path.open(newline="", encoding="utf-8-sig") as stream:
        lines = _lines(table, stream)
        next(lines)
        for number, line in lines:
            if len(line) == len(header) + 1 and not line[-1]:
                del line[-1]  # a delimiter that ends the line
            if len(line) != len(header):
                raise DataError(
                    f"line {number} of {table.path} has {len(line)} columns",
                    f"{len(header)}, as the first",
                    "mend that line",
                )
            for i, column in zip(table.apart, apart, strict=True):
                if not (cell := line[i].strip()):
                    raise DataError(
                        f"line {number} of {table.path} has no {header[i]}",
                        "a label",
                        "fill it in, or drop the line",
                    )
                column.append(cell)
            try:
                numbers.extend([_number(line[i]) for i in features])
            except ValueError:
                wrong = next(i for i in features if not _is_number(line[i]))
                given = f"{line[wrong]!r}" if line[wrong].strip() else "nothing"
                raise DataError(
                    f"{table.path} has {given} in line {number}, column {header[wrong]!r}",
                    "a number",
                    "mend it, drop the column, or code it as numbers",
                ) from None
            rows += 1
    return np.frombuffer(numbers).reshape(rows, len(features)), apart


def _by_duckdb(table: Table) -> tuple[np.ndarray, list[list[str]]] | None:
    """The same by DuckDB; None where it refuses, and where something is missing."""
    import duckdb

    names = [f"c{i}" for i in range(len(table.header))]  # DuckDB takes "a" and "A" for one name
    apart = [names[i] for i in table.apart]
    # A name with * in it is that of one file. Nothing is downloaded, and nothing is written beside
    # what is read.
    settings: dict[str, Any] = {
        "autoinstall_known_extensions": "false",
        "autoload_known_extensions": "false",
        "temp_directory": "",
    }
    sql = (
        "FROM read_csv(?, columns=?, delim=?, header=true, quote='\"', escape='\"', "
        "auto_detect=false)"
    )
    with duckdb.connect(config=settings) as base:

        def ask(what: str, kind: str) -> Any:
            kinds = {name: "VARCHAR" if name in apart else kind for name in names}
            return base.execute(
                f"SELECT {what} {sql}",
                [glob.escape(str(table.path.resolve())), kinds, table.delimiter],
            )

        try:
            held = ask("*", "DOUBLE").fetchnumpy()
            if any(np.ma.is_masked(one) for one in held.values()):
                return None
            features = [name for name in names if name not in apart]
            # To DuckDB 1_0 is ten. Few tables have such a thing anywhere.
            if (
                _holds(table.path, b"_")
                and ask(
                    f"count(*) FILTER (contains(concat({', '.join(features)}), '_'))", "VARCHAR"
                ).fetchall()[0][0]
            ):
                return None
        except duckdb.Error:
            return None
    texts = [[one.strip() for one in held.pop(name)] for name in apart]
    if any("" in column for column in texts):
        return None
    x = np.empty((len(texts[0] if texts else held[features[0]]), len(features)))
    for start in range(0, len(x), ROWS):
        for i, name in enumerate(features):
            x[start : start + ROWS, i] = held[name][start : start + ROWS]
    return x, texts


def _holds(path: Path, what: bytes) -> bool:
    with path.open("rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as text:
        return text.find(what) >= 0


def _as_written(labels: list[str]) -> np.ndarray:
    """Labels as an array; see `read_csv`."""
    distinct = set(labels)
    if all(map(is_quantity, distinct)):
        value = {one: float(one) for one in distinct}
        if not all(number.is_integer() for number in value.values()) and len(
            set(value.values())
        ) == len(distinct):
            return np.array([value[one] for one in labels])
        if all(WHOLE.fullmatch(one) for one in distinct):
            return np.array(labels, dtype=np.int64)
    return np.array(labels)


def is_quantity(cell: str) -> bool:
    """Whether text is a number, and not a code such as 007."""
    return _is_number(cell) and not CODE.match(cell)


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
