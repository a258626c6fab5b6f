"""Layers in stages, so that several devices share an update: which part of it runs on which follows
from its program, and no rule says it.

An update is traced. What it changes of a learner (weights, moments, a rule's own parameters) are
the leaves of a graph: one leads to another where the new value of the other is computed from it.
Leaves that lead to each other wait for each other, and are a group; in order, groups need only what
those before them leave. So of a rule whose updates wait for nothing downstream every layer is a
group, and of backprop all layers are one. Groups are dealt to stages, one after another, of about
the same cost; an equation runs in the stage of the last group that it hangs on. What no group has
a part in, such as a batch and its labels, every stage computes for itself, unless it is much work.

No error comes back, so the first stage may go on to the next batch, and sees there what it would
have seen alone.
"""

import dataclasses
import functools
import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from byway.audit.program import Equation, Program, trace
from byway.core.errors import RuleError
from byway.learning.learner import Learner
from byway.network.network import Network

# What is computed for each number that an equation makes, in multiplications of a matrix product:
# those are bound by arithmetic, all else by memory. And what it costs to hand one on.
EACH, HANDED = 8, 16
# One group may have so much of all work: with more, devices would mostly wait for it.
MOST = 0.95
PRODUCTS = ("dot_general", "conv_general_dilated")
# Only says where numbers stand, or what they are called.
FREE = ("reshape", "squeeze", "broadcast_in_dim", "name", "iota", "row")


@dataclasses.dataclass(frozen=True, eq=False)
class Stage:
    """What one device does of an update; everything is told by slots of its program.

    Attributes:
        leaves: the numbers of the learner's leaves that it changes.
        equations: what it computes, in order.
        takes: by the stage that they come from, what it needs of stages before.
        hands: what stages after it need.
        scores: the numbers of the scores that it measures.
        work: what its equations cost, as a share of those of all stages.
    """

    leaves: tuple[int, ...]
    equations: tuple[Equation, ...]
    takes: Mapping[int, tuple[int, ...]]
    hands: tuple[int, ...]
    scores: tuple[int, ...]
    work: float


