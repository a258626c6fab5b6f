"""Where Byway keeps what does not belong to a run."""

import os
from pathlib import Path


def cache_folder() -> Path:
    """$BYWAY_CACHE, or `byway` in the user's cache folder."""
    if chosen := os.environ.get("BYWAY_CACHE"):
        return Path(chosen)
    return Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "byway"


def rules_folder() -> Path:
    """$BYWAY_RULES, or `byway/rules` in the user's data folder: where learned rules live. They cannot be fetched again."""
    if chosen := os.environ.get("BYWAY_RULES"):
        return Path(chosen)
    return Path(os.environ.get("XDG_DATA_HOME", Path.home() / ".local" / "share")) / "byway" / "rules"
