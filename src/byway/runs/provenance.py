"""What ran a run, and where and when."""

import platform
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any

import jax

from byway.system.machine import cores

PACKAGES = ("byway", "jax", "jaxlib", "equinox", "optax", "numpy")


def provenance() -> dict[str, Any]:
    """Versions, the machine, and the time."""
    return {
        **{name: version(name) for name in PACKAGES},
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "cores": cores(),
        "device": jax.devices()[0].device_kind,
        "devices": jax.device_count(),
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
    }
