"""Tests compile very many small programs and run each once, so that what JAX does besides counts.
Of two such things it is spared here; what programs compute is the same.
"""

import functools
from importlib.metadata import version

import jax
from jax._src.interpreters import mlir

# To make one takes 4 ms, as long as to lower a small program; and programs that are kept keep it.
one_context = functools.cache(mlir.make_ir_context)


def spare() -> None:
    """Spare JAX an MLIR context for each program, and a program for each array of NumPy's."""
    # Its insides, as they are in the version that requirements.lock names.
    if version("jax") == "0.10.2":
        mlir.make_ir_context = one_context
        # jnp.asarray compiles a program that returns its argument, for each shape one.
        jax._src.core.stage_p.def_impl(
            lambda x: x if isinstance(x, jax.Array) else jax.device_put(x)
        )


def clear() -> None:
    """Forget compiled programs, and what they were lowered in."""
    jax.clear_caches()
    one_context.cache_clear()
