"""Where Byway keeps what does not belong to a run. A process may have no such place: no home
folder, as in many a container.
"""

import os
from pathlib import Path


def cache_folder() -> Path | None:
    """$BYWAY_CACHE, or `byway` in the user's cache folder; None where there is no home folder
    either.
    """
    return _chosen("BYWAY_CACHE") or _below("XDG_CACHE_HOME", ".cache", "byway")


def rules_folder() -> Path | None:
    """$BYWAY_RULES, or `byway/rules` in the user's data folder: where learned rules live. They
    cannot be fetched again.

    None where there is no home folder either.
    """
    return _chosen("BYWAY_RULES") or _below("XDG_DATA_HOME", ".local/share", "byway/rules")


def _chosen(variable: str) -> Path | None:
    return Path(given) if (given := os.environ.get(variable)) else None


def _below(variable: str, usual: str, ours: str) -> Path | None:
    base = _chosen(variable)
    # One that is not counts as none, says the specification of these folders.
    if base is None or not base.is_absolute():
        try:
            base = Path.home() / usual
        except RuntimeError:  # neither $HOME nor an entry for this user
            return None
    return base / ours
