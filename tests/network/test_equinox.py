"""A model of Equinox as a network: it computes the same, and every rule does the same on it as on a
network of ours.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tests.part import some

import by_hand
import byway
from byway.audit.verdict import audit
from byway.core.errors import ConfigError, ShapeError
from byway.network.equinox import from_equinox, to_equinox
from byway.rules.backprop.bp import BP

KEYS = list(jax.random.split(jax.random.key(3), 6))
EXACT = 1e-12
Lambda, Linear = eqx.nn.Lambda, eqx.nn.Linear
# The lowest Equinox has none.
SCANNED = [{"scan": True}] if "scan" in eqx.nn.MLP.__dataclass_fields__ else []
SQUARE = Linear(6, 6, key=KEYS[0])
channels_first = Lambda(lambda x: jnp.moveaxis(x, -1, 0))


class Diagonal(eqx.Module):
    """A layer of somebody's own: each unit has its own weight, and one bias serves all."""

    weight: jax.Array
    bias: jax.Array

    def __call__(self, x, *, key=None):
        return self.weight * x + jnp.broadcast_to(self.bias, x.shape)


def seq(*layers):
    return eqx.nn.Sequential(layers)


MODELS = {
    "mlp": (eqx.nn.MLP(6, 4, 5, 2, activation=jnp.tanh, key=KEYS[0]), 6),
    "mlp with a final activation": (
        eqx.nn.MLP(
            6, 4, 5, 1, activation=jax.nn.gelu, final_activation=jax.nn.softplus, key=KEYS[0]
        ),
        6,
    ),
    "one layer": (Linear(6, 4, key=KEYS[0]), 6),
    "nothing between two layers": (
        seq(Linear(6, 5, use_bias=False, key=KEYS[0]), Linear(5, 4, key=KEYS[1])),
        6,
    ),
    "images": (
        seq(
            channels_first,
            eqx.nn.Conv2d(2, 4, 3, groups=2, dilation=2, padding=1, key=KEYS[0]),
            Lambda(jax.nn.silu),
            eqx.nn.AvgPool2d(2, 2),
            seq(
                eqx.nn.ConvTranspose2d(4, 3, 2, stride=2, use_bias=False, key=KEYS[1]),
                eqx.nn.AvgPool2d(3, 3),
            ),
            Lambda(jnp.tanh),
            eqx.nn.Dropout(0.5, inference=True),
            Lambda(jnp.ravel),
            Linear(12, 4, key=KEYS[2]),
        ),
        (8, 8, 2),
    ),
    "convolutions of all kinds": (
        seq(
            channels_first,
            eqx.nn.Conv2d(2, 3, (3, 2), stride=(2, 1), padding="SAME", key=KEYS[0]),
            eqx.nn.Conv2d(3, 3, 2, dilation=2, padding=1, key=KEYS[2]),
            eqx.nn.Conv2d(3, 4, 2, padding=((0, 1), (2, 0)), use_bias=False, key=KEYS[1]),
            eqx.nn.Conv2d(4, 2, 3, padding=1, padding_mode="CIRCULAR", key=KEYS[2]),
            eqx.nn.Conv2d(2, 4, 3, stride=(1, 2), padding=2, dilation=2, groups=2, key=KEYS[3]),
            Lambda(jnp.tanh),
            Lambda(lambda x: x[:, :, ::-1]),
            eqx.nn.Conv2d(4, 2, 2, padding="SAME", key=KEYS[4]),
            Lambda(lambda x: x[::-1]),
            Lambda(jnp.tanh),
            Lambda(lambda x: x[None]),
            eqx.nn.Conv3d(1, 2, 2, key=KEYS[0]),
            Lambda(lambda x: x.reshape(2, 6)),
            eqx.nn.Conv1d(2, 3, 3, stride=2, key=KEYS[5]),
            Lambda(jnp.ravel),
            Linear(6, 4, key=KEYS[1]),
        ),
        (8, 5, 2),
    ),
    "a layer of one's own": (
        seq(
            Diagonal(jnp.arange(1.0, 7.0), jnp.full(1, 0.3)),
            Lambda(jax.nn.elu),
            Linear(6, 4, key=KEYS[1]),
        ),
        6,
    ),
}


