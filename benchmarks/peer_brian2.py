"""Brian2's C++ standalone for `benchmarks.scale`, in single precision."""

import tempfile
from pathlib import Path

import brian2 as b
import numpy as np

from benchmarks import scale

_held = {}


def build(units: int, seconds: float, rate: bool, threads: int) -> dict:
    """Write and compile the program."""
    folder = tempfile.TemporaryDirectory()
    b.set_device("cpp_standalone", directory=folder.name, build_on_run=False)
    b.prefs.devices.cpp_standalone.openmp_threads = 0 if threads == 1 else threads
    b.prefs.core.default_float_dtype = np.float32
    b.defaultclock.dt = scale.DT * b.ms
    index, sends, v = scale.wired(units)
    group = b.NeuronGroup(
        units,
        """dv/dt = (current - (v - rest)) / tau : 1 (unless refractory)
        dcurrent/dt = -current / tau_i : 1""",
        threshold="v > threshold",
        reset="v = reset",
        refractory=scale.REFRACTORY * b.ms,
        method="exact",
        namespace={
            "rest": scale.REST,
            "threshold": scale.THRESHOLD,
            "reset": scale.RESET,
            "tau": scale.TAU * b.ms,
            "tau_i": scale.TAU_I * b.ms,
        },
    )
    group.v = v
    synapses = b.Synapses(group, group, "w : 1", on_pre="current_post += w", delay=scale.DT * b.ms)
    synapses.connect(i=index.reshape(-1), j=np.repeat(np.arange(units), scale.FAN_IN))
    synapses.w = sends[index.reshape(-1)]
    count = b.SpikeMonitor(group, record=False)
    network = b.Network(group, synapses, count)
    # What it takes to read the wiring does not count.
    b.device.insert_code("before_network_run", "const std::clock_t began = std::clock();")
    b.device.insert_code(
        "after_network_run",
        'std::ofstream("processor") << double(std::clock() - began) / CLOCKS_PER_SEC;',
    )
    network.run(seconds * b.second)
    b.device.build(directory=folder.name, compile=True, run=False)
    _held.update(folder=folder, count=count, units=units, seconds=seconds, parts=(group, synapses))
    _held.update(threads=threads)
    return {}


def turn() -> dict:
    """Run it."""
    b.device.run(_held["folder"].name, with_output=False)
    processor = float((Path(_held["folder"].name) / "processor").read_text())
    took = processor if _held["threads"] == 1 else b.device._last_run_time
    return scale.ran(took, float(_held["count"].num_spikes), _held["units"], _held["seconds"])
