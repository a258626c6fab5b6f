"""Whoever looks at the board gets what it has not seen, and nothing twice."""

import numpy as np

from byway.studio.board import CHANGES, POINTS, Board, Changing, Curves
from byway.studio.frames import bundle, decode, encode

TITLES = {name: {"title": name, "unit": ""} for name in "ab"}


def seen_in(frames):
    return [(one.head["topic"], one.head["side"], one.head.get("text")) for one in found(frames)]


def found(frames):
    return decode(bundle(frames))


def said(board, topic, text, side=0):
    board.post(topic, encode(topic, side, 0, {"text": text}), side)


def test_the_latest_wins_and_comes_once_and_scenes_come_first():
    board = Board()
    said(board, "units", "old")
    said(board, "units", "new")
    said(board, "scene", "s")
    said(board, "units", "other", side=1)
    frames, seen = board.since({})
    assert seen_in(frames) == [("scene", 0, "s"), ("units", 0, "new"), ("units", 1, "other")]
    assert board.since(seen)[0] == []
    said(board, "units", "newer")
    assert seen_in(board.since(seen)[0]) == [("units", 0, "newer")]


def test_changes_are_sent_to_those_who_keep_up_and_all_of_it_to_the_rest():
    whole = lambda: encode("edges", 0, 0, {"text": f"whole {slot.version}"})
    slot, board = Changing(whole, 0), Board()
    board.put("edges", slot)
    frames, seen = board.since({})
    assert seen_in(frames) == [("edges", 0, "whole 0")]
    for version in (1, 2):
        frame = encode("edges_changed", 0, 0, {"text": f"{version - 1} to {version}"})
        board.change(lambda frame=frame, version=version: slot.change(frame, version))
        if version == 1:
            halfway = board.since(seen)[1]
    assert seen_in(board.since(halfway)[0]) == [("edges_changed", 0, "1 to 2")]
    frames, late = board.since(seen)
    assert seen_in(frames) == [("edges_changed", 0, "0 to 1"), ("edges_changed", 0, "1 to 2")]
    assert board.since(late)[0] == []
    for version in range(3, CHANGES + 3):
        slot.change(encode("edges_changed"), version)
    assert seen_in(board.since(seen)[0]) == [("edges", 0, f"whole {CHANGES + 2}")]
    assert len(board.since(late)[0]) == CHANGES


def test_curves_go_on_where_they_were_seen_and_never_grow_beyond_a_limit():
    curves, board = Curves(0), Board()
    board.put("plots", curves)
    assert board.since({})[0] == []
    curves.add(1, {"a": 1.0}, TITLES)
    curves.add(2, {"a": 2.0}, TITLES)
    (frame,), seen = board.since({})
    assert found([frame])[0].head["first"] == 0
    np.testing.assert_array_equal(found([frame])[0].arrays["x"], [1, 2])
    curves.add(3, {"a": 3.0}, TITLES)
    (frame,), seen = board.since(seen)
    assert found([frame])[0].head["first"] == 2
    np.testing.assert_array_equal(found([frame])[0].arrays["y"], [[3]])
    curves.add(4, {"b": 4.0}, TITLES)  # another curve: everything anew
    (frame,), seen = board.since(seen)
    assert found([frame])[0].head["first"] == 0
    nan = np.nan
    np.testing.assert_array_equal(
        found([frame])[0].arrays["y"], [[1, 2, 3, nan], [nan, nan, nan, 4]]
    )
    for update in range(5, 5 * POINTS):
        curves.add(update, {"a": 0.0}, TITLES)
    (frame,), _ = board.since(seen)
    x = found([frame])[0].arrays["x"]
    assert len(x) <= POINTS
    assert x[-1] == 5 * POINTS - 1
    assert np.all(np.diff(x) > 0)
