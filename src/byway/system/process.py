"""What Byway sets in JAX for the whole process, and only when it is asked to: importing Byway, or
calling `byway.fit`, changes nothing.
"""

import contextlib
import os
import sys
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax

from byway.core.errors import BywayWarning, ConfigError
from byway.system.folders import cache_folder
from byway.system.machine import cores

PACKAGE = str(Path(__file__).parents[1])
_TOLD: list[str] = []


def use_all_cores() -> int:
    """Ask JAX for one CPU device for each core that this process may use, so that seeds train side
    by side. Call it once, before JAX computes anything.

    A number of devices that was chosen before, in JAX's configuration, its environment variables
    or `XLA_FLAGS`, is left as it is. So are GPUs and TPUs.

    Returns:
        How many CPU devices JAX has now.

    Raises:
        ConfigError: JAX has begun computing, so that their number can no longer change.
    """
    if not _chosen() and cores() > 1:
        try:
            jax.config.update("jax_num_cpu_devices", cores())
        except RuntimeError as begun:
            raise ConfigError(
                f"byway.use_all_cores() after JAX began computing, on {_devices()} of {cores()} "
                "cores",
                "the call before anything computes: JAX takes the number of devices only once",
                "call it at the top of the program, after the imports; in a notebook, restart the "
                "kernel first",
            ) from begun
    return _devices()


def use_compilation_cache() -> Path | None:
    """Keep compiled programs on disk, so that the next process need not compile them again.

    They lie in `xla` in Byway's cache folder ($BYWAY_CACHE, or `byway` in the user's cache
    folder). A folder that was chosen before, in JAX's configuration or by
    JAX_COMPILATION_CACHE_DIR, is left as it is; "" stands for none.

    Returns:
        The folder; None where there is none, or none that can be written.
    """
    chosen: str | None = jax.config.values["jax_compilation_cache_dir"]
    if chosen is not None:
        return Path(chosen) if chosen else None
    if (ours := cache_folder()) is None:
        return None
    folder = ours / "xla"
    # A home folder that cannot be written: JAX would warn of each program.
    with contextlib.suppress(OSError):
        folder.mkdir(parents=True, exist_ok=True)
    if not os.access(folder, os.W_OK):
        return None
    jax.config.update("jax_compilation_cache_dir", str(folder))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.1)
    return folder


def jax_settings() -> dict[str, Any]:
    """The settings of JAX in this thread, for a process that is to compute as this one does. How
    many devices there are, and which, is its own.
    """
    held = {name: getattr(jax.config, name, value) for name, value in jax.config.values.items()}
    own = ("jax_num_cpu_devices", "jax_platforms", "jax_platform_name")
    plain = (str, int, float, bool, type(None))
    return {n: v for n, v in held.items() if isinstance(v, plain) and n not in own}


def use_jax_settings(settings: Mapping[str, Any]) -> None:
    """Set in JAX what `jax_settings` gave, where it is not so already."""
    for name, value in settings.items():
        if jax.config.values.get(name, value) != value:
            jax.config.update(name, value)


def given_devices(count: int, threads: int) -> None:
    """Ask JAX for so many CPU devices and threads, in a process of ours that has computed nothing
    yet.
    """
    os.environ["NPROC"] = str(threads)  # which XLA reads
    jax.config.update("jax_num_cpu_devices", count)


def warn_of_idle_cores(seeds: int) -> None:
    """Say once in a process that seeds train on one core while others are ours to use, unless
    that was chosen.
    """
    idle = seeds > 1 and jax.default_backend() == "cpu" and jax.device_count() < cores()
    if _TOLD or not idle or _chosen():
        return
    text = (
        f"{seeds} seeds train on {jax.device_count()} of {cores()} cores. To use all of them, put "
        "byway.use_all_cores() at the top of the program, before JAX computes anything"
    )
    _TOLD.append(text)
    warn(text)


def warn(text: str) -> None:
    """Say something that is no error, where the user's program called us."""
    warnings.warn(text, BywayWarning, stacklevel=_level_outside())


def _chosen() -> bool:
    """Whether somebody has said how many CPU devices JAX is to have."""
    forced = "xla_force_host_platform_device_count" in os.environ.get("XLA_FLAGS", "")
    return forced or jax.config.values["jax_num_cpu_devices"] >= 0


def _devices() -> int:
    try:
        return len(jax.devices("cpu"))
    except RuntimeError:  # JAX_PLATFORMS names accelerators alone
        return 0


def _level_outside() -> int:
    """How many calls up, from the caller of this, the first one is that is not ours."""
    level, frame = 1, sys._getframe(1)
    while frame.f_back is not None and frame.f_code.co_filename.startswith(PACKAGE):
        level, frame = level + 1, frame.f_back
    return level
