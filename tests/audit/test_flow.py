"""Label sets through each kind of equation, against flows worked out by hand."""

import jax
import jax.numpy as jnp
import pytest

from byway.audit.flow import Flow, trace
from byway.core.tag import ERROR, LOSS, SLOPE, tag


def source(name, array=None, raw=False):
    flow = Flow(frozenset({name}), frozenset({name}) if raw else frozenset())
    return (jnp.ones((3, 3)) if array is None else array, flow)


def reads(function, *sources):
    return [set(flow.reads) for flow in trace(lambda *a: list(function(*a)), sources)[0]]


A, B, C = source("a"), source("b"), source("c")


def test_only_what_a_result_is_computed_from():
    assert reads(lambda a, b, c: (a + b, c * 2, jnp.zeros(3)), A, B, C) == [{"a", "b"}, {"c"}, set()]


def test_overwriting_forgets():
    def swap(a, b):
        a, b = b, a
        return a, b

    assert reads(swap, A, B) == [{"b"}, {"a"}]


def test_a_scan_carries_labels_round_until_nothing_changes():
    """Labels move one slot a turn: b reaches the third slot only on the second turn."""

    def rotate(a, b, c):
        return jax.lax.scan(lambda s, _: ((s[0], s[0] + s[1], s[1] + s[2]), None), (a, b, c), None, length=2)[0]

    assert reads(rotate, A, B, C) == [{"a"}, {"a", "b"}, {"a", "b", "c"}]


def test_what_a_scan_emits():
    def emit(a, b):
        return (jax.lax.scan(lambda s, x: (s + 1, x), a, b)[1],)

    assert reads(emit, A, B) == [{"b"}]


def test_a_while_loop_also_reads_what_decides_when_to_stop():
    def loop(a, b):
        return jax.lax.while_loop(lambda s: s[0].sum() < 10, lambda s: (s[0] + 1, s[1] * 2), (a, b))

    assert reads(loop, A, B) == [{"a"}, {"a", "b"}]


def test_a_cond_joins_its_branches_and_its_predicate():
    def choose(a, b, c):
        return (jax.lax.cond(c.sum() > 0, lambda: a, lambda: b),)

    assert reads(choose, A, B, C) == [{"a", "b", "c"}]


@pytest.mark.parametrize("wrap", [jax.jit, jax.checkpoint, jax.vmap])
def test_calls_are_entered(wrap):
    assert reads(wrap(lambda a, b: (b, a + 1)), A, B) == [{"b"}, {"a"}]


def test_custom_derivatives_are_entered():
    @jax.custom_jvp
    def f(a, b):
        return a * 1.0

    f.defjvp(lambda primals, tangents: (f(*primals), tangents[0]))

    @jax.custom_vjp
    def g(a, b):
        return b * 1.0

    g.defvjp(lambda a, b: (g(a, b), None), lambda _, d: (d, d))
    assert reads(lambda a, b: (f(a, b), g(a, b)), A, B) == [{"a"}, {"b"}]


def test_an_unknown_program_is_everything_never_nothing():
    def solve(a, b):
        return (jax.lax.custom_linear_solve(lambda x: a @ x, jnp.ones(3), lambda matvec, x: x), b + 1)

    first, second = reads(solve, A, B)
    assert first == {"a", "b", "unknown program"}
    assert second == {"b"}


def test_tags_name_the_signal_and_hide_nothing_else():
    target, output, weight = source("signal.target"), source("record.output"), source("net.p.weight")

    def f(target, output, weight):
        return tag(output - target, ERROR), tag(output - target + weight, LOSS), tag(weight, SLOPE), tag(weight, "other")

    assert reads(f, target, output, weight) == [
        {"signal.error"},
        {"signal.loss", "net.p.weight"},
        {"slope", "net.p.weight"},
        {"net.p.weight"},
    ]


def flow_of(function, *sources):
    return trace(lambda *a: [function(*a)], sources)[0][0]


W = source("net.p.weight", raw=True)
X, T = source("x"), source("signal.target")


@pytest.mark.parametrize(
    "function",
    [
        lambda w, x: w * 2 + 1,
        lambda w, x: w.T[::-1].reshape(9),
        lambda w, x: w + x,
        lambda w, x: w * x,
        lambda w, x: w @ jnp.eye(3),
        lambda w, x: jnp.where(x > 0, w, -w),
        lambda w, x: jnp.concatenate([w, x]),
        lambda w, x: jnp.linalg.norm(w),
        lambda w, x: jnp.sort(w.ravel()),
    ],
)
def test_weights_in_disguise_are_still_weights(function):
    assert flow_of(function, W, X).raw == {"net.p.weight"}


def test_activity_is_no_weight():
    assert flow_of(lambda w, x: jnp.tanh(x @ w), W, X).raw == set()


def test_a_weight_met_before_the_signal_is_not_transported():
    assert flow_of(lambda w, x, t: (x @ w) - t, W, X, T).met == set()


def test_a_weight_met_after_the_signal_is():
    assert flow_of(lambda w, x, t: (x - t) @ w.T, W, X, T).met == {"net.p.weight"}
    assert flow_of(lambda w, x, t: (x - t) * w, W, X, T).met == {"net.p.weight"}