class Waits:
    """What in a traced update waits for what.

    Args:
        program: of (numbers, the learner's leaves, all else) -> (the learner's leaves, scores).
        before: how many arguments stand before the learner's leaves.
        learner: the learner, or its shapes.

    Attributes:
        ins: the slots of the learner's leaves before the update.
        outs: those after it.
        scores: the slots of the scores.
        names: what each leaf is, in words: of weights, the projection.
        groups: the leaves that wait for each other, by their numbers; each group needs only those
            before it.
        clocks: leaves that go on by themselves, such as a count of steps: every stage has its own.
    """

    def __init__(self, program: Program, before: int, learner: Learner):
        paths = [path for path, _ in jax.tree_util.tree_flatten_with_path(learner)[0]]
        leaves = len(paths)
        self._net, self.names = learner.net, [_name(path, learner.net) for path in paths]
        self._weights = [str(path[0]) == ".net" for path in paths]
        self.program = program
        self.ins = program.ins[before : before + leaves]
        self.outs, self.scores = program.outs[:leaves], program.outs[leaves:]
        self._moving = [i for i in range(leaves) if self.ins[i] != self.outs[i]]
        self._roots = self._followed({self.ins[i]: 1 << i for i in self._moving})
        self.clocks = self._clocks()
        self.leads = self._leads()
        self.groups = self._grouped()
        self._level = self._levels()

    def shared(self, rule: str, devices: int) -> int:
        """How many of some devices can share the layers.

        Raises:
            RuleError: they would wait for each other, or nearly all the work is one layer's.
        """
        costs = self._costs
        longest = max(range(len(costs)), key=costs.__getitem__, default=None)
        if longest is not None and costs[longest] < MOST * self.work:
            return min(devices, len(costs))
        wanted = "a rule whose updates wait for nothing downstream, in a network of several layers"
        given = f"parallel = 'layers' for {rule}"
        if longest is None:
            raise RuleError(f"{given}, by which nothing learns here", wanted, "leave parallel out")
        if (why := self._lock(self.groups[longest])) is not None:
            raise RuleError(
                f"{given}: {why}, on the same batch",
                wanted,
                "use for example predsim, mono_forward or symba; or leave parallel out",
            )
        part = ", ".join(self._trained(self.groups[longest]))
        raise RuleError(
            f"{given}, where {part} has {100 * costs[longest] / self.work:.0f} % of the work",
            f"less than {100 * MOST:.0f} %, so that there is something to share",
            "build a deeper network; or leave parallel out",
        )

    def trained(self, stage: Stage) -> list[str]:
        """What a stage trains, in words: projections, or what else there is."""
        return self._trained(stage.leaves)

    def _trained(self, leaves: Sequence[int]) -> list[str]:
        weights = [self.names[i] for i in leaves if self._weights[i]]
        return list(dict.fromkeys(weights or [self.names[i] for i in leaves]))

    def _lock(self, group: tuple[int, ...]) -> str | None:
        """Of leaves that wait for each other: which projection's update waits for which one's
        weights, and by way of what; None where there is one projection.
        """
        order = {p.name: place for place, p in enumerate(self._net.projections)}
        weights = [i for i in group if self._weights[i]]
        first = min(weights, key=lambda i: order[self.names[i]], default=None)
        if first is None or all(self.names[i] == self.names[first] for i in weights):
            return None
        # From the update back to what it is computed from, the shortest way first.
        steps, came, ahead = {first: 0}, {first: first}, [first]
        for i in ahead:
            for j in group:
                if self.leads[i] >> j & 1 and j not in came:
                    steps[j], came[j] = steps[i] + 1, i
                    ahead.append(j)
        others = [i for i in ahead if self._weights[i] and self.names[i] != self.names[first]]
        last = min(others, key=lambda i: (steps[i], -order[self.names[i]]))
        waits = f"waits for the weights of {self.names[last]}"
        if steps[last] == 1:
            return f"the update of {self.names[first]} {waits}"
        return f"{self.names[came[last]]}, which {self.names[first]} learns by, {waits}"

    def stages(self, count: int) -> list[Stage]:
        """The groups in so many stages of about the same cost, at most one for each group."""
        ends = self._dealt(min(count, len(self.groups)))
        stage_of = [sum(level >= end for end in ends[:-1]) for level in range(len(self.groups))]
        at = {slot: stage_of[level] for slot, level in self._level.items() if level >= 0}
        last = len(ends) - 1
        handed: dict[int, set[int]] = {}  # slot -> stages that need it
        found: list[Stage] = []
        total = self.work or 1.0
        for s in reversed(range(len(ends))):
            mine = tuple(
                i for level, one in enumerate(self.groups) if stage_of[level] == s for i in one
            )
            scores = tuple(k for k, slot in enumerate(self.scores) if at.get(slot, 0) == s)
            hands = tuple(slot for slot, whose in handed.items() if at[slot] == s and whose)
            wanted = {self.outs[i] for i in mine} | {self.scores[k] for k in scores} | set(hands)
            clocks = set(self.clocks) if s == last else set()
            while True:
                equations, needed = self._slice(
                    wanted | {self.outs[i] for i in clocks}, lambda slot, s=s: at.get(slot, s) == s
                )
                more = {i for i in self.clocks if self.ins[i] in needed} - clocks
                if not more:
                    break
                clocks |= more
            takes: dict[int, list[int]] = {}
            for slot in sorted(needed):
                if at.get(slot, s) < s:
                    takes.setdefault(at[slot], []).append(slot)
                    handed.setdefault(slot, set()).add(s)
            found.append(
                Stage(
                    (*mine, *sorted(clocks)),
                    equations,
                    {r: tuple(slots) for r, slots in takes.items()},
                    hands,
                    scores,
                    sum(cost for level, cost in enumerate(self._costs) if stage_of[level] == s)
                    / total,
                )
            )
        return found[::-1]

    def _followed(self, roots: dict[int, int]) -> dict[int, int]:
        """By slot, which of some sources it is computed from, as the bits of a number."""
        found = dict(roots)
        for equation in self.program.equations:
            bits = 0
            for slot in equation.ins:
                bits |= found.get(slot, 0)
            if bits:
                found.update(dict.fromkeys(equation.outs, bits))
        return found

    def _clocks(self) -> list[int]:
        whole = lambda i: not jnp.issubdtype(self.program.dtypes[self.ins[i]], jnp.inexact)
        clocks = [i for i in self._moving if whole(i)]
        while True:
            allowed = sum(1 << i for i in clocks)
            kept = [i for i in clocks if not self._roots.get(self.outs[i], 0) & ~allowed]
            if kept == clocks:
                return clocks
            clocks = kept

    def _leads(self) -> dict[int, int]:
        """By leaf, which leaves its new value is computed from; clocks left out."""
        clocks = sum(1 << i for i in self.clocks)
        return {
            i: self._roots.get(self.outs[i], 0) & ~clocks
            for i in self._moving
            if i not in self.clocks
        }

    def _grouped(self) -> list[tuple[int, ...]]:
        reach = {i: bits | 1 << i for i, bits in self.leads.items()}
        for k in self.leads:
            for i, bits in reach.items():
                if bits >> k & 1:
                    reach[i] = bits | reach[k]
        together: dict[int, list[int]] = {}
        for i, bits in reach.items():
            first = min(j for j, back in reach.items() if bits >> j & 1 and back >> i & 1)
            together.setdefault(first, []).append(i)
        # Among those that wait for nothing else, the one that the program uses first.
        used: dict[int, int] = {}
        for place, equation in enumerate(self.program.equations):
            for slot in equation.ins:
                used.setdefault(slot, place)
        never = len(self.program.equations)
        place = {k: min(used.get(self.ins[i], never) for i in one) for k, one in together.items()}
        bits = {k: sum(1 << i for i in one) for k, one in together.items()}
        ordered: list[tuple[int, ...]] = []
        while bits:
            left = sum(bits.values())
            free = [k for k, own in bits.items() if not reach[k] & (left ^ own)]
            ordered.append(tuple(together[first := min(free, key=lambda k: place[k])]))
            del bits[first]
        return ordered

    def _levels(self) -> dict[int, int]:
        """By slot, the last group that it hangs on: -1 for none. What hangs on none and is much
        work belongs to the first group that needs it.
        """
        of = {i: k for k, one in enumerate(self.groups) for i in one}
        level = {self.ins[i]: k for i, k in of.items()}

        @functools.cache
        def last(bits: int) -> int:
            return max((k for i, k in of.items() if bits >> i & 1), default=-1)

        heavy: set[int] = set()
        for equation in self.program.equations:
            mine = last(self._roots.get(equation.outs[0], 0)) if equation.outs else -1
            level.update(dict.fromkeys(equation.outs, mine))
            if mine < 0 and (
                equation.name in PRODUCTS or equation.inner or heavy.intersection(equation.ins)
            ):
                heavy.update(equation.outs)
        first = {self.outs[i]: k for i, k in of.items()}
        for equation in reversed(self.program.equations):
            needed = min((first[slot] for slot in equation.outs if slot in first), default=None)
            if heavy.intersection(equation.outs):
                level.update(dict.fromkeys(equation.outs, 0 if needed is None else needed))
            mine = level[equation.outs[0]] if equation.outs else -1
            if mine >= 0:
                needed = mine
            if needed is not None:
                for slot in equation.ins:
                    first[slot] = min(first.get(slot, needed), needed)
        return level

    @property
    def work(self) -> float:
        """About what an update costs, in multiplications."""
        return sum(self._costs)

    @property
    def _costs(self) -> list[float]:
        """The work of each group."""
        costs = [0.0] * len(self.groups)
        for equation in self.program.equations:
            if equation.outs and (level := self._level[equation.outs[0]]) >= 0:
                costs[level] += work(equation, self.program.shapes)
        return costs

    def _dealt(self, count: int) -> list[int]:
        """Where each stage ends, so that the most that one of them costs is the least."""
        groups = len(self.groups)
        sums = [0.0, *itertools.accumulate(self._costs)]
        crossing = [0.0] * (groups + 1)
        uses: dict[int, int] = {}
        for equation in self.program.equations:
            mine = self._level[equation.outs[0]] if equation.outs else -1
            for slot in equation.ins:
                if self._level.get(slot, -1) >= 0:
                    uses[slot] = max(uses.get(slot, -1), mine)
        for slot, upto in uses.items():
            for border in range(self._level[slot] + 1, upto + 1):
                crossing[border] += HANDED * math.prod(self.program.shapes[slot])
        price = lambda a, b: sums[b] - sums[a] + crossing[a]
        best: dict[tuple[int, int], tuple[float, int]] = {
            (1, end): (price(0, end), 0) for end in range(1, groups + 1)
        }
        for n in range(2, count + 1):
            for end in range(n, groups + 1):
                best[n, end] = min(
                    (max(best[n - 1, start][0], price(start, end)), start)
                    for start in range(n - 1, end)
                )
        ends = [groups]
        for n in range(count, 1, -1):
            ends.append(best[n, ends[-1]][1])
        return ends[::-1]

    def _slice(
        self, wanted: set[int], here: Callable[[int], bool]
    ) -> tuple[tuple[Equation, ...], set[int]]:
        """The equations that make some slots, of those that may run here; and what they need."""
        needed, kept = set(wanted), []
        for equation in reversed(self.program.equations):
            if needed.intersection(equation.outs) and here(equation.outs[0]):
                kept.append(equation)
                needed.difference_update(equation.outs)
                needed.update(equation.ins)
        return tuple(reversed(kept)), needed - set(self.program.constants)


