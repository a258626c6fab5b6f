"""Reads pictures: a folder of image files, a folder for each class; and images of Pillow that
somebody has.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from byway.core.errors import ConfigError, DataError
from byway.tasks._parts import PARTS, Form, Given, Samples, in_order

SUFFIXES = {".png", ".jpg", ".jpeg", ".bmp", ".gif", ".tif", ".tiff", ".webp"}
GREY, COLOUR = ("1", "L", "LA"), ("P", "PA", "RGB", "RGBA", "CMYK", "YCbCr")


def read_folder(folder: Path, form: Form) -> Samples:
    """The images in the folders of a folder, each of which is a class and gives it its name; or of
    its train/, test/ and validation/. Images without labels may lie in the folder itself.

    Args:
        folder: where they are.
        form: what was said of them.

    Returns:
        Pixels as `pixels` gives them, and the name of each image's class.

    Raises:
        DataError: Pillow is missing, there is no image, one is broken, or their sizes differ.
        ConfigError: no such colour.
    """
    try:
        from PIL import Image
    except ImportError as problem:
        raise DataError(
            "a folder of images, without Pillow",
            "Pillow, which reads them",
            "pip install byway[images]",
        ) from problem
    parts = _parts(folder)
    if not form.labelled and not any(map(_images, _folders(folder))):
        found = {"train": [(path, "") for path in _images(folder)] or _files(folder)}
    else:
        found = {part: _files(inner) for part, inner in parts.items()}

    def opened() -> Iterable[tuple[Any, Any]]:
        for path in (path for files in found.values() for path, _ in files):
            try:
                with Image.open(path) as image:
                    image.load()
                    yield path, image
            except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as problem:
                raise DataError(
                    f"{path} cannot be read: {problem}",
                    "an image",
                    "take it out, or restore it from a copy",
                ) from problem

    x, read, start = pixels(opened(), form.side, form.background), {}, 0
    for part, files in found.items():
        read[part] = Given(
            x[start : start + len(files)],
            np.array([name for _, name in files]) if form.labelled else None,
            names=[path.relative_to(folder).as_posix() for path, _ in files],
        )
        start += len(files)
    return read


def pixels(images: Iterable[tuple[Any, Any]], side: int, background: str) -> np.ndarray:
    """Pixels of images of one size, uint8 "samples height width channels"; grey if every image is,
    else RGB.

    Args:
        images: what each is called, and the image, of Pillow.
        side: pixels a side that they are resized to; 0 for none.
        background: the colour that lies under what is transparent.

    Raises:
        DataError: another kind of pixels, several pictures in one, sizes that differ, or a picture
            that vanishes into the background.
        ConfigError: no such colour.
    """
    from PIL import ImageColor

    try:
        colour = ImageColor.getrgb(background)[:3]
    except ValueError as problem:
        raise ConfigError(
            f"background = {background!r}",
            "a colour such as white or #808080",
            "leave it out for white",
        ) from problem
    flat, first, wanted = [], None, (0, 0)
    for name, image in images:
        one = _flat(name, image, colour)
        one = one.resize((side, side)) if side else one
        if first is None:
            first, wanted = name, one.size
        if one.size != wanted:
            sizes = ["{} by {}".format(*size) for size in (one.size, wanted)]
            raise DataError(
                f"{name} is {sizes[0]} pixels",
                f"{sizes[1]}, as {first}",
                "choose one size for all with side=32",
            )
        flat.append(one)
    kind = "L" if all(one.mode == "L" for one in flat) else "RGB"
    held = np.empty((len(flat), wanted[1], wanted[0], len(kind)), np.uint8)
    for i, one in enumerate(flat):
        held[i] = np.asarray(one.convert(kind)).reshape(held.shape[1:])
    return held


def _flat(name: Any, image: Any, colour: Sequence[int]) -> Any:
    """An image as it is seen: upright, on a background, grey (L) or RGB."""
    from PIL import Image, ImageOps

    # Telephones put a smaller copy beside the picture (MPO).
    if getattr(image, "n_frames", 1) > 1 and image.format != "MPO":
        raise DataError(
            f"{name} holds {image.n_frames} pictures", "one", "save the one that is meant"
        )
    image = ImageOps.exif_transpose(image)
    if image.mode not in (*GREY, *COLOUR):
        raise DataError(
            f"{name} has pixels of the kind {image.mode}", "8 bits a channel", "convert it"
        )
    grey = image.mode in GREY and len(set(colour)) == 1
    if image.has_transparency_data:
        clear = image.convert("RGBA")
        image = Image.new("RGBA", clear.size, (*colour, 255))
        image.alpha_composite(clear)
        if len(set(clear.getchannel("A").getextrema())) > 1 and all(
            low == high for low, high in image.getextrema()
        ):
            raise DataError(
                f"{name} is transparent, and nothing of it is seen on "
                f"{'#{:02x}{:02x}{:02x}'.format(*colour)}",
                "a background that it stands out from",
                "choose one, for example background='black'",
            )
        image = image.convert("RGB")
    return image.convert("L" if grey else "RGB")


def _parts(folder: Path) -> dict[str, Path]:
    """The folder of each part of a data set: of "train" alone, which is `folder` itself, where it
    has no parts.
    """
    inner = _folders(folder)
    named = [one for one in inner if one.name.lower() in PARTS]
    nested = [one for one in named if any(_images(two) for two in _folders(one))]
    if not nested:
        if named and named == [one for one in inner if _images(one)]:
            raise DataError(
                f"the folders {_names(named)} of {folder} hold images themselves",
                "a folder for each class in each",
                "sort them by class",
            )
        return {"train": folder}
    parts = {PARTS[one.name.lower()]: one for one in nested}
    others = [one for one in inner if one not in nested and _images(one)]
    if others or len(parts) < len(nested) or "train" not in parts:
        raise DataError(
            f"{folder} holds the folders {_names(nested + others)}",
            "train, and test or validation or both, each with its classes; or the classes "
            "themselves",
            "move what is neither, and call each part by its name once",
        )
    return {part: parts[part] for part in ("train", "validation", "test") if part in parts}


def _files(folder: Path) -> list[tuple[Path, str]]:
    """Every image below a folder of classes, and the name of its class."""
    classes = _folders(folder)
    files = [(path, one.name) for one in classes for path in _images(one)]
    empty = [one.name for one in classes if one.name not in {name for _, name in files}]
    if not files or empty:
        given = f"the folders {', '.join(empty)} of {folder} hold" if empty else f"{folder} holds"
        raise DataError(
            f"{given} no image",
            "a folder for each class, with its images",
            f"images end in {', '.join(sorted(SUFFIXES))}",
        )
    if mixed := [
        path
        for path, name in files
        if (within := path.relative_to(folder / name).parts)[1:] and within[0].lower() in PARTS
    ]:
        raise DataError(
            f"the class {mixed[0].relative_to(folder).parts[0]} of {folder} holds the part "
            f"{mixed[0].relative_to(folder).parts[1]}",
            "parts that hold classes, not classes that hold parts",
            "turn the folders round, as train/CLASS and test/CLASS",
        )
    return files


def _folders(folder: Path) -> list[Path]:
    return in_order(
        one for one in folder.iterdir() if one.is_dir() and not one.name.startswith(".")
    )


def _images(folder: Path) -> list[Path]:
    return in_order(
        one
        for one in folder.rglob("*")
        if one.suffix.lower() in SUFFIXES and not one.name.startswith(".")
    )


def _names(folders: list[Path]) -> str:
    return ", ".join(one.name for one in folders)
