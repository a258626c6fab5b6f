"""What a user writes: training, reading a result, and a rule of their own."""

from typing import Any, ClassVar

import jax
import numpy as np
from jaxtyping import Array, Float, Key
from typing_extensions import override

import byway


class MyDFA(byway.Rule):
    """Direct feedback alignment."""

    claims: ClassVar[byway.Claims] = byway.Claims(
        transport="no",
        locking="yes",
        derivative="yes",
        signal=frozenset({"error"}),
        phases=1,
        memory="none",
    )
    gain: float = byway.hyper(1.0, "scale of the feedback", low=0.0)

    @override
    def accepts(self, net: byway.Network) -> None:
        net.require_feedforward(self.id)

    @override
    def init(self, net: byway.Network, key: Key[Array, ""]) -> dict[str, Array]:
        keys = jax.random.split(key, len(net.hidden))
        shape = (net[net.output].size,)
        return {
            h.name: self.gain * jax.random.normal(k, (*shape, h.size))
            for h, k in zip(net.hidden, keys, strict=True)
        }

    @override
    def f(
        self,
        gamma: Any,
        net: byway.Network,
        state: Any,
        x: Float[Array, "batch *inputs"],
        signal: byway.Signal | None,
        key: Key[Array, ""],
    ) -> tuple[Any, byway.Record]:
        phase = net.forward(x)
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
        free = record["free"]
        error = signal.error(record.output)
        delta: dict[str, Array] = {net.output: error}
        for h in net.hidden:
            delta[h.name] = (error @ gamma[h.name]) * free.slope[h.name]
        return memory, byway.Update(
            {p.name: p.outer(free.pre[p.name], delta[p.dst]) for p in net.projections}
        )

    @override
    def checks(self) -> list[byway.Check]:
        return [byway.Check("nothing", lambda: 0.0, 1e-12, "a definition")]


byway.use_all_cores()
folder = byway.use_compilation_cache()
if folder is not None:
    print(folder.name)
task = byway.task("digits")
net = byway.mlp(task.input_shape, 128, 128, task.outputs, activation="tanh")
for rule in (MyDFA(gain=2.0), byway.rule("dfa"), byway.rule("pc", steps=5)):
    result = byway.fit(net, rule, task, epochs=3, seeds=8, lr=0.01)
    print(result, result.accuracy.mean(), result.seeds[0] + 1)
    curve = result.history["validation/accuracy"]
    print(curve.epochs[-1], float(curve.values.mean()), curve.last.mean())
    result.save("net.byway")
    predictor: byway.Predictor = byway.load("net.byway", seed=3)
    print(predictor.net.projections[0].name, predictor.score(np.zeros((2, 8, 8)), [1, 2]))
    print(predictor.predict(np.zeros((2, 64))).shape, result.predictor(1).classes[0])
print(byway.rnn(2, 8, 1, activation=byway.cell("lif", tau=20.0)).hidden)
print(byway.lru(2, 8, 1, units=4, activation="tanh").hidden)
print(byway.coupled(2, 8, 1, activation=byway.cell("integrator", h=0.05)).hidden)
print(byway.orthogonal(2, 8, 1, dummies=2, activation=byway.leaky_relu(0.5)).hidden)
print(byway.revnet(4, 8, 2, blocks=3, activation="tanh").hidden)
print(byway.conv_revnet((8, 8, 1), (4, 8), 2, blocks=3, activation="tanh").hidden)
print(byway.topdown(4, 8, 2, norm=True).cyclic)
print(byway.ode(2, 8, 1, steps=8, method="midpoint").in_flow)
print(byway.graph({"input": 2, "a": 3, "output": 1}, [("input", "a"), ("a", "output")]).output)
print(byway.convnet((8, 8, 1), (4, 4), 10).input)
print(byway.growth("set", share=0.1).until, byway.quantised(4).slope, byway.__version__.upper())
run = byway.compare(["bp", MyDFA(gain=2.0)], net, task, epochs=3, seeds=4, out="runs/mine")
found = run.difference("my_dfa", "bp")
print(run, run["bp"].history["train/loss"].values.shape, None if found is None else found.low)
print(run.report("page.html").name, run.save("runs/other"), byway.open("runs/mine").scores)
said: byway.Predictions = byway.open("runs/mine").predictions("bp")
print(said.values.shape, said.truth.shape, said.labels, said.seeds, result.predictions)
taken: byway.Confusion = run.confusion("bp")
print(taken.counts.sum(), taken.recall.mean(0), taken.of(3)["f1"], taken.balanced_accuracy)
print(byway.train("dfa", seeds=2, lr=0.01)["dfa"].seconds)
study = byway.compare(["bp", "dfa"], net, task, folds=5, seeds=4, out="runs/cv")
print(study.runs["fold-1"]["bp"].seconds, study.difference("dfa", "bp"), study.report().name)
both: byway.Study = byway.train("dfa", tasks=["digits", task], seeds=2)
print(byway.open("runs/cv", byway.Study).runs["fold-2"].scores)
print(both.ranks()["dfa"], both.unfinished, study.to_frame())
print(byway.tune(["bp"], trials=3)["bp"].values["lr"])
watched: byway.Studio = byway.watch(net, byway.rule("dfa"), task, speed=50, epochs=3)
with watched as studio:
    print(studio.address, studio.learner().net)
with byway.Watcher(paused=True, record="live.bywayrec") as watcher:
    print(byway.fit(net, byway.rule("dfa"), task, watch=watcher), watcher.address)
again: byway.Reproduced = byway.reproduce("akrout_mnist", quick=True, out="runs/again", jobs=2)
print(again.holds, again.verdict, again.measured.values, again.run and again.run["fa"].seconds)
classifier = byway.BywayClassifier("dfa", hidden=(8,)).fit(np.zeros((4, 2)), np.zeros(4))
print(classifier.predict(np.zeros((4, 2))), classifier.predictor_.classes)
regressor = byway.BywayRegressor("dfa", patience=3).fit(np.zeros((4, 2)), np.zeros(4))
print(regressor.predict(np.zeros((4, 2))))
try:
    byway.rule("bpp")
except byway.BywayError as error:
    print(error.given, error.wanted, error.fix)
