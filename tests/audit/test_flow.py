"""Label sets through each kind of equation, against flows worked out by hand."""

import jax
import jax.numpy as jnp
import pytest
from jax.ad_checkpoint import checkpoint_name

import byway
from byway.audit.axes import NEITHER, POST, PRE
from byway.audit.flow import Flow, weight
from byway.audit.reader import trace
from byway.audit.watch import watched_network, watched_signal
from byway.core.signal import Near, Signal, SquaredError
from byway.network.builders import mlp
from byway.network.convolutions import Conv


def source(name, *shape):
    return jnp.ones(shape or (3, 3)), Flow(frozenset({name}))


def weights(name, *shape):
    return jnp.ones(shape), weight(name, shape)


def reads(function, *sources):
    return [set(flow.reads) for flow in trace(lambda *a: list(function(*a)), sources)[0]]


A, B, C = source("a"), source("b"), source("c")


def test_only_what_a_result_is_computed_from():
    assert reads(lambda a, b, c: (a + b, c * 2, jnp.zeros(3)), A, B, C) == [
        {"a", "b"},
        {"c"},
        set(),
    ]


def test_overwriting_forgets():
    def swap(a, b):
        a, b = b, a
        return a, b

    assert reads(swap, A, B) == [{"b"}, {"a"}]


def test_a_scan_carries_labels_round_until_nothing_changes():
    """Labels move one slot a turn: b reaches the third slot only on the second turn."""

    def rotate(a, b, c):
        return jax.lax.scan(
            lambda s, _: ((s[0], s[0] + s[1], s[1] + s[2]), None), (a, b, c), None, length=2
        )[0]

    assert reads(rotate, A, B, C) == [{"a"}, {"a", "b"}, {"a", "b", "c"}]


def test_a_label_that_comes_through_a_loop_late_is_not_lost():
    """In a register of seven cells what stood in the first takes six turns to the last; after many
    turns each may hold any before it.
    """

    def shift(a, *zeros):
        return jax.lax.fori_loop(0, 9, lambda _, s: (s[0], *s[:-1]), (a, *zeros))

    assert reads(lambda a: shift(a, *jnp.zeros((6, *A[0].shape))), A) == [{"a"}] * 7


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
        return (
            jax.lax.custom_linear_solve(lambda x: a @ x, jnp.ones(3), lambda matvec, x: x),
            b + 1,
        )

    first, second = reads(solve, A, B)
    assert first == {"a", "b", "unknown program"}
    assert second == {"b"}


QUESTIONS = {
    "error": lambda signal, output: signal.error(output),
    "loss": lambda signal, output: signal.loss(output),
    "reward": lambda signal, output: signal.reward(output),
}


@pytest.mark.parametrize("need", QUESTIONS)
def test_an_answer_of_the_signal_is_what_was_asked_for_and_hides_nothing_else(need):
    target, output, weight = (
        source("signal.target"),
        source("record.output"),
        source("net.p.weight"),
    )

    def f(target, output, weight):
        signal = watched_signal(Signal(target, SquaredError(), payoff=Near(0.1)))
        return (
            QUESTIONS[need](signal, output),
            QUESTIONS[need](signal, output + weight),
            jnp.sum(QUESTIONS[need](signal, output)) + target,
        )

    name = f"signal.{need}"
    assert reads(f, target, output, weight) == [
        {name},
        {name, "net.p.weight"},
        {name, "signal.target"},
    ]


def test_the_derivative_of_a_loss_is_an_error():
    def f(target, output):
        signal = watched_signal(Signal(target, SquaredError()))
        return (jax.grad(lambda output: signal.loss(output).sum())(output),)

    assert reads(f, source("signal.target"), source("record.output")) == [{"signal.error"}]


def test_no_name_makes_a_target_an_error():
    """Whatever a rule calls it: only the signal answers."""

    def byway_error(output, target):
        return output - target

    assert (
        reads(
            lambda t, y: (jax.jit(byway_error)(y, t), checkpoint_name(y - t, "byway.error")),
            source("signal.target"),
            source("y"),
        )
        == [{"signal.target", "y"}] * 2
    )


