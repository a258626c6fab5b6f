"""Layers that are shared by two devices beside the same training on one; and backprop on the same
two, in micro-batches.

On a CPU one device uses one core for small products and several for large ones. So two devices are
held against one that has one core, and against one as it comes.
"""

from benchmarks.job import Job
from benchmarks.race import CHECK_ENV, CHECK_TOLERANCE, Race
from benchmarks.report import Table, Target
from benchmarks.worker import Worker

NETS = {
    "784-8x200-10, batch 32": {"sizes": (784, *[200] * 8, 10), "batch": 32, "steps": 300},
    "784-6x1000-10, batch 64": {"sizes": (784, *[1000] * 6, 10), "batch": 64, "steps": 32},
}
RULES, LIMIT = ("symba", "predsim", "mono_forward"), 1.7
MICRO = (1, 2, 4, 8)
CHECKED = (784, 30, 30, 30, 10)
CORE, ALONE, TWO = "one device, one core", "one device, as it comes", "two devices"


def measure(repeats: int) -> list[Table]:
    """For each network a table of each rule, and one of backprop."""
    tables = []
    for net, shape in NETS.items():
        tables += [_shared(Job(rule, **shape), net, repeats) for rule in RULES]
        tables.append(_backprop(Job("bp", **shape), net, repeats))
    return tables


def _shared(job: Job, net: str, repeats: int) -> Table:
    _require("check:distance_when_shared", **job.args(sizes=CHECKED, steps=8))
    with Race(f"{job.rule}, {net}, {job.steps} updates", repeats) as race:
        for name, home, stages in ((CORE, "one core", 1), (ALONE, "byway", 1), (TWO, "byway", 2)):
            race.enter(name, home, "contestants:shared", stages=stages, **job.args())
        race.run()
        return race.table(
            [
                Target(f"speed-up over {CORE}", _best(race, CORE, TWO), LIMIT, True),
                Target(f"speed-up over {ALONE}", _best(race, ALONE, TWO), 1.0, True),
            ]
        )


def _backprop(job: Job, net: str, repeats: int) -> Table:
    for micro in MICRO:
        _require("check:distance_of_gpipe", micro=micro, **job.args(sizes=CHECKED, steps=8))
    with Race(f"bp, {net}, {job.steps} updates", repeats) as race:
        for name, home in ((CORE, "one core"), (ALONE, "byway")):
            race.enter(name, home, "contestants:shared", stages=1, **job.args())
        for micro in MICRO:
            race.enter(_name(micro), "byway", "gpipe:gpipe", micro=micro, **job.args())
        race.run()
        # No schedule of two stages that waits for all micro-batches gains more over one device of
        # the same kind.
        return race.table(
            [
                Target(
                    f"speed-up over {ALONE}, {_name(m)}",
                    _best(race, ALONE, _name(m)),
                    2 * m / (m + 1),
                )
                for m in MICRO
            ]
        )


def _name(micro: int) -> str:
    return f"two devices, {micro} micro-batch{'es' if micro > 1 else ''}"


def _best(race: Race, slower: str, faster: str) -> float:
    """How many times as long the one takes as the other, by the best of each."""
    return min(race.entries[slower].seconds) / min(race.entries[faster].seconds)


def _require(target: str, **args) -> None:
    """Stop unless weights are the same as on one device."""
    with Worker(**CHECK_ENV) as worker:
        distance = worker.ask(target, **args)
    if not distance < CHECK_TOLERANCE:
        raise SystemExit(
            f"{target} {args}: the largest difference is {distance:g}; wanted: below "
            f"{CHECK_TOLERANCE:g}"
        )
