"""A network in one line."""

from byway.network.network import Network
from byway.network.populations import Population


def describe(net: Network) -> str:
    """For example "input 8x8x1 > hidden1 128 relu > output 10", and what else there is to know."""
    line = " > ".join(_one(p) for p in net.populations)
    plain = list(
        zip([p.name for p in net.populations], [p.name for p in net.populations][1:], strict=False)
    )
    odd = [p.name for p in net.projections if (p.src, p.dst) not in plain]
    notes = [f"{p.name} {p.note}" for p in net.projections if p.note]
    return (
        line
        + (f"; also {', '.join(odd)}" if odd else "")
        + (f"; {', '.join(notes)}" if notes else "")
    )


def _one(population: Population) -> str:
    shape = "x".join(map(str, population.shape))
    phi = "" if population.cell.name == "identity" else f" {population.cell.name}"
    return f"{population.name} {shape}{phi}{' rms-normalised' if population.norm else ''}"
