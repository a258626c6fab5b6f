"""The rest of the public names, touched by a user's program."""

from pathlib import Path
from typing import Any, ClassVar

import equinox as eqx
import jax
import numpy as np
from jaxtyping import Array, Float, Int, Key
from typing_extensions import override

import byway
from byway.network.cells.lif import LIF


@byway.register
class Online(byway.StepRule):
    """A rule that sees one time step, and only learns its readout."""

    claims: ClassVar[byway.Claims] = byway.Claims("no", "no", "no", frozenset({"error"}), 1, "none")

    @override
    def accepts(self, net: byway.Network) -> None: ...

    @override
    def f(
        self,
        gamma: Any,
        net: byway.Network,
        state: Any,
        x: Array,
        signal: byway.Signal | None,
        key: Key[Array, ""],
    ) -> tuple[Any, byway.Record]:
        state, phase = net.step(x, state)
        return state, byway.Record({"free": phase}, phase.post[net.output])

    @override
    def g(
        self,
        gamma: Any,
        net: byway.Network,
        memory: Any,
        record: byway.Record,
        signal: byway.Signal,
    ) -> tuple[Any, byway.Update]:
        delta = signal.error(record.output) * record["free"].slope[net.output]
        return memory, byway.Update(
            {p.name: p.outer(record["free"].pre[p.name], delta) for p in net.incoming(net.output)}
        )


class Prune(byway.Growth):
    """Sets the smallest weights to zero."""

    claims: ClassVar[frozenset[Any]] = frozenset({"weights"})
    every: int = byway.hyper(100, "updates between two times", low=1)
    until: float = byway.hyper(0.8, "share of a run after which it rests", low=0.0, high=1.0)

    @override
    def accepts(self, net: byway.Network) -> None: ...

    @override
    def grow(
        self, memory: Any, net: byway.Network, key: Key[Array, ""], done: Float[Array, ""]
    ) -> tuple[Any, byway.Network, dict[str, dict[str, Array]]]:
        return memory, net, {}


class Pairs(byway.Task):
    """Sums of two numbers."""

    samples: int = byway.hyper(64, "samples in a split", low=1)

    @property
    @override
    def input_shape(self) -> tuple[int, ...]:
        return (2,)

    @property
    @override
    def outputs(self) -> int:
        return 1

    @override
    def load(self) -> dict[str, Any]:
        return {}

    @override
    def batch(
        self, split: Any, index: Int[Array, " batch"], key: Key[Array, ""]
    ) -> tuple[Float[Array, "batch *inputs"], byway.Signal]:
        raise NotImplementedError


def back(of: byway.Result, model: eqx.Module) -> eqx.Module:
    print(byway.from_equinox(model, (4,)).output)
    return byway.to_equinox(of.learner(0).net, model)


def tell(reading: byway.Reading) -> None:
    print(reading.epoch, reading["validation/loss"].mean())
    if reading.epoch > 2:
        raise byway.Stop("enough")


x, y = np.zeros((30, 4)), np.zeros(30, int)
data = byway.Data(x=x, y=y)
net = byway.mlp(data.input_shape, 8, data.outputs, fan_in=2, key=jax.random.key(0))
result = byway.fit(
    net,
    Online(),
    data,
    growth=Prune(every=10),
    on_epoch=tell,
    checkpoint=Path("here"),
    start=net,
    looks=0,
)
answers = data.answers(np.zeros((3, 2)))
print(answers.shape, result.test["loss"].mean(), result.failures, result.advice)
for name, angle in result.history.group("angle").items():
    print(name, angle.steps, angle.last)
run = byway.Run({"online": result})
outcome: byway.Outcome = run["online"]
print(outcome.label, byway.Metric("f1", best=1.0).heading, run.plot(), run.to_frame())
for population in net.populations:
    print(population.name, population.cell.name, population.cell.gain, population.size)
for projection in net.projections:
    print(projection.name, projection.theta["weight"].shape, projection.fan_in)
print(LIF(tau=20.0).gain, byway.Activation("square", lambda u: u**2, lambda u: 2 * u))
box = byway.host("box", np.tanh)
print(byway.rnn(2, 4, 1, activation=box).topology.order, byway.Shards([x]))
print(byway.Population, byway.Dense, byway.Conv, byway.Skip, byway.Offset, byway.LocallyConnected)
print(byway.Orthogonal.invertible)
far: byway.Reach = byway.reach(["bptt"], byway.rnn(2, 3, 1), steps=4, lengths=(4,))
print(far.credit["bptt"].shape, far.furthest("bptt"))
print(byway.check_rule(Online()).problems, byway.check_task(Pairs()).sizes)
score = Pairs().scores[0]
print(score.name, score.unit, score.title, Pairs(samples=3).id, byway.Score)
model = byway.BywayClassifier().fit(x, y)
print(model.predict_proba(x).shape, model.classes_[0], model.loss_curve_)
wired: byway.Wiring = byway.wiring(byway.grownet(9, 12, 2, fan_in=4))
form: byway.Form = wired.form(draws=1)
print(wired.sparsity, wired.in_degree, form.small_world("space"), form.chance["degrees"])
say: byway.Influence = byway.influence(byway.grownet(9, 12, 2, fan_in=4))
way: byway.Path | None = say.strongest(output=1)
hurt: byway.Lesion = byway.lesion(byway.mlp(9, 12, 2), centre=(0.0, 0.0, 100.0), radius=50.0)
print(hurt.units, hurt.net.learnt)
print(say.arrived, say.units, "" if way is None else way.units)
sequence = jax.random.normal(jax.random.key(0), (1, 4, 2))
run, out = byway.simulate(byway.rnn(2, 3, 1), sequence)
print(run.clock, byway.simulate(byway.rnn(2, 3, 1), sequence, run)[1], out)
print(
    byway.BlockFanIn, byway.FixedFanIn, byway.SequenceRule, byway.RoundTripRule, byway.BywayWarning
)
print(byway.Local({}, {}, {}, 1.0).slope, byway.Cell, byway.Learner, byway.Pair, byway.Phase)
