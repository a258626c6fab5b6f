"""Many samples: the order of an epoch is drawn once, however it is cut into stretches."""

import byway
from byway.training.loop import Loop

EPOCHS, BATCH = 3, 5


def test_the_order_of_samples_is_drawn_once_an_epoch(blobs, monkeypatch):
    """Drawing it in every stretch kept a million samples from ever finishing an epoch."""
    drawn, ordered = [], Loop._ordered
    monkeypatch.setattr("byway.training.fit.STRETCH", 0.0)  # every stretch is a single update
    monkeypatch.setattr(Loop, "_ordered", lambda self, first: drawn.append(first) or ordered(self, first))
    byway.fit(byway.mlp(4, 5, 3), byway.rule("bp"), blobs, epochs=EPOCHS, batch=BATCH, progress=False)
    assert drawn == [0] * EPOCHS
