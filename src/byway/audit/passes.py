"""How often the network runs for one update, and how much is asked of one run."""

import math
from collections.abc import Iterable

import jax

from byway.audit.flow import Flow
from byway.audit.program import trace
from byway.audit.reader import Reader, Run
from byway.audit.steps import Round, Steps


class Passes:
    """Counts runs in units of one pass of a batch.

    Args:
        steps: the rule's parts.
        time: time steps of each sample.
    """

    def __init__(self, steps: Steps, time: int):
        net = steps.net
        self.batch, self.time, self.outputs = steps.batch, time, net[net.output].size
        self.inputs = {f"net.{p.name}.weight" for p in net.outgoing(net.input)}
        projections = [p for p in net.projections if p.weight is not None]
        pre = [
            jax.ShapeDtypeStruct((steps.batch, *p.src_shape), p.weight.dtype) for p in projections
        ]

        def once(*arrays):
            currents = zip(projections, arrays[: len(pre)], arrays[len(pre) :], strict=True)
            return [p.with_theta({"weight": w}).forward(a) for p, w, a in currents]

        reader, flows = Reader(), [*steps.weights.values(), *(Flow(frozenset({"x"})) for _ in pre)]
        reader.read(trace(once, [*(p.weight for p in projections), *pre]), flows)
        # What one pass of a batch gives to each weight to do.
        self.once = dict.fromkeys(steps.weights, 0)
        for run in reader.runs.values():
            self.once[run.weight] += run.products
        # How many synapses make up one sum, and how many units receive what arrives.
        self.ends = {f"net.{p.name}.weight": (p.fan_in, net[p.dst].size) for p in projections}

    def count(self, round: Round) -> int:
        """The most often that any weight runs on activity of its own: a run that goes on from its
        own answer is no new one.
        """
        return max((self._of(runs) for runs in round.runs), default=0)

    def _of(self, runs: Iterable[Run]) -> int:
        passes = dict.fromkeys(self.once, 0.0)
        for run in {run.operands: run for run in runs}.values():
            # What is clamped to the input starts a run, wherever it comes from.
            if run.active and (not run.chained or (run.weight in self.inputs and run.times == 1)):
                passes[run.weight] += self._share(run)
        return max((math.ceil(n / self.time - 1e-6) for n in passes.values()), default=0)

    def _share(self, run: Run) -> float:
        """How many passes of a batch a run makes up: its share of their products, since a pass may
        come in parts.

        A sum of more products than there are synapses goes through a matrix of what the weights
        make of each input by itself. Most of that is zero, and the sum is all that a unit receives.
        """
        synapses, units = self.ends[run.weight]
        if not self.once[run.weight]:
            return 0.0
        if run.products > run.sums * synapses:
            return run.sums / (units * self.batch)
        return run.products / self.once[run.weight]

    def probed(self, round: Round) -> bool:
        """Whether the loss is asked of one output as often as it has units: then the answers make
        up its error.
        """
        for runs, questions in zip(round.runs, round.questions, strict=True):
            asked: dict[tuple[int, ...], float] = {}
            for question in {q.of: q for q in questions if q.need == "signal.loss"}.values():
                for run in question.answers:
                    asked[run] = asked.get(run, 0) + question.numbers
            for run in runs:
                outputs = self._share(run) * self.batch or math.inf
                if asked.get(run.at, 0) >= outputs * self.outputs:
                    return True
        return False
