"""Gradients of a neural ODE: Byway's rules beside autodiff of the same solvers, and the adjoints of
others.
"""

from benchmarks.ode_work import Work
from benchmarks.race import Race, require_alike
from benchmarks.report import Table, Target

WORK = Work(64, 128, 1000)
REMAT = "JAX, remat, {}"
BYWAY = {
    "heun": "Byway reversible_ode, reversible_heun",
    "mccallum_foster": "Byway reversible_ode, mccallum_foster on midpoint",
    "midpoint": "Byway checkpointed, midpoint",
    "backsolve": "Byway backsolve, midpoint",
    "stored": "Byway bp, midpoint",
}
DIFFRAX = {
    "Diffrax ReversibleHeun, RecursiveCheckpointAdjoint": (
        "ReversibleHeun",
        "RecursiveCheckpointAdjoint",
    ),
    "Diffrax Midpoint, RecursiveCheckpointAdjoint": ("Midpoint", "RecursiveCheckpointAdjoint"),
    "Diffrax Midpoint, BacksolveAdjoint": ("Midpoint", "BacksolveAdjoint"),
}
TORCH = {
    "torchdiffeq midpoint, adjoint, one thread": True,
    "torchdiffeq midpoint, direct, one thread": False,
}


def measure(repeats: int) -> list[Table]:
    """One table of times, one of what the compiled programs set aside."""
    work = {"work": list(WORK)}
    require_alike("Gradients of a neural ODE", "neural_ode:apart", work=[8, 4, 20])
    title = f"A gradient: {WORK.states} states, batch {WORK.batch}, {WORK.steps:,} steps"
    with Race(title, repeats) as race:
        for solver in ("heun", "mccallum_foster", "midpoint"):
            race.enter(REMAT.format(solver), "floor", "neural_ode:by_hand", solver=solver, **work)
        race.enter(
            "JAX, stored, midpoint",
            "floor",
            "neural_ode:by_hand",
            solver="midpoint",
            remat=False,
            **work,
        )
        for solver, name in BYWAY.items():
            race.enter(name, "byway", "neural_ode:by_byway", solver=solver, **work)
        for name, (solver, adjoint) in DIFFRAX.items():
            how = {"solver": solver, "adjoint": adjoint}
            race.enter_peer(name, "diffrax", "peer_diffrax:gradient", **how, **work)
        for name, adjoint in TORCH.items():
            race.enter_peer(
                name, "torchdiffeq", "peer_torchdiffeq:gradient", adjoint=adjoint, **work
            )
        race.run()
        targets = [
            Target(
                f"{BYWAY[s]}: time over that of JAX with remat",
                race.ratio(BYWAY[s], REMAT.format(s)),
                1.3,
            )
            for s in ("heun", "mccallum_foster", "midpoint")
        ]
        facts = {name: entry.facts.get("temp_bytes") for name, entry in race.entries.items()}
        return [race.table(targets), _memory(facts)]


def _memory(facts: dict[str, int | None]) -> Table:
    rows = [
        {"contestant": name, "besides arguments [MB]": f"{size / 1e6:.2f}"}
        for name, size in facts.items()
        if size is not None
    ]
    return Table("What the compiled program sets aside", rows, [], facts)
