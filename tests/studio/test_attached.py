"""A training that goes on elsewhere is watched: it learns to the bit what it learns unwatched, may
be kept waiting, and is not steered.
"""

import contextlib
import json
import signal
import stat
import threading
import time

import jax
import numpy as np
import pytest
from tests.wait import WAIT, until
from websockets.sync.client import connect

import byway
import byway.studio.server as server_module
from byway.core.errors import RunError
from byway.studio.attached import Attached, Seen
from byway.studio.commands import Command
from byway.studio.door import ADDRESS, ASKED, STUDIO, Door, answer, let_in
from byway.studio.frames import bundle, decode

EPOCHS, BATCH, TRAINED = 3, 16, 160
UPDATES = EPOCHS * TRAINED // BATCH
OPTIONS = {"epochs": EPOCHS, "batch": BATCH, "seeds": 2, "looks": 2, "progress": False}


@pytest.fixture(scope="module")
def task():
    return byway.task("digits")


@pytest.fixture(scope="module")
def data(task):
    return {name: split.some(slice(TRAINED)) for name, split in task.load().items()}


@pytest.fixture(scope="module")
def net(task):
    return byway.mlp(task.input_shape, 7, task.outputs)


@pytest.fixture(scope="module")
def unwatched(net, task, data):
    return byway.fit(net, byway.rule("dfa"), task, data=data, **OPTIONS)


class Onlooker:
    """A `watch` that somebody looks through from the start on; `turns` are called once so many
    updates are made.
    """

    def __init__(self, folder, turns=(), watchers=1):
        self.folder, self.turns, self.watchers = folder, dict(turns), watchers
        self.one, self.stretches = None, []

    def __call__(self, loop, at, left):
        if self.one is None:
            self.one = Attached(Seen(loop, "dfa", at.step), self.folder)
            self.one.clients = self.one.watchers = self.watchers
            self.one.start()
        for update in [update for update in self.turns if update <= at.step]:
            self.turns.pop(update)(self.one)
        most = self.one(loop, at, left)
        self.stretches.append((at.step, most))
        return most


@contextlib.contextmanager
def looking(folder, **given):
    onlooker = Onlooker(folder, **given)
    try:
        yield onlooker
    finally:
        if onlooker.one is not None:
            onlooker.one.stop()


def told(one):
    frames = decode(bundle(one.board.since({})[0]))
    return {frame.head["topic"]: frame for frame in frames}


def held(watch, wanted, since=0):
    """A `watch` that from some update on allows no other until something is so; not for ever."""
    end = time.monotonic() + WAIT

    def held(loop, at, left):
        most = watch(loop, at, left)
        if at.step < since or wanted():
            return most
        assert time.monotonic() < end, "held in vain"
        return 0

    return held


def assert_same(result, other):
    key = lambda a: jax.dtypes.issubdtype(a.dtype, jax.dtypes.prng_key)
    plain = lambda a: np.asarray(jax.random.key_data(a) if key(a) else a)
    for a, b in zip(jax.tree.leaves(result.learners), jax.tree.leaves(other.learners), strict=True):
        np.testing.assert_array_equal(plain(a), plain(b))
    for name, curve in result.history.items():
        np.testing.assert_array_equal(curve.values, other.history[name].values)


def test_it_learns_to_the_bit_what_it_learns_unwatched_and_is_seen_to(
    net, task, data, unwatched, tmp_path
):
    with looking(tmp_path) as onlooker:
        rule = byway.rule("dfa")
        watched = byway.fit(net, rule, task, data=data, watch=onlooker, **OPTIONS)
        assert_same(watched, unwatched)
        assert len(onlooker.stretches) > EPOCHS + 1
        until(lambda: told(onlooker.one)["state"].head["finished"])
        until(lambda: "units" in told(onlooker.one))
        seen = told(onlooker.one)
    assert seen["state"].head["update"] == UPDATES and not seen["state"].head["steered"]
    names = [one["name"] for one in seen["plots"].head["series"]]
    drawn = dict(zip(names, np.asarray(seen["plots"].arrays["y"]), strict=True))
    for name in ("train/accuracy", "validation/accuracy"):
        curve = unwatched.history[name]
        at = np.isin(seen["plots"].arrays["x"], curve.steps) & np.isfinite(drawn[name])
        assert at.sum() >= len(curve.steps)
        assert 100 * curve.values[0, -1] == pytest.approx(drawn[name][at][-1], rel=1e-6)


def test_it_waits_where_it_is_told_to_and_goes_on_where_nobody_is_left(net, task, data, tmp_path):
    def pause(one):
        one._do(Command("pause"))
        threading.Thread(target=later, args=(one,)).start()

    def later(one):
        time.sleep(0.3)
        before = told(one)["state"].head["update"]
        one.ask(Command("step", 2))
        until(lambda: told(one)["state"].head["update"] == before + 2)
        time.sleep(0.3)
        still.append(told(one)["state"].head)
        one.clients = one.watchers = 0

    still = []
    with looking(tmp_path, turns={1: pause}) as onlooker:
        byway.fit(net, byway.rule("dfa"), task, data=data, watch=onlooker, **OPTIONS)
    assert not still[0]["running"] and still[0]["update"] < UPDATES
    assert sum(most == 0 for _, most in onlooker.stretches) >= 3
    assert onlooker.stretches[-1][0] == UPDATES


