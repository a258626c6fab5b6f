"""Recurrent forward-forward on MNIST: image below, label above.

Each layer sees the one below and the one above for eight iterations, and learns in all of them; the
goodness of iterations three to five tells which label fits.

The rate has to go with one over what a layer sums. A layer hears two normalised layers of n units,
so a step changes its goodness by a share that grows as rate times 2 n. At 1e-3 with 2,000 units it
answered at chance (90.16 % with one seed): goodness overshoots on either side of its threshold, and
within tens of updates the units of the first layer fall silent, where neither image nor label
reaches them. So do 500 units at 2e-3, and not at 1e-3; hence a quarter of that for 2,000.

Source   Hinton, The forward-forward algorithm: some preliminary investigations, 2022 (arXiv
         2212.13345), section 3.4: 60 epochs
Verified in a public write-up that quotes the paper's numbers, not in the paper
Differs  59,999 training images; three layers of 2,000, which is not what is known of the paper;
         goodness is that of what a layer computes, before it is mixed with its state; momentum,
         decay and the course of the rate are those of public programs with labels, the rate a
         quarter of theirs
"""

from typing import ClassVar

from typing_extensions import override

from byway.network.builders import topdown
from byway.reproductions._claims import Reaches
from byway.reproductions._forward_forward import RATE, WIDTH, ForwardForward
from byway.reproductions._reproduction import Budget


class ForwardForwardRecurrentMnist(ForwardForward):
    """Hinton 2022, label at the top."""

    rule: ClassVar[str] = "ff_recurrent"
    rate: ClassVar[float] = RATE / 4
    claims = (Reaches("ff_recurrent", 1.31, within=0.2),)
    budget = Budget(epochs=60, seeds=1)
    quick = Budget(epochs=1, seeds=1)

    @override
    def net(self):
        def build(task, rule):
            """784-2000-2000-2000-10, each layer projects to both its neighbours."""
            return topdown(task.input_shape, *[WIDTH] * 3, task.outputs, **rule.network_options)

        return build
