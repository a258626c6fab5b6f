"""Forward-forward without labels on MNIST, in layers of local receptive fields without shared
weights.

Three layers of about 2,000 units, on grids of 4x4, 3x3 and 2x2 places; each unit sees a field of
the layer before, by weights of its own.

Source   Hinton, The forward-forward algorithm: some preliminary investigations, 2022 (arXiv
         2212.13345), section 3.2: local receptive fields, peer normalisation, 60 epochs
Verified in a public write-up that quotes the paper's numbers, not in the paper
Differs  59,999 training images; the sizes of the layers are from memory; masks are blurred six
         times; the readout learns along with the layers, and reads all but the first; momentum,
         decay and the course of the rate are those of public programs with labels
"""

from typing import ClassVar

from typing_extensions import override

from byway.network.builders import graph
from byway.network.builders.assembly import placed
from byway.network.convolutions import LocallyConnected
from byway.reproductions._claims import Measured, Reaches
from byway.reproductions._forward_forward import ForwardForward
from byway.reproductions._reproduction import Budget

# Of each layer: side of a field, how far apart fields are, units at each place.
FIELDS = ((10, 6, 128), (2, 1, 220), (2, 1, 512))


class ForwardForwardFieldsMnist(ForwardForward):
    """Hinton 2022, local receptive fields."""

    rule: ClassVar[str] = "ff_unsupervised"
    claims = (Reaches("ff_unsupervised", 1.16, within=0.2),)
    budget = Budget(epochs=60, seeds=1)
    quick = Budget(epochs=1, seeds=1)
    measured = Measured(
        values={"ff_unsupervised": [1.22]}, machine="NVIDIA H200", when="2026-11", minutes=0.9
    )

    @override
    def net(self):
        def build(task, rule):
            """28x28; fields of 10, 2 and 2 on grids of 4x4x128, 3x3x220, 2x2x512; two are read."""
            names = ["input", *(f"hidden{i}" for i in range(1, len(FIELDS) + 1)), "output"]
            shapes, edges = [task.input_shape], []
            for (kernel, stride, out), src, dst in zip(FIELDS, names, names[1:], strict=False):
                (below,) = placed([src], shapes[-1:], "relu", norm=True)
                local = LocallyConnected.between(below, dst, out, kernel, stride)
                shapes, edges = [*shapes, local.dst_shape], [*edges, local]
            sizes = dict(zip(names, [*shapes, task.outputs], strict=True))
            heads = [(name, "output") for name in names[2:-1]]
            return graph(sizes, [*edges, *heads], **rule.network_options)

        return build
