"""Leaky integrate-and-fire units (lif).

    v_t = alpha v_{t-1} + k u_t - theta z_{t-1};  or, where `hard` is on,
    v_t = alpha v_{t-1} (1 - z_{t-1}) + k u_t
    z_t = H(v_t - theta), and 0 for `refractory` steps after a spike
    alpha = exp(-1 / tau);   k = 1, or 1 - alpha where `scaled` is on
    psi_t = (dampening / theta) S(steepness (v_t - theta) / theta), which stands for dz/dv, and is 0
    while refractory; S is the shape called `surrogate`, max(0, 1 - |x|) by default. The activity is
    z: 1 for a spike

Shapes   u, v, z "batch *units"
Units    time in steps; theta and v in those of the drive
Limits   the reset acts on v with the spike as it is; its derivative is dropped where `detached` is
         on, as e-prop and most surrogate gradients have it. In the refractory steps v goes on as
         before; what their counter does to the loss has no derivative
Source   Bellec et al., A solution to the learning dilemma for recurrent networks of spiking
         neurons, Nat. Commun. 11:3625, 2020, eqs. 6 to 8 and Methods
"""

from typing import ClassVar

from typing_extensions import override

from byway.network.cell import Local
from byway.network.cells._spiking import Spiking


class LIF(Spiking):
    """A leaky integrate-and-fire unit."""

    carries: ClassVar[tuple[str, ...]] = ("v", "z")

    @override
    def step(self, state, u):
        v = self.moved(state, u)
        return self.fired(state, v - self.threshold, {"v": v})

    @override
    def local(self, state, u):
        psi = self.psi(state, self.moved(state, u) - self.threshold)
        moved = self.moved_by(state)
        read = {j: psi * d for j, d in moved.items()}
        carry = {("v", j): d for j, d in moved.items()} | {("z", j): d for j, d in read.items()}
        return Local(carry, {"v": self.k, "z": psi * self.k}, read, psi * self.k, {"v": psi})