@pytest.mark.parametrize("cell", ["tanh", "relu", "sigmoid", "lif", "alif"])
def test_a_derivative_of_a_cell_is_a_slope_whoever_takes_it(cell):
    net = watched_network(mlp(3, 3, 3, activation=byway.cell(cell)))
    population, state = net["hidden1"], net.rest(3).cell.get("hidden1", {})
    u = source("u", 3, *population.drive)
    taken = reads(lambda u: jax.tree.leaves(population.local(state, u)), u)
    felt = reads(
        lambda u: (
            jax.grad(
                lambda u: sum(a.sum() for a in jax.tree.leaves(population.cell.step(state, u)))
            )(u),
        ),
        u,
    )
    assert {"slope", "u"} in taken
    assert felt == [{"slope", "u"}]


def flow_of(function, *sources):
    return trace(lambda *a: [function(*a)], sources)[0][0]


W = weights("net.p.weight", 3, 3)
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
        lambda w, x: jnp.einsum("ij,b->bij", w, x[0]),
        lambda w, x: jnp.einsum("ikj,kb->bij", w[:, None], x[:1]),
        lambda w, x: jax.lax.scan(lambda c, _: (c @ w, None), jnp.eye(3), None, length=2)[0],
    ],
)
def test_weights_in_disguise_are_still_weights(function):
    assert flow_of(function, W, X).raw == {"net.p.weight"}


def test_activity_is_no_weight():
    assert flow_of(lambda w, x: jnp.tanh(x @ w), W, X).raw == set()


def test_activity_that_settles_from_a_constant_is_no_weight():
    """Alone, its first turn sums a constant against the weights, and that would still be
    weights.
    """

    def settle(w, x):
        return jax.lax.scan(lambda v, _: (v + x - v @ w, None), jnp.zeros((3, 3)), None, length=2)[
            0
        ]

    assert flow_of(settle, W, X).raw == set()
    assert flow_of(lambda w, x: settle(w, jnp.ones((3, 3))), W, X).raw == set()
    assert flow_of(lambda w, x: jnp.eye(3) @ w, W, X).raw == {"net.p.weight"}


def test_a_weight_used_backwards_waits_for_the_signal():
    """Patterns sent the wrong way, without a signal, are kept; what met the signal first, or runs
    forwards, is not.
    """
    assert flow_of(lambda w, x, t: x @ w.T, W, X, T).backwards == set()
    assert flow_of(lambda w, x, t: (x @ w.T) * t, W, X, T).backwards == {"net.p.weight"}
    assert flow_of(lambda w, x, t: (x @ w) - t, W, X, T).backwards == set()


PATTERN = jnp.arange(15.0).reshape(3, 5)
# A weight from 5 units to 4, what arrives at it and what comes back; both carry the signal.
DENSE = (weights("net.p.weight", 5, 4), source("signal.pre", 2, 5), source("signal.post", 2, 4))


def looped(function):
    """`function`, its weight carried by a scan that leaves it as it is."""
    return lambda w, x, d: function(
        jax.lax.scan(lambda c, _: (c * 1.0, None), w, None, length=2)[0], x, d
    )


def closed_over(function):
    """The same, inside the body of a scan that has the weight as a constant."""

    def scanned(w, x, d):
        return jax.lax.scan(lambda c, _: (c, function(w, x, d)), 0.0, None, length=2)[1]

    return scanned


def turned(function):
    """The same, its weight passed through a loop of unknown length."""
    return lambda w, x, d: function(
        jax.lax.while_loop(lambda c: c[0] < 2, lambda c: (c[0] + 1, c[1] * 1.0), (0, w))[1], x, d
    )


def branched(function):
    """The same, inside both branches of a cond."""
    return lambda w, x, d: jax.lax.cond(True, function, lambda *a: -function(*a), w, x, d)


def as_it_is(function):
    return function


WRAPPED = pytest.mark.parametrize(
    "wrap", [as_it_is, jax.jit, jax.checkpoint, looped, closed_over, turned, branched]
)


