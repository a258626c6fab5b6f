"""Drawings as SVG, from the things themselves: a network's populations and projections, samples of
a task.

They stand in a page of the docs and take its ink, `currentColor`, so they fit light and dark.
"""

import math
from collections.abc import Sequence
from html import escape

import numpy as np
from jaxtyping import Float

from byway.network.network import Network
from byway.network.populations import Population
from byway.network.projections import Projection

PITCH, STEP, RADIUS = 84.0, 15.0, 5.0  # between populations, between units, of a unit [pixel]
MOST = 8  # units of a population that are drawn, at most
POSITIVE, NEGATIVE = "#3b82c4", "#d9772b"  # both stand out from white and from black


def svg(width: float, height: float, label: str, body: Sequence[str]) -> str:
    """A drawing that shrinks with the page, with a label for those who cannot see it."""
    head = (
        f'<svg viewBox="0 0 {width:g} {height:g}" width="{width:g}" '
        'style="max-width:100%;height:auto" role="img" '
    )
    return "\n".join(
        [f'{head}aria-label="{escape(label)}" font-size="11" fill="currentColor">', *body, "</svg>"]
    )


def network_svg(net: Network) -> str:
    """A network: a column a population, a line a weight, an arc for each projection that skips a
    column or goes back.
    """
    order = [p.name for p in net.populations]
    arcs = [p for p in net.projections if order.index(p.dst) != order.index(p.src) + 1]
    above = [p for p in arcs if order.index(p.dst) >= order.index(p.src)]
    most = min(MOST, max(_rows(p) for p in net.populations))
    top = 12 + max((_rise(order, p) for p in above), default=0)
    middle = top + most * STEP / 2
    foot = top + most * STEP + 40
    below = max((_rise(order, p) for p in arcs if p not in above), default=0)
    x = {name: PITCH * (i + 0.5) for i, name in enumerate(order)}
    body = [
        '<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" '
        'markerHeight="7" orient="auto">'
        '<path d="M0 0L8 4L0 8z"/></marker></defs>'
    ]
    for p in net.projections:
        if p in arcs:
            start, rise = (top - 4, -_rise(order, p)) if p in above else (foot, _rise(order, p))
            body.append(_arc(x[p.src] + 7, x[p.dst] - 7, start, rise, p.name in net.recurrent))
        else:
            body += _fan(net[p.src], net[p.dst], x[p.src], x[p.dst], middle, p)
    for p in net.populations:
        body += _population(p, x[p.name], middle, foot - 30)
    said = (
        f"{len(net.populations)} populations and {len(net.projections)} projections: "
        f"{', '.join(p.name for p in net.projections)}"
    )
    return svg(PITCH * len(order), foot + below + 6, said, body)


def _rows(population: Population) -> int:
    """How many units stand in its column: a feature map stands for its positions."""
    return population.shape[-1] if len(population.shape) == 3 else population.size


def _rise(order: list[str], p: Projection) -> float:
    return 12.0 + 13 * max(abs(order.index(p.dst) - order.index(p.src)), 1)


def _arc(start: float, end: float, y: float, rise: float, recurrent: bool) -> str:
    dash = ' stroke-dasharray="4 3"' if recurrent else ""
    path = (
        f"M{start:g} {y:g}C{start:g} {y + rise * 1.25:g} {end:g} {y + rise * 1.25:g} {end:g} {y:g}"
    )
    return (
        f'<path d="{path}" fill="none" stroke="currentColor" stroke-opacity=".7"{dash} '
        'marker-end="url(#tip)"/>'
    )


def _heights(population: Population, middle: float) -> list[float]:
    shown = min(MOST, _rows(population))
    step = STEP * (1.7 if len(population.shape) == 3 else 1.0)
    return [middle + step * (i - (shown - 1) / 2) for i in range(shown)]


def _fan(
    src: Population, dst: Population, x1: float, x2: float, middle: float, p: Projection
) -> list[str]:
    left, right = (2 * RADIUS if len(p.shape) == 3 else RADIUS for p in (src, dst))
    lines = [
        f'<path class="weight" d="M{x1 + left:g} {a:g}L{x2 - right:g} {b:g}" '
        'stroke="currentColor" stroke-opacity=".28"/>'
        for a in _heights(src, middle)
        for b in _heights(dst, middle)
    ]
    return [
        f"<g><title>{escape(p.name)}: weights {'x'.join(map(str, p.weight.shape))}</title>",
        *lines,
        "</g>",
    ]


def _population(population: Population, x: float, middle: float, y: float) -> list[str]:
    image, phi = len(population.shape) == 3, population.cell.name
    body = [f"<g><title>{escape(population.name)}</title>"]
    for height in _heights(population, middle):
        if image:
            body.append(_map(x, height))
        else:
            ink = 'fill="none" stroke="currentColor"' if phi == "identity" else ""
            box = population.black_box
            shape = (
                f'<rect x="{x - 5:g}" y="{height - 5:g}" width="10" height="10"/>' if box else ""
            )
            body.append(shape or f'<circle cx="{x:g}" cy="{height:g}" r="{RADIUS:g}" {ink}/>')
    said = "x".join(map(str, population.shape)) + ("" if phi == "identity" else f" {phi}")
    for i, text in enumerate((population.name, said)):
        body.append(
            f'<text x="{x:g}" y="{y + 14 * i:g}" text-anchor="middle">{escape(text)}</text>'
        )
    return [*body, "</g>"]


