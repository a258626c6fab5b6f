"""The comparison in a terminal: whole at any width that a person has, and no figure broken."""

import pytest

from byway.cli.main import main
from byway.cli.table import GAP, fitting

FIGURES = [
    "92.00 ± 2.00",
    "89.50 ± 3.54 (2 of 3 seeds)",
    "−1.50 (−20.58 to +17.58)",
    "474 kB",
    "2 of 3",
    "3.75",
]


@pytest.mark.parametrize("width", [60, 80, 100, 140, 200])
def test_no_line_is_wider_than_the_terminal_and_no_figure_is_broken(
    folder, width, monkeypatch, capsys
):
    monkeypatch.setenv("COLUMNS", str(width))
    assert main(["report", str(folder)]) == 0
    table, _, rest = capsys.readouterr().out.partition("bp beats the frozen control")
    assert max(map(len, table.splitlines())) <= width
    assert all(figure in table for figure in FIGURES)
    assert "transport" in table and rest.rstrip().endswith(f"report: {folder / 'report.html'}")
    assert sum(line.startswith("dfa ") for line in table.splitlines()) == table.count("────\n"), (
        "each table names every rule"
    )


def test_columns_are_packed_while_there_is_room():
    """Worked out by hand: 6, then 2 and 14, 2 and 25 make 49; the next 7 need 58."""
    widths = [6, 14, 25, 7]
    assert GAP == 2
    assert fitting(widths, 58) == [[0, 1, 2, 3]]
    assert fitting(widths, 57) == [[0, 1, 2], [0, 3]]
    assert fitting(widths, 10) == [[0, 1], [0, 2], [0, 3]]
    assert fitting(widths, 49, lead=2) == [[0, 1, 2], [0, 1, 3]]
