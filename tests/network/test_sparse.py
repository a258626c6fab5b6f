"""Sparse and local projections against dense ones with the same weights in their places."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

import by_hand
import byway
from byway.core.errors import ConfigError, RuleError, ShapeError
from byway.core.signal import SquaredError
from byway.network.builders import convnet, graph
from byway.network.builders.assembly import placed
from byway.network.convolutions import Conv, LocallyConnected
from byway.network.sparse import FixedFanIn
from byway.rules.backprop.bp import BP

BATCHES = [1, 7]


def _pair(n_pre=11, n_post=6, fan=4, seed=0):
    draw = np.random.default_rng(seed)
    src, dst = placed(["a", "b"], [(n_pre,), (n_post,)], "relu", False, "a", "b")
    index = np.stack([draw.permutation(n_pre)[:fan] for _ in range(n_post)])
    p = FixedFanIn.between(src, dst, fan, index=index)
    return p.with_theta(
        {
            "weight": jnp.asarray(draw.normal(size=(n_post, fan))),
            "bias": jnp.asarray(draw.normal(size=n_post)),
        }
    )


def _matrix(p, weight):
    """The dense matrix "pre post" with the weights in their places, entry by entry."""
    full = np.zeros((int(np.prod(p.src_shape)), len(weight)))
    for j, row in enumerate(np.asarray(p.index)):
        for k, i in enumerate(row):
            full[i, j] += weight[j, k]
    return full


@pytest.fixture(params=["matrix", "gather"])
def way(request, monkeypatch):
    monkeypatch.setattr(FixedFanIn, "_by_matrix", lambda self, batch: request.param == "matrix")


@pytest.mark.parametrize("batch", BATCHES)
def test_fixed_fan_in_is_a_dense_product_with_the_weights_in_their_places(way, batch):
    p, draw = _pair(), np.random.default_rng(1)
    pre, delta, other = (
        draw.normal(size=(batch, 11)),
        draw.normal(size=(batch, 6)),
        draw.normal(size=(6, 4)),
    )
    full = _matrix(p, np.asarray(p.weight))
    np.testing.assert_allclose(
        p.forward(jnp.asarray(pre)), pre @ full + np.asarray(p.bias), rtol=1e-12
    )
    np.testing.assert_allclose(
        p.backward(jnp.asarray(delta)), delta @ full.T, rtol=1e-12, atol=1e-14
    )
    np.testing.assert_allclose(
        p.backward(jnp.asarray(delta), jnp.asarray(other)),
        delta @ _matrix(p, other).T,
        rtol=1e-12,
        atol=1e-14,
    )
    update, outer = p.outer(jnp.asarray(pre), jnp.asarray(delta)), pre.T @ delta / batch
    np.testing.assert_allclose(
        update["weight"],
        [[outer[i, j] for i in row] for j, row in enumerate(np.asarray(p.index))],
        rtol=1e-12,
    )
    np.testing.assert_allclose(update["bias"], delta.mean(0), rtol=1e-12)


def test_the_halves_of_outer_make_the_whole():
    """For a fan-in, a dense layer, ports and local fields alike: the mean over samples of their
    product.
    """
    draw = np.random.default_rng(2)
    image = placed(["a"], [(5, 6, 2)], "relu", False, "a", "b")[0]
    local = LocallyConnected.between(image, "b", 3, 2)
    gru = next(
        p for p in byway.rnn(4, 5, 2, activation="gru").projections if p.name == "hidden1-hidden1"
    )
    for p in (_pair(), local, gru):
        pre = jnp.asarray(draw.normal(size=(7, *p.src_shape)))
        delta = jnp.asarray(draw.normal(size=(7, *p.dst_shape)))
        np.testing.assert_allclose(
            jnp.mean(p.at_pre(pre) * p.at_post(delta), 0),
            p.outer(pre, delta)["weight"],
            rtol=1e-12,
            atol=1e-14,
        )
    shared = convnet((6, 6, 1), (2,), 3).projections[0]
    with pytest.raises(RuleError, match="many places share"):
        shared.at_pre(jnp.zeros((1, 6, 6, 1)))


@pytest.mark.parametrize(
    ("stride", "padding"), [(1, "VALID"), (2, "VALID"), (1, "SAME"), (2, "SAME")]
)
def test_local_fields_with_equal_weights_are_a_convolution(stride, padding):
    draw = np.random.default_rng(3)
    kernel, out = draw.normal(size=(3, 3, 2, 4)), 4
    conv = Conv(
        src="a",
        dst="b",
        src_shape=(7, 6, 2),
        weight=jnp.asarray(kernel),
        bias=None,
        stride=stride,
        padding=padding,
    )
    image = placed(["a"], [(7, 6, 2)], "relu", False, "a", "b")[0]
    p = LocallyConnected.between(image, "b", out, 3, stride, padding, bias=False)
    by_channel = kernel.transpose(2, 0, 1, 3).reshape(18, out)  # a field counts its channels first
    p = p.with_theta({"weight": jnp.broadcast_to(by_channel[None, None], p.weight.shape)})
    assert p.dst_shape == conv.dst_shape
    x = jnp.asarray(draw.normal(size=(5, 7, 6, 2)))
    delta = jnp.asarray(draw.normal(size=(5, *p.dst_shape)))
    np.testing.assert_allclose(p.forward(x), conv.forward(x), rtol=1e-11, atol=1e-13)
    np.testing.assert_allclose(p.backward(delta), conv.backward(delta), rtol=1e-11, atol=1e-13)
    shared = p.outer(x, delta)["weight"].sum((0, 1)).reshape(2, 3, 3, out).transpose(1, 2, 0, 3)
    np.testing.assert_allclose(shared, conv.outer(x, delta)["weight"], rtol=1e-11, atol=1e-13)


def _sparse_net(fan=5):
    sizes = {"input": 8, "a": 7, "b": 6, "output": 3}
    made = {p.name: p for p in placed(list(sizes), [(n,) for n in sizes.values()], "tanh", False)}
    edges = [
        FixedFanIn.between(made["input"], made["a"], fan),
        FixedFanIn.between(made["a"], made["b"], fan),
        ("b", "output"),
    ]
    return graph(sizes, edges, activation="tanh", key=4)


def test_backprop_on_a_sparse_network_is_autodiff_of_the_dense_one(way):
    net = by_hand.with_biases(_sparse_net())
    x, target = by_hand.sample(8, 3)

    def loss(theta):
        h = x
        for p in net.projections:
            w = theta[p.name]
            if isinstance(p, FixedFanIn):
                full = jnp.zeros((p.src_shape[0], len(p.index)))
                for j, row in enumerate(np.asarray(p.index)):
                    full = full.at[row, j].set(w["weight"][j])
            else:
                full = w["weight"]
            u = h @ full + w["bias"][None]
            h = jnp.tanh(u) if p.dst != "output" else u
        return jnp.mean(jnp.sum((h - target) ** 2, -1)) / 2

    _, update, _ = by_hand.taught(BP(), net, x, target, SquaredError())
    assert by_hand.largest_gap(update.net, jax.grad(loss)(net.theta)) < 1e-12


def test_wiring_is_drawn_for_each_seed_each_unit_once_and_all_alike():
    """A chi-square test of which units are read, over many draws."""
    net = _sparse_net()
    tables = np.asarray(
        jax.jit(jax.vmap(lambda key: net.redraw(key).structure["input-a"]["index"]))(
            jax.random.split(jax.random.key(0), 300)
        )
    )
    assert len({table.tobytes() for table in tables}) == 300
    assert np.all(np.diff(tables, axis=-1) > 0), "each at most once, in order"
    counts = np.bincount(tables.ravel(), minlength=8)
    # Draws without replacement vary less than a multinomial: by the factor 1 - fan / sources.
    statistic = np.sum((counts - counts.mean()) ** 2 / counts.mean()) / (1 - 5 / 8)
    assert stats.chi2.sf(statistic, 7) > 1e-3


def test_each_seed_of_a_fit_has_its_own_wiring_and_weights_come_with_it(tmp_path):
    task = byway.task("digits")
    sizes = {"input": (8, 8, 1), "a": 20, "output": 10}
    made = {p.name: p for p in placed(list(sizes), [(8, 8, 1), (20,), (10,)], "relu", False)}
    net = graph(sizes, [FixedFanIn.between(made["input"], made["a"], 6), ("a", "output")])
    few = {name: type(split)(split.x[:64], split.y[:64]) for name, split in task.load().items()}
    result = byway.fit(
        net, byway.rule("bp"), task, epochs=1, batch=32, seeds=2, data=few, looks=0, progress=False
    )
    index = result.learners.net.structure["input-a"]["index"]
    assert index.shape == (2, 20, 6) and not np.array_equal(index[0], index[1])
    result.save(tmp_path / "net.byway")
    back = byway.load(tmp_path / "net.byway", seed=1).net
    np.testing.assert_array_equal(back.structure["input-a"]["index"], index[1])
    x, _ = task.batch(few["test"], jnp.arange(5), jax.random.key(0))
    np.testing.assert_array_equal(
        back.forward(x).post["output"], result.learner(1).net.forward(x).post["output"]
    )


SRC, DST = placed(["a", "b"], [(5,), (3,)], "relu", False, "a", "b")
IMAGE = placed(["a"], [(5, 5, 1)], "relu", False, "a", "b")[0]
REFUSED = {
    "more than there are": (
        lambda: FixedFanIn.between(SRC, DST, 6),
        ShapeError,
        "at most its 5 units",
    ),
    "none": (lambda: FixedFanIn.between(SRC, DST, 0), ConfigError, "fan_in = 0"),
    "out of range": (
        lambda: FixedFanIn.between(SRC, DST, 2, index=np.array([[0, 5], [0, 1], [2, 3]])),
        ShapeError,
        "0 to 4",
    ),
    "below zero": (
        lambda: FixedFanIn.between(SRC, DST, 2, index=np.array([[0, -1], [0, 1], [2, 3]])),
        ShapeError,
        "entries from -1",
    ),
    "twice": (
        lambda: FixedFanIn.between(SRC, DST, 2, index=np.array([[0, 0], [0, 1], [2, 3]])),
        ShapeError,
        "reads another twice",
    ),
    "of another shape": (
        lambda: FixedFanIn.between(SRC, DST, 2, index=np.zeros((2, 2), int)),
        ShapeError,
        "(3, 2)",
    ),
    "of fractions": (
        lambda: FixedFanIn.between(SRC, DST, 2, index=np.zeros((3, 2))),
        ShapeError,
        "whole numbers",
    ),
    "fields of no image": (
        lambda: LocallyConnected.between(SRC, "b", 2, 3),
        ShapeError,
        "(height, width, channels)",
    ),
    "padding": (
        lambda: LocallyConnected.between(IMAGE, "b", 2, 3, padding="HALF"),
        ConfigError,
        "'SAME' or 'VALID'",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_is_refused(case):
    make, error, says = REFUSED[case]
    with pytest.raises(error) as raised:
        make()
    assert says in str(raised.value)