@pytest.fixture(params=some(list(MODELS), 4, str))
def own(request):
    return MODELS[request.param]


def test_it_computes_what_the_model_computes_also_with_other_weights(own):
    model, shape = own
    net = from_equinox(model, shape)
    x, _ = by_hand.sample(shape, 4)

    @eqx.filter_jit
    def both(net, model):
        return net.forward(x).post["output"], jax.vmap(model)(x)

    np.testing.assert_allclose(*both(net, model), rtol=EXACT)
    net = by_hand.with_biases(net.redraw(KEYS[4]))
    np.testing.assert_allclose(*both(net, to_equinox(net, model)), rtol=EXACT)


def test_backprop_is_the_gradient_that_equinox_takes_of_the_model(own):
    model, shape = own
    net = from_equinox(model, shape)
    x, target = by_hand.sample(shape, 4)
    _, update, _ = by_hand.taught(BP(), net, x, target)
    gradient = eqx.filter_jit(
        eqx.filter_grad(lambda model: by_hand.cross_entropy(jax.vmap(model)(x), target))
    )(model)
    taught = to_equinox(net.with_theta(update.net), model)
    mine, wanted = (
        jax.tree.leaves(eqx.filter(m, eqx.is_inexact_array)) for m in (taught, gradient)
    )
    for a, b in zip(mine, wanted, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-10, atol=EXACT)


