"""Black boxes that live outside the compiled program: a simulator, an instrument, a chip that
drifts.

A population may be any Python function of its potential. The function is called on the host, with
NumPy arrays, once for each pass whose activity is used: never twice, never from a cache, and never
two calls at once, whatever runs beside it. Of passes that do not depend on each other (the two of
`node_perturbation`, or those of several seeds) the order is not fixed.

`jax.experimental.io_callback` promises as much but is not used. It hands its arguments to the
devices' own threads before the function sees them; with a device a core (as `import byway` asks
for) all of these come to wait for each other, and from 100 KiB on a program hangs. And its effects
are refused by `vmap` of the branch that skips failed learners. The primitive here is the part of it
that we need: the same compiled call, marked as one with side effects, and its argument read in
place.
"""

import threading
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend.core import Primitive
from jax.interpreters import batching, mlir
from jaxtyping import Array

from byway.core.errors import BlackBoxError, ConfigError
from byway.core.given import shown
from byway.network.activations import Activation
from byway.network.network import Network


def host(
    name: str, function: Callable[[np.ndarray], np.ndarray], *, gain: float = 1.0
) -> Activation:
    """Units whose activity a Python function computes: a black box.

    Where a potential is not finite, learning has failed already: the function is not asked and the
    activity is NaN, so that the learner's failure is dated as ever and the others go on.

    Args:
        name: what to call it in tables and errors.
        function: "batch *units" -> the same shape, real and finite. The array it is given is its
            own. It may have state, but must not call JAX, which would wait for itself.
        gain: weights into these units are drawn with variance gain / fan_in.
    """
    if not callable(function):
        raise ConfigError(
            f"the black box {name!r} = {shown(function)}",
            "a function of the potential, a NumPy array",
            "write one",
        )
    return Activation(name, Host(name, function), None, gain)


def device(seed: int = 0, drift: float = 1e-3, noise: float = 0.01) -> Activation:
    """An example of a function with state: an analogue relu, y = a relu(u) + noise xi, whose
    amplification a drifts.

    At each pass log a takes a step of a random walk, so after n passes a has spread by a factor of
    exp(drift sqrt(n)). What it draws depends on how often it was called before: make a new one for
    each training that is to be repeated.

    Args:
        seed: of its own generator.
        drift: standard deviation of a step of log a.
        noise: standard deviation of the noise on each unit's activity.
    """
    draw = np.random.default_rng(seed)
    amplification = 1.0

    def relu(u):
        nonlocal amplification
        amplification *= np.exp(drift * draw.standard_normal())
        return amplification * np.maximum(u, 0) + noise * draw.standard_normal(u.shape)

    return host("device", relu, gain=2.0)


class Host:
    """A function on the host as phi, with what went wrong in it.

    Nothing that is raised inside a compiled program comes out of it as it was. So while someone
    watches (`failures`), the first failure is kept, the program ends on NaN, and the failure is
    raised afterwards.
    """

    def __init__(self, name: str, function: Callable[[np.ndarray], np.ndarray]):
        self.name, self.function = name, function
        self.lock = threading.Lock()
        self.watched = False
        self.failure: BaseException | None = None

    def __call__(self, u: Array) -> Array:
        """The activity of a potential "batch *units", in any JAX program."""
        return _host.bind(u, host=self)

    def answer(self, u: np.ndarray) -> np.ndarray:
        """What the function makes of `u`, checked; NaN where there is nothing to ask, or after a
        failure.
        """
        with self.lock:
            if self.failure is None and np.all(np.isfinite(u)):
                try:
                    return self._checked(u, np.asarray(self.function(u.copy())))
                except BaseException as raised:
                    # An interrupt too has to get out of the compiled program.
                    if not self.watched:
                        raise
                    self.failure = self._explained(u, raised)
            return np.full_like(u, np.nan)

    def _explained(self, u: np.ndarray, raised: BaseException) -> BaseException:
        if isinstance(raised, BlackBoxError) or not isinstance(raised, Exception):
            return raised
        at = traceback.extract_tb(raised.__traceback__)[-1]
        explained = self._error(
            u,
            f"raised {type(raised).__name__}: {raised}",
            f"mend line {at.lineno} of {at.filename}",
        )
        explained.__cause__ = raised
        return explained

    def _checked(self, u: np.ndarray, found: np.ndarray) -> np.ndarray:
        if found.dtype.kind not in "biuf":
            raise self._error(u, f"returned an array of type {found.dtype}", "return real numbers")
        if found.shape != u.shape:
            raise self._error(
                u,
                f"returned an array of shape {found.shape}",
                "return one activity for each unit of each sample",
            )
        with np.errstate(over="ignore"):
            found = found.astype(u.dtype)
        if wrong := int(np.sum(~np.isfinite(found))):
            nans = int(np.sum(np.isnan(found)))
            given = f"returned {nans} NaN and {wrong - nans} infinite numbers among {found.size}"
            raise self._error(
                u,
                given,
                f"bound what it returns for potentials from {u.min():.3g} to {u.max():.3g}",
            )
        return found

    def _error(self, u: np.ndarray, given: str, fix: str) -> BlackBoxError:
        return BlackBoxError(
            f"the black box {self.name!r} {given}",
            f"finite real numbers of shape {u.shape}, as its potential",
            fix,
        )


def hosts(net: Network) -> list[Host]:
    """The functions on the host that are units of a network."""
    return [phi for p in net.populations if isinstance(phi := getattr(p.cell, "phi", None), Host)]


@contextmanager
def failures(net: Network) -> Iterator[None]:
    """Raise at its end the first failure of a black box of `net`, in whatever programs ran, and
    were waited for, in this context.
    """
    asked = hosts(net)
    for one in asked:
        one.watched, one.failure = True, None
    try:
        yield
    finally:
        for one in asked:
            one.watched = False
    for one in asked:
        if one.failure is not None:
            raise one.failure


def _lowered(ctx, u, host: Host):
    out, _, _ = mlir.emit_python_callback(
        ctx,
        lambda u: (host.answer(u),),
        None,
        [u],
        ctx.avals_in,
        ctx.avals_out,
        has_side_effect=True,
        returns_token=False,
    )
    return out


def _batched(args, axes, host: Host):
    """One call for each entry of the axis: a function of a batch knows nothing of a batch of
    batches.
    """
    return jax.lax.map(lambda u: _host.bind(u, host=host), jnp.moveaxis(args[0], axes[0], 0)), 0


_host = Primitive("byway_host")
_host.def_impl(lambda u, host: jnp.asarray(host.answer(np.asarray(u))))
_host.def_abstract_eval(lambda u, host: u)
mlir.register_lowering(_host, _lowered, cacheable=False)
batching.primitive_batchers[_host] = _batched
