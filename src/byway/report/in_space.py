"""What the wiring of each rule's network looks like: numbers beside chance, histograms, the network
in space, and how influence flows in it. Of networks with a fixed fan-in, one seed of each rule.
"""

import contextlib
import dataclasses
from collections.abc import Callable, Mapping, Sequence

import numpy as np
from jaxtyping import Float

from byway.core.errors import RuleError
from byway.network.graph import NAMES, Form
from byway.network.influence import Influence, influence
from byway.report.charts import Axis, Chart, Series, Style, even_ticks, line_chart
from byway.runs.outcomes import Outcomes
from byway.runs.weights import sparse_network
from byway.training.outcome import Outcome

# How often chance draws; of how many synapses between hidden units it takes too long; synapses and
# networks that are drawn; bars of a histogram.
DRAWS, MOST_SYNAPSES, MOST_DRAWN, MOST_PICTURES, BARS = 3, 60_000, 300, 4, 24
WIDTH, HEIGHT, EDGE = 560.0, 330.0, 14.0
# How the third direction is drawn: aslant, and shortened.
ASLANT = np.array([0.38, 0.22])
HUES = ("s2", "s3", "s4", "s6")
KEPT = {"degrees": "chance, same degrees", "space": "chance, same lengths"}


@dataclasses.dataclass(frozen=True)
class Space:
    """A network in space, drawn.

    Attributes:
        label: what a reader who cannot see it should know.
        frame: the edges of the box that holds all units.
        units: of each population its name, its hue, how large its dots are, and all of them as one
            path.
        synapses: paths of the strongest: hue, how opaque, path.
        way: the path along which most comes to the output; empty where there is none.
    """

    label: str
    frame: str
    units: list[tuple[str, str, float, str]]
    synapses: list[tuple[str, float, str]]
    way: str


@dataclasses.dataclass(frozen=True)
class Wired:
    """The wiring of one rule's network.

    Attributes:
        seed: whose it is.
        facts: what its wiring costs, in words, by heading.
        form: for each measure a row: its name, its value, and that of chance of each kind; empty
            where there are too many synapses, or none between hidden units.
        moved: of the synapses of chance with the same lengths, the share that was not there [%].
        way: the path along which most comes to the output, in words.
        picture: the network in space; None of networks beyond the first few.
    """

    seed: int
    facts: dict[str, str]
    form: list[list[str]]
    moved: float
    way: str
    picture: Space | None


@dataclasses.dataclass(frozen=True)
class InSpace:
    """The section of the report.

    Attributes:
        rules: by label.
        charts: what each shows, and the chart.
    """

    rules: Mapping[str, Wired]
    charts: list[tuple[str, Chart]]
    kept = tuple(KEPT.values())
    draws, width, height = DRAWS, WIDTH, HEIGHT

    @property
    def heads(self) -> list[str]:
        """The headings of what wiring costs."""
        return list(dict.fromkeys(head for one in self.rules.values() for head in one.facts))

    @property
    def formed(self) -> dict[str, Wired]:
        """Those whose shape is measured."""
        return {label: one for label, one in self.rules.items() if one.form}


def in_space(run: Outcomes, style: Mapping[str, Style]) -> InSpace | None:
    """The wiring of each finished rule whose network has a fixed fan-in; None where none has."""
    seeds = {
        label: next(seed for seed in outcome.seeds if seed not in outcome.failures)
        for label, outcome in run.finished.items()
        if len(outcome.failures) < len(outcome.seeds)
    }
    held: dict[str, Influence] = {}
    for label, seed in seeds.items():
        net = sparse_network(run, label, seed)
        # Of weights that many places share there is no wiring.
        with contextlib.suppress(RuleError):
            held |= {} if net is None else {label: influence(net)}
    if not held:
        return None
    rules = {
        label: _wired(run[label], seeds[label], one, number < MOST_PICTURES)
        for number, (label, one) in enumerate(held.items())
    }
    return InSpace(rules, [one for one in _charts(held, dict(style)) if one is not None])


