"""What rules share that train units whose state flows: which networks, and what to say of a way
back that went astray.
"""

from typing_extensions import override

from byway.core.errors import RuleError
from byway.learning.flow import FlowRule
from byway.network.network import Network
from byway.rules import able

# Where a way back misses the start by more than this share of the states, it is not to be trusted.
DRIFT = 1e-2
ODE = "build it with byway.ode, or by --net.kind ode"


def require_flow(net: Network, rule_id: str) -> None:
    """Raise `RuleError` if the equation of a network with flowing units cannot be solved, and gone
    back through.

    Args:
        net: the network.
        rule_id: the rule that goes back.
    """
    if why := net.unrunnable:
        raise RuleError(
            f"{rule_id} was given a network with {why}",
            "flowing units in the hidden layers, and populations without a state",
            ODE,
        )
    others = [p.name for p in net.populations if p.name != net.input and not p.cell.flows]
    net.require_slopes(rule_id, able, others)


class ByFlow(FlowRule):
    """Abstract: a rule whose way back may miss the start."""

    @override
    def accepts(self, net):
        """Flowing units, and populations without a state that have slopes."""
        if not net.in_flow:
            raise RuleError(
                f"{self.id} was given a network without flowing units",
                "a differential equation: units such as flow in a hidden layer",
                f"{ODE}; or use another rule: {', '.join(able(net))}",
            )
        require_flow(net, self.id)

    @override
    def advice(self, measures):
        """What to do where the way back missed the start."""
        drift = measures.get("drift", 0.0)
        if drift <= DRIFT:  # not so of NaN
            return None
        return (
            f"{self.id}: going back missed the start by {drift:.2g} of the largest state, so its "
            "gradients are not to be trusted: what contracts cannot be gone back through. Use "
            "checkpointed or bp; or, where little contracts, more steps (--net.steps, or steps of "
            "flow)"
        )
