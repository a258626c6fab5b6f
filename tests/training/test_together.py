"""Processes that compute together, as those of `jax.distributed`: the same bits as in one."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import jax
import numpy as np
import pytest

import byway
from byway.core.task import Split
from byway.experiment.networks import NetSettings

# One device each, so that seeds have to be dealt out: the second process has the second of three.
PROGRAM = """
import os, signal, sys
import jax, numpy as np
number, port, folder, stop = int(sys.argv[1]), *sys.argv[2:]
jax.config.update("jax_num_cpu_devices", 1)
jax.distributed.initialize(f"127.0.0.1:{port}", num_processes=2, process_id=number)

import byway
from training.test_together import asked

def interrupt(label, reading):
    if stop and (label, reading.epoch, number) == ("dfa", 1, 1):
        os.kill(os.getpid(), signal.SIGINT)

try:
    run = byway.compare(**asked(), epochs=2, out=folder, resume=True, on_epoch=interrupt)
except KeyboardInterrupt as how:
    print(how)
    sys.exit(3)
np.savez(f"{folder}-{number}", **{
    f"{label} {name}": curve.values
    for label, one in run.items() for name, curve in one.history.items()
})
for more in ({"epochs": 1 + number}, {"jobs": 2, "out": folder + "-other"}):
    try:
        byway.compare(**asked(), **{"epochs": 2} | more)
    except byway.BywayError as error:
        print(error)
"""


def asked():
    """What is compared: a few of the digits."""
    splits = byway.task("digits").load()
    data = {name: Split(split.x[:60], split.y[:60]) for name, split in splits.items()}
    some = {"batch": 20, "seeds": 3, "looks": 2, "progress": False}
    return {"rules": ["frozen", "dfa"], "net": NetSettings(hidden=(6,)), "data": data, **some}


def both(folder, stop=""):
    """How two processes end, and what they say."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    tests = str(Path(__file__).parents[1])
    settings = {
        "JAX_ENABLE_X64": "1",
        "JAX_NUMPY_DTYPE_PROMOTION": "strict",
        "JAX_NUMPY_RANK_PROMOTION": "raise",
        "JAX_PLATFORMS": "cpu",
        "PYTHONPATH": os.pathsep.join([tests, *filter(None, sys.path)]),
    }
    begun = [
        subprocess.Popen(
            [sys.executable, "-c", PROGRAM, str(number), port, str(folder), stop],
            env=os.environ | settings,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            encoding="utf-8",
        )
        for number in range(2)
    ]
    try:
        said = [one.communicate(timeout=300) for one in begun]
    finally:
        for one in begun:
            one.kill()
    return [one.returncode for one in begun], [out for out, _ in said], [err for _, err in said]


@pytest.mark.slow
@pytest.mark.skipif(jax.default_backend() != "cpu", reason="bits of CPUs")
def test_two_processes_find_the_same_bits_as_one(tmp_path):
    """Stopped on the way, by a signal that one of them got, and resumed; then refused what cannot
    be, all of them.
    """
    here = byway.compare(**asked(), epochs=2)
    folder = tmp_path / "run"
    codes, said, errors = both(folder, stop="stop")
    assert codes == [3, 3], errors
    assert all("resume" in one for one in said)
    assert list(byway.open(folder).finished) == ["frozen"]
    codes, said, errors = both(folder)
    assert codes == [0, 0], errors
    kept = byway.open(folder)
    for label, one in here.items():
        for name, curve in one.history.items():
            np.testing.assert_array_equal(kept[label].history[name].values, curve.values)
            for number in range(2):
                found = np.load(f"{folder}-{number}.npz", allow_pickle=False)
                np.testing.assert_array_equal(found[f"{label} {name}"], curve.values)
        for name, values in one.test.items():
            np.testing.assert_array_equal(kept[label].test[name], values)
    for number, text in enumerate(said):
        assert f"epochs = {1 + number} in process {number} of 2, and another" in text
        assert "jobs beside 2 processes" in text
