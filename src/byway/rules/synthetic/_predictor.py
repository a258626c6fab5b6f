"""What guesses: a linear map, or one with a hidden layer of relus, that begins with no guess at all
and learns by half the squared distance to what it should have guessed.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key

# By layer, "in" and "out", its weight "pre post" and its bias; a linear map has no "in".
Predictor = dict[str, dict[str, Array]]


def drawn(
    inputs: int, outputs: int, width: int, key: Key[Array, ""], dtype: jnp.dtype
) -> Predictor:
    """A predictor whose last layer is zero; with a width, a hidden layer of so many units is drawn
    before it.
    """
    zeros = lambda *shape: jnp.zeros(shape, dtype)
    last = {"weight": zeros(width or inputs, outputs), "bias": zeros(outputs)}
    if not width:
        return {"out": last}
    weight = jax.random.normal(key, (inputs, width), dtype) * np.sqrt(2 / inputs).item()
    return {"in": {"weight": weight, "bias": zeros(width)}, "out": last}


def guessed(
    predictor: Predictor, seen: Float[Array, "batch seen"]
) -> tuple[Float[Array, "batch width"], Float[Array, "batch out"]]:
    """What reaches the last layer, and the guess."""
    inner = seen
    if (first := predictor.get("in")) is not None:
        inner = jax.nn.relu(seen @ first["weight"] + first["bias"][None])
    last = predictor["out"]
    return inner, inner @ last["weight"] + last["bias"][None]


def corrected(
    predictor: Predictor,
    seen: Float[Array, "batch seen"],
    inner: Float[Array, "batch width"],
    wrong: Float[Array, "batch out"],
) -> Predictor:
    """The update of a predictor whose guess was off by so much, in each sample, averaged over
    them.
    """
    update = {"out": _outer(inner, wrong)}
    if "in" in predictor:
        back = (wrong @ predictor["out"]["weight"].T) * (inner > 0).astype(inner.dtype)
        update["in"] = _outer(seen, back)
    return update


def _outer(pre: Float[Array, "batch pre"], delta: Float[Array, "batch post"]) -> dict[str, Array]:
    return {"weight": pre.T @ delta / len(pre), "bias": jnp.mean(delta, 0)}
