"""What a training leaves behind."""

import dataclasses

import jax
import numpy as np

from byway.core.learner import Learner
from byway.core.rule import Rule
from byway.core.task import Task
from byway.training.rows import Look, Row, Scores


@dataclasses.dataclass(frozen=True, repr=False)
class Result:
    """A finished training: curves, test scores and the learners themselves.

    Attributes:
        rule: the rule that trained.
        task: the task it trained on.
        seeds: the seeds, in the order of every array.
        rows: one for the start and one for each epoch.
        looks: what the microscope saw on the way; none of a network with black boxes.
        test: scores on the test split after the last epoch; NaN for a seed that failed.
        failures: by seed, why it stopped early.
        advice: what the rule has to say of its last epoch, by seed: settling that did not converge, for example.
        learners: the trained learners, arrays with a leading axis of seeds.
        seconds: training time of all seeds together [s].
        compile_seconds: time to compile the training program [s].
        look_compile_seconds: time to compile the microscope [s].
        step_bytes: memory of one compiled update of one learner [B].
    """

    rule: Rule
    task: Task
    seeds: list[int]
    rows: list[Row]
    looks: list[Look]
    test: Scores
    failures: dict[int, str]
    advice: dict[int, str]
    learners: Learner
    seconds: float
    compile_seconds: float
    look_compile_seconds: float
    step_bytes: int

    def learner(self, index: int = 0) -> Learner:
        """The learner of the seed at `index`."""
        return jax.tree.map(lambda a: a[index], self.learners)

    @property
    def look_seconds(self) -> float:
        """Time that the microscope took, for all seeds together, without compiling [s]; no part of `seconds`."""
        return sum(look.seconds for look in self.looks)

    @property
    def accuracy(self) -> np.ndarray:
        """Test accuracy of each seed, from 0 to 1."""
        return self.test["accuracy"]

    def __repr__(self) -> str:
        return f"<Result: {self}>"

    def _repr_html_(self) -> str:
        from byway.notebook import result_html

        return result_html(self)

    def __str__(self) -> str:
        good = self.accuracy[np.isfinite(self.accuracy)]
        mean = f"{100 * good.mean():.2f} %" if good.size else "no seed survived"
        spread = f" ± {100 * good.std(ddof=1):.2f}" if good.size > 1 else ""
        lost = f", {len(self.failures)} failed" if self.failures else ""
        return f"{self.rule.id} on {self.task.id}: test accuracy {mean}{spread}, {len(self.seeds)} seeds in {self.seconds:.1f} s{lost}"
