"""What is measured, sent on to where people already look: TensorBoard, Weights & Biases, MLflow.
The run folder has it all in any case.

A run that resumes from a checkpoint sends what that holds once more, under the same steps.
"""

import contextlib
import importlib
import math
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from typing_extensions import override

from byway.core.errors import not_installed, unknown_name
from byway.training.history import Reading


class Tracker(ABC):
    """One learner's page somewhere.

    Attributes:
        package: what has to be installed for it.

    Args:
        folder: the run folder.
        rule: the rule.
        seed: the learner's seed.
        settings: every setting of the run, plain values.
    """

    package: ClassVar[str]

    @abstractmethod
    def __init__(self, folder: Path, rule: str, seed: int, settings: Mapping[str, Any]): ...

    @abstractmethod
    def log(self, step: int, values: Mapping[str, float]) -> None:
        """Keep some numbers of one step."""

    @abstractmethod
    def close(self) -> None:
        """Say that there is no more."""


class TensorBoard(Tracker):
    """Event files in RUN/tensorboard, written by tensorboardX: `tensorboard --logdir RUN`."""

    package = "tensorboardX"

    def __init__(self, folder, rule, seed, settings):
        from tensorboardX import SummaryWriter

        self._writer = SummaryWriter(str(folder / "tensorboard" / f"{rule}-{seed}"))

    @override
    def log(self, step, values):
        for name, value in values.items():
            self._writer.add_scalar(name, value, step)

    @override
    def close(self):
        self._writer.close()


class WandB(Tracker):
    """A run of Weights & Biases for each learner, grouped by the run folder; where it goes is what
    `wandb` was told.
    """

    package = "wandb"

    def __init__(self, folder, rule, seed, settings):
        import wandb  # pyright: ignore[reportMissingImports]

        config = {**settings, "rule": rule, "seed": seed}
        self._run = wandb.init(
            project="byway",
            group=folder.name,
            name=f"{rule}-{seed}",
            dir=folder,
            config=config,
            reinit="create_new",
        )

    @override
    def log(self, step, values):
        self._run.log(dict(values), step=step)

    @override
    def close(self):
        self._run.finish()


class MLflow(Tracker):
    """A run of MLflow for each learner, in the experiment "byway"; where it goes is what `mlflow`
    was told.
    """

    package = "mlflow"

    def __init__(self, folder, rule, seed, settings):
        from mlflow import MlflowClient  # pyright: ignore[reportMissingImports]

        self._client = MlflowClient()
        held = self._client.get_experiment_by_name("byway")
        experiment = held.experiment_id if held else self._client.create_experiment("byway")
        tags = {"mlflow.runName": f"{folder.name}/{rule}-{seed}", "run": folder.name}
        self._run = self._client.create_run(experiment, tags=tags).info.run_id
        for name, value in {**settings, "rule": rule, "seed": seed}.items():
            self._client.log_param(self._run, name, str(value)[:500])

    @override
    def log(self, step, values):
        for name, value in values.items():
            self._client.log_metric(self._run, name, value, step=step)

    @override
    def close(self):
        self._client.set_terminated(self._run)


TRACKERS: dict[str, type[Tracker]] = {"tensorboard": TensorBoard, "wandb": WandB, "mlflow": MLflow}


class Tracking:
    """The pages of all learners of one rule.

    Args:
        pages: by seed, in the order of every array.
    """

    def __init__(self, pages: Sequence[Sequence[Tracker]]):
        self._pages = pages

    def tell(self, reading: Reading) -> None:
        """Send what was measured at one moment."""
        for i, pages in enumerate(self._pages):
            values = {name: float(v[i]) for name, v in reading.items()}
            finite = {name: value for name, value in values.items() if math.isfinite(value)}
            for page in pages:
                page.log(reading.step, finite)


@contextlib.contextmanager
def tracking(
    names: Sequence[str], folder: Path, rule: str, seeds: Sequence[int], settings: Mapping[str, Any]
) -> Iterator[Tracking]:
    """Open a page for each learner of a rule with each of some trackers; they are closed at the
    end, however it comes.

    Args:
        names: of `TRACKERS`.
        folder: the run folder.
        rule: the rule.
        seeds: the learners.
        settings: every setting of the run, plain values.

    Raises:
        UnknownNameError: a tracker that does not exist.
        ConfigError: one that is not installed.
    """
    with contextlib.ExitStack() as stack:
        pages = []
        for seed in seeds:
            pages.append([tracker(name)(folder, rule, seed, settings) for name in names])
            for page in pages[-1]:
                stack.callback(page.close)
        yield Tracking(pages)


def tracker(name: str) -> type[Tracker]:
    """The tracker of a name.

    Raises:
        UnknownNameError: there is none.
        ConfigError: what it needs is not installed.
    """
    if name not in TRACKERS:
        raise unknown_name("tracker", name, TRACKERS)
    try:
        importlib.import_module(TRACKERS[name].package)
    except ImportError:
        raise not_installed(TRACKERS[name].package, "track") from None
    return TRACKERS[name]
