"""Spoken digits and a text: what a network is given of them, and that no voice is in two splits."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import byway
from byway.core.errors import ConfigError, DataError, UnknownNameError
from byway.core.signal import CrossEntropy, Signal
from byway.tasks import _spoken, shakespeare
from byway.tasks._spoken import CHANNELS, RATE, Recordings, loudness
from byway.tasks.fsdd import FSDD
from byway.tasks.fsdd_spikes import FSDDSpikes
from byway.tasks.shakespeare import CHARACTERS


def _tone(frequency, seconds, level=1_000.0):
    return np.round(level * np.sin(2 * np.pi * frequency * np.arange(seconds * RATE) / RATE))


def _mel(frequency):
    return 2595 * np.log10(1 + frequency / 700)


def test_a_tone_is_loudest_where_it_lies_on_the_mel_scale():
    tones = [200.0, 1_000.0, 3_000.0]
    loud, lengths = loudness([_tone(f, 0.2) for f in tones], 10, 30)
    # 1,600 samples: windows of 200, one each 80
    assert lengths.tolist() == [18] * 3 and loud.shape == (3, 30, CHANNELS)
    for one, frequency in zip(loud, tones, strict=True):
        at = np.interp(_mel(frequency), [_mel(100), _mel(3_900)], [0, CHANNELS + 1]) - 1
        assert np.all(np.abs(one[:18].argmax(1) - at) <= 1)
        assert one[:18].max(1).min() > 0.99 and not one[18:].any()


def test_loudness_is_relative_to_the_loudest_down_to_60_decibels():
    """A tenth of the amplitude is 20 dB less, a third of the range; a recording ten times as loud
    is the same.
    """
    fall = np.concatenate([_tone(1_000, 0.1), _tone(1_000, 0.1, 100.0), np.zeros(800)])
    loud, _ = loudness([fall, 10 * fall], 25, 12)
    np.testing.assert_allclose(loud[0], loud[1], atol=1e-5)
    peaks = loud[0].max(1)
    np.testing.assert_allclose(peaks[:4], 1, atol=1e-3)
    np.testing.assert_allclose(peaks[4:8], 2 / 3, atol=0.01)
    np.testing.assert_allclose(peaks[8:], 0, atol=1e-6)
    assert not loudness([np.zeros(800)], 25, 4)[0].any()


def test_spikes_come_as_often_as_a_channel_is_loud():
    """So many, to the last that is not whole: the sum of loudness by rate and step."""
    frames = np.random.default_rng(0).uniform(size=(2, 300, CHANNELS))
    for rate, share in ((100.0, 0.5), (1_000.0, 1.0), (0.0, 0.0)):
        spikes = FSDDSpikes(rate=rate, hop=5).heard(frames)
        assert set(np.unique(spikes)) <= {0, 255}
        sent = (spikes > 0).sum(1)
        np.testing.assert_array_equal(sent, np.floor(share * frames.sum(1) + 1e-9))
    steady = FSDDSpikes().heard(np.ones((1, 10, 1)))[0, :, 0] > 0
    assert steady.tolist() == [False, True] * 5


@pytest.fixture
def six(monkeypatch):
    """Two recordings of each speaker, of 0.1 and of 1.2 s, tones of their own."""
    parts, who = [], []
    for speaker in range(6):
        parts += [_tone(300 + 400 * speaker, seconds) for seconds in (0.1, 1.2)]
        who += [speaker] * 2
    offsets = np.concatenate([[0], np.cumsum([len(one) for one in parts])])
    digit = np.arange(12, dtype=np.uint8) % 10
    found = Recordings(np.concatenate(parts).astype(np.int16), offsets, digit, np.array(who))
    monkeypatch.setattr(_spoken, "locate", lambda file: file)
    monkeypatch.setattr(_spoken, "read", lambda path: found)


@pytest.mark.parametrize("kind", [FSDD, FSDDSpikes])
def test_a_recording_is_asked_at_its_last_frame_and_silent_after_it(six, kind):
    task = kind(hop=20, test="jackson", validation="lucas")
    splits = task.load()
    assert {k: s.size for k, s in splits.items()} == {"train": 8, "validation": 2, "test": 2}
    x, signal = task.batch(splits["test"], jnp.arange(2), jax.random.key(0))
    # 800 samples: windows of 200, one each 160, are 4; and 49 of the first second
    assert x.shape == (2, 49, CHANNELS) == (2, task.length, *task.input_shape)
    np.testing.assert_array_equal(signal.weight, np.eye(49)[[3, 48]])
    np.testing.assert_array_equal(signal.target[:, 3].argmax(-1)[0], 2)
    np.testing.assert_array_equal(signal.target[:, 48].argmax(-1)[1], 3)
    assert not np.asarray(x)[0, 4:].any() and np.asarray(x)[:, :4].any((1, 2)).all()
    assert np.asarray(x).max() == 1


def test_no_voice_is_in_two_splits(real_data):
    """The published recordings: 50 of each digit by each of six speakers."""
    found = _spoken.read(real_data / "fsdd" / "fsdd_8khz_int16.npz")
    assert len(found.digit) == 3_000 and found.offsets[-1] == len(found.audio) == 10_498_424
    task = FSDD(hop=100)
    splits = task.load()
    assert {k: s.size for k, s in splits.items()} == {
        "train": 2_000,
        "validation": 500,
        "test": 500,
    }
    for name, speakers in (("train", 4), ("validation", 1), ("test", 1)):
        y = np.asarray(splits[name].y)
        assert np.all((y >= 0).sum(1) == 1)
        assert np.bincount(y[y >= 0]).tolist() == [50 * speakers] * 10
    who = np.array(_spoken.SPEAKERS)[found.speaker]
    spoken = [found.audio[a:b] for a, b in zip(found.offsets[:-1], found.offsets[1:], strict=True)]
    for name, speaker in (("validation", "theo"), ("test", "yweweler")):
        theirs = [spoken[i][:RATE] for i in np.flatnonzero(who == speaker)]
        loud, lengths = loudness(theirs, 100, task.length)
        heard = np.round(255 * loud) * (np.arange(task.length) < lengths[:, None])[..., None]
        np.testing.assert_array_equal(splits[name].x, heard)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"test": "nobody"}, "speaker"),
        ({"test": "theo"}, "theo in validation and in the test"),
        ({"longest": 10}, "cut off at 10 ms"),
        ({"hop": 0}, "hop = 0"),
    ],
)
def test_a_split_that_there_is_not_is_refused(settings, said):
    with pytest.raises((ConfigError, UnknownNameError), match=said):
        byway.task("fsdd", **settings)


def test_a_file_that_holds_something_else_is_refused(tmp_path):
    for number, arrays in enumerate(({}, {"speaker_names": np.array(["a"])})):
        np.savez(tmp_path / f"{number}.npz", **arrays)
        with pytest.raises(DataError, match=r"\.npz cannot be read"):
            _spoken.read(tmp_path / f"{number}.npz")


def test_a_text_is_read_in_order_and_asks_for_the_next_character(real_data):
    task = byway.task("shakespeare")
    text = (real_data / "text" / "tinyshakespeare.txt").read_text(encoding="utf-8")
    assert sorted(set(text)) == list(CHARACTERS) and len(text) == 1_115_394
    splits, at = task.load(), {"train": 0, "validation": 1_003_854, "test": 1_059_624}
    assert {k: s.size for k, s in splits.items()} == {
        "train": 10_038,
        "validation": 557,
        "test": 557,
    }
    for name, first in at.items():
        size = splits[name].size * 100
        for part, shift in ((splits[name].x, 0), (splits[name].y, 1)):
            read = "".join(CHARACTERS[i] for i in np.asarray(part).ravel())
            assert read == text[first + shift : first + shift + size]
    x, signal = task.batch(splits["train"], jnp.arange(2), jax.random.key(0))
    np.testing.assert_array_equal(x[:, 1:], signal.target[:, :-1])
    np.testing.assert_allclose(signal.weight, 0.01)


def test_a_text_is_scored_in_bits():
    """A guess among 65 costs log2(65) bits, and one that is sure and right none."""
    task = byway.task("shakespeare", length=4)
    target = jnp.asarray(np.eye(65)[[[3, 1, 4, 1]]])
    signal = Signal(target, CrossEntropy(), jnp.full((1, 4), 0.25))
    bits = lambda output: float(task.score(output, signal)["bits"].sum())
    assert bits(jnp.zeros((1, 4, 65))) == pytest.approx(np.log2(65), rel=1e-12)
    assert bits(100 * target) == pytest.approx(0, abs=1e-12)


def test_a_text_of_other_characters_is_refused():
    with pytest.raises(DataError, match="'é'"):
        shakespeare.characters("café")
    assert shakespeare.characters("ab\n").tolist() == [39, 40, 0]
