"""Spiking and rate networks of growing size, beside simulators: `python -m benchmarks.scale`, or
with sizes.

The same network in each, wiring and first potentials included: N units, of which four fifths
excite, each of which reads 100 others; leaky integrate-and-fire units with exponential currents
(CUBA-like, Brette et al. 2007, with one time constant for both kinds of synapses), steps of 0.1 ms,
a delay of one step. All simulate the same time in turns, each in a process of its own, after one
turn that does not count; what is built and compiled before does not count either. With one thread
each, seconds are those of the processor, which other work on the machine changes less than those of
the clock. Mean rates have to agree. Memory is the most that a process ever held, building included,
so wiring that is drawn in Python counts in all alike. `--rate` runs units without spikes, which
only Byway and brainevent have for such wiring.
"""

import argparse
import resource
import statistics
import sys
import time
from typing import NamedTuple

import numpy as np

from benchmarks import peers
from benchmarks.worker import Worker

SIZES, ROUNDS, FAN_IN = (1_000, 10_000, 20_000, 100_000), 3, 100
# [ms] and [mV]: the time constants of membrane and currents, the potential where there is no
# current, threshold, reset; a jump of the current by an excitatory and an inhibitory spike.
DT, TAU, TAU_I, REFRACTORY = 0.1, 20.0, 5.0, 5.0
REST, THRESHOLD, RESET = -49.0, -50.0, -60.0
EXCITES, INHIBITS = 1.62, -7.5
TOLERANCE = 0.05  # of the mean rate


class Wired(NamedTuple):
    """The network of a size: who each unit reads, the weight of what each unit sends, and the first
    potentials [mV].
    """

    index: np.ndarray
    sends: np.ndarray
    v: np.ndarray


def wired(units: int) -> Wired:
    """The network of a size, the same in every process."""
    draw = np.random.default_rng(0)
    rows = [draw.choice(units, FAN_IN, replace=False, shuffle=False) for _ in range(units)]
    index = np.asarray(rows, np.int32)
    sends = np.where(np.arange(units) < 0.8 * units, EXCITES, INHIBITS)
    return Wired(index, sends, draw.uniform(RESET, THRESHOLD, units))


def steps(seconds: float) -> int:
    """Of simulated time."""
    return round(1000 * seconds / DT)


def clock(threads: int) -> float:
    """Seconds: of the processor where there is one thread."""
    return time.process_time() if threads == 1 else time.perf_counter()


def ran(seconds: float, spikes: float, units: int, simulated: float) -> dict:
    """What a contestant answers of one turn."""
    peak = max(
        resource.getrusage(who).ru_maxrss
        for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    )
    return {"seconds": seconds, "rate": spikes / units / simulated, "peak": 1024 * peak}


# Contestants: `build` makes one, `turn` runs it once; both over a pipe.
CONTESTANTS = {
    "Byway": ("byway", "scale_byway"),
    "brainevent": ("brainevent", "peer_brainevent"),
    "Brian2 C++ standalone": ("brian2", "peer_brian2"),
    "NEST": ("nest", "peer_nest"),
}


def race(units: int, seconds: float, rounds: int, rate: bool, threads: int) -> None:
    """Print a line for each contestant."""
    held, workers = {}, {}
    entries = {k: v for k, v in CONTESTANTS.items() if not rate or k in ("Byway", "brainevent")}
    for name, (home, module) in entries.items():
        python = sys.executable if home == "byway" else peers.python(home)
        if python is None:
            print(f"{name:34} not installed")
            continue
        worker = workers[name] = Worker(
            str(python), JAX_ENABLE_X64="0", NPROC=str(threads), NUMBA_NUM_THREADS=str(threads)
        )
        worker.ask(f"{module}:build", units=units, seconds=seconds, rate=rate, threads=threads)
        worker.ask(f"{module}:turn")
        held[name] = []
    for lap in range(rounds):
        for name in list(held) if lap % 2 == 0 else reversed(held):
            held[name].append(workers[name].ask(f"{entries[name][1]}:turn"))
    for worker in workers.values():
        worker.__exit__()
    took = {
        name: statistics.median(one["seconds"] for one in turns) for name, turns in held.items()
    }
    for name, turns in held.items():
        fastest, slowest = (f([one["seconds"] for one in turns]) for f in (min, max))
        hertz = statistics.mean(one["rate"] for one in turns)
        events = "" if rate else f"{hertz * units * FAN_IN * seconds / took[name] / 1e6:7.1f}"
        print(
            f"{units:8,} {name:34} {seconds / took[name]:8.3f} {seconds / slowest:8.3f} to "
            f"{seconds / fastest:7.3f} {steps(seconds) / took[name]:10,.0f} {events:>7} "
            f"{hertz:6.2f} {max(one['peak'] for one in turns) / 1e6:8,.0f} "
            f"{took[name] / took['Byway']:6.2f}",
            flush=True,
        )
    rates = {n: statistics.mean(one["rate"] for one in turns) for n, turns in held.items()}
    if not rate and max(rates.values()) > (1 + TOLERANCE) * min(rates.values()):
        raise SystemExit(f"mean rates that differ: {rates}; they do not race over the same network")


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser("python -m benchmarks.scale")
    parser.add_argument("sizes", nargs="*", type=int, default=SIZES, help="units")
    parser.add_argument("--seconds", type=float, default=1.0, help="simulated in a turn (1)")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="turns that count (3)")
    parser.add_argument("--threads", type=int, default=2, help="of each contestant (2)")
    parser.add_argument("--without", action="append", default=[], help="a contestant to leave out")
    parser.add_argument("--rate", action="store_true", help="units without spikes")
    args = parser.parse_args()
    for name in args.without:
        CONTESTANTS.pop(name)
    print(
        "   units contestant                          simulated s per s, and range   steps/s "
        " Mevents/s  Hz  peak MB  time of ours"
    )
    for units in args.sizes or SIZES:
        race(units, args.seconds, args.rounds, args.rate, args.threads)


if __name__ == "__main__":
    main()
