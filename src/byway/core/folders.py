"""Where Byway keeps what it can make or fetch again."""

import os
from pathlib import Path


def cache_folder() -> Path:
    """$BYWAY_CACHE, or `byway` in the user's cache folder."""
    if chosen := os.environ.get("BYWAY_CACHE"):
        return Path(chosen)
    return Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "byway"
