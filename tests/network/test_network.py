"""The graph itself: its order, its cycles, its weights, and what it refuses."""

import inspect

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import by_hand
from byway.core.errors import ConfigError, RuleError, ShapeError, UnknownNameError
from byway.network.builders import convnet, coupled, graph, mlp
from byway.network.network import Network
from byway.network.projections import Dense

DIAMOND = {"output": 2, "b": 3, "input": 4, "a": 5}  # written down in no order
EDGES = [("b", "output"), ("a", "output"), ("a", "b"), ("input", "b"), ("input", "a")]
LOOP = {"input": 2, "a": 3, "b": 3, "output": 2}
LOOPED = [("input", "a"), ("a", "b"), ("b", "a"), ("b", "output")]


def test_populations_and_projections_stand_upstream_first():
    net = graph(DIAMOND, EDGES)
    order = [p.name for p in net.populations]
    assert order == ["input", "a", "b", "output"]
    assert [order.index(p.dst) for p in net.projections] == [1, 2, 2, 3, 3]


def test_neighbours_and_hidden_populations():
    net = graph(DIAMOND, EDGES)
    assert {p.src for p in net.incoming("b")} == {"a", "input"}
    assert {p.dst for p in net.outgoing("a")} == {"b", "output"}
    assert [p.name for p in net.hidden] == ["a", "b"]
    assert net.incoming("input") == net.outgoing("output") == ()


def test_upstream_is_whatever_reaches_a_population():
    net = graph(DIAMOND | {"other": 1}, [*EDGES, ("b", "other")])
    assert net.upstream("b") == {"b", "a", "input"}
    assert net.upstream("output") == {"output", "b", "a", "input"}
    assert net.upstream("input") == {"input"}


def test_cycles_are_seen_and_refused_by_name():
    assert not graph(DIAMOND, EDGES).cyclic
    assert graph(
        {"input": 2, "a": 3, "output": 2}, [("input", "a"), ("a", "a"), ("a", "output")]
    ).cyclic
    looped = graph(LOOP, LOOPED)
    assert looped.cyclic
    assert [p.name for p in looped.populations] == list(LOOP)
    with pytest.raises(RuleError, match="some_rule was given a network with a cycle"):
        looped.require_feedforward("some_rule")


def test_forward_of_a_diamond_with_something_injected():
    """Every field of the phase, in NumPy; what is injected is added to the potential, before
    phi.
    """
    net = by_hand.with_biases(
        graph(DIAMOND, EDGES, activation={"a": "tanh", "b": "softplus"}, norm=True)
    )
    x = np.random.default_rng(0).normal(size=(3, 4))
    probe = np.random.default_rng(1).normal(size=(3, 3))
    w = {p.name: np.asarray(p.weight) for p in net.projections}
    bias = {p.dst: np.asarray(p.bias) for p in net.projections if p.bias is not None}
    send = lambda h: h / (np.sqrt((h**2).mean(1, keepdims=True)) + 1e-8)
    u = {"a": send(x) @ w["input-a"] + bias["a"]}
    post = {"input": x, "a": np.tanh(u["a"])}
    u["b"] = send(x) @ w["input-b"] + send(post["a"]) @ w["a-b"] + bias["b"] + probe
    post["b"] = np.log1p(np.exp(u["b"]))
    u["output"] = send(post["b"]) @ w["b-output"] + send(post["a"]) @ w["a-output"] + bias["output"]
    post["output"] = u["output"]
    slope = {"a": 1 - post["a"] ** 2, "b": 1 / (1 + np.exp(-u["b"])), "output": 1.0}
    pre = {f"{s}-{d}": send(post[s]) for s, d in EDGES}
    phase = net.forward(jnp.asarray(x), {"b": jnp.asarray(probe)})
    for mine, expected in (
        (phase.u, u),
        (phase.post, post),
        (phase.slope, slope),
        (phase.pre, pre),
        (phase.injected, {"b": probe}),
    ):
        assert mine.keys() == expected.keys()
        for name, value in expected.items():
            np.testing.assert_allclose(mine[name], value, rtol=1e-12)


def test_a_population_that_nothing_reaches_is_refused_with_an_explanation():
    """Without a word here, forward stops with "reduce() of empty iterable"."""
    with pytest.raises(ShapeError, match="b"):
        graph({"input": 2, "b": 3, "output": 2}, [("input", "output"), ("b", "output")]).forward(
            jnp.ones((1, 2))
        )


def test_inputs_are_only_reshaped_into_place():
    net = mlp((2, 3), 4, 2)
    x = jnp.arange(12.0).reshape(2, 6, 1)
    np.testing.assert_array_equal(net.place(x), x.reshape(2, 2, 3))
    with pytest.raises(ShapeError, match=r"inputs of shape \(5,\)"):
        net.place(jnp.zeros((2, 5)))


