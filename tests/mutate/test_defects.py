"""Every planted defect can be planted, and the tests that are to catch it are there."""

import argparse
import ast
from pathlib import Path

import pytest
from tests.mutate.__main__ import ROOT, misplaced
from tests.mutate.defects import DEFECTS
from tests.part import part


@pytest.mark.parametrize("defect", DEFECTS, ids=lambda one: one.name)
def test_a_defect_has_its_place_and_its_tests(defect):
    assert misplaced(defect) is None
    assert defect.tests
    for test in defect.tests:
        file, _, name = test.partition("::")
        assert name.partition("[")[0] in _functions(ROOT / file), test


def test_five_parts_are_the_whole_and_no_defect_is_in_two():
    parts = [part(f"{number}/5") for number in range(1, 6)]
    for position in range(len(DEFECTS)):
        assert sum(position in one for one in parts) == 1
    for wrong in ("0/5", "6/5", "2", "2/", "a/b"):
        with pytest.raises(argparse.ArgumentTypeError, match="wanted: its number"):
            part(wrong)


def _functions(path: Path) -> set[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
