"""NEST for `benchmarks.scale`. A turn goes on where the one before ended."""

import time

import nest
import numpy as np

from benchmarks import scale

_held = {}


def build(units: int, seconds: float, rate: bool, threads: int) -> dict:
    """Make the network. With a capacity equal to tau, a current in pA moves v as one in mV."""
    nest.set_verbosity("M_ERROR")
    nest.ResetKernel()
    nest.set(resolution=scale.DT, local_num_threads=threads, print_time=False)
    index, sends, v = scale.wired(units)
    group = nest.Create(
        "iaf_psc_exp",
        units,
        params={
            "E_L": scale.REST,
            "V_th": scale.THRESHOLD,
            "V_reset": scale.RESET,
            "tau_m": scale.TAU,
            "C_m": scale.TAU,
            "tau_syn_ex": scale.TAU_I,
            "tau_syn_in": scale.TAU_I,
            "t_ref": scale.REFRACTORY,
        },
    )
    group.V_m = v
    for part in np.array_split(np.arange(units), max(1, units // 10_000)):
        source = index[part].reshape(-1)
        nest.Connect(
            source + 1,
            np.repeat(part, scale.FAN_IN) + 1,
            "one_to_one",
            {"weight": sends[source], "delay": np.full(len(source), scale.DT)},
        )
    nest.Prepare()
    _held.update(units=units, seconds=seconds)
    return {}


def turn() -> dict:
    """Simulate on."""
    began = time.perf_counter()
    nest.Run(1000 * _held["seconds"])
    took = time.perf_counter() - began
    spikes = float(nest.local_spike_counter)  # of this turn alone
    return scale.ran(took, spikes, _held["units"], _held["seconds"])
