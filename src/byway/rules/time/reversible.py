"""Backpropagation without stored activity, through time or through depth (REVERSIBLE).

The sequence is run and nothing of it is kept but the last state; then each step is taken back, and
the error goes back with it. It is the gradient of `bptt`, for one more run of the network and
memory that does not grow with the sequence. Of networks that can be gone back through and forget
nothing: of coupled halves p and q, for instance,

    f:     p_t = p_{t-1} + h phi(W q_{t-1} + U x_t),   q_t = q_{t-1} + h phi(V p_t + U' x_t)
    back:  q_{t-1} = q_t - h phi(V p_t + U' x_t),   p_{t-1} = p_t - h phi(W q_{t-1} + U x_t)
    g:     as `bptt`: delta_t from e_t and what steps t+1 ... T owe, dW = sum_t <delta_t pre_t^T>

or of layers that project to themselves by an orthogonal matrix (`orthogonal`):

    f:     h_t = phi(W h_{t-1} + U x_t)
    back:  h_{t-1} = W^T (phi^-1(h_t) - U x_t)

So it is with the blocks of a residual network of two streams a and b (`revnet`) in place of steps,
which is the gradient of `bp`, in memory that does not grow with depth:

    f:     a_i = a_{i-1} + F_i(b_{i-1}),   b_i = b_{i-1} + G_i(a_i)
    back:  b_{i-1} = b_i - G_i(a_i),   a_{i-1} = a_i - F_i(b_{i-1})
    g:     as `bp`: delta through F_i and G_i, dW = <delta pre^T>

Shapes   p, q, a, b, pre "batch pre", delta "batch post", W "pre post"
Units    time in steps; activity dimensionless
Claims   transport yes | locking yes | derivative yes | signal error | phases 1 | memory units |
         future yes
Limits   twice the forward work: the way back is a run too, the same one from its own answer. Up to
         rounding: an error of the last state grows on the way back as the network contracts on the
         way there; the drift that is left at the start is measured. What never forgets adds up
         (`integrator`). Units that forget (`gru`) are refused: what they forgot is below rounding,
         and no division brings it back; `reversible_exact` keeps it. So do units of a slope s below
         1 (`leaky_relu`): an error grows by 1 / s on the way back. Through depth, that memory
         is flat is up to the compiler, which may compute in any order; those of CPUs do
Source   Gomez et al., The reversible residual network: backpropagation without storing activations,
         NeurIPS 2017; MacKay et al., Reversible recurrent neural networks, NeurIPS 2018; differs
         in: any graph whose populations can be restored one after another, float arithmetic;
         rotations are real (Jing et al. 2017), blocks are dense, and their input is divided by its
         root mean square
"""

from typing import ClassVar

import jax.numpy as jnp
from typing_extensions import override

from byway.core.errors import RuleError
from byway.core.record import Record
from byway.learning.rule import Claims
from byway.network.back import beginnings, ends, pass_back, require_reversible_pass
from byway.rules import able
from byway.rules.time._returning import Returning

# Beyond this difference of a state at the start the gradient is not to be trusted.
DRIFT = 1e-2


class Reversible(Returning):
    """Backpropagation, with each step or block taken back in place of kept."""

    claims: ClassVar[Claims] = Claims(
        "yes", "yes", "yes", frozenset({"error"}), 1, "units", future="yes"
    )

    @override
    def run(self, net):
        return net

    @override
    def accepts_cells(self, forgetful):
        if forgetful:
            raise RuleError(
                f"{self.id} was given units that forget in {', '.join(forgetful)}",
                "units that never do, such as integrator: what is forgotten cannot be had back",
                "use reversible_exact, which keeps it, or bptt",
            )

    @override
    def accepts(self, net):
        if not net.feedforward:
            super().accepts(net)
            return
        net.require_slopes(self.id, able)
        require_reversible_pass(net, self.id)

    @override
    def require_time(self, net, task, in_time):
        """What a network that keeps nothing went through, only depth can be gone back through."""
        super().require_time(net, task, in_time)
        if in_time and net.feedforward:
            raise RuleError(
                f"{self.id} was given a network that keeps nothing through time, on the task "
                f"{task}, whose samples are sequences",
                "a network that remembers, such as byway.coupled(2, 64, 1)",
                "add --net.kind coupled, or use another task",
            )

    @override
    def f(self, gamma, net, state, x, signal, key):
        """In time one step; of depth the whole pass, there and back."""
        if not net.feedforward:
            return super().f(gamma, net, state, x, signal, key)
        there = net.forward(x)
        free = pass_back(net, x, ends(net, there))
        missed = [jnp.max(jnp.abs(there.u[name] - free.u[name])) for name in beginnings(net)]
        drift = {"drift": jnp.max(jnp.stack(missed))}
        return state, Record({"free": free}, there.post[net.output], {}, drift)

    @override
    def there_and_back(self, gamma, net, state, x, signal, key):
        run = self.f if net.feedforward else super().there_and_back
        return run(gamma, net, state, x, signal, key)

    @override
    def advice(self, measures):
        drift = measures.get("drift", 0.0)
        if drift <= DRIFT:  # not so of NaN
            return None
        return (
            f"{self.id}: going back missed what it began with by up to {drift:.2g}, so its "
            "gradients are not those of the network: in time take smaller steps (h of "
            "integrator), fewer of them (--every), or bptt; in depth fewer blocks, or bp"
        )