@WRAPPED
@pytest.mark.parametrize(
    "function",
    [
        lambda w, x, d: x @ w,
        lambda w, x, d: jnp.einsum("ij,bi->bj", w, x),
        lambda w, x, d: jnp.einsum("bi,ij->jb", x, w),
        lambda w, x, d: (w.T @ x.T).T,
        lambda w, x, d: x @ w.T.T,
        lambda w, x, d: x @ (-w * 2).astype("float32").astype(w.dtype),
        lambda w, x, d: x[:, ::-1] @ w[::-1],
        lambda w, x, d: x[:, :2] @ w[:2],
        lambda w, x, d: jax.vmap(lambda x: x @ w)(x),
        lambda w, x, d: jnp.tensordot(x.reshape(2, 5, 1), w.reshape(5, 1, 4), 2),
        lambda w, x, d: x @ w[None].reshape(5, 4),
        lambda w, x, d: x @ jnp.where(w > 0, w, 0.0),
        lambda w, x, d: x[:, :3] @ (PATTERN @ w),
        lambda w, x, d: (w * x[0][:, None]).sum(0),
        lambda w, x, d: (w[None] * x[:, :, None]).sum(1),
        lambda w, x, d: x @ (w / jnp.linalg.norm(w, axis=0, keepdims=True)),
        lambda w, x, d: jnp.stack([w, 2 * w])[0].T @ x[0],
    ],
)
def test_a_weight_used_forwards(function, wrap):
    flow = flow_of(wrap(function), *DENSE)
    assert flow.backwards == set()
    assert flow.raw == set()
    assert {"net.p.weight", "signal.pre"} <= flow.reads


@WRAPPED
@pytest.mark.parametrize(
    "function",
    [
        lambda w, x, d: d @ w.T,
        lambda w, x, d: jnp.einsum("ij,bj->bi", w, d),
        lambda w, x, d: w @ d[0],
        lambda w, x, d: d @ w.T.T.T,
        lambda w, x, d: (w[None] * d[:, None]).sum(2),
        lambda w, x, d: (w * d[0][None]).sum(),
        lambda w, x, d: d.reshape(2, 2, 2).reshape(2, 4) @ w.reshape(20).reshape(5, 4).T,
        lambda w, x, d: jnp.einsum("bkl,ikl->bi", d.reshape(2, 2, 2), w.reshape(5, 2, 2)),
        lambda w, x, d: jnp.einsum("ij,bj->bij", w, d),
        lambda w, x, d: jnp.einsum("ij,b->bij", w, d[:, 0]),
        lambda w, x, d: jnp.einsum("ikj,kb->bij", w[:, None], d[:1]),
        lambda w, x, d: jnp.einsum("kij,kb->bij", jnp.broadcast_to(w, (2, 5, 4)), d),
        lambda w, x, d: sum(d[:, j : j + 1] * w[:, j][None] for j in range(4)),
        lambda w, x, d: jnp.linalg.solve(jnp.eye(4) + w[:4], d.T),
        lambda w, x, d: w[jnp.argmax(d[0])],
        lambda w, x, d: w + d[0][None],
    ],
)
def test_a_weight_used_backwards(function, wrap):
    assert flow_of(wrap(function), *DENSE).backwards == {"net.p.weight"}


def unit(j, i):
    """The 4 x 5 matrix that is one in a single place."""
    return jnp.eye(20)[5 * j + i].reshape(4, 5)


