"""Long sequences: the memory of one update, predicted from the compiled program and measured in the
process, by the length of the sequence; up to one of 1,000,000 steps that is learned online.
"""

from benchmarks.report import Table, Target
from benchmarks.worker import Worker

# Rule, cell, hidden units; lengths; steps between two updates, None for one at the end.
ONLINE, WHOLE = (100, 10_000, 1_000_000), (100, 1_000, 10_000, 100_000)
JOBS = (
    ("bptt", "leaky", 64, WHOLE, None),
    ("eprop", "lif", 64, ONLINE, 50),
    ("eprop", "alif", 64, ONLINE, 50),
    ("rtrl", "leaky", 16, ONLINE, 50),
)


def measure(repeats: int) -> list[Table]:
    """One table; `repeats` changes nothing, as memory is not noisy."""
    rows, raw, targets = [], {}, []
    for rule, cell, units, lengths, every in JOBS:
        seen = {}
        for length in lengths:
            with Worker() as worker:
                seen[length] = worker.ask(
                    "streaming:once", rule=rule, cell=cell, units=units, length=length, every=every
                )
            rows.append(
                {
                    "rule": f"{rule}, {units} {cell} units",
                    "steps": f"{length:,}",
                    "update, predicted [MB]": f"{seen[length]['predicted'] / 1e6:.3f}",
                    "process while it learns [MB]": f"+{seen[length]['grown'] / 1e6:.1f}",
                    "samples [MB]": f"{seen[length]['data'] / 1e6:.1f}",
                    "time a step [µs]": f"{seen[length]['seconds'] / length * 1e6:.1f}",
                }
            )
        raw[f"{rule} {cell}"] = seen
        if every is not None:
            predicted = [seen[length]["predicted"] for length in lengths]
            targets.append(
                Target(
                    f"{rule}, {cell}: memory at {lengths[-1]:,} steps over that at {lengths[0]}",
                    predicted[-1] / predicted[0],
                    1.0,
                )
            )
    return [Table("Memory by the length of one sequence, batch 1", rows, targets, raw)]
