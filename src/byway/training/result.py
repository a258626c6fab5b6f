"""What a training leaves behind."""

import dataclasses
from typing import TYPE_CHECKING

import jax
import numpy as np
from typing_extensions import override

from byway.core.display import html
from byway.core.score import Score
from byway.core.task import Task
from byway.learning.learner import Learner
from byway.learning.rule import Rule
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
        others: the same on each further split that the task has, by its name.
        failures: by seed, why it stopped early.
        advice: what the rule has to say of its last epoch, by seed: settling that did not converge,
            for example.
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
    others: dict[str, Scores] = dataclasses.field(default_factory=dict)

    def learner(self, index: int = 0) -> Learner:
        """The learner of the seed at `index`."""
        one = jax.tree.map(lambda a: a[index], self.learners)
        return dataclasses.replace(one, net=one.net.as_learnt())

    @property
    def look_seconds(self) -> float:
        """Time that the microscope took, for all seeds together, without compiling [s]; no part of
        `seconds`.
        """
        return sum(look.seconds for look in self.looks)

    @property
    def main(self) -> np.ndarray:
        """The task's main score on the test split, of each seed; NaN for a seed that failed, and
        where the task has none.
        """
        return (
            self.test[self.task.scores[0].name]
            if self.task.scores
            else np.full(len(self.seeds), np.nan)
        )

    if TYPE_CHECKING:  # by the name of any other score, a type checker is asked for `test`

        @property
        def accuracy(self) -> np.ndarray:
            """The share of test samples that each seed answers right."""
            ...

    else:

        def __getattr__(self, name: str) -> np.ndarray:
            """A score on the test split by its name, of each seed: `result.accuracy`, on a task
            that has it.
            """
            test = self.__dict__.get("test", {})
            if name not in test:
                raise AttributeError(
                    f"a result has no attribute {name!r}; the scores of this one are "
                    f"{', '.join(test) or 'none'}"
                )
            return test[name]

    @property
    def validated(self) -> float:
        """The main score on validation after the last epoch, on average over seeds (see
        `judged`).
        """
        main = self.task.scores[0]
        return judged(main, *(self.rows[i].validation[main.name] for i in (0, -1)))

    @override
    def __repr__(self) -> str:
        return f"<Result: {self}>"

    def _repr_html_(self) -> str:
        return html(self)

    @override
    def __str__(self) -> str:
        lost = f", {len(self.failures)} failed" if self.failures else ""
        return (
            f"{self.rule.id} on {self.task.id}: {self._tested()}{len(self.seeds)} seeds in "
            f"{self.seconds:.1f} s{lost}"
        )

    def _tested(self) -> str:
        if not self.task.scores:
            return ""
        score = self.task.scores[0]
        good = score.scale * self.main[np.isfinite(self.main)]
        if not good.size:
            return f"test {score.title} no seed survived, "
        digits = score.digits(good)
        spread = f" ± {good.std(ddof=1):.{digits}f}" if good.size > 1 else ""
        return (
            f"test {score.title} "
            f"{good.mean():.{digits}f}{f' {score.unit}' if score.unit else ''}{spread}, "
        )


def judged(main: Score, first: np.ndarray, last: np.ndarray) -> float:
    """What a training is worth by its main score: the mean over seeds; one that was lost counts as
    it was before it learned.

    A rule is tuned by it: a rate at which seeds are lost must not look better for that. Infinitely
    bad where nothing is left.

    Args:
        main: the score.
        first: its value on validation at the start, "seeds".
        last: the same after the last epoch.
    """
    mean = float(np.where(np.isfinite(last), last, first).mean())
    return mean if np.isfinite(mean) else -np.inf if main.higher else np.inf
