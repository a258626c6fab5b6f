"""Subtasks (SUBTASK): a task x -> y is split at codes, x -> c -> y, and no error crosses one.

What a code is to say, the target says: a representative R maps y to c, and learns which code is
worth having. The behaviour B1 learns x -> c and B2 learns c -> y, each by a rule of any kind within
its own part of the network; both at once, as c is known before B1 has learnt to say it. Codes form
a chain, or any graph without cycles (`network/segments.py`).

    f:  c = (y - <y>) A N,   N = (k A^T S A)^{-1/2},   S the covariance of y so far:
        then <c> = 0 and <c^T c> = I / k, whatever A is
        B_1 reads x and says c'; B_2 reads c' and, beside it, c; each runs as its rule has it
    g:  each part learns by its own rule from |B_1(x) - c|^2 / 2, |B_2(c') - y|^2 / 2 and
        |B_2(c) - y|^2 / 2
        dA = <(y - <y>)^T (K^2 (c - c') + (B_2(c) - y) J)> N^T,   J the derivative of B_2 at c
    then: every weight beyond a code is scaled down to a spectral norm of lipschitz^{1/d}, with d
        the weights on the way

    bound: |B_2(B_1(x)) - y|^2 <= 2 |B_2(c) - y|^2 + 2 K^2 |B_1(x) - c|^2,
        K the product of the norms

What is learned cannot be faked. Codes whose scale shrinks or that say nothing are none that R can
make; what it lowers is half the bound. "deployed" and "bound" are the two sides of that, and
"code_error" is that of B1, where codes that say nothing of x have 1.

Shapes   y "batch out", c "batch k", A "out k", S "out out"
Units    activity dimensionless
Claims   transport yes | locking yes | derivative yes | signal target | phases 3 | memory synapses
Limits   these are its claims with bp within each subtask; with another rule they are that rule's,
         but that R learns from B2 through its weights: with `deep` off it learns from c - c' alone.
         R sees y alone: of C classes it can say no more than which, and all the difficulty is left
         to B1. k is at most C - 1 there. Squared error throughout. What the rules within learn
         besides weights is learnt at the slow rate of R
Source   this project; the bound is |a + b|^2 <= 2 |a|^2 + 2 |b|^2 with |B2(c) - B2(c')| <= K |c -
         c'|; related to label embedding and to target propagation with targets that know no x
"""

from collections.abc import Mapping
from typing import Any, ClassVar, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float
from typing_extensions import override

from byway.core.errors import ConfigError, RuleError
from byway.core.hyper import hyper
from byway.core.record import Record
from byway.core.signal import Signal, SquaredError
from byway.learning.flow import FlowRule
from byway.learning.rule import Claims, Rule, Update
from byway.learning.time import RoundTripRule, SequenceRule
from byway.network.chain import chained_deltas
from byway.network.network import Network
from byway.network.segments import Segment, codes, segments
from byway.rules import RULES, able
from byway.rules.local._codes import Prior, depth, norm, reach, total, whitening

# Keeps the representatives apart from the weights, even where a caller draws both from one key.
REPRESENTATIVES = 0xC
# Units whose slope is nowhere above one.
GENTLE = ("identity", "code", "relu", "leaky_relu", "tanh", "sigmoid", "hard_sigmoid", "softplus")


class State(NamedTuple):
    """What is known of targets, and the state of each subtask's rule, by its end."""

    prior: Prior
    parts: dict[str, Any]


class Parts(Record):
    """A record that holds those of the subtasks, by their ends."""

    parts: dict[str, Record] = eqx.field(default_factory=dict)


class _Claimed:
    """What the rule says of itself; with bp within, where nobody asks an instance."""

    def __get__(self, rule: "Subtask | None", kind: type) -> Claims:
        if rule is None:
            return Claims("yes", "yes", "yes", frozenset({"target"}), 3, "synapses")
        inner = [one.claimed for one in rule.within.values()]
        yes = lambda part: any(getattr(c, part) == "yes" for c in inner)
        says = lambda part, more=False: "yes" if yes(part) or more else "no"
        return Claims(
            says("transport", rule.deep),
            says("locking", rule.deep),
            says("derivative", rule.deep),
            frozenset({"target"}),
            max(2 * c.phases for c in inner) + rule.deep,
            "synapses",
        )


