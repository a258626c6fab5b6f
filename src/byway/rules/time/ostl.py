"""Online spatio-temporal learning (OSTL).

How a loss depends on a weight is split in two: what the weight did to its own layer in all the time
before, which each layer carries forward, and what that layer does to the error of this step, which
goes from layer to layer as in backprop. The first is exact within a layer; what one layer has done
to the memory of another is left out. So one layer learns by the gradient of BPTT.

    f:  one step: u_t = W h_t + W_rec h_{t-1} + b,   (s_t, h_t) = cell(s_{t-1}, u_t)
    g:  du_t/dtheta = W_rec J_{t-1} + (du_t/dtheta at once),
        J_t = dh_t/du_t du_t/dtheta + dh_t/ds_{t-1} S_{t-1}
        S_t = ds_t/du_t du_t/dtheta + ds_t/ds_{t-1} S_{t-1}
        dtheta = <L_t J_t>,   with L_t = W^T error_t next to the output, W^T (L_t dh_t/du_t) below

Where a layer does not project to itself its units do not act on one another: J and S are a number
for each weight, at the price of running the network. Where it does, they are one for each weight
and unit, as in RTRL.

Shapes   pre "batch pre", post "batch post", W "pre post", J and S "batch *theta", or "batch *theta
         units" in a layer that projects to itself
Units    time in steps; activity dimensionless
Claims   transport yes | locking yes | derivative yes | signal error | phases 1 | memory influence
Limits   memory is synapses where no layer projects to itself. What goes from one layer to another
         and is remembered there is not seen, nor what takes more than a step
Source   Bohnstingl, Wozniak, Pantazi and Eleftheriou, Online spatio-temporal learning in deep
         neural networks, IEEE Trans. Neural Netw. Learn. Syst., 2022, arXiv 2007.12723
"""

from typing import ClassVar

from typing_extensions import override

from byway.learning.rule import Claims
from byway.rules.time._within import Alone, Whole, WithinLayers, refused


class OSTL(WithinLayers):
    """Online spatio-temporal learning."""

    claims: ClassVar[Claims] = Claims("yes", "yes", "yes", frozenset({"error"}), 1, "influence")

    @override
    def accepts(self, net):
        """As the parent; layers upon layers, each of which may project to itself."""
        back = [p for p in net.projections if p.src != p.dst and p.dst in net.upstream(p.src)]
        if back:
            raise refused(
                self,
                net,
                "a cycle",
                f"no cycle but of a layer by itself: {back[0].name} would have to carry influence "
                "from one layer to another",
            )
        super().accepts(net)

    @override
    def way(self, population, loops, at_post):
        if not loops:
            return Alone(population, loops, at_post)
        return Whole(population, loops, at_post, None)
