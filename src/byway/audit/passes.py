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
        self.once = dict.fromkeys(steps.weights, 0.0)
        for run in reader.runs.values():
            self.once[run.weight] += run.work

    def count(self, round: Round) -> int:
        """The most often that any weight runs on activity of its own: a run that goes on from its
        own answer is no new one.
        """
        return max((self._of(runs) for runs in round.runs), default=0)

    def _of(self, runs: Iterable[Run]) -> int:
        work = dict.fromkeys(self.once, 0.0)
        for run in {run.operands: run for run in runs}.values():
            # What is clamped to the input starts a run, wherever it comes from.
            if run.active and (not run.chained or (run.weight in self.inputs and run.times == 1)):
                work[run.weight] += run.work
        return max(
            (
                math.ceil(n / self.once[name] / self.time - 1e-6)
                for name, n in work.items()
                if self.once[name]
            ),
            default=0,
        )

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
                outputs = (
                    run.work / self.once[run.weight] * self.batch
                    if self.once[run.weight]
                    else math.inf
                )
                if asked.get(run.at, 0) >= outputs * self.outputs:
                    return True
        return False
