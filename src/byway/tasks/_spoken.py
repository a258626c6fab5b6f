"""What tasks of spoken digits share: the recordings, parted by speaker, and what an ear makes of
them.
"""

import zipfile
from abc import abstractmethod
from pathlib import Path
from typing import ClassVar, NamedTuple

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int, Shaped, UInt8
from numpy.lib.stride_tricks import sliding_window_view
from typing_extensions import override

from byway.core.encoding import Encoding
from byway.core.errors import ConfigError, DataError, look_up
from byway.core.signal import CrossEntropy
from byway.core.task import Split, Suggestion
from byway.tasks._files import DataFile, locate
from byway.tasks._sequences import SequenceTask
from byway.tasks._targets import Classes

FILE = DataFile(
    "fsdd",
    "fsdd_8khz_int16.npz",
    "",
    "sha256:5255f46cc64641ab3cd96e3788afc720376436ee6b02e1b76f9f67bf81f04f81",
)
SPEAKERS = ("george", "jackson", "lucas", "nicolas", "theo", "yweweler")
DIGITS = Classes(CrossEntropy(), tuple(range(10)))
# Samples a second, samples under a window, and those of its Fourier transform; channels, and the
# frequencies between which they lie, in Hz; what is so many dB below the loudest is silence.
RATE, WINDOW, POINTS, CHANNELS, LOWEST, HIGHEST, RANGE = 8_000, 200, 256, 32, 100.0, 3_900.0, 60.0


class Recordings(NamedTuple):
    """Spoken digits as read.

    Attributes:
        audio: all of them, one after another, "samples".
        offsets: where each begins, and where the last ends.
        digit: what is said.
        speaker: the number of who says it.
    """

    audio: Int[np.ndarray, " samples"]
    offsets: Int[np.ndarray, " recordings_and_one"]
    digit: Shaped[np.ndarray, " recordings"]
    speaker: Shaped[np.ndarray, " recordings"]


class SpokenTask(SequenceTask):
    """Abstract: say which digit is spoken; nobody is heard in two splits.

    Attributes:
        hop: from one time step to the next, in ms.
        longest: what is longer is cut off there, in ms.
        validation: who is heard in validation.
        test: who is heard in the test.
    """

    suggests: ClassVar[Suggestion] = Suggestion(hidden=(128,), epochs=20, batch=32)
    input_shape: ClassVar[tuple[int, ...]] = (CHANNELS,)
    outputs: ClassVar[int] = 10

    hop: eqx.AbstractVar[int]
    longest: eqx.AbstractVar[int]
    validation: eqx.AbstractVar[str]
    test: eqx.AbstractVar[str]

    @override
    def __check_init__(self):
        for who in (self.validation, self.test):
            look_up("speaker", who, dict.fromkeys(SPEAKERS))
        if self.validation == self.test:
            raise ConfigError(
                f"{self.id} with {self.test} in validation and in the test",
                "one speaker in each",
                "choose another for one of the two",
            )
        if self.longest < WINDOW * 1_000 // RATE:
            raise ConfigError(
                f"{self.id} cut off at {self.longest} ms",
                f"at least {WINDOW * 1_000 // RATE} ms, what one window hears",
                "raise longest",
            )

    @property
    @override
    def length(self):
        return frames_in(self.longest * RATE // 1_000, self.hop)

    @property
    @override
    def encoding(self):
        """A predictor takes what `heard` makes of a recording."""
        return Encoding(
            shape=self.input_shape,
            sequences=True,
            in_time=True,
            levels=255,
            at_end=True,
            **DIGITS.meaning,
        )

    @abstractmethod
    def heard(
        self, frames: Float[np.ndarray, "recordings time channels"]
    ) -> UInt8[np.ndarray, "recordings time channels"]:
        """What reaches the network, from 0 to 255, of loudness from 0 to 1."""

    @override
    def load(self):
        found = read(locate(FILE))
        last = np.minimum(found.offsets[1:], found.offsets[:-1] + self.longest * RATE // 1_000)
        spans = zip(found.offsets[:-1], last, strict=True)
        loud, lengths = loudness([found.audio[a:b] for a, b in spans], self.hop, self.length)
        x = self.heard(loud)
        ends = np.arange(self.length) == (lengths - 1)[:, None]
        x[np.arange(self.length) >= lengths[:, None]] = 0
        y = DIGITS.kept(np.repeat(found.digit[:, None], self.length, 1), ends)
        who = np.array(SPEAKERS)[found.speaker]
        parts = {
            "train": ~np.isin(who, (self.validation, self.test)),
            "validation": who == self.validation,
            "test": who == self.test,
        }
        return {name: Split(jnp.asarray(x[p]), jnp.asarray(y[p])) for name, p in parts.items()}

    @override
    def batch(self, split, index, key):
        return split.x[index].astype(float) / 255, DIGITS.signal(split.y[index], True)


def read(path: Path) -> Recordings:
    """The recordings in the file.

    Raises:
        DataError: it cannot be read.
    """
    try:
        with np.load(path, allow_pickle=False) as data:
            if tuple(data["speaker_names"].tolist()) != SPEAKERS:
                raise ValueError("other speakers")
            return Recordings(*(data[name] for name in Recordings._fields))
    except (KeyError, ValueError, zipfile.BadZipFile) as problem:
        raise DataError(
            f"{path} cannot be read: {problem}",
            "the arrays audio, offsets, digit, speaker and speaker_names",
            "fetch it again",
        ) from problem


def frames_in(samples: int, hop: int) -> int:
    """How many windows there are, one each `hop` ms."""
    return 1 + (samples - WINDOW) // (hop * RATE // 1_000)


def loudness(
    recordings: list[np.ndarray], hop: int, length: int
) -> tuple[Float[np.ndarray, "recordings time channels"], Int[np.ndarray, " recordings"]]:
    """How loud each channel is, from 0, which is 60 dB below the loudest of the recording, to 1.

    Args:
        recordings: samples of each.
        hop: from one time step to the next, in ms.
        length: time steps to fill up to.

    Returns:
        The loudness, zero after a recording has ended; and how many time steps each has.
    """
    step = hop * RATE // 1_000
    windows = [sliding_window_view(one.astype(np.float32), WINDOW)[::step] for one in recordings]
    lengths = np.array([len(one) for one in windows])
    shaped = np.concatenate(windows) * np.hanning(WINDOW + 2)[1:-1].astype(np.float32)
    wave = np.fft.rfft(shaped, POINTS)
    power = (wave.real**2 + wave.imag**2) @ filters().astype(np.float32)
    whole = np.zeros((len(recordings), length, CHANNELS), np.float32)
    whole[np.arange(length) < lengths[:, None]] = power
    loudest = whole.max((1, 2), keepdims=True)
    quiet = np.float32(10 ** (-RANGE / 10))
    decibel = 10 * np.log10(np.maximum(whole / np.maximum(loudest, 1e-9), quiet))
    return np.maximum(1 + decibel / np.float32(RANGE), 0), lengths


def filters() -> Float[np.ndarray, "frequencies channels"]:
    """What each channel hears of each frequency of the transform: triangles that overlap by half,
    evenly spaced on the mel scale.
    """
    mel = lambda f: 2595 * np.log10(1 + f / 700)
    corners = np.linspace(mel(LOWEST), mel(HIGHEST), CHANNELS + 2)
    low, middle, high = corners[:-2], corners[1:-1], corners[2:]
    at = mel(np.fft.rfftfreq(POINTS, 1 / RATE))[:, None]
    return np.clip(np.minimum((at - low) / (middle - low), (high - at) / (high - middle)), 0, None)