def _wired(outcome: Outcome, seed: int, held: Influence, drawn: bool) -> Wired:
    one, form = held.wiring, None
    inner = one.between_hidden()
    if np.any(inner.source != inner.target) and inner.synapses <= MOST_SYNAPSES:
        form = one.form(draws=DRAWS)
    facts = {
        "synapses": f"{one.synapses:,}",
        "sparsity [%]": f"{100 * one.sparsity:.1f}",
        "wiring cost [mm]": f"{one.cost:,.0f}",
        "mean length [µm]": f"{one.length.mean():.0f}",
        "joined units": f"{np.count_nonzero(one.joined):,} of {np.count_nonzero(one.inner):,}",
    }
    if one.delay.any():
        facts["mean delay [steps]"] = f"{one.delay.mean():.1f}"
    return Wired(
        seed,
        facts,
        [] if form is None else _rows(form),
        0.0 if form is None else 100 * form.moved,
        _way(outcome, held),
        _drawn(held) if drawn else None,
    )


def _rows(form: Form) -> list[list[str]]:
    of = lambda values: f"{values.mean():.3f} ± {values.std():.3f}"
    rows = [
        [title, f"{getattr(form, name):.3f}", *(of(form.chance[kept][name]) for kept in KEPT)]
        for name, title in NAMES.items()
    ]
    return [
        *rows,
        ["small-worldness σ", "", *(f"{form.small_world(kept):.2f}" for kept in KEPT)],
    ]


def _way(outcome: Outcome, held: Influence) -> str:
    path = held.strongest()
    if path is None:
        return ""
    output, labels = path.units[-1][1], [str(label) for label in outcome.labels]
    said = labels[output] if len(labels) > output else str(output)
    label = f" ({said})" if said != str(output) else ""
    late = f" {path.steps} time steps later" if path.steps else ""
    return f"{path}: {100 * path.share:.2g} % of what drives output {output}{label}{late}"


def _charts(
    held: Mapping[str, Influence], style: dict[str, Style]
) -> list[tuple[str, Chart] | None]:
    """Histograms of what differs, and influence by synapses and by time steps."""
    inner = lambda one, values: values[one.wiring.inner]
    draw = lambda title, of, each: _histogram(held, style, title, of, each)
    return [
        draw(
            "synapses that a hidden unit reads",
            "hidden units",
            lambda one: inner(one, one.wiring.in_degree),
        ),
        draw(
            "synapses by which a hidden unit is read",
            "hidden units",
            lambda one: inner(one, one.wiring.out_degree),
        ),
        draw("length of a synapse [µm]", "synapses", lambda one: one.wiring.length),
        draw("delay of a synapse [steps]", "synapses", lambda one: one.wiring.delay),
        _flow(held, style, "synapses from input to output", lambda one: one.arrived),
        _flow(held, style, "time steps from input to output", lambda one: one.late),
    ]


def _histogram(
    held: Mapping[str, Influence],
    style: dict[str, Style],
    title: str,
    of: str,
    each: Callable[[Influence], np.ndarray],
) -> tuple[str, Chart] | None:
    """How often each value is; None where there is one alone."""
    values = {label: each(one) for label, one in held.items()}
    values = {label: a for label, a in values.items() if a.size}
    every = np.concatenate([*values.values(), np.zeros(0)])
    if not every.size or not np.ptp(every):
        return None
    low, high, whole = every.min(), every.max(), bool((every % 1 == 0).all())
    step = max(1.0, np.ceil((high - low + 1) / BARS)) if whole else (high - low) / BARS
    edges = low - 0.5 * whole + step * np.arange(np.ceil((high - low + whole) / step) + 1)
    edges[-1] = max(edges[-1], high)
    lines = [
        Series(
            label,
            (edges[1:] + edges[:-1]) / 2,
            100 * np.histogram(a, edges)[0] / a.size,
            np.full(len(edges) - 1, np.nan),
        )
        for label, a in values.items()
    ]
    means = ", ".join(f"{label} {a.mean():.3g}" for label, a in values.items())
    return _chart(lines, style, title, f"{of} [%]", f"The {title}; on average {means}.")


def _flow(
    held: Mapping[str, Influence],
    style: dict[str, Style],
    title: str,
    each: Callable[[Influence], np.ndarray],
) -> tuple[str, Chart] | None:
    """How much of the output came from the input through or after so many; None where all came
    at once.
    """
    values = {label: each(one) for label, one in held.items()}
    size = max(_end(a) for a in values.values())
    if size < 2:
        return None
    lines = [
        Series(label, np.arange(size) * 1.0, 100 * _long(a, size), np.full(size, np.nan))
        for label, a in values.items()
    ]
    means = ", ".join(
        f"{label} {np.average(np.arange(len(a)), weights=a):.3g}"
        for label, a in values.items()
        if a.sum()
    )
    return _chart(lines, style, title, "influence [%]", f"The {title}; on average {means}.")


