"""The Python API on bad arguments, as users call it, without the type checker that all other tests
have.
"""

import json
import os
import subprocess
import sys
from pathlib import Path


def test_every_bad_argument_is_refused_with_what_was_wanted_and_what_to_do(tmp_path):
    program = Path(__file__).with_name("arguments.py")
    environment = os.environ | {"BYWAY_RULES": str(tmp_path), "BYWAY_CACHE": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, str(program)], capture_output=True, text=True, check=False, env=environment
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    wrong = {
        name: said
        for name, said in found.items()
        if not (said.startswith("refused: ") and "wanted: " in said and "do: " in said)
    }
    assert wrong == {}