def test_what_would_change_it_is_refused_in_words(net, task, data, tmp_path):
    def steer(one):
        for do in ("silence", "lesion", "restore", "task", "set"):
            one._do(Command(do, {"units": [70]}))
        one._do(Command("save"))

    with looking(tmp_path, turns={5: steer}) as onlooker:
        byway.fit(net, byway.rule("dfa"), task, data=data, watch=onlooker, **OPTIONS)
        head = told(onlooker.one)["state"].head
    assert sum("not steered" in text for text in head["notices"]) >= 4
    assert head["controls"] == [] and len(head["tasks"]) == 1
    (saved,) = head["saved"]
    assert byway.load(saved).predict(np.asarray(data["test"].x[:3])).shape == (3,)


def test_it_can_be_stopped_while_it_waits_and_resumes(net, task, data, unwatched, tmp_path):
    def pause(one):
        one._do(Command("pause"))
        threading.Timer(0.3, signal.raise_signal, [signal.SIGINT]).start()

    given = {"data": data, "checkpoint": tmp_path / "kept", **OPTIONS}
    with looking(tmp_path, turns={4: pause}) as onlooker, pytest.raises(KeyboardInterrupt):
        byway.fit(net, byway.rule("dfa"), task, watch=onlooker, **given)
    assert 4 <= onlooker.stretches[-1][0] < UPDATES
    assert_same(byway.fit(net, byway.rule("dfa"), task, **given), unwatched)


@pytest.fixture
def built(page, monkeypatch):
    monkeypatch.setattr(server_module, "page", lambda: page)


def joined(address):
    address = address.replace("http://", "ws://").replace("/?", "/live?")
    return connect(address, origin=address.split("/live")[0].replace("ws", "http"), max_size=None)


def test_a_watcher_serves_one_training_after_another(net, task, data, unwatched, built, capsys):
    rule = byway.rule("dfa")
    with byway.Watcher() as watcher:
        assert watcher.address == ""
        assert_same(byway.fit(net, rule, task, data=data, watch=watcher, **OPTIONS), unwatched)
        first = watcher.address
        with joined(first) as client:  # it has ended, and is still there to be seen
            heads = [frame.head for frame in decode(client.recv(timeout=WAIT))]
        byway.fit(net, rule, task, data=data, watch=watcher, **OPTIONS)
        assert (
            first != watcher.address and f"watch it at {watcher.address}" in capsys.readouterr().out
        )
    assert {"scene", "state", "plots"} <= {head["topic"] for head in heads}
    with pytest.raises(OSError, match="refused"):
        joined(watcher.address)


WANTED = {"host": "127.0.0.1", "port": 0, "edges": 100, "paused": False}


def test_the_door_lets_in_whoever_asks_at_the_folder_for_as_long_as_they_ask(
    net, task, data, unwatched, built, tmp_path
):
    place, seen = tmp_path / STUDIO, []
    place.mkdir()
    (place / ADDRESS).write_text("{}", encoding="utf-8")  # of a process that was killed

    def outside():
        with let_in(tmp_path, **WANTED, out=str(tmp_path)) as file:
            until(file.exists)
            address = answer(file)
            mode = stat.S_IMODE(file.stat().st_mode)
            with joined(address) as client:
                heads = [frame.head["topic"] for frame in decode(client.recv(timeout=WAIT))]
            seen.append((mode, heads))
        until(lambda: not (place / ADDRESS).exists())
        seen.append("left")

    asking = threading.Thread(target=outside)

    def watch(loop, at, left):
        if at.step == 0:
            assert not (place / ADDRESS).exists()
            asking.start()
            until((place / ASKED).exists)
        most = door(loop, at, left)
        # An update at a time and no faster than this, until it was seen.
        time.sleep(0.01)
        return min(most, 1)

    with Door(tmp_path, "dfa") as door:
        until_left = held(watch, lambda: seen[-1:] == ["left"], since=UPDATES - 2)
        given = {"data": data, "watch": until_left, **OPTIONS}
        assert_same(byway.fit(net, byway.rule("dfa"), task, **given), unwatched)
    asking.join()
    mode, heads = seen[0]
    assert mode == 0o600 and {"scene", "state"} <= set(heads)
    assert not list(place.iterdir())


def test_where_the_door_stays_shut_it_is_said_why(net, task, data, built, tmp_path):
    with let_in(tmp_path, **WANTED | {"port": 70_000}, out=str(tmp_path)) as file:
        watch = held(Door(tmp_path, "dfa"), file.exists)
        byway.fit(net, byway.rule("dfa"), task, data=data, watch=watch, **OPTIONS)
        with pytest.raises(RunError, match="port"):
            answer(file)
    assert answer(tmp_path / "nothing") is None


def test_an_error_that_nobody_foresaw_leaves_nobody_waiting(
    net, task, data, unwatched, monkeypatch, tmp_path
):
    def broken(*given, **named):
        raise ZeroDivisionError

    seen = []
    monkeypatch.setattr("byway.studio.watching.server", broken)
    monkeypatch.setattr(threading, "excepthook", lambda problem: seen.append(problem.exc_type))
    with let_in(tmp_path, **WANTED, out=str(tmp_path)) as file:
        watch = held(Door(tmp_path, "dfa"), file.exists)
        given = {"data": data, "watch": watch, **OPTIONS}
        assert_same(byway.fit(net, byway.rule("dfa"), task, **given), unwatched)
        with pytest.raises(RunError, match="does not open"):
            answer(file)
    assert seen == [ZeroDivisionError]


def test_one_of_two_who_ask_may_leave(tmp_path):
    with let_in(tmp_path, **WANTED):
        with let_in(tmp_path, **WANTED | {"port": 1}):
            said = json.loads((tmp_path / STUDIO / ASKED).read_text(encoding="utf-8"))
        assert said["port"] == 0 and (tmp_path / STUDIO / ASKED).exists()
    assert not (tmp_path / STUDIO / ASKED).exists()
