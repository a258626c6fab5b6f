"""Linear recurrent units learn online what they learn by going back through time.

Units that do not act on one another have traces that are exact, so learning forwards loses nothing
within one layer: `eprop` with symmetric feedback is that rule there. On copying a pattern, both
ways should reach the same.

Source   Zucchet, Meier, Schug, Mujika and Sacramento, Online learning of long-range dependencies,
         NeurIPS 2023 (arXiv 2305.15947): copying of 20 symbols
Verified settings, in the authors' repository (Online-learning-LR-dependencies); the table of
         accuracies was not at hand, and that online may be a point behind is ours
Differs  one layer of 64 units, where learning online is exact, in place of four; no dropout; 4
         kinds of symbols; Adam at 1e-3 for all parameters
"""

from typing_extensions import override

from byway.named import rule
from byway.named import task as task_called
from byway.network.builders import lru
from byway.reproductions._claims import TEST_ACCURACY, Keeps, Measured
from byway.reproductions._reproduction import Budget, Comparison

UNITS = 64


class LruOnlineCopy(Comparison):
    """Zucchet et al. 2023, copying."""

    quantity = TEST_ACCURACY
    claims = (Keeps("online", up="bptt", within=1.0),)
    budget = Budget(epochs=10, seeds=5)
    quick = Budget(epochs=1, seeds=1)
    measured = Measured(
        values={"bptt": [100.0] * 5, "online": [100.0] * 5}, machine="NVIDIA H200", when="2026-11"
    )

    @override
    def task(self):
        return task_called("copy", pattern=20, delay=0, samples=20_000)

    @override
    def rules(self):
        return {
            "bptt": rule("bptt"),
            "frozen": rule("frozen"),
            "online": rule("eprop", symmetric=True),
        }

    @override
    def net(self):
        def build(task, rule):
            """6-64-4, one layer of linear recurrent units."""
            return lru(task.input_shape, UNITS, task.outputs)

        return build

    @override
    def options(self, epochs):
        return {"batch": 32, "lr": 1e-3, "looks": 0}
