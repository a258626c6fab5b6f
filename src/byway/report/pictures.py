"""First-layer weights as pictures: a small PNG a rule, and one of what learning changed."""

import base64
import dataclasses
import math
import struct
import zlib

import numpy as np
from jaxtyping import Float, UInt8

from byway.runs.outcomes import Outcomes
from byway.runs.weights import weights_of

MOST, COLUMNS, GAP = 24, 8, 4
# Units on the page, and weights along a side of one: the page stays light.
MOST_IN_ALL, MOST_SIDE = 160, 32
# Pixels a unit, about: small images are blown up, so that blocks stay sharp where a browser
# smooths.
TILE = 44
NEGATIVE, ZERO, POSITIVE = (
    np.array(rgb, float) for rgb in ((0, 90, 160), (246, 246, 244), (196, 70, 0))
)
BROKEN = np.array((128, 128, 128), float)

Images = Float[np.ndarray, "units height width channels"]


@dataclasses.dataclass(frozen=True)
class Sheet:
    """Units side by side in one picture.

    Attributes:
        png: the picture, as a data address.
        width: its width [pixel].
        height: its height [pixel].
        scale: the weight at the strong end of the colours.
    """

    png: str
    width: int
    height: int
    scale: float


@dataclasses.dataclass(frozen=True)
class Picture:
    """The first layer of one rule.

    Attributes:
        rule: the rule.
        projection: which projection it is.
        seed: whose weights they are.
        shown: how many units are shown.
        units: how many there are.
        every: each how-manyth weight is shown, along either side.
        colour: whether a tile shows a weight for each colour channel.
        silent: how many of the shown units have weights that are all zero, or not finite.
        weights: the weights.
        change: the weights minus those of the frozen control, which are still those that the seed
            started from; None for the control, and where it has no such weights.
    """

    rule: str
    projection: str
    seed: int
    shown: int
    units: int
    every: int
    colour: bool
    silent: int
    weights: Sheet
    change: Sheet | None


def pictures(run: Outcomes) -> list[Picture]:
    """A picture for each finished rule whose first layer looks at an image of one or three
    channels.
    """
    most, made = max(1, min(MOST, MOST_IN_ALL // len(run.finished))), []
    for label, outcome in run.finished.items():
        good = [seed for seed in outcome.seeds if seed not in outcome.failures]
        seed = (good or outcome.seeds)[0]
        layers = _first_layers(run, label, seed).items()
        made += [_picture(run, label, name, seed, images, most) for name, images in layers]
    return made


def as_images(weight: Float[np.ndarray, "..."], input_shape: tuple[int, ...]) -> Images | None:
    """The weights into each unit as an image, or None where they make none.

    Args:
        weight: of a Dense projection "pre post", or of a Conv one "height width in out".
        input_shape: (height, width) or (height, width, channels).
    """
    if (
        weight.ndim == 2
        and len(input_shape) in (2, 3)
        and math.prod(input_shape) == weight.shape[0]
    ):
        weight = weight.reshape(*input_shape[:2], -1, weight.shape[-1])
    return (
        np.moveaxis(weight, -1, 0).astype(float)
        if weight.ndim == 4 and weight.shape[2] in (1, 3)
        else None
    )


def colours(images: Images, scale: float) -> UInt8[np.ndarray, "units height width 3"]:
    """Weights to colours: zero is pale, or mid-grey for three channels; ±scale is the strongest;
    not finite is grey.
    """
    share = np.clip(images / (scale or 1.0), -1, 1)
    diverging = ZERO + np.abs(share) * (np.where(share < 0, NEGATIVE, POSITIVE) - ZERO)
    rgb = 127.5 * (1 + share) if images.shape[-1] == 3 else diverging
    return (
        np.where(np.isfinite(images).all(-1, keepdims=True), rgb, BROKEN).round().astype(np.uint8)
    )


def _first_layers(run: Outcomes, label: str, seed: int) -> dict[str, Images]:
    """The weights of each projection from the input, as images, where they make some."""
    outcome, found = run[label], {}
    for name in outcome.first:
        weight = weights_of(run, label, f"{name}.weight", seed)
        images = None if weight is None else as_images(weight, tuple(outcome.input_shape))
        if images is not None:
            found[name] = images
    return found


def _picture(
    run: Outcomes, label: str, projection: str, seed: int, images: Images, most: int
) -> Picture:
    every = -(-max(images.shape[1:3]) // MOST_SIDE)
    shown = images[:most, ::every, ::every]
    control, change = run.control_of(label), None
    if control is not None and control.label != label:
        start = _first_layers(run, control.label, seed).get(projection)
        if start is not None and start.shape == images.shape:
            change = _sheet(shown - start[:most, ::every, ::every])
    silent = sum(not np.isfinite(unit).all() or not unit.any() for unit in shown)
    return Picture(
        label,
        projection,
        seed,
        len(shown),
        len(images),
        every,
        images.shape[-1] == 3,
        silent,
        _sheet(shown),
        change,
    )


def _sheet(images: Images) -> Sheet:
    """Lay units out in rows, with see-through gaps; the strongest half per cent of the weights
    share one colour.
    """
    size = np.abs(images[np.isfinite(images)])
    scale = float(np.quantile(size, 0.995)) if size.size else 0.0
    grow = max(1, round(TILE / max(images.shape[1:3])))
    tiles = colours(images, scale).repeat(grow, 1).repeat(grow, 2)
    units, height, width, _ = tiles.shape
    columns = min(COLUMNS, units)
    rgba = np.zeros(
        (-(-units // columns) * (height + GAP) - GAP, columns * (width + GAP) - GAP, 4), np.uint8
    )
    for i, tile in enumerate(tiles):
        y, x = i // columns * (height + GAP), i % columns * (width + GAP)
        rgba[y : y + height, x : x + width] = np.concatenate(
            [tile, np.full_like(tile[..., :1], 255)], -1
        )
    return Sheet(
        "data:image/png;base64," + base64.b64encode(png(rgba)).decode(),
        rgba.shape[1],
        rgba.shape[0],
        scale,
    )


def png(rgba: UInt8[np.ndarray, "rows columns 4"]) -> bytes:
    """A PNG file; to import an image library would take longer than to write the whole page."""
    height, width, _ = rgba.shape
    # A leading 0: no filter.
    lines = np.concatenate([np.zeros((height, 1), np.uint8), rgba.reshape(height, -1)], 1)

    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    header = struct.pack(">IIBBBBB", width, height, 8, 6, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(lines.tobytes(), 9))
        + chunk(b"IEND", b"")
    )
