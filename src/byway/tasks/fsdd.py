"""Free spoken digits (fsdd): hear a recording frame by frame, and say at its end which digit it
was.

    x   "time 32": the loudness of 32 channels, evenly spaced on the mel scale from 100 to 3,900 Hz,
        in windows of 25 ms, one each 10 ms; from 0, which is 60 dB below the loudest of the
        recording, to 1
    y   10 classes, asked for at the last frame of each recording

3,000 recordings of 0.14 to 2.3 s, 50 of each digit by each of six speakers, at 8 kHz; what is
longer than one second, 12 in 1,000, is cut off there. Nobody is heard in two splits: four speakers
are trained on, one is validated on and one tested, so a network has to understand a voice that it
never heard. The digits are in proportion in each. Loudness is relative to a recording's own
loudest, so a recording has to be over before its first frame is known.

Limits   six speakers: accuracy depends on who is tested. In the split that is published with the
         recordings every voice is trained on; its figures are higher. The file is a repackaging
         of the recordings, without loss, and has no public address
Source   Jackson et al., Free Spoken Digit Dataset, 2016; recordings under CC BY-SA 4.0
"""

import numpy as np
from typing_extensions import override

from byway.core.hyper import hyper
from byway.tasks._spoken import SpokenTask


class FSDD(SpokenTask):
    """Spoken digits, by frames of a spectrogram."""

    hop: int = hyper(10, "from one frame to the next", unit="ms", low=1, high=1_000)
    longest: int = hyper(1_000, "what is longer is cut off there", unit="ms", low=1, high=10_000)
    validation: str = hyper("theo", "the speaker who is heard in validation")
    test: str = hyper("yweweler", "the speaker who is heard in the test")

    @override
    def heard(self, frames):
        """Loudness in 256 levels."""
        return np.round(255 * frames).astype(np.uint8)
