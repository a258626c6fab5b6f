"""A run, in memory or on disk: what `compare`, `train` and `open` return."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from typing_extensions import override

from byway.core.display import html
from byway.core.errors import RunError, not_installed, unknown_name
from byway.core.given import require_folder
from byway.metrics.predictions import Confusion, Predictions
from byway.report.page import write_page
from byway.report.plot import plot_curves
from byway.report.runs import rows_of
from byway.report.table import Table
from byway.report.words import reading
from byway.runs.folder import PAGE, RunFolder, copied
from byway.runs.outcomes import Outcomes
from byway.runs.predictions import predictions_of
from byway.runs.predictors import predictor_of
from byway.runs.reach import measure_reach
from byway.training.predictor import Predictor
from byway.training.programs import MOST_ANSWERS
from byway.training.reach import BATCH, LENGTHS, STEPS, Reach, checked
from byway.training.result import Result


@dataclasses.dataclass(frozen=True, repr=False)
class Run(Outcomes):
    """What several rules left: curves, test scores and costs, and what they say beside each other.

    `run["dfa"]` is one rule's `Outcome`; of a run that was made in this process, its `Result`, with
    the learners. `run["dfa"].history["validation/accuracy"]` is a curve, "seeds time".

    Attributes:
        outcomes: by label, in the order in which they were asked for.
        about: when and where it ran, and what with.
        config: its settings as TOML, with which the same can be run again; empty where there is no
            such file.
        folder: where it is on disk, if it is.
    """

    @classmethod
    def of(cls, held: Outcomes) -> "Run":
        """These outcomes as a run."""
        return cls(held.outcomes, held.about, held.config, held.folder)

    def save(self, folder: Path | str, overwrite: bool = False) -> Path:
        """Write the run as a folder, as `compare` does with `out`; checkpoints are not in it.

        Args:
            folder: where; made, with its parents.
            overwrite: whether a run that lies there already may be replaced.

        Returns:
            Where it is.

        Raises:
            RunError: the folder exists and may not be replaced, or cannot be written.
        """
        require_folder("folder", folder)
        if self.folder is not None:
            return copied(self.folder, Path(folder), overwrite)
        about = {**self.about, "asked": list(self.outcomes)}
        made = RunFolder.begin(Path(folder), about, self.config, overwrite)
        for label, outcome in self.finished.items():
            job = made.job(label, outcome.seeds)
            job.save(outcome)
            if isinstance(outcome, Result):
                outcome.save(job.weights)
                if outcome.predictions is not None:
                    job.keep(outcome.predictions)
        return made.path

    def predictor(self, label: str, seed: int | None = None) -> Predictor:
        """The network that a rule trained, ready to answer raw samples.

        Args:
            label: which rule.
            seed: which learner; the first by default.

        Raises:
            UnknownNameError: no such rule.
            ConfigError: no such seed, or one that failed.
            RunError: the rule has not finished, or its file of weights is missing or broken.
        """
        return predictor_of(self, label, seed)

    def predictions(self, label: str) -> Predictions:
        """What each learner of a rule answers to every sample of the test split, by the weights
        that its test score is of.

        Args:
            label: which rule.

        Returns:
            `values`, seeds first; beside it `truth`, and the `labels` of classes.

        Raises:
            UnknownNameError: no such rule.
            RunError: the rule has not finished, its predictions were not kept, or their file is
                broken.
        """
        found = predictions_of(self, label)
        if found is None:
            raise RunError(
                f"{label}, without predictions",
                "a rule that finished, on a task with targets, in a run that kept them",
                "resume the run, or train again; where a learner has more than "
                f"{MOST_ANSWERS:,} answers to give, none are kept",
            )
        return found

    def confusion(self, label: str) -> Confusion:
        """How often a rule took each class for each other on the test split, "seeds truth answer",
        with recall, precision and f1 by class.

        Args:
            label: which rule.

        Raises:
            UnknownNameError: no such rule.
            ConfigError: the task has no classes.
            RunError: as in `predictions`.
        """
        return self.predictions(label).confusion()

    def reach(
        self, steps: int = STEPS, lengths: Sequence[int] = LENGTHS, batch: int = BATCH
    ) -> Reach:
        """How far back in time each rule assigns credit, on the network that it trained with its
        first seed, and what memory its update takes. A run on disk keeps it, and its report shows
        it.

        Args:
            steps: how long the sequence is in which credit is looked for.
            lengths: of the sequences for which memory is asked.
            batch: samples in a batch.

        Raises:
            RunError: no rule of the run works in time.
        """
        return measure_reach(self, *checked(steps, lengths, batch))

    def report(self, path: Path | str | None = None) -> Path:
        """Write the page of the run: one file that needs nothing else.

        Args:
            path: the file; report.html in the run's folder by default.

        Raises:
            RunError: no rule has finished, the page cannot be written, or there is no folder.
        """
        if path is None and self.folder is None:
            raise RunError(
                "a report of a run that is nowhere on disk",
                "a place for the page",
                "name a file, as in run.report('report.html')",
            )
        return write_page(self, Path(self.folder or "") / PAGE if path is None else Path(path))

    def plot(self, curve: str | None = None, ax: Any = None) -> Any:
        """Draw a curve of every rule, mean ± standard deviation over seeds, for a paper.

        Args:
            curve: its name, such as "train/loss" or "angle/input-hidden1"; the main score on
                validation by default.
            ax: axes of matplotlib; new ones by default.

        Returns:
            The axes.

        Raises:
            ConfigError: matplotlib is not installed.
            UnknownNameError: no rule has such a curve.
        """
        name = f"validation/{self.scores[0].name}" if curve is None and self.scores else curve
        known = dict.fromkeys(name for one in self.values() for name in one.history)
        if name is None or name not in known:
            raise unknown_name("curve", str(name), list(known))
        return plot_curves(self, name, ax)

    def to_frame(self) -> Any:
        """A frame of pandas with a row for each seed of each rule, in the columns of
        `byway runs`.

        Raises:
            ConfigError: pandas is not installed.
        """
        try:
            import pandas as pd
        except ImportError:
            raise not_installed("pandas", "frames") from None
        return pd.DataFrame(list(rows_of(self)))

    def _repr_html_(self) -> str:
        return html(self)

    @override
    def __repr__(self) -> str:
        lines = [str(one) for one in self.finished.values()]
        lines += [f"{label}: unfinished" for label in self.unfinished]
        return "<Run: " + "\n      ".join(lines or ["nothing has begun"]) + ">"

    @override
    def __str__(self) -> str:
        """The comparison table and what it says, as plain text."""
        if not self.finished:
            return repr(self)
        table = Table(self)
        columns = table.filled()
        cells = [[column.heading for column in columns]]
        cells += [[column.cell(row) for column in columns] for row in table.rows.values()]
        widths = [max(len(line[i]) for line in cells) for i in range(len(columns))]
        lines = []
        for line in cells:
            placed = [
                cell.ljust(width) if column.words else cell.rjust(width)
                for cell, width, column in zip(line, widths, columns, strict=True)
            ]
            lines.append("  ".join(placed).rstrip())
        return "\n".join([*lines, "", *reading(table)])
