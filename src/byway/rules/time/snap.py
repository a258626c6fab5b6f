"""The sparse n-step approximation (SNAP) of real-time recurrent learning.

The influence of each weight is kept on the units that its own unit reaches within n - 1 steps, and
dropped on all others. With n = 1 that is its own unit alone: a number for each weight, at about the
price of going back once; what a unit does to its own future counts, through its state and through
its weight to itself. From layer to layer goes the error of the same step.

    f:  one step: u_t = W h_t + W_rec h_{t-1} + b,   (s_t, h_t) = cell(s_{t-1}, u_t)
    g:  du_t/dtheta = M W_rec J_{t-1} + (du_t/dtheta at once),
        J_t = dh_t/du_t du_t/dtheta + dh_t/ds_{t-1} S_{t-1}
        S_t = ds_t/du_t du_t/dtheta + ds_t/ds_{t-1} S_{t-1}
        dtheta = <L_t J_t>,   with L_t = W^T error_t next to the output, W^T (L_t dh_t/du_t) below

M keeps what is reached; with n = 1, W_rec counts by its diagonal w_ii alone, in gated cells through
all ports.

Shapes   pre "batch pre", post "batch post", W "pre post", J and S "batch *theta" with n = 1, else
         "batch *theta units"
Units    time in steps; activity dimensionless
Claims   transport yes | locking yes | derivative yes | signal error | phases 1 | memory synapses
Limits   with n > 1 memory is influence: all units of a layer have a number, whether it is zero or
         not, and where each unit projects to all, n = 2 is RTRL in that layer. What goes from one
         layer to another and is remembered there is not seen, nor what takes more than a step
Source   Menick et al., Practical real time recurrent learning with a sparse approximation, ICLR
         2021, arXiv 2006.07232, section 3; differs in: several layers
"""

import dataclasses

from typing_extensions import override

from byway.core.hyper import hyper
from byway.learning.rule import Claims
from byway.rules.time._within import Alone, Whole, WithinLayers, reached


class _Claimed:
    """What the rule says of itself: with more than one step it keeps influence on other units."""

    own = Claims("yes", "yes", "yes", frozenset({"error"}), 1, "synapses")

    def __get__(self, rule: "Snap | None", kind: type) -> Claims:
        more = rule is not None and rule.n > 1
        return dataclasses.replace(self.own, memory="influence") if more else self.own


class Snap(WithinLayers):
    """The sparse n-step approximation of real-time recurrent learning."""

    claims = _Claimed()  # pyright: ignore[reportAssignmentType, reportIncompatibleVariableOverride]

    n: int = hyper(1, "how many steps from its own unit the influence of a weight is kept", low=1)

    @override
    def way(self, population, loops, at_post):
        if self.n == 1 or not loops:
            return Alone(population, loops, at_post)
        return Whole(population, loops, at_post, reached(population, loops, self.n - 1))
