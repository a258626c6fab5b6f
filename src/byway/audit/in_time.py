"""What a rule keeps of the past, and whether it needs the future.

A rule that is called once for each time step can need neither: it is given one step at a time, and
hands on what `start` made. One that is given a whole sequence is traced with every step's input and
target apart. Something that is known at one step and is not used until a later one has been seen
had to wait for that; a wait that grows with the sequence is a wait for its end. One that goes there
and back learns from later steps whenever it hands anything on, and keeps what it notes on the way
there.
"""

import math
from typing import Literal

import equinox as eqx
import jax

from byway.audit.flow import Flow, in_time
from byway.audit.steps import Steps
from byway.core.tree import PyTree
from byway.learning.rule import Answer
from byway.learning.time import RoundTripRule

# Two lengths of a sequence.
SHORT, LONG = 3, 5


def needs_future(short: Steps, long: Steps) -> Answer:
    """Whether some update waits for the end of a sequence, from the same rule on sequences of two
    lengths.
    """
    return "yes" if _longest_wait(long) > _longest_wait(short) else "no"


def _longest_wait(steps: Steps) -> int:
    time = steps.x.shape[1]
    given = {name: in_time(Flow(frozenset({name})), 1, time) for name in ("x", "signal.target")}
    results = steps.round(given=given).results
    return max(
        flow.wait for name, flow in results.items() if name.startswith(("update.", "gamma."))
    )


def kept_of_the_past(short: Steps, long: Steps) -> Literal["flat", "grows"]:
    """Whether what is alive between f and g, and from call to call, grows with the length of the
    sequence.
    """
    return "grows" if _alive(long) > _alive(short) else "flat"


def noted_on_the_way(steps: Steps) -> Literal["flat", "grows"]:
    """Whether the state of a round trip grows with the number of its steps; that of others does
    not.
    """
    rule = steps.rule
    if not isinstance(rule, RoundTripRule):
        return "flat"
    gamma, state = steps.carried["gamma"], steps.carried["state"]
    noted = lambda n: _bytes(eqx.filter_eval_shape(rule.depart, gamma, steps.net, state, n))
    # What is noted may be some bits a step, so the longer way is long.
    return "grows" if noted(100 * LONG) > noted(SHORT) else "flat"


def _alive(steps: Steps) -> int:
    """Bytes of record, state and memory."""
    shapes = [
        turn.g.arguments[name]
        for turn in steps.turns
        for name in turn.g.arguments
        if name.startswith(("record.", "memory."))
    ]
    return _bytes((shapes, steps.carried["state"]))


def _bytes(tree: PyTree) -> int:
    arrays = jax.tree.leaves(eqx.filter(tree, lambda leaf: hasattr(leaf, "dtype")))
    return sum(math.prod(a.shape) * a.dtype.itemsize for a in arrays)