def _long(share: np.ndarray, size: int) -> np.ndarray:
    return np.pad(share, (0, size))[:size]


def _end(share: np.ndarray) -> int:
    """Up to where all is but a hundredth of it."""
    total = np.cumsum(share)
    return int(np.searchsorted(total, 0.99 * total[-1])) + 1 if total[-1] > 0 else 0


def _chart(
    lines: Sequence[Series], style: dict[str, Style], x: str, y: str, said: str
) -> tuple[str, Chart]:
    low, high = float(lines[0].x[0]), float(lines[0].x[-1])
    high = high if high > low else low + 1
    top = 1.04 * max(float(line.mean.max()) for line in lines)
    return said, line_chart(
        lines,
        style,
        Axis(x, low, high, even_ticks(low, high)),
        Axis(y, 0, top or 1.0, even_ticks(0, top or 1.0)),
        said,
        size=(440, 270),
    )


def _drawn(held: Influence) -> Space:
    one = held.wiring
    flat, frame = _flat(one.position)
    names = list(one.populations)
    inputs, outputs = (
        next(n for n, r in one.populations.items() if r == end)
        for end in (held.inputs, held.outputs)
    )
    hues = {
        n: HUES[i % len(HUES)] for i, n in enumerate(n for n in names if n not in (inputs, outputs))
    }
    hues |= {inputs: "grey", outputs: "ink"}
    dots = lambda r: "".join(f"M{x:g} {y:g}h0" for x, y in flat[r.start : r.stop])
    size = lambda r: 2.0 if len(r) > 400 else 3.2 if len(r) > 40 else 5.0
    units = [(name, hues[name], size(r), dots(r)) for name, r in one.populations.items()]
    strong = one.strongest(min(1.0, MOST_DRAWN / one.synapses))
    most = np.abs(strong.weight).max() or 1.0
    bins = np.minimum((np.abs(strong.weight) / most * 4).astype(int), 3)
    synapses = []
    for level in range(4):
        for hue, sign in (("s0", strong.weight < 0), ("s1", strong.weight >= 0)):
            mine = np.flatnonzero((bins == level) & sign)
            ends = zip(flat[strong.source[mine]], flat[strong.target[mine]], strict=True)
            path = "".join(f"M{a[0]:g} {a[1]:g}L{b[0]:g} {b[1]:g}" for a, b in ends)
            if path:
                synapses.append((hue, 0.25 + 0.2 * level, path))
    best, way = held.strongest(), ""
    if best is not None:
        at = [flat[one.populations[name].start + unit] for name, unit in best.units]
        way = "M" + "L".join(f"{x:g} {y:g}" for x, y in at)
    label = (
        f"{len(one.position):,} units in space, from the input on the left to the output on the "
        f"right, and the {strong.synapses} strongest of {one.synapses:,} synapses"
    )
    return Space(label, frame, units, synapses, way)


def _flat(position: Float[np.ndarray, "units 3"]) -> tuple[Float[np.ndarray, "units 2"], str]:
    """Places on the page, and the edges of the box: z goes right, y up, and x away from the
    reader.
    """
    low, high = position.min(0), position.max(0)
    corners = np.array([[(low, high)[i][0], (low, high)[j][1], (low, high)[k][2]]
                        for i in (0, 1) for j in (0, 1) for k in (0, 1)])  # fmt: skip
    lay = lambda p: np.stack([p[:, 2], -p[:, 1]], 1) + p[:, :1] * ASLANT * [1, -1]
    box = lay(corners)
    start, span = box.min(0), np.maximum(np.ptp(box, axis=0), 1e-9)
    scale = min((WIDTH - 2 * EDGE) / span[0], (HEIGHT - 2 * EDGE) / span[1])
    room = np.array([WIDTH, HEIGHT]) - span * scale
    place = lambda p: np.round((lay(p) - start) * scale + room / 2, 1)
    at = place(corners)
    edges = [(a, b) for a in range(8) for b in range(a) if bin(a ^ b).count("1") == 1]
    return place(position), "".join(
        f"M{at[a][0]:g} {at[a][1]:g}L{at[b][0]:g} {at[b][1]:g}" for a, b in edges
    )
