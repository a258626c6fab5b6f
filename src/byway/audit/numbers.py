"""Runs a flat program on numbers, in numpy and in double precision, so that a look at a few of them
compiles nothing.

A key is a whole number here. What is drawn from it is as random as what JAX draws, and something
else.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import scipy.special

from byway.audit.program import ASKS, Equation, Program, scanned

Values = dict[int, Any]


def run(program: Program, arguments: Sequence[Any]) -> Values:
    """The value of every slot."""
    values = {
        slot: number(a)
        for slot, a in (*program.constants.items(), *zip(program.ins, arguments, strict=True))
    }
    for equation in program.equations:
        values.update(
            zip(
                equation.outs,
                results(equation, program, [values[s] for s in equation.ins]),
                strict=True,
            )
        )
    return values


def number(a: Any) -> Any:
    """An array of numpy, floats in double precision, keys as whole numbers."""
    if is_key(getattr(a, "dtype", None)):
        return _wrapped(jax.random.key_data(a))
    a = np.asarray(a)
    return a.astype(np.float64) if jnp.issubdtype(a.dtype, jnp.floating) else a


def results(equation: Equation, program: Program, operands: Sequence[Any]) -> list[Any]:
    """The results of one equation."""
    if equation.name in INSIDE:
        return INSIDE[equation.name](equation, operands)
    if (call := equation.call) is None or equation.name in NUMPY:
        with np.errstate(all="ignore"):
            return [number(NUMPY[equation.name](equation.params, *operands))]
    like = zip(operands, (program.dtypes[s] for s in equation.ins), strict=True)
    return [
        number(a)
        for a in call(*(_key(a) if is_key(dtype) else jnp.asarray(a, dtype) for a, dtype in like))
    ]


def is_key(dtype: Any) -> bool:
    """Whether this is the type of keys."""
    return dtype is not None and jnp.issubdtype(dtype, jax.dtypes.prng_key)


def _inner(program: Program, operands: Sequence[Any]) -> list[Any]:
    values = run(program, operands)
    return [values[s] for s in program.outs]


def _scan(equation: Equation, operands: Sequence[Any]) -> list[Any]:
    params, (body,) = equation.params, equation.inner
    consts, carries = scanned(params)
    fixed, carry, xs = (
        operands[:consts],
        list(operands[consts : consts + carries]),
        operands[consts + carries :],
    )
    turns = range(params["length"])
    made = []
    for t in reversed(turns) if params["reverse"] else turns:
        outs = _inner(body, [*fixed, *carry, *(x[t] for x in xs)])
        carry = outs[:carries]
        made.append(outs[carries:])
    each = zip(*(made[::-1] if params["reverse"] else made), strict=True)
    return [*carry, *(np.stack(kept) for kept in each)]


def _while(equation: Equation, operands: Sequence[Any]) -> list[Any]:
    params, (condition, body) = equation.params, equation.inner
    n_cond, n_body = params["cond_nconsts"], params["body_nconsts"]
    fixed, carry = operands[: n_cond + n_body], list(operands[n_cond + n_body :])
    while _inner(condition, [*fixed[:n_cond], *carry])[0]:
        carry = _inner(body, [*fixed[n_cond:], *carry])
    return carry


def _cond(equation: Equation, operands: Sequence[Any]) -> list[Any]:
    choice, last = int(operands[0]), len(equation.inner) - 1
    return _inner(equation.inner[min(max(choice, 0), last)], operands[1:])


def _ask(equation: Equation, operands: Sequence[Any]) -> list[Any]:
    return _inner(equation.inner[0], operands)


INSIDE: dict[str, Callable[[Equation, Sequence[Any]], list[Any]]] = {
    **{"scan": _scan, "while": _while, "cond": _cond},
    **dict.fromkeys(ASKS, _ask),
}


def _mixed(a: Any) -> Any:
    """Whole numbers that look like chance, from whole numbers (the finaliser of splitmix64)."""
    with np.errstate(over="ignore"):  # sums and products modulo 2^64 are meant
        a = np.asarray(a, np.uint64) + np.uint64(0x9E3779B97F4A7C15)
        a = (a ^ (a >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        a = (a ^ (a >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return a ^ (a >> np.uint64(31))


def _wrapped(data: Any) -> Any:
    data = np.asarray(data, np.uint64)
    return _mixed(data[..., 0]) ^ data[..., 1]


def _unwrapped(params: Mapping[str, Any], key: Any) -> Any:
    return np.stack([key >> np.uint64(32), key & np.uint64(0xFFFFFFFF)], -1).astype(np.uint32)


def _split(params: Mapping[str, Any], key: Any) -> Any:
    shape = params["shape"]
    return _mixed(
        key.reshape(*key.shape, *[1] * len(shape))
        ^ _mixed(np.arange(math.prod(shape)).reshape(shape))
    )


def _bits(params: Mapping[str, Any], key: Any) -> Any:
    shape, width = params["shape"], params["bit_width"]
    drawn = [
        np.random.default_rng(int(k)).integers(0, 2**width, shape, dtype=f"uint{width}")
        for k in key.ravel()
    ]
    return np.stack(drawn).reshape((*key.shape, *shape))


def _key(a: Any) -> Any:
    return jax.random.wrap_key_data(jnp.asarray(_unwrapped({}, a)))


def _dot(params: Mapping[str, Any], a: Any, b: Any) -> Any:
    (sum_a, sum_b), (batch_a, batch_b) = params["dimension_numbers"]
    names = iter(range(a.ndim + b.ndim))
    of_a = [next(names) for _ in range(a.ndim)]
    of_b = [
        of_a[[*sum_a, *batch_a][[*sum_b, *batch_b].index(k)]]
        if k in (*sum_b, *batch_b)
        else next(names)
        for k in range(b.ndim)
    ]
    free_a = [of_a[k] for k in range(a.ndim) if k not in (*sum_a, *batch_a)]
    free_b = [of_b[k] for k in range(b.ndim) if k not in (*sum_b, *batch_b)]
    return np.einsum(
        a, of_a, b, of_b, [*(of_a[k] for k in batch_a), *free_a, *free_b], optimize=True
    )


def _convolution(params: Mapping[str, Any], image: Any, kernel: Any) -> Any:
    numbers, strides = params["dimension_numbers"], params["window_strides"]
    image = _padded(
        image.transpose(numbers.lhs_spec),
        [(0, 0), (0, 0), *params["padding"]],
        [1, 1, *params["lhs_dilation"]],
    )
    kernel = _padded(
        kernel.transpose(numbers.rhs_spec), [(0, 0)] * kernel.ndim, [1, 1, *params["rhs_dilation"]]
    )
    groups = params["feature_group_count"], params["batch_group_count"]
    out = _correlated(image, kernel, strides, *groups)
    return out.transpose(np.argsort(numbers.out_spec))


def _correlated(image: Any, kernel: Any, strides: Sequence[Any], groups: int, batches: int) -> Any:
    """The sum over the places of a kernel "out in *places" of what an image "batch in *places" has
    there.
    """
    if groups * batches > 1:
        images = np.split(image, groups, 1) if groups > 1 else np.split(image, batches, 0)
        kernels = np.split(kernel, groups * batches, 0)
        return np.concatenate(
            [_correlated(i, k, strides, 1, 1) for i, k in zip(images, kernels, strict=True)], 1
        )
    sizes = [
        (n - k) // s + 1 for n, k, s in zip(image.shape[2:], kernel.shape[2:], strides, strict=True)
    ]
    out = np.zeros((image.shape[0], kernel.shape[0], *sizes))
    for place in np.ndindex(*kernel.shape[2:]):
        seen = image[
            (
                ...,
                *(slice(at, at + n * s, s) for at, n, s in zip(place, sizes, strides, strict=True)),
            )
        ]
        out += np.moveaxis(np.tensordot(kernel[(..., *place)], seen, (1, 1)), 0, 1)
    return out


def _padded(a: Any, edges: Sequence[Any], every: Sequence[Any], filling: Any = 0.0) -> Any:
    """The entries of an array so far apart, with so much before and behind; less than nothing cuts
    off.
    """
    if all(tuple(one) == (0, 0) for one in edges) and set(every) <= {1}:
        return a
    spread = np.full(
        [(n - 1) * s + 1 if n else 0 for n, s in zip(a.shape, every, strict=True)], filling, a.dtype
    )
    spread[tuple(slice(None, None, s) for s in every)] = a
    wide = np.pad(
        spread, [(max(low, 0), max(high, 0)) for low, high in edges], constant_values=filling
    )
    return wide[
        tuple(
            slice(max(-low, 0), n - max(-high, 0))
            for n, (low, high) in zip(wide.shape, edges, strict=True)
        )
    ]


def _windows(params: Mapping[str, Any], a: Any) -> Any:
    a = _padded(a, params["padding"], params["base_dilation"])
    window, strides, apart = (
        params["window_dimensions"],
        params["window_strides"],
        params["window_dilation"],
    )
    sizes = [
        (n - (w - 1) * d - 1) // s + 1
        for n, w, s, d in zip(a.shape, window, strides, apart, strict=True)
    ]
    places = (
        tuple(
            slice(at * d, at * d + (n - 1) * s + 1, s)
            for at, n, s, d in zip(place, sizes, strides, apart, strict=True)
        )
        for place in np.ndindex(*window)
    )
    return sum(a[place] for place in places)


def _broadcast(params: Mapping[str, Any], a: Any) -> Any:
    shape = [1] * len(params["shape"])
    for k, n in zip(params["broadcast_dimensions"], a.shape, strict=True):
        shape[k] = n
    return np.broadcast_to(a.reshape(shape), params["shape"])


def _at(starts: Sequence[Any], sizes: Sequence[Any], shape: Sequence[Any]) -> tuple[slice, ...]:
    begin = [min(max(int(s), 0), n - size) for s, size, n in zip(starts, sizes, shape, strict=True)]
    return tuple(slice(s, s + size) for s, size in zip(begin, sizes, strict=True))


def _written(params: Mapping[str, Any], a: Any, block: Any, *starts: Any) -> Any:
    a = np.array(a)
    a[_at(starts, block.shape, a.shape)] = block
    return a


def _select(params: Mapping[str, Any], which: Any, *cases: Any) -> Any:
    chosen, *among = np.broadcast_arrays(np.asarray(which, int), *cases)
    return np.choose(chosen, among)


def _converted(params: Mapping[str, Any], a: Any) -> Any:
    new = params["new_dtype"]
    if jnp.issubdtype(new, jnp.floating):
        return a.astype(np.float64)
    return (
        np.trunc(a).astype(new)
        if jnp.issubdtype(a.dtype, jnp.floating) and np.dtype(new).kind != "b"
        else a.astype(new)
    )


def _over_axes(function: Callable[..., Any]) -> Callable[..., Any]:
    return lambda params, a: function(a, axis=tuple(int(k) for k in params["axes"]))


def _running(function: Callable[..., Any]) -> Callable[..., Any]:
    def run(params, a):
        at = params["axis"]
        return (
            np.flip(function(np.flip(a, at), axis=at), at)
            if params["reverse"]
            else function(a, axis=at)
        )

    return run


def _plain(function: Callable[..., Any]) -> Callable[..., Any]:
    return lambda params, *operands: function(*operands)


def _same(params: Mapping[str, Any], a: Any) -> Any:
    return a


NUMPY: dict[str, Callable[..., Any]] = {
    **{
        name: _plain(function)
        for name, function in {
            **{
                "add": np.add,
                "add_any": np.add,
                "sub": np.subtract,
                "mul": np.multiply,
                "max": np.maximum,
                "min": np.minimum,
            },
            **{
                "neg": np.negative,
                "sign": np.sign,
                "abs": np.abs,
                "floor": np.floor,
                "ceil": np.ceil,
                "square": np.square,
            },
            **{
                "exp": np.exp,
                "exp2": np.exp2,
                "log": np.log,
                "log1p": np.log1p,
                "expm1": np.expm1,
                "sqrt": np.sqrt,
                "cbrt": np.cbrt,
            },
            **{
                "sin": np.sin,
                "cos": np.cos,
                "tan": np.tan,
                "tanh": np.tanh,
                "sinh": np.sinh,
                "cosh": np.cosh,
                "atan2": np.arctan2,
            },
            **{
                "lt": np.less,
                "le": np.less_equal,
                "gt": np.greater,
                "ge": np.greater_equal,
                "eq": np.equal,
                "ne": np.not_equal,
            },
            **{
                "is_finite": np.isfinite,
                "logistic": scipy.special.expit,
                "erf": scipy.special.erf,
                "erf_inv": scipy.special.erfinv,
            },
            **{
                "pow": np.power,
                "rsqrt": lambda a: 1 / np.sqrt(a),
                "clamp": lambda low, a, high: np.clip(a, low, high),
            },
        }.items()
    },
    "random_seed": lambda params, seed: _mixed(np.asarray(seed, np.int64).astype(np.uint64)),
    "random_wrap": lambda params, data: _wrapped(data),
    "random_unwrap": _unwrapped,
    "random_fold_in": lambda params, key, data: _mixed(
        key ^ _mixed(np.asarray(data, np.int64).astype(np.uint64))
    ),
    "random_split": _split,
    "random_bits": _bits,
    "random_clone": _same,
    "shift_right_logical": lambda params, a, n: a >> n,
    "shift_left": lambda params, a, n: a << n,
    **{
        "and": lambda params, a, b: a & b,
        "or": lambda params, a, b: a | b,
        "xor": lambda params, a, b: a ^ b,
        "not": lambda params, a: ~a,
    },
    "rem": lambda params, a, b: np.fmod(a, b),
    "bitcast_convert_type": lambda params, a: np.asarray(a).view(params["new_dtype"]),
    "div": lambda params, a, b: (
        a / b
        if a.dtype.kind == "f"
        else (np.sign(a) * np.sign(b) * (np.abs(a) // np.abs(b))).astype(a.dtype)
    ),
    "integer_pow": lambda params, a: (
        a ** float(params["y"]) if a.dtype.kind == "f" else a ** params["y"]
    ),
    "select_n": _select,
    "convert_element_type": _converted,
    **dict.fromkeys(("copy", "copy_p", "name", "stop_gradient", "reduce_precision"), _same),
    "dot_general": _dot,
    "conv_general_dilated": _convolution,
    "reduce_window_sum": _windows,
    "broadcast_in_dim": _broadcast,
    "reshape": lambda params, a: a.reshape(params["new_sizes"]),
    "transpose": lambda params, a: a.transpose(params["permutation"]),
    "squeeze": lambda params, a: a.squeeze(tuple(params["dimensions"])),
    "rev": lambda params, a: np.flip(a, params["dimensions"]),
    "concatenate": lambda params, *a: np.concatenate(a, params["dimension"]),
    "stack": lambda params, *a: np.stack(a, params["axis"]),
    "row": lambda params, a: a[params["at"]],
    "slice": lambda params, a: a[
        tuple(
            map(
                slice,
                params["start_indices"],
                params["limit_indices"],
                params["strides"] or [1] * a.ndim,
            )
        )
    ],
    "dynamic_slice": lambda params, a, *starts: a[_at(starts, params["slice_sizes"], a.shape)],
    "dynamic_update_slice": _written,
    "pad": lambda params, a, filling: _padded(
        a,
        [(low, high) for low, high, _ in params["padding_config"]],
        [between + 1 for *_, between in params["padding_config"]],
        filling,
    ),
    "iota": lambda params: np.broadcast_to(
        np.arange(params["shape"][params["dimension"]]).reshape(
            [-1 if k == params["dimension"] else 1 for k in range(len(params["shape"]))]
        ),
        params["shape"],
    ).astype(params["dtype"]),
    **{
        f"reduce_{name}": _over_axes(f)
        for name, f in {
            "sum": np.sum,
            "max": np.max,
            "min": np.min,
            "prod": np.prod,
            "and": np.all,
            "or": np.any,
        }.items()
    },
    "argmax": lambda params, a: np.argmax(a, params["axes"][0]).astype(params["index_dtype"]),
    "argmin": lambda params, a: np.argmin(a, params["axes"][0]).astype(params["index_dtype"]),
    **{
        name: _running(f)
        for name, f in {
            "cumsum": np.cumsum,
            "cumprod": np.cumprod,
            "cummax": np.maximum.accumulate,
            "cummin": np.minimum.accumulate,
        }.items()
    },
}
