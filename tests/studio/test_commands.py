"""What a page may ask for, and that nothing else is done."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from byway.studio.commands import COMMANDS, Command, Limits, Refused, read

LIMITS = Limits(
    units=[10, 12],
    controls={"lr": (1e-5, 0.1)},
    quantities=["activity", "error"],
    tasks=["digits", "permuted"],
    samples={"validation": 100},
    inputs=3,
)
GOOD = {
    "ready": [None],
    "run": [None],
    "pause": [None],
    "step": [1, 1000],
    "speed": [None, 1, 12.5, 1000],
    "set": [{"name": "lr", "value": 0.01}],
    "colour": ["error"],
    "edges": [0, 200_000],
    "select": [{"units": [], "side": 0}, {"units": [3], "side": 0}, {"units": [3, 11], "side": 1}],
    "silence": [{"units": [1, 2]}, {"centre": [0, 1, -2.5], "radius": 3}],
    "lesion": [{"units": [9]}],
    "restore": [None],
    "sample": [{"random": True}, {"split": "validation", "index": 99}, {"input": [0, 0.5, 1]}],
    "task": ["permuted"],
    "save": [None],
    "branch": [None],
    "record": [True, False],
}
BAD = {
    "run": [1, {}, "now"],
    "step": [0, 1001, 1.5, True, "3", None, [1]],
    "speed": [0, -1, 1001, "fast", True],
    "set": [None, {"name": "lr"}, {"name": "x", "value": 1}, {"name": "lr", "value": 1.0},
            {"name": "lr", "value": "1"}, {"name": ["lr"], "value": 0.01},
            {"name": "lr", "value": 0.01, "more": 1}],
    "colour": [None, "red", 3, []],
    "edges": [-1, 200_001, 0.5],
    "select": [{"units": [1]}, {"units": [1], "side": 2}, {"units": [10], "side": 0},
               {"units": [1, 2, 3], "side": 0}, {"units": ["1"], "side": 0},
               {"units": [-1], "side": 0}, {"units": 3, "side": 0}],
    "silence": [None, {"units": [11]}, {"centre": [0, 1], "radius": 3}, {"units": [True]},
                {"centre": [0, 1, "2"], "radius": 3}, {"centre": [0, 1, 2], "radius": -1}],
    "sample": [{"random": False}, {"split": "test", "index": 0}, {"input": [0, 1]},
               {"split": "validation", "index": 100}, {"input": [0, 1, 2]},
               {"input": [0, 1, None]}],
    "task": ["mnist", None],
    "record": [None, 1, "yes"],
}  # fmt: skip


def said(do, value):
    return json.dumps({"do": do, "id": 5, "value": value})


@pytest.mark.parametrize("do", sorted(COMMANDS))
def test_what_may_be_asked_for_is_heard(do):
    for value in GOOD[do]:
        number, command = read(said(do, value), LIMITS)
        assert number == 5
        assert isinstance(command, Command) and command.do == do


@pytest.mark.parametrize("do", sorted(BAD))
def test_other_values_are_refused_in_words(do):
    for value in BAD[do]:
        with pytest.raises(Refused, match=r"\w+ \w+"):
            read(said(do, value), LIMITS)


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "3", "null", '{"do": 3}', '{"do": "os.remove"}', '{"do": "__class__"}',
     '{"do": "run", "id": "x"}', '{"do": "step", "value": NaN}', '{"do": "set", "value": Infinity}',
     b"\xff\xfe", "[" * 100_000],
)  # fmt: skip
def test_what_is_no_command_is_refused(text):
    with pytest.raises(Refused):
        read(text, LIMITS)


PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["units", "side", "name", "value", "input", "split", "index", "radius"]
            ),
            inner,
            max_size=3,
        )
    ),
    max_leaves=6,
)


@given(st.sampled_from(sorted(COMMANDS)), PLAIN)
def test_no_value_does_anything_but_be_taken_or_refused(do, value):
    try:
        _, command = read(said(do, value), LIMITS)
    except Refused:
        return
    assert command.do == do
