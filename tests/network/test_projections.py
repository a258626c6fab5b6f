"""Dense and Conv against loops in NumPy, against their own transposes, and against finite
differences.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from byway.core.errors import ConfigError, ShapeError
from byway.network.convolutions import Conv
from byway.network.projections import Dense

CONVS = [
    (1, "SAME", 1),
    (2, "SAME", 1),
    (1, "VALID", 1),
    (2, "VALID", 1),
    (1, "SAME", 2),
    (1, "VALID", 3),
    (3, "SAME", 2),
]
SHAPE, KERNEL, OUT = (7, 6, 2), 3, 3


def _dense(bias=True):
    draw = np.random.default_rng(0)
    w, b = jnp.asarray(draw.normal(size=(12, 5))), jnp.asarray(draw.normal(size=5))
    return Dense(
        src="a", dst="b", src_shape=(3, 2, 2), dst_shape=(5,), weight=w, bias=b if bias else None
    )


def _conv(stride, padding, pool, kernel=KERNEL):
    draw = np.random.default_rng(0)
    w, b = (
        jnp.asarray(draw.normal(size=(kernel, kernel, SHAPE[2], OUT))),
        jnp.asarray(draw.normal(size=OUT)),
    )
    return Conv(
        src="a",
        dst="b",
        src_shape=SHAPE,
        weight=w,
        bias=b,
        stride=stride,
        padding=padding,
        pool=pool,
    )


PROJECTIONS = [
    _dense(),
    _dense(bias=False),
    *(_conv(*c) for c in CONVS),
    _conv(1, "SAME", 1, kernel=2),
]
every_projection = pytest.mark.parametrize(
    "p", PROJECTIONS, ids=lambda p: f"{type(p).__name__}-{p.dst_shape}"
)


def _pair(p, batch=3):
    draw = np.random.default_rng(1)
    return jnp.asarray(draw.normal(size=(batch, *p.src_shape))), jnp.asarray(
        draw.normal(size=(batch, *p.dst_shape))
    )


def _ends(size, stride, padding):
    """How many outputs there are along one axis, and where the first window starts."""
    if padding == "VALID":
        return (size - KERNEL) // stride + 1, 0
    count = -(-size // stride)
    return count, -(max((count - 1) * stride + KERNEL - size, 0) // 2)


def _convolved(pre, p):
    """A convolution and its pooling in plain loops, with TensorFlow's rule for SAME (more padding
    at the far end).
    """
    weight, bias = np.asarray(p.weight), np.asarray(p.bias)
    (rows, top), (cols, left) = (_ends(n, p.stride, p.padding) for n in SHAPE[:2])
    full = np.zeros((len(pre), rows, cols, OUT))
    for r, c, i, j in np.ndindex(rows, cols, KERNEL, KERNEL):
        y, x = top + r * p.stride + i, left + c * p.stride + j
        if 0 <= y < SHAPE[0] and 0 <= x < SHAPE[1]:
            full[:, r, c] += np.asarray(pre)[:, y, x] @ weight[i, j]
    pooled = np.zeros((len(pre), rows // p.pool, cols // p.pool, OUT))
    for r, c in np.ndindex(*pooled.shape[1:3]):
        pooled[:, r, c] = full[
            :, r * p.pool : (r + 1) * p.pool, c * p.pool : (c + 1) * p.pool
        ].mean((1, 2))
    return pooled + bias


def test_dense_forward_is_a_sum_over_inputs_and_a_bias():
    p = _dense()
    pre, _ = _pair(p)
    for b, j in np.ndindex(3, 5):
        current = sum(float(pre[b].ravel()[i]) * float(p.weight[i, j]) for i in range(12)) + float(
            p.bias[j]
        )
        assert float(p.forward(pre)[b, j]) == pytest.approx(current, rel=1e-12)


@pytest.mark.parametrize(("stride", "padding", "pool"), CONVS)
def test_conv_forward_is_a_loop_over_windows(stride, padding, pool):
    p = _conv(stride, padding, pool)
    pre, _ = _pair(p)
    expected = _convolved(pre, p)
    assert p.dst_shape == expected.shape[1:]
    np.testing.assert_allclose(p.forward(pre), expected, rtol=1e-12, atol=1e-12)


@every_projection
def test_backward_is_the_adjoint_of_forward(p):
    """<backward(d), x> = <d, forward(x) - b>, for its own weight and for another."""
    pre, delta = _pair(p)
    bias = p.forward(jnp.zeros_like(pre))
    other = p.with_theta({"weight": p.weight[::-1] ** 2})
    for weight, forward in ((None, p.forward), (other.weight, other.forward)):
        there = np.sum(p.backward(delta, weight) * pre, tuple(range(1, pre.ndim)))
        back = np.sum(delta * (forward(pre) - bias), tuple(range(1, delta.ndim)))
        np.testing.assert_allclose(there, back, rtol=1e-12)


@every_projection
def test_outer_is_the_change_of_the_mean_overlap_with_each_weight(p):
    """mean over the batch of <d, forward(x)>; linear in theta, so a difference of any size is
    exact.
    """
    pre, delta = _pair(p)
    overlap = jax.jit(lambda theta: jnp.sum(delta * p.with_theta(theta).forward(pre)) / len(pre))
    update = p.outer(pre, delta)
    assert update.keys() == p.theta.keys()
    for name, value in p.theta.items():
        differences = np.zeros(value.shape)
        for at in np.ndindex(*value.shape):
            one = jnp.zeros_like(value).at[at].set(0.5)
            differences[at] = overlap(p.theta | {name: value + one}) - overlap(
                p.theta | {name: value - one}
            )
        np.testing.assert_allclose(update[name], differences, rtol=1e-9, atol=1e-11)


@every_projection
def test_theta_goes_out_and_in_again(p):
    double = p.with_theta({k: 2 * a for k, a in p.theta.items()})
    pre, _ = _pair(p)
    np.testing.assert_allclose(double.forward(pre), 2 * p.forward(pre), rtol=1e-12)
    assert (p.bias is None) == ("bias" not in p.theta)


def _reach(p):
    """By counting: of how many inputs an output in the middle is a sum, and how many outputs an
    input reaches.
    """
    size_in, size_out = np.prod(p.src_shape), np.prod(p.dst_shape)
    p = p.with_theta({"weight": jnp.ones_like(p.weight)})
    matrix = np.asarray(
        p.forward(jnp.eye(size_in).reshape(size_in, *p.src_shape))
        - p.forward(jnp.zeros((1, *p.src_shape)))
    )
    reached = matrix.reshape(size_in, size_out) != 0
    return reached.sum(0).max(), reached.sum(1).max()


def test_fan_in_and_fan_out_count_connections():
    for p in (_dense(), _conv(1, "SAME", 1), _conv(1, "VALID", 1)):
        assert (p.fan_in, p.fan_out) == _reach(p)


def test_fan_out_of_a_strided_convolution_is_the_mean_over_inputs():
    """Nine kernel entries, one in four used by an input on average, three channels: 6.75, rounded
    down.
    """
    assert _conv(2, "SAME", 1).fan_out == 6


@pytest.mark.parametrize(
    ("change", "error", "said"),
    [
        ({"padding": "REFLECT"}, ConfigError, "'SAME' or 'VALID'"),
        ({"stride": 0}, ConfigError, "stride 0"),
        ({"pool": 0}, ConfigError, "pool 0"),
        ({"src_shape": (7, 6)}, ShapeError, "height, width, channels"),
        ({"pool": 9}, ShapeError, "shrinks to"),
        ({"padding": "VALID", "src_shape": (2, 2, 2)}, ShapeError, "shrinks to"),
    ],
)
def test_convolutions_that_make_no_sense_are_refused(change, error, said):
    settings = {"src_shape": SHAPE, "stride": 1, "padding": "SAME", "pool": 1} | change
    with pytest.raises(error, match=said):
        Conv(
            src="a",
            dst="b",
            weight=jnp.zeros((KERNEL, KERNEL, SHAPE[2], OUT)),
            bias=None,
            **settings,
        )