def _map(x: float, y: float) -> str:
    grid = "".join(
        f"M{x - 10 + 5 * i:g} {y - 10:g}v20M{x - 10:g} {y - 10 + 5 * i:g}h20" for i in range(5)
    )
    return f'<path class="map" d="{grid}" fill="none" stroke="currentColor" stroke-opacity=".8"/>'


def images_svg(
    images: Float[np.ndarray, "samples height width"], names: Sequence[str], pixel: float = 4.0
) -> str:
    """Grey images in a row, ink where a value is large.

    Args:
        images: values from 0 to 1.
        names: what to write under each.
        pixel: the side of one pixel.
    """
    _, height, width = images.shape
    pitch, body = pixel * width + 6, []
    for i, (image, name) in enumerate(zip(images, names, strict=True)):
        for row, col in np.argwhere(image > 0):
            at = f'x="{pitch * i + 3 + pixel * col:g}" y="{pixel * row:g}"'
            body.append(
                f'<rect {at} width="{pixel:g}" height="{pixel:g}" '
                f'fill-opacity="{image[row, col]:.3g}"/>'
            )
        body.append(
            f'<text x="{pitch * i + 3 + pixel * width / 2:g}" y="{pixel * height + 14:g}" '
            f'text-anchor="middle">{escape(name)}</text>'
        )
    return svg(pitch * len(images), pixel * height + 20, f"samples of {', '.join(names)}", body)


# Time steps of a sequence whose steps are drawn one by one, at most; and inputs of a longer one
# that have a line each.
LONG, MANY = 60, 8


def sequence_svg(
    x: Float[np.ndarray, "time inputs"],
    target: Float[np.ndarray, "time out"],
    weight: Float[np.ndarray, " time"],
    label: str,
) -> str:
    """One sequence: a row an input, then a row an output, filled at the steps that count; time goes
    right. Rows of a long one are lines.
    """
    if len(x) > LONG:
        return _lines_svg(x, target, weight, label)
    side, left = 11.0 if len(x) <= 30 else 330 / len(x), 56.0
    rows = [(f"input {i + 1}", x[:, i], np.ones(len(x))) for i in range(x.shape[1])]
    rows += [(f"target {i + 1}", target[:, i], weight > 0) for i in range(target.shape[1])]
    size, body, y = max(np.abs(x).max(), np.abs(target).max(), 1e-9), [], 4.0
    for i, (name, values, counts) in enumerate(rows):
        y += 8 if i == x.shape[1] else 0  # a gap between what goes in and what is wanted
        body.append(f'<text x="{left - 6:g}" y="{y + side - 2:g}" text-anchor="end">{name}</text>')
        for t, (value, counted) in enumerate(zip(values, counts, strict=True)):
            colour = POSITIVE if value >= 0 else NEGATIVE
            ink = (
                f'fill="{colour}" fill-opacity="{math.fabs(value) / size:.3g}"'
                if counted
                else 'fill="none"'
            )
            at = f'x="{left + side * t:g}" y="{y:g}" width="{side - 1:g}" height="{side - 1:g}"'
            edge = ".35" if counted else ".1"
            body.append(
                f'<rect {at} {ink} stroke="currentColor" stroke-opacity="{edge}" '
                f'stroke-width=".6"><title>{value:.3g}</title></rect>'
            )
        y += side + 1
    return svg(left + side * len(x) + 4, y + 4, label, body)


def _lines_svg(
    x: Float[np.ndarray, "time inputs"],
    target: Float[np.ndarray, "time out"],
    weight: Float[np.ndarray, " time"],
    label: str,
) -> str:
    """A long sequence: a line for each input, then for each output at the steps that count. Many
    inputs are spikes, or near enough: a tick where each is above zero.
    """
    width, height, left, top = 330.0, 26.0, 56.0, 4.0
    rows, body = [], []
    if x.shape[1] > MANY:
        tall = 240 / x.shape[1]
        ticks = " ".join(
            f"M{left + width * t / len(x):.1f} {top + tall * i:.1f}v{tall:.1f}"
            for t, i in np.argwhere(x > 0)
        )
        body = [
            f'<text x="{left - 6:g}" y="{top + 124:g}" text-anchor="end">inputs</text>',
            f'<path d="{ticks}" stroke="{POSITIVE}" stroke-width=".8"/>',
        ]
        top += 248
    else:
        rows = [(f"input {i + 1}", x[:, i], np.arange(len(x))) for i in range(x.shape[1])]
    counted = np.flatnonzero(weight > 0)
    rows += [(f"target {i + 1}", target[counted, i], counted) for i in range(target.shape[1])]
    for i, (name, values, steps) in enumerate(rows):
        above, all_ = top + (height + 4) * i, x if name.startswith("input") else target[counted]
        low, span = all_.min(), max(np.ptp(all_), 1e-9)
        places = zip(
            left + width * steps / len(x), above + height * (1 - (values - low) / span), strict=True
        )
        line = " ".join(f"{across:.1f},{down:.1f}" for across, down in places)
        body += [
            f'<text x="{left - 6:g}" y="{above + 17:g}" text-anchor="end">{name}</text>',
            f'<polyline points="{line}" fill="none" stroke="{POSITIVE}"/>',
        ]
    return svg(left + width + 4, top + 4 + (height + 4) * len(rows), label, body)