@pytest.mark.parametrize("name", ["bp", "frozen", "node_perturbation", "ff", "pc"])
def test_a_rule_does_the_same_as_on_the_same_network_of_ours(name):
    rule = byway.rule(name)
    ours = by_hand.with_biases(byway.mlp(6, 5, 5, 4, activation="tanh", **rule.network_options))
    model = eqx.nn.MLP(6, 4, 5, 2, activation=jnp.tanh, key=KEYS[0])
    flat = [a.T for p in ours.projections for a in p.theta.values()]
    theirs = from_equinox(model, 6, **rule.network_options)
    shaped = iter(flat)
    theirs = theirs.with_theta(
        {p: {part: next(shaped) for part in parts} for p, parts in theirs.theta.items()}
    )
    x, target = by_hand.sample(6, 4)
    updates = [by_hand.taught(rule, net, x, target)[1].net for net in (ours, theirs)]
    for p, parts in updates[0].items():
        for part, a in parts.items():
            np.testing.assert_allclose(updates[1][p][part], a.T, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize(("name", "transport"), [("bp", "yes"), ("fa", "no"), ("dfa", "no")])
def test_the_audit_sees_through_it(name, transport):
    model, shape = MODELS["images"]
    assert audit(byway.rule(name), from_equinox(model, shape)).found.transport == transport


def test_what_a_unit_sums_and_reaches():
    net = from_equinox(MODELS["images"][0], (8, 8, 2))
    fans = [(p.fan_in, p.fan_out) for p in net.projections]
    # 3x3 of one channel in each group, to two of four; 2x2 side by side; all to all.
    assert fans[0] == (9, 18) and fans[1] == (4, 12) and fans[2] == (12, 4)
    layer = from_equinox(eqx.nn.MLP(6, 4, 5, 1, key=KEYS[0]), 6)
    assert [(p.fan_in, p.fan_out) for p in layer.projections] == [(6, 5), (5, 4)]


def test_an_unknown_activation_keeps_the_second_moment():
    """Of a unit normal variable, by Monte Carlo."""
    net = from_equinox(eqx.nn.MLP(6, 4, 5, 1, activation=jax.nn.silu, key=KEYS[0]), 6)
    z = np.random.default_rng(0).normal(size=400_000)
    assert net["hidden1"].cell.gain == pytest.approx(
        1 / np.mean((z / (1 + np.exp(-z))) ** 2), rel=0.01
    )
    assert net["output"].cell.gain == 1.0


@pytest.mark.parametrize(
    ("model", "shape", "error", "said"),
    [
        (
            seq(Linear(6, 4, key=KEYS[0]), Lambda(jax.nn.softmax)),
            6,
            ConfigError,
            "softmax, which is neither linear nor",
        ),
        (
            seq(channels_first, eqx.nn.Conv2d(1, 2, 3, key=KEYS[0]), eqx.nn.MaxPool2d(2)),
            (8, 8, 1),
            ConfigError,
            "MaxPool2d",
        ),
        (seq(Linear(6, 4, key=KEYS[0]), eqx.nn.Dropout(0.5)), 6, ConfigError, "Dropout"),
        (
            seq(Linear(6, 4, key=KEYS[0]), eqx.nn.LayerNorm(4)),
            6,
            ConfigError,
            "LayerNorm, which is not linear",
        ),
        (
            seq(Linear(6, 4, key=KEYS[0]), eqx.nn.PReLU()),
            6,
            ConfigError,
            "PReLU, with arrays of its own",
        ),
        (
            seq(Lambda(jax.nn.relu), Linear(6, 4, key=KEYS[0])),
            6,
            ConfigError,
            "relu before any weights",
        ),
        (
            seq(Linear(6, 4, key=KEYS[0]), Lambda(jnp.tanh), Lambda(lambda x: 2 * x)),
            6,
            ConfigError,
            "at the end of a model",
        ),
        (seq(), 6, ConfigError, "nothing at the end"),
        *(
            (eqx.nn.MLP(6, 4, 5, 3, **scan, key=KEYS[0]), 6, ConfigError, "scan=True")
            for scan in SCANNED
        ),
        (eqx.nn.MLP(6, 4, 5, 1, key=KEYS[0]), 7, ShapeError, "Linear for one sample of shape"),
        (
            eqx.nn.Conv2d(1, 2, 3, key=KEYS[0]),
            (8, 8, 1),
            ShapeError,
            "move the channels of images first",
        ),
        (eqx.nn.MLP(6, "scalar", 5, 1, key=KEYS[0]), 6, ShapeError, "one array with an axis"),
    ],
)
def test_what_no_rule_could_train_is_refused(model, shape, error, said):
    with pytest.raises(error, match=said):
        from_equinox(model, shape)


@pytest.mark.parametrize(
    "model",
    [
        seq(SQUARE, Lambda(jnp.tanh), SQUARE, Lambda(jnp.tanh), Linear(6, 2, key=KEYS[1])),
        eqx.tree_at(
            lambda m: [m.layers[0].bias, m.layers[1].bias],
            eqx.nn.MLP(6, 2, 8, 2, key=KEYS[0]),
            [jnp.zeros(8)] * 2,
        ),
    ],
    ids=["a layer twice", "an array twice"],
)
def test_what_stands_in_two_places_has_weights_of_its_own_in_each(model):
    """They part as they learn, and each goes back to its place: the model answers what the network
    does.
    """
    x = jnp.asarray(np.random.default_rng(0).normal(size=(5, 6)))
    net = from_equinox(model, 6).redraw(jax.random.key(3))
    np.testing.assert_allclose(
        jax.vmap(to_equinox(net, model))(x), net.forward(x).post["output"], rtol=1e-12
    )


def test_weights_go_back_into_the_model_they_came_from_and_no_other():
    net = from_equinox(MODELS["mlp"][0], 6)
    with pytest.raises(ShapeError, match="as in the model"):
        to_equinox(net, MODELS["one layer"][0])


@pytest.mark.slow
def test_an_image_is_never_taken_for_one_with_its_axes_in_another_order():
    net = from_equinox(
        seq(eqx.nn.Conv2d(2, 2, 3, key=KEYS[0]), Lambda(jnp.ravel), Linear(72, 4, key=KEYS[1])),
        (2, 8, 8),
    )
    with pytest.raises(ShapeError, match=r"\(2, 8, 8\), as the network's input"):
        net.forward(jnp.zeros((3, 8, 8, 2)))
    assert net.forward(jnp.zeros((3, 128))).post["output"].shape == (3, 4)