def waits_of(
    update: Callable[..., tuple[Learner, Mapping[str, Any]]], learner: Learner, *rest: Any
) -> Waits:
    """What waits for what in `update(learner, *rest)`; shapes will do, as nothing is computed."""
    flat, shape = jax.tree.flatten((learner, *rest))
    flattened = lambda *flat: jax.tree.leaves(update(*jax.tree.unflatten(shape, flat)))
    return Waits(trace(flattened, flat), 0, learner)


def _name(path: tuple[Any, ...], net: Network) -> str:
    """What a leaf of a learner is, in words."""
    if str(path[0]) == ".net":
        place = path[2].idx
        return (net.projections if str(path[1]) == ".projections" else net.populations)[place].name
    keys = [str(one.key) for one in path[1:] if hasattr(one, "key")]
    return " ".join([str(path[0]).removeprefix("."), *keys])


def carried_out(
    program: Program, equations: Sequence[Equation], known: Mapping[int, Any], wanted: Sequence[int]
) -> list[Any]:
    """What stands in some slots after these equations, from what is known before."""
    held = dict(known)

    def value(slot: int) -> Any:
        if slot in held:
            return held[slot]
        constant = program.constants[slot]
        if isinstance(constant, jax.Array):
            return constant
        return np.asarray(constant, program.dtypes[slot])

    for equation in equations:
        if equation.call is None:
            raise ValueError(f"{equation.name} is asked and not computed")
        held.update(zip(equation.outs, equation.call(*map(value, equation.ins)), strict=True))
    return [value(slot) for slot in wanted]


def work(equation: Equation, shapes: Mapping[int, tuple[int, ...]]) -> float:
    """About what an equation costs, in multiplications."""
    if equation.inner:
        turns = equation.params["length"] if equation.name == "scan" else 1
        return turns * sum(
            work(one, inner.shapes) for inner in equation.inner for one in inner.equations
        )
    made = sum(math.prod(shapes[slot]) for slot in equation.outs)
    if equation.name == "dot_general":
        (left, _), _ = equation.params["dimension_numbers"]
        return made * math.prod(shapes[equation.ins[0]][axis] for axis in left)
    if equation.name == "conv_general_dilated":
        numbers, kernel = equation.params["dimension_numbers"], shapes[equation.ins[1]]
        return made * math.prod(kernel) / kernel[numbers.rhs_spec[0]]
    read = max((math.prod(shapes[slot]) for slot in equation.ins), default=0)
    return 0.0 if equation.name in FREE else EACH * max(made, read if made else 0)