@pytest.mark.parametrize(
    "transpose",
    [
        lambda w: w[jnp.arange(5)[None, :], jnp.arange(4)[:, None]],
        lambda w: w.ravel()[jnp.arange(20).reshape(5, 4).T.ravel()].reshape(4, 5),
        lambda w: jnp.stack([w[:, j] for j in range(4)]),
        lambda w: jnp.concatenate([w[:, j : j + 1].T for j in range(4)]),
        lambda w: sum(
            jnp.pad(w[i : i + 1, j : j + 1], ((j, 3 - j), (i, 4 - i)))
            for i in range(5)
            for j in range(4)
        ),
        lambda w: sum(unit(j, i) @ w @ unit(j, i) for i in range(5) for j in range(4)),
        lambda w: jax.lax.map(
            lambda j: jax.lax.dynamic_index_in_dim(w, j, 1, keepdims=False), jnp.arange(4)
        ),
        jnp.zeros((4, 5)).at[jnp.arange(4)[None, :], jnp.arange(5)[:, None]].set,
        lambda w: jax.lax.fori_loop(
            0,
            20,
            lambda k, t: jax.lax.dynamic_update_slice(
                t, jax.lax.dynamic_slice(w, (k // 4, k % 4), (1, 1)), (k % 4, k // 4)
            ),
            jnp.zeros((4, 5)),
        ),
    ],
    ids=[
        "gather",
        "flat gather",
        "stack",
        "concatenate",
        "pad",
        "constants",
        "map",
        "scatter",
        "loop",
    ],
)
def test_a_transpose_by_index_tricks_is_no_forward_use(transpose):
    w = jnp.arange(20.0).reshape(5, 4)
    assert (transpose(w) == w.T).all()
    assert flow_of(lambda w, x, d: d @ transpose(w), *DENSE).backwards == {"net.p.weight"}


def test_a_pattern_for_each_unit_measures_a_weight_and_that_is_forward_use():
    """A limit: the patterns are data, so the answers are activity, here as in a network that shows
    one unit at a time.
    """

    def measured(w, x, d):
        return d @ ((jnp.eye(5) + 0 * x.sum()) @ w).T

    assert flow_of(measured, *DENSE).backwards == set()


def test_a_branch_chosen_by_the_signal_meets_what_it_chooses():
    def signs(w, x, d):
        return sum(
            jax.lax.cond(d[0, j] > 0, lambda j=j: w[:, j], lambda j=j: -w[:, j]) for j in range(4)
        )

    assert flow_of(signs, *DENSE).backwards == {"net.p.weight"}


def test_what_the_axes_are():
    def axes(function):
        return flow_of(lambda w, x, d: function(w), *DENSE).axes

    assert axes(lambda w: w) == (PRE, POST)
    assert axes(lambda w: w.T) == (POST, PRE)
    assert axes(lambda w: w[None, :, None]) == (NEITHER, PRE, NEITHER, POST)
    assert axes(lambda w: w.T.reshape(1, 4, 5)) == (NEITHER, POST, PRE)
    assert axes(lambda w: jnp.stack([w, w])[0]) == (PRE, POST)
    assert axes(lambda w: jnp.concatenate([w, 1 + w])[5:]) == (PRE, POST)
    assert axes(lambda w: jax.lax.scan(lambda c, _: (c, w), 0.0, None, length=2)[1]) == (
        NEITHER,
        PRE,
        POST,
    )
    assert axes(lambda w: PATTERN[None] @ w) == (PRE, PRE, POST)
    assert axes(lambda w: w.ravel()) is None
    assert axes(lambda w: w.ravel().reshape(5, 4)) == (PRE, POST)
    assert axes(lambda w: w[:, ::-1]) is None
    assert axes(lambda w: w[:, :2]) is None
    assert axes(lambda w: w[0]) == (POST,)
    assert axes(lambda w: w[:, 0]) is None
    assert axes(lambda w: w @ jnp.eye(4)) is None


def test_arrays_that_disagree_have_no_known_axes():
    pair = (weights("net.p.weight", 3, 3), weights("net.q.weight", 3, 3))
    assert flow_of(lambda p, q: p + q, *pair).axes == (PRE, POST)
    assert flow_of(lambda p, q: p + q.T, *pair).axes is None
    assert flow_of(lambda p, q: p @ q, *pair).axes is None
    assert flow_of(lambda p, q: jax.lax.cond(True, lambda: p, lambda: p.T), *pair).axes is None
    assert flow_of(lambda p, q: jax.lax.fori_loop(0, 3, lambda _, w: w.T, p), *pair).axes == (
        POST,
        PRE,
    )
    assert flow_of(lambda p, q: jax.lax.fori_loop(0, 30, lambda _, w: w.T, p), *pair).axes is None


@pytest.mark.parametrize("pool", [1, 2])
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("padding", ["SAME", "VALID"])
def test_a_convolution_forwards_and_backwards(stride, padding, pool):
    p = Conv(
        src="a",
        dst="b",
        src_shape=(8, 8, 2),
        weight=jnp.ones((3, 3, 2, 5)),
        bias=None,
        stride=stride,
        padding=padding,
        pool=pool,
    )
    kernel, pre, delta = (
        weights("net.p.weight", 3, 3, 2, 5),
        source("signal.pre", 2, 8, 8, 2),
        source("signal.post", 2, *p.dst_shape),
    )
    forward = flow_of(lambda w, x: p.with_theta({"weight": w}).forward(x), kernel, pre)
    backward = flow_of(lambda w, d: p.backward(d, w), kernel, delta)
    assert (forward.backwards, backward.backwards) == (set(), {"net.p.weight"})
    assert (forward.raw, backward.raw) == (set(), {"net.p.weight"})
    both = flow_of(lambda x, d: p.outer(x, d)["weight"], pre, delta)
    assert both.backwards == both.raw == set()


def test_answers_to_fixed_patterns_are_weights_until_patterns_are_summed():
    """As forward-forward does with its labels: the kernel's answers to each, then their sum for a
    sample.
    """
    p = Conv(
        src="a", dst="b", src_shape=(8, 8, 2), weight=jnp.ones((3, 3, 2, 5)), bias=None, pool=2
    )

    def answers(w, label):
        table = p.with_theta({"weight": w}).forward(jnp.arange(6.0 * 8 * 8 * 2).reshape(6, 8, 8, 2))
        return table if label is None else jnp.tensordot(label, table, 1)

    kernel = weights("net.p.weight", 3, 3, 2, 5)
    table = flow_of(lambda w: answers(w, None), kernel)
    assert (table.raw, table.axes) == ({"net.p.weight"}, (PRE, NEITHER, NEITHER, POST))
    answer = flow_of(answers, kernel, source("signal.target", 2, 6))
    assert answer.raw == answer.backwards == set()


REST = jnp.zeros((2, 3))


@pytest.mark.parametrize(
    ("pattern", "stored"),
    [
        (lambda: jnp.pad(REST, 1), False),
        (lambda: jnp.stack([REST[0]] * 4), False),
        (lambda: jnp.concatenate([jnp.maximum(REST, 0), jnp.tanh(REST) + 0]), False),
        (lambda: jnp.clip(jnp.pad(REST + 1, 1, constant_values=1), -1, 1), False),
        (lambda: jnp.pad(REST + 1, 1), True),
        (lambda: jnp.stack([REST[0], REST[0] + 1]), True),
        (lambda: jnp.concatenate([REST, jnp.ones_like(REST)]), True),
        (lambda: jnp.concatenate([jnp.exp(REST), jnp.exp(REST)]), True),
        (lambda: jnp.pad(jnp.full((2, 3), 2**24 + 1), 1, constant_values=2**24), True),
    ],
)
def test_arrays_of_one_number_joined_are_one_number_and_all_else_is_a_pattern(pattern, stored):
    """What a network at rest sends is activity, in patches too; with a pattern a weight is read
    out.
    """
    (flow,), _ = trace(lambda: [pattern()], [])
    assert (flow.constant, flow.stored) == (not stored, stored)


def test_a_weight_read_out_by_padded_ones_is_still_a_weight():
    """Each entry by a row of zeros with a one in it, put together by padding."""

    def rows(w, d):
        one = [jnp.pad(jnp.ones((1, 1)), ((0, 0), (k, 2 - k))) for k in range(3)]
        return d @ jnp.concatenate([row @ w for row in one]).T

    made = flow_of(rows, weights("net.p.weight", 3, 3), source("signal.error", 2, 3))
    assert made.backwards == {"net.p.weight"}


@pytest.mark.parametrize(
    "numbers", [("NHWC", "HWOI", "NHWC"), ("NHWC", "OHWI", "NHWC"), ("CHWN", "HWIO", "NHWC")]
)
def test_a_kernel_used_in_any_other_way_is_met_backwards(numbers):
    kernel, image = weights("net.p.weight", 3, 3, 3, 3), source("signal.post", 3, 3, 3, 3)

    def convolve(w, d):
        left, right = (w, d) if numbers[0] == "CHWN" else (d, w)
        return jax.lax.conv_general_dilated(left, right, (1, 1), "SAME", dimension_numbers=numbers)

    assert flow_of(convolve, kernel, image).backwards == {"net.p.weight"}