def _moments(weights, variance):
    """Whether many normal draws have mean 0 and this variance, to five standard errors; and the
    right kurtosis.
    """
    w = np.asarray(weights).ravel()
    assert abs(w.mean()) < 5 * np.sqrt(variance / w.size)
    assert abs(w.var() / variance - 1) < 5 * np.sqrt(2 / w.size)
    assert abs((w**4).mean() / variance**2 - 3) < 5 * np.sqrt(96 / w.size)


@pytest.mark.parametrize(
    ("phi", "gain"), [("relu", 2.0), ("tanh", 1.0), ("identity", 1.0), ("sigmoid", 1.0)]
)
def test_fresh_weights_are_normal_with_variance_gain_over_fan_in(phi, gain):
    """He et al. 2015 for relu, LeCun et al. 1998 otherwise; the output is linear whatever the
    hidden layers are.
    """
    net = by_hand.with_biases(mlp(200, 100, 50, activation=phi)).redraw(jax.random.key(3))
    first, second = net.projections
    _moments(first.weight, gain / 200)
    _moments(second.weight, 1 / 100)
    assert not np.any(first.bias) and not np.any(second.bias)


def test_fresh_kernels_count_what_a_unit_sums_as_their_fan_in():
    conv = convnet((8, 8, 20), (40,), 3, kernel=5).projections[0]
    _moments(conv.weight, 2 / (5 * 5 * 20))


def test_fresh_weights_depend_on_the_key_alone_and_differ_between_projections():
    net = mlp(6, 6, 6, 6, key=1)
    np.testing.assert_array_equal(
        net.redraw(jax.random.key(1)).projections[0].weight, net.projections[0].weight
    )
    np.testing.assert_array_equal(
        mlp(6, 6, 6, 6, key=jax.random.key(1)).projections[0].weight, net.projections[0].weight
    )
    drawn = [
        np.asarray(p.weight).tobytes() for n in (net, mlp(6, 6, 6, 6, key=2)) for p in n.projections
    ]
    drawn += [np.sort(np.abs(np.asarray(p.weight)).ravel()).tobytes() for p in net.projections]
    assert len(set(drawn)) == len(drawn)


def test_halves_that_never_forget_are_drawn_as_a_hamiltonian_system():
    """V = -W^T: Haber and Ruthotto 2018, section 4.2. Gated halves are not."""

    def halves(activation):
        net = coupled(3, 8, 2, activation=activation, key=4).redraw(jax.random.key(5))
        return [
            np.asarray(net.theta[name]["weight"])
            for name in ("hidden1a-hidden1b", "hidden1b-hidden1a")
        ]

    there, back = halves("integrator")
    np.testing.assert_array_equal(there, -back.T)
    _moments(coupled(3, 400, 2).theta["hidden1b-hidden1a"]["weight"], 1 / 200)
    there, back = halves("leaky")
    assert np.abs(there + back.T).max() > 0.1


def test_theta_goes_out_and_in_again_and_what_is_left_out_stays():
    net = by_hand.with_biases(mlp(3, 4, 2))
    theta = {name: {k: a + 1 for k, a in w.items()} for name, w in net.theta.items()}
    jax.tree.map(np.testing.assert_array_equal, net.with_theta(theta).theta, theta)
    part = net.with_theta({"input-hidden1": {"weight": theta["input-hidden1"]["weight"]}})
    np.testing.assert_array_equal(
        part.theta["input-hidden1"]["weight"], theta["input-hidden1"]["weight"]
    )
    np.testing.assert_array_equal(
        part.theta["input-hidden1"]["bias"], net.theta["input-hidden1"]["bias"]
    )
    jax.tree.map(
        np.testing.assert_array_equal, part.theta["hidden1-output"], net.theta["hidden1-output"]
    )


def test_mlp_without_biases_or_hidden_layers():
    assert all(p.bias is None for p in mlp(3, 4, 2, bias=False).projections)
    x = jnp.arange(6.0).reshape(2, 3)
    net = mlp(3, 2)
    np.testing.assert_allclose(
        net.forward(x).post["output"], x @ net.projections[0].weight, rtol=1e-12
    )


def test_graph_gives_one_bias_to_each_population():
    net = graph(DIAMOND, EDGES)
    assert sorted(p.dst for p in net.projections if p.bias is not None) == ["a", "b", "output"]


def test_convnet_has_its_layers_in_order():
    net = convnet((9, 7, 2), (3, 4), 5, hidden=(6,), pool=2)
    assert {p.name: p.shape for p in net.populations} == {
        "input": (9, 7, 2),
        "conv1": (4, 3, 3),
        "conv2": (2, 1, 4),
        "hidden1": (6,),
        "output": (5,),
    }
    assert [p.name for p in net.projections] == [
        "input-conv1",
        "conv1-conv2",
        "conv2-hidden1",
        "hidden1-output",
    ]


