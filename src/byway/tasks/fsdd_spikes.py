"""Free spoken digits as spikes (fsdd_spikes): what the channels of `fsdd` hear, as an inner ear
would send it.

    x   "time 32": spikes, 1 or 0, in steps of 5 ms. Each channel adds up its loudness, and sends a
        spike each time that this has grown by one: 100 a second, at most, at the default `rate`
    y   10 classes, asked for at the last step of each recording; the splits of `fsdd`

Limits   as `fsdd`; and a simple ear: no two fibres of a channel differ, and none adapts
Source   Jackson et al., Free Spoken Digit Dataset, 2016; recordings under CC BY-SA 4.0
"""

import numpy as np
from typing_extensions import override

from byway.core.hyper import hyper
from byway.tasks._spoken import SpokenTask


class FSDDSpikes(SpokenTask):
    """Spoken digits, by spikes."""

    hop: int = hyper(5, "from one time step to the next", unit="ms", low=1, high=1_000)
    rate: float = hyper(
        100.0, "spikes a second of the loudest channel; one a step, at most", unit="Hz", low=0.0
    )
    longest: int = hyper(1_000, "what is longer is cut off there", unit="ms", low=1, high=10_000)
    validation: str = hyper("theo", "the speaker who is heard in validation")
    test: str = hyper("yweweler", "the speaker who is heard in the test")

    @override
    def heard(self, frames):
        """Spikes, of full level."""
        whole = np.floor(np.cumsum(frames * min(self.rate * self.hop / 1_000, 1.0), 1))
        return np.where(np.diff(whole, axis=1, prepend=0) > 0, 255, 0).astype(np.uint8)
