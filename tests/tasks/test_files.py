"""Loaders on files made here byte by byte, whole and broken."""

import gzip
import hashlib
import io
import tarfile

import numpy as np
import pooch
import pytest
import requests

from byway.core.errors import DataError
from byway.tasks._files import DataFile, locate, read_idx
from byway.tasks._images import check_images
from byway.tasks.cifar10 import read_binary
from byway.tasks.mnist import MNIST

PIXELS = np.arange(2 * 3 * 4, dtype=np.uint8).reshape(2, 3, 4)


@pytest.fixture(autouse=True)
def _no_network(monkeypatch, tmp_path):
    """An empty cache, no folder of data, and a network that is down."""
    monkeypatch.setenv("BYWAY_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("BYWAY_DATA", raising=False)

    def unreachable(*args, **kwargs):
        raise requests.ConnectionError("no route to host")

    monkeypatch.setattr(pooch, "retrieve", unreachable)


def _idx(array, shape=None, magic=b"\x00\x00\x08"):
    shape = array.shape if shape is None else shape
    return (
        magic
        + bytes([len(shape)])
        + b"".join(n.to_bytes(4, "big") for n in shape)
        + array.tobytes()
    )


def _file(content, folder, name="images.gz", **change):
    path = folder / "set" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    settings = {
        "folder": "set",
        "name": name,
        "url": "https://example.org/x",
        "checksum": "sha256:" + hashlib.sha256(content).hexdigest(),
    }
    return DataFile(**settings | change)


def _says(caught, given, wanted, fix):
    for text, expected in (
        (caught.value.given, given),
        (caught.value.wanted, wanted),
        (caught.value.fix, fix),
    ):
        assert expected in text
    assert all(part in str(caught.value) for part in (given, "wanted: ", "do: "))


def test_idx_is_read_as_its_format_says(tmp_path):
    path = tmp_path / "images.gz"
    path.write_bytes(gzip.compress(_idx(PIXELS)))
    np.testing.assert_array_equal(read_idx(path), PIXELS)


@pytest.mark.parametrize(
    ("content", "given", "wanted", "fix"),
    [
        (
            gzip.compress(_idx(PIXELS))[:-12],
            "cannot be unpacked",
            "a complete gzip file",
            "delete it",
        ),
        (
            gzip.compress(_idx(PIXELS))[:5],
            "cannot be unpacked",
            "a complete gzip file",
            "delete it",
        ),
        (_idx(PIXELS), "cannot be unpacked", "a complete gzip file", "delete it"),
        (
            gzip.compress(_idx(PIXELS, magic=b"\x00\x00\x0d")),
            "starts with 00000d03",
            "000008",
            "check what the file is",
        ),
        (gzip.compress(b""), "starts with nothing", "000008", "check what the file is"),
        (
            gzip.compress(_idx(PIXELS, (3, 3, 4))),
            "holds 24 values",
            "36, for the shape (3, 3, 4)",
            "fetch it again",
        ),
        (
            gzip.compress(_idx(PIXELS, (1, 3, 4))),
            "holds 24 values",
            "12, for the shape (1, 3, 4)",
            "fetch it again",
        ),
        (gzip.compress(_idx(PIXELS)[:9]), "holds 0 values", "for the shape", "fetch it again"),
    ],
    ids=[
        "cut short",
        "cut in its header",
        "not packed",
        "floats",
        "packed nothing",
        "too few",
        "too many",
        "no shape",
    ],
)
def test_broken_idx_is_refused(tmp_path, content, given, wanted, fix):
    path = tmp_path / "images.gz"
    path.write_bytes(content)
    with pytest.raises(DataError) as caught:
        read_idx(path)
    _says(caught, given, wanted, fix)
    assert str(path) in caught.value.given


def test_missing_file_says_which_and_where_to_put_it(tmp_path):
    with pytest.raises(DataError) as caught:
        locate(DataFile("set", "images.gz", "https://example.org/x", "sha256:00"))
    _says(
        caught,
        "set/images.gz is not on this machine",
        "https://example.org/x",
        str(tmp_path / "cache" / "data" / "set" / "images.gz"),
    )
    assert "ConnectionError" in caught.value.given
    assert "$BYWAY_DATA" in caught.value.fix


def test_missing_file_without_an_address_is_not_looked_for(tmp_path):
    with pytest.raises(DataError) as caught:
        locate(DataFile("set", "images.npz", "", "sha256:00"))
    _says(
        caught,
        "set/images.npz is not on this machine",
        "no public address",
        str(tmp_path / "cache" / "data" / "set" / "images.npz"),
    )


def test_given_folder_comes_before_the_cache(tmp_path, monkeypatch):
    in_cache = _file(b"same", tmp_path / "cache" / "data")
    assert locate(in_cache) == tmp_path / "cache" / "data" / "set" / "images.gz"
    given = _file(b"same", tmp_path / "given")
    monkeypatch.setenv("BYWAY_DATA", str(tmp_path / "given"))
    assert locate(given) == tmp_path / "given" / "set" / "images.gz"
    (tmp_path / "given" / "set" / "images.gz").unlink()
    assert locate(given) == tmp_path / "cache" / "data" / "set" / "images.gz"


def test_download_lands_in_the_cache_and_is_checked(tmp_path, monkeypatch):
    content = b"published"

    def deliver(url, known_hash, fname, path, **kwargs):
        assert url == "https://example.org/x"
        path.mkdir(parents=True)
        (path / fname).write_bytes(content)

    monkeypatch.setattr(pooch, "retrieve", deliver)
    file = DataFile(
        "set", "a.bin", "https://example.org/x", "md5:" + hashlib.md5(content).hexdigest()
    )
    assert locate(file).read_bytes() == content
    assert locate(file) == tmp_path / "cache" / "data" / "set" / "a.bin"


def test_empty_file_is_refused(tmp_path):
    with pytest.raises(DataError) as caught:
        locate(_file(b"", tmp_path / "cache" / "data"))
    _says(caught, "is empty", "the published file", "delete it")


@pytest.mark.parametrize("kind", ["sha256", "md5"])
def test_altered_file_is_refused(tmp_path, kind):
    wanted = hashlib.new(kind, b"published").hexdigest()
    with pytest.raises(DataError) as caught:
        locate(_file(b"altered", tmp_path / "cache" / "data", checksum=f"{kind}:{wanted}"))
    _says(caught, hashlib.new(kind, b"altered").hexdigest()[:12], wanted[:12], "delete it")
    assert "7 bytes" in caught.value.given


def _mnist(monkeypatch, folder, train_x, train_y, test_x, test_y):
    """The task MNIST, on files of our own."""
    parts = {"train-x": train_x, "train-y": train_y, "test-x": test_x, "test-y": test_y}
    monkeypatch.setattr(
        MNIST,
        "files",
        tuple(_file(gzip.compress(_idx(a)), folder, name) for name, a in parts.items()),
    )
    return MNIST(validation=1)


def test_four_idx_files_make_images_with_one_channel(tmp_path, monkeypatch):
    x = np.random.default_rng(0).integers(0, 256, (3, 28, 28), dtype=np.uint8)
    y = np.array([7, 0, 9], np.uint8)
    images = _mnist(monkeypatch, tmp_path / "cache" / "data", x[:2], y[:2], x[2:], y[2:]).read()
    for mine, expected in zip(
        images, (x[:2, :, :, None], y[:2], x[2:, :, :, None], y[2:]), strict=True
    ):
        np.testing.assert_array_equal(mine, expected)


X, Y = np.zeros((3, 2, 2, 1), np.uint8), np.array([0, 1, 2], np.uint8)


@pytest.mark.parametrize(
    ("x", "y", "given", "wanted"),
    [
        (X, np.array([0, 1, 3], np.uint8), "training labels from 0 to 3", "from 0 to 2"),
        (X, np.array([0, -1, 2]), "training labels from -1 to 2", "from 0 to 2"),
        (X, Y[:2], "3 training images and 2 labels", "as many of each"),
        (X[:0], Y[:0], "0 training images and 0 labels", "and some"),
        (X.astype(float), Y, "training images of type float64", "uint8 and (2, 2, 1)"),
        (X[:, :1], Y, "shape (1, 2, 1)", "uint8 and (2, 2, 1)"),
    ],
    ids=[
        "label too high",
        "label below zero",
        "too few labels",
        "none at all",
        "floats",
        "wrong size",
    ],
)
def test_images_and_labels_that_do_not_fit_are_refused(x, y, given, wanted):
    check_images("training", X, Y, (2, 2, 1), 3)
    with pytest.raises(DataError) as caught:
        check_images("training", x, y, (2, 2, 1), 3)
    _says(caught, given, wanted, "")


def test_task_checks_its_labels_when_it_loads(tmp_path, monkeypatch):
    """A label beyond the classes would be a target of zeros, and no error."""
    x = np.zeros((4, 28, 28), np.uint8)
    task = _mnist(
        monkeypatch,
        tmp_path / "cache" / "data",
        x,
        np.array([1, 2, 3, 10], np.uint8),
        x[:1],
        np.zeros(1, np.uint8),
    )
    with pytest.raises(DataError, match="training labels from 1 to 10"):
        task.load()


def _archive(path, members, root="cifar-10-batches-bin"):
    with tarfile.open(path, "w:gz") as archive:
        for name, content in members.items():
            entry = tarfile.TarInfo(f"{root}/{name}")
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return path


def _cifar_record(label, number):
    """One label, then 1,024 bytes of red, of green and of blue, row by row."""
    plane = (np.arange(1024) % 251 + number).astype(np.uint8)
    return bytes([label]) + plane.tobytes() + (plane // 2).tobytes() + (plane // 3).tobytes()


MEMBERS = {
    f"data_batch_{i}.bin": _cifar_record(i, i) + _cifar_record(9, i + 1) for i in range(1, 6)
}
MEMBERS["test_batch.bin"] = _cifar_record(7, 4)


def test_cifar10_archive_is_read_as_its_format_says(tmp_path):
    images = read_binary(_archive(tmp_path / "a.tar.gz", MEMBERS))
    assert images.train_y.tolist() == [1, 9, 2, 9, 3, 9, 4, 9, 5, 9]
    assert images.test_y.tolist() == [7]
    assert images.train_x.shape == (10, 32, 32, 3)
    for row, col in ((0, 0), (0, 31), (1, 0), (17, 5), (31, 31)):
        value = (32 * row + col) % 251 + 4
        assert images.test_x[0, row, col].tolist() == [value, value // 2, value // 3]
        assert images.train_x[6, row, col].tolist() == [value, value // 2, value // 3]


@pytest.mark.parametrize(
    ("members", "given"),
    [
        (
            {k: v for k, v in MEMBERS.items() if k != "data_batch_3.bin"},
            "no cifar-10-batches-bin/data_batch_3.bin",
        ),
        (MEMBERS | {"test_batch.bin": MEMBERS["test_batch.bin"][:-1]}, "holds 3,072 bytes"),
        (MEMBERS | {"test_batch.bin": b""}, "holds 0 bytes"),
    ],
    ids=["a batch missing", "a byte missing", "an empty batch"],
)
def test_incomplete_cifar10_archive_is_refused(tmp_path, members, given):
    with pytest.raises(DataError) as caught:
        read_binary(_archive(tmp_path / "a.tar.gz", members))
    _says(caught, given, "", "fetch the archive again")


@pytest.mark.parametrize("damage", ["not an archive", "cut short"])
def test_damaged_cifar10_archive_is_refused(tmp_path, damage):
    path = _archive(tmp_path / "a.tar.gz", MEMBERS)
    content = path.read_bytes()
    path.write_bytes(b"hello" if damage == "not an archive" else content[: len(content) // 2])
    with pytest.raises(DataError) as caught:
        read_binary(path)
    _says(caught, "cannot be read", "the archive as published", "delete it")
