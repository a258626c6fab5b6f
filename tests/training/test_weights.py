"""Weights out and in: the network that comes back computes the same, and a file that does not fit
is refused.
"""

import pickle

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

import byway
from byway.core.errors import RunError, ShapeError

NET = byway.mlp(4, 6, 3, key=1)
X = jnp.asarray(np.random.default_rng(0).normal(size=(5, 4)))
SHAPES = {
    "input-hidden1.weight": (4, 6),
    "input-hidden1.bias": (6,),
    "hidden1-output.weight": (6, 3),
    "hidden1-output.bias": (3,),
}


def _by_hand(weights):
    """The outputs of an mlp with one layer of relus, in NumPy."""
    hidden = np.maximum(
        np.asarray(X) @ weights["input-hidden1.weight"] + weights["input-hidden1.bias"], 0
    )
    return hidden @ weights["hidden1-output.weight"] + weights["hidden1-output.bias"]


def _output(net):
    return net.forward(X).post[net.output]


def test_what_was_saved_computes_the_same_elsewhere(tmp_path):
    byway.save(NET, tmp_path / "w.safetensors")
    weights = load_file(tmp_path / "w.safetensors")
    assert {name: a.shape for name, a in weights.items()} == SHAPES
    np.testing.assert_allclose(_output(NET), _by_hand(weights), rtol=1e-12)
    other = byway.load(byway.mlp(4, 6, 3, key=2), tmp_path / "w.safetensors")
    np.testing.assert_array_equal(_output(other), _output(NET))
    assert [p.name for p in tmp_path.iterdir()] == ["w.safetensors"]


def test_weights_that_another_program_wrote(tmp_path):
    """In single precision, into a network in double precision; and of several seeds, one by one."""
    draw = np.random.default_rng(3)
    stack = {
        name: draw.normal(size=(2, *shape)).astype(np.float32) for name, shape in SHAPES.items()
    }
    save_file(stack, tmp_path / "w.safetensors")
    for index in (0, 1):
        net = byway.load(NET, tmp_path / "w.safetensors", index=index)
        weights = {name: a[index].astype(float) for name, a in stack.items()}
        np.testing.assert_allclose(_output(net), _by_hand(weights), rtol=1e-12)
    with pytest.raises(ShapeError, match="0 to 1, for the seeds in it"):
        byway.load(NET, tmp_path / "w.safetensors", index=2)


def test_a_result_keeps_its_axis_of_seeds_and_a_learner_has_none(tmp_path):
    x = np.random.default_rng(0).normal(size=(20, 4))
    task = byway.Data(x, np.arange(20) % 3)
    result = byway.fit(NET, byway.rule("bp"), task, epochs=1, batch=7, looks=0)
    byway.save(result, tmp_path / "all.safetensors")
    byway.save(result.learner(0), tmp_path / "one.safetensors")
    expected = _output(result.learner(0).net)
    np.testing.assert_array_equal(_output(byway.load(NET, tmp_path / "all.safetensors")), expected)
    np.testing.assert_array_equal(_output(byway.load(NET, tmp_path / "one.safetensors")), expected)
    assert load_file(tmp_path / "all.safetensors")["input-hidden1.weight"].shape == (1, 4, 6)


FITS = {name: np.ones(shape) for name, shape in SHAPES.items()}


@pytest.mark.parametrize(
    ("held", "given"),
    [
        (
            {k: v for k, v in FITS.items() if k != "input-hidden1.bias"},
            "input-hidden1.bias is missing",
        ),
        (FITS | {"more.weight": np.ones(2)}, "more.weight is there"),
        (FITS | {"input-hidden1.weight": np.ones((6, 4))}, "of shape (6, 4)"),
        (FITS | {"input-hidden1.weight": np.ones((2, 4, 6))}, "of shape (2, 4, 6)"),
        (
            {k: np.ones((2, *v.shape)) for k, v in FITS.items()}
            | {"hidden1-output.bias": np.ones((3, 3))},
            "of shape (3, 3)",
        ),
        (FITS | {"hidden1-output.bias": np.ones(3, int)}, "is int64"),
        (FITS | {"hidden1-output.bias": np.array([1, np.nan, 1])}, "is not finite"),
    ],
    ids=[
        "one missing",
        "one too many",
        "turned",
        "one stacked",
        "two sizes of stack",
        "whole numbers",
        "not a number",
    ],
)
def test_weights_of_another_network_are_refused(tmp_path, held, given):
    save_file(held, tmp_path / "w.safetensors")
    with pytest.raises(ShapeError) as caught:
        byway.load(NET, tmp_path / "w.safetensors")
    assert given in caught.value.given


def test_files_that_cannot_be_read_or_written(tmp_path):
    byway.save(NET, tmp_path / "w.safetensors")
    (tmp_path / "cut.safetensors").write_bytes((tmp_path / "w.safetensors").read_bytes()[:-8])
    (tmp_path / "text.safetensors").write_text("hello")
    for name in ("none.safetensors", "cut.safetensors", "text.safetensors"):
        with pytest.raises(RunError, match="cannot be read"):
            byway.load(NET, tmp_path / name)
    with pytest.raises(RunError, match="cannot be written"):
        byway.save(NET, tmp_path / "nowhere" / "w.safetensors")


@pytest.mark.parametrize(
    "activation", ["relu", "tanh", "sigmoid", "hard_sigmoid", "softplus", "identity", "quantised"]
)
def test_a_network_can_be_sent_to_another_process(activation):
    net = byway.mlp(4, 6, 3, activation=activation)
    there = pickle.loads(pickle.dumps(net))  # noqa: S301  as multiprocessing does, with what we wrote ourselves
    assert jax.tree.structure(there) == jax.tree.structure(net)  # so nothing compiles twice
    np.testing.assert_array_equal(_output(there), _output(net))