class Subtask(Rule):
    """Subtasks with learned representatives of the target."""

    claims = _Claimed()  # pyright: ignore[reportAssignmentType, reportIncompatibleVariableOverride]
    network_options: ClassVar[Mapping[str, Any]] = {"code": 0}
    particular: ClassVar[bool] = True
    gamma_rate: ClassVar[float] = 0.1

    by: str = hyper(
        "bp", "the rule that trains each subtask; or one for each end, as in code=dfa,output=bp"
    )
    deep: bool = hyper(
        True,
        "whether a representative also learns from what is made of its code, through the weights "
        "that read it",
    )
    whiten: bool = hyper(
        True, "whether codes have a fixed variance in each direction; without, learning can cheat"
    )
    lipschitz: float = hyper(
        2.0, "how much further apart two codes may come to be beyond them, at most", low=1e-3
    )

    @override
    def __check_init__(self):
        super().__check_init__()
        _ = self.within

    @property
    def within(self) -> dict[str, Rule]:
        """The rules by the ends of subtasks; "" is what trains all that are not named."""
        named = [part.rpartition("=") for part in self.by.split(",")]
        found = {end.strip(): RULES.get(name.strip())() for end, _, name in named}
        for end, rule in found.items():
            kind = type(rule)
            if (
                kind is type(self)
                or len(rule.turns) > 1
                or rule.writes_label
                or issubclass(kind, RoundTripRule | SequenceRule | FlowRule)
            ):
                raise ConfigError(
                    f"{rule.id} within a subtask{f' ({end})' if end else ''}",
                    "a rule that learns from one sample at a time in one turn, and writes no label",
                    "take bp, dfa, fa, predsim, pc or node_perturbation",
                )
        return found

    def rule_of(self, segment: Segment) -> Rule:
        """What trains a subtask."""
        found = self.within
        if segment.end not in found and "" not in found:
            raise RuleError(
                f"no rule for the subtask that ends at {segment.end}",
                "one for every end, or one for all that are not named",
                f"add {segment.end}=bp to subtask.by, or a rule without an end",
            )
        return found.get(segment.end, found.get("", self))

    @override
    def accepts(self, net: Network):
        """A network without cycles, with codes; beyond a code dense weights and units whose slope
        is at most one, so that what a code is worth has a bound.
        """
        net.require_feedforward(self.id, able)
        if not codes(net):
            raise RuleError(
                f"{self.id} was given a network without a code",
                "a population of code units, where one subtask ends and the next begins",
                "build it with mlp(..., code=9), name one in graph(..., activation={'c': 'code'}), "
                f"or use a rule that needs none, such as {', '.join(able(net)[:3])}",
            )
        if normed := [c.name for c in codes(net) if c.norm]:
            raise RuleError(
                f"{self.id} was given codes that are normalised: {', '.join(normed)}",
                "codes as they are: their scale is part of what they say",
                "leave norm off for them, or use a rule that knows no code, such as bp",
            )
        for segment in eqx.filter_eval_shape(segments, net):
            self.rule_of(segment).accepts(segment.net)
            if segment.starts == (net.input,):
                continue
            wrong = [p.name for p in segment.net.projections if p.axes != ("pre", "post")]
            wrong += [
                p.name for p in segment.net.populations[1:] if p.norm or (p.cell.name not in GENTLE)
            ]
            if wrong:
                raise RuleError(
                    f"{self.id} was given {', '.join(wrong)} beyond a code",
                    f"dense weights, no norm, and units of {', '.join(GENTLE)} there: what follows "
                    "from a code has a bound then",
                    "build that part of such, or use a rule that knows no code, such as bp",
                )
        if too_large := [c.name for c in codes(net) if c.size >= net[net.output].size]:
            raise RuleError(
                f"{self.id} was given a code as large as the output or larger: "
                f"{', '.join(too_large)}",
                f"at most {net[net.output].size - 1} units: a target has no more directions",
                "make the code smaller, or use a rule that knows no code, such as bp",
            )

    @override
    def init(self, net, key):
        """A for each code, normal; and gamma of each subtask's rule."""
        key = jax.random.fold_in(key, REPRESENTATIVES)
        parts, outputs = segments(net), net[net.output].size
        keys = jax.random.split(key, 2 * len(parts)).reshape(2, -1)
        drawn = {
            c.name: jax.random.normal(k, (outputs, c.size), net.dtype)
            for c, k in zip(codes(net), keys[0], strict=False)
        }
        return {"representatives": drawn} | {
            part.end: self.rule_of(part).init(part.net, k)
            for part, k in zip(parts, keys[1], strict=True)
        }

    @override
    def start(self, gamma, net, batch):
        """No target seen; and each subtask's rule at rest."""
        outputs = net[net.output].size
        zeros = lambda *shape: jnp.zeros(shape, net.dtype)
        prior = Prior(zeros(), zeros(outputs), zeros(outputs, outputs))
        begun = {
            part.end: self.rule_of(part).start(
                gamma[part.end], part.net, batch * (1 if part.starts == (net.input,) else 2)
            )
            for part in segments(net)
        }
        return tuple(State(prior, {end: both[i] for end, both in begun.items()}) for i in range(2))

    @override
    def begin(self, gamma, net, batch, kept):
        """What is known of targets lasts from batch to batch."""
        return self.start(gamma, net, batch)[0]._replace(prior=kept.prior), kept

    @override
    def f(self, gamma, net, state, x, signal, key):
        x = net.place(x)
        if signal is None:
            free = net.forward(x)
            return state, Record({"free": free}, free.post[net.output])
        y = signal.target
        right = {net.input: x} | self.represented(gamma, state.prior.seeing(y), y)
        said, begun, parts, of_codes = {net.input: x}, {}, {}, {}
        subtasks = segments(net)
        for part, k in zip(subtasks, jax.random.split(key, len(subtasks)), strict=True):
            end, read = part.end, part.reads(said)
            if part.starts != (net.input,):
                exact = part.reads(right)
                read = jnp.concatenate([read, exact])
                if self.deep:
                    of_codes[f"{end} of codes"] = part.net.forward(exact)
            taught = _taught(right.get(end, y), read)
            begun[end], parts[end] = self.rule_of(part).f(
                gamma[end], part.net, state.parts[end], read, taught, k
            )
            said[end] = parts[end].output[: len(x)]
        measures = self._measured(subtasks, parts, said, right | {net.output: y})
        output = said[net.output]
        return State(state.prior, begun), Parts(of_codes, output, {}, measures, parts)

    @override
    def g(self, gamma, net, memory, record: Record, signal):
        y, parts = signal.target, record.parts  # pyright: ignore[reportAttributeAccessIssue]
        prior = memory.prior.seeing(y)
        right = self.represented(gamma, prior, y)
        learnt, update, changed = {}, {}, {}
        worth = {c: jnp.zeros_like(a) for c, a in right.items()}
        for part in segments(net):
            end, mine = part.end, parts[part.end]
            rule = self.rule_of(part)
            taught = _taught(right.get(end, y), mine.output)
            learnt[end], its = rule.g(gamma[end], part.net, memory.parts[end], mine, taught)
            for name, theta in part.whole(its.net).items():
                update[name] = (
                    {k: a + update[name][k] for k, a in theta.items()} if name in update else theta
                )
            if its.gamma is not None or not jax.tree.leaves(gamma[end]):
                changed[end] = gamma[end] if its.gamma is None else its.gamma
            for start in part.starts:
                if start in worth:
                    off = right[start] - parts[start].output[: len(y)]
                    worth[start] += reach(part.net) ** 2 * off if self.deep else off
            if f"{end} of codes" in record.phases:
                back = _back(part.net, record[f"{end} of codes"], right.get(end, y))
                for start, a in part.parted(back).items():
                    worth[start] = worth[start] + a if start in worth else a
        changed["representatives"] = {
            c: prior.centred(y).T @ worth[c] / len(y) @ self._white(a, prior).T
            for c, a in gamma["representatives"].items()
        }
        return State(prior, learnt), Update(update, changed)

    @override
    def keep(self, gamma, net):
        """What each subtask's rule keeps; and norms beyond a code that multiply to `lipschitz`."""
        for part in segments(net):
            own, inner = self.rule_of(part).keep(gamma[part.end], part.net)
            gamma = gamma | {part.end: own}
            if part.starts != (net.input,):
                most = self.lipschitz ** (1 / depth(inner))
                inner = inner.with_theta(
                    {
                        p.name: {"weight": p.weight * jnp.minimum(1, most / norm(p.weight))}
                        for p in inner.projections
                    }
                )
            kept = part.whole(inner.theta)
            net = net.with_theta(kept)
        return gamma, net

    @override
    def conclude(self, gamma, net, memory):
        """What each subtask's rule concludes."""
        for part in segments(net):
            own, inner = self.rule_of(part).conclude(
                gamma[part.end], part.net, memory.parts[part.end]
            )
            gamma, net = gamma | {part.end: own}, net.with_theta(part.whole(inner.theta))
        return gamma, net

    @override
    def advice(self, measures):
        if measures.get("code_error", 0.0) > 0.9:
            return (
                "subtask: what is said instead of a code is no better than nothing (code_error "
                "near 1). Train longer, raise the rate, or make the part before the code larger"
            )
        return None

    def represented(
        self, gamma: Any, prior: Prior, y: Float[Array, "batch out"]
    ) -> dict[str, Float[Array, "batch code"]]:
        """R(y) by code."""
        return {
            c: prior.centred(y) @ a @ self._white(a, prior)
            for c, a in gamma["representatives"].items()
        }

    def _white(self, a: Float[Array, "out code"], prior: Prior) -> Float[Array, "code code"]:
        """N, or nothing that changes a code."""
        return whitening(a, prior) if self.whiten else jnp.eye(a.shape[1], dtype=a.dtype)

    def _measured(
        self,
        subtasks: list[Segment],
        parts: Mapping[str, Record],
        said: Mapping[str, Array],
        right: Mapping[str, Array],
    ) -> dict[str, Array]:
        """Both sides of the bound, and how far codes are off."""
        off = {end: _square(said[end] - right[end]) for end in parts}
        last, batch = subtasks[-1], len(right[subtasks[-1].end])
        exact = _square(parts[last.end].output[-batch:] - right[last.end])
        before = total([off[s] for s in last.starts if s in off])
        return {
            "deployed": off[last.end],
            "bound": 2 * exact + 2 * reach(last.net) ** 2 * before,
            "code_error": total([off[part.end] for part in subtasks[:-1]]) / (len(subtasks) - 1),
        }


def _taught(target: Float[Array, "batch out"], read: Float[Array, "samples ..."]) -> Signal:
    """The signal of a subtask: its target, twice where it reads what is said and what is right."""
    return Signal(jnp.concatenate([target] * (len(read) // len(target))), SquaredError())


def _square(off: Float[Array, "batch units"]) -> Float[Array, ""]:
    return jnp.mean(jnp.sum(off**2, 1))


def _back(net: Network, phase: Any, target: Float[Array, "batch out"]) -> Array:
    """d(|B(c) - target|^2 / 2) / dc."""
    error = phase.post[net.output] - target
    delta = chained_deltas(net, phase, error, {p.name: p for p in net.projections})
    return total([p.backward(delta[p.dst]) for p in net.outgoing(net.input)])
