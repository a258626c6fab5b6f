"""What `fit` returns: an outcome with the learners themselves."""

import dataclasses
import math
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import jax
import numpy as np

from byway.core.display import html
from byway.core.errors import ConfigError
from byway.core.given import shown
from byway.core.score import Score
from byway.core.task import Task
from byway.learning.learner import Learner
from byway.learning.rule import Rule
from byway.metrics.predictions import Predictions
from byway.training.outcome import Outcome
from byway.training.predictor import Predictor, write
from byway.training.step import concluded


@dataclasses.dataclass(frozen=True, kw_only=True, repr=False)
class Result(Outcome):
    """A finished training: what an `Outcome` holds, and the learners.

    A score on the test split is an attribute too: `result.accuracy`, on a task that has it.

    Attributes:
        rule: the rule that trained.
        task: the task it trained on.
        learners: the trained learners, arrays with a leading axis of seeds.
        predictions: what each of them answers to each test sample; None where there is nothing to
            be answered, or too much to be kept.
    """

    rule: Rule
    task: Task
    learners: Learner
    predictions: Predictions | None = None

    def learner(self, index: int = 0) -> Learner:
        """The learner of the seed at `index`."""
        one = jax.tree.map(lambda a: a[index], self.learners)
        return dataclasses.replace(one, net=one.net.as_learnt())

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

    def predictor(self, seed: int | None = None) -> Predictor:
        """What a learner has become, ready to answer raw samples: without the task, and in another
        program.

        Args:
            seed: which learner; the first by default.

        Raises:
            ConfigError: a seed that there is not, or one that failed.
        """
        seed = self.seeds[0] if seed is None else seed
        sound = [one for one in self.seeds if one not in self.failures]
        if seed not in sound:
            raise ConfigError(
                f"a predictor of seed {shown(seed)}",
                f"one of the seeds that finished: {', '.join(map(str, sound)) or 'there is none'}",
                "choose one of these",
            )
        return self._predictor(seed)

    def save(self, path: Path | str) -> None:
        """Write every learner as a predictor, all of them in one file: `byway.load(path, seed=1)`
        reads one. `result.predictor(1).save(path)` writes that one alone.

        Args:
            path: the file; one that is there is replaced.

        Raises:
            RunError: it cannot be written.
        """
        write(path, [self._predictor(seed) for seed in self.seeds])

    def _predictor(self, seed: int) -> Predictor:
        index = self.seeds.index(seed)
        learner = concluded(self.rule, self.learner(index))
        scores = {name: float(values[index]) for name, values in self.test.items()}
        about = {
            "byway": version("byway"),
            "task": self.task_id,
            "settings": self.settings,
            "test": {k: v if math.isfinite(v) else None for k, v in scores.items()},
        }
        return Predictor(
            learner.net, self.rule, learner.gamma, self.task.encoding, learner.key, seed, about
        )

    @property
    def validated(self) -> float:
        """The main score on validation after the last epoch, on average over seeds (see
        `judged`).
        """
        main = self.task.scores[0]
        values = self.history[f"validation/{main.name}"].values
        return judged(main, values[:, 0], values[:, -1])

    def _repr_html_(self) -> str:
        return html(self)


def judged(main: Score, first: np.ndarray, last: np.ndarray) -> float:
    """What a run is worth by its main score: the mean over seeds; one that was lost counts as
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