REFUSED = {
    "one size": (lambda: mlp(5), ShapeError, "an input and an output at least"),
    "no units": (lambda: mlp(5, 0, 2), ShapeError, "of one unit or more"),
    "no units on an axis": (lambda: mlp((4, 0), 2), ShapeError, "of one unit or more"),
    "unknown activation": (
        lambda: mlp(5, 4, 2, activation="tan"),
        UnknownNameError,
        "did you mean 'tanh'",
    ),
    "readout from nowhere": (
        lambda: mlp(5, 4, 3, 2, readout_from=(2,)),
        ConfigError,
        "indices of 2 hidden layers",
    ),
    "readout from below": (
        lambda: mlp(5, 4, 3, 2, readout_from=(-3,)),
        ConfigError,
        "indices of 2 hidden layers",
    ),
    "no readout": (
        lambda: mlp(5, 4, 2, readout_from=()),
        ConfigError,
        "indices of 1 hidden layers",
    ),
    "the same readout twice": (
        lambda: mlp(5, 4, 2, readout_from=(0, -1)),
        ShapeError,
        "two projections between",
    ),
    "no image": (
        lambda: inspect.unwrap(convnet)((5, 5), (2,), 3),
        ShapeError,
        "height, width, channels",
    ),
    "no channels": (lambda: convnet((5, 5, 1), (), 3), ConfigError, "without channels"),
    "channels of none": (lambda: convnet((5, 5, 1), (0,), 3), ShapeError, "of one unit or more"),
    "image of none": (lambda: convnet((0, 5, 1), (2,), 3), ShapeError, "of one unit or more"),
    "shrinks to nothing": (lambda: convnet((5, 5, 1), (2, 2, 2), 3), ShapeError, "shrinks to"),
    "kernel too large": (
        lambda: convnet((5, 5, 1), (2,), 3, kernel=6, padding="VALID"),
        ShapeError,
        "shrinks to",
    ),
    "unknown padding": (
        lambda: convnet((5, 5, 1), (2,), 3, padding="FULL"),
        ConfigError,
        "'SAME' or 'VALID'",
    ),
    "no stride": (lambda: convnet((5, 5, 1), (2,), 3, stride=0), ConfigError, "stride = 0"),
    "no pool": (lambda: convnet((5, 5, 1), (2,), 3, pool=0), ConfigError, "pool = 0"),
    "no kernel": (
        lambda: convnet((5, 5, 1), (2,), 3, kernel=0),
        (ConfigError, ShapeError),
        "kernel",
    ),
    "edge from nowhere": (
        lambda: graph({"input": 2, "output": 2}, [("inputs", "output")]),
        UnknownNameError,
        "did you mean 'input'",
    ),
    "edge to nowhere": (
        lambda: graph({"input": 2, "output": 2}, [("input", "outputs")]),
        UnknownNameError,
        "did you mean 'output'",
    ),
    "no such input": (
        lambda: graph({"a": 2, "output": 2}, [("a", "output")]),
        UnknownNameError,
        "'input'",
    ),
    "no such output": (
        lambda: graph({"input": 2, "b": 2}, [("input", "b")]),
        UnknownNameError,
        "'output'",
    ),
    "the same edge twice": (
        lambda: graph({"input": 2, "output": 2}, [("input", "output")] * 2),
        ShapeError,
        "two projections between",
    ),
    "a dash in a name": (
        lambda: graph({"input": 2, "a-b": 2, "output": 2}, []),
        ConfigError,
        "without '-'",
    ),
    "activation of nobody": (
        lambda: graph(LOOP, LOOPED, activation={"bb": "tanh"}),
        (ConfigError, UnknownNameError),
        "'bb'",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_builders_refuse(case):
    build, error, said = REFUSED[case]
    with pytest.raises(error) as caught:
        build()
    assert said in str(caught.value)
    assert "wanted: " in str(caught.value)
    assert "do: " in str(caught.value)


def test_network_refuses_doubles_and_shapes_that_disagree():
    net = mlp(3, 4, 2)
    with pytest.raises(ShapeError, match="each name once"):
        Network([*net.populations, net["hidden1"]], net.projections, "input", "output")
    wrong = Dense(
        src="input",
        dst="hidden1",
        src_shape=(3,),
        dst_shape=(5,),
        weight=jnp.zeros((3, 5)),
        bias=None,
    )
    with pytest.raises(ShapeError, match="takes 'hidden1' to have shape"):
        Network(net.populations, [wrong, net.projections[1]], "input", "output")
    for ends in (("inpt", "output"), ("input", "outpt")):
        with pytest.raises(UnknownNameError, match="did you mean"):
            Network(net.populations, net.projections, *ends)
