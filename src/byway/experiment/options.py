"""The options of experiments, besides those of training."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated

from byway.core.task import Task
from byway.training.options import Option, Options


class JobOptions(Options, total=False):
    """What `compare`, `train` and `tune` can be told besides what `fit` can: where they run."""

    jobs: Annotated[
        int | None,
        Option(
            None,
            "how many jobs run at once, each in a process of its own with its share of the cores; "
            "a job is a rule, or some seeds of one. By default one, in this process; on a cluster "
            "one for each core",
            topic="jobs",
        ),
    ]
    on: Annotated[
        str | None,
        Option(
            None,
            "ray, to run jobs on a cluster of Ray: that of $RAY_ADDRESS, or else one on this "
            "machine, begun for it",
            topic="jobs",
        ),
    ]


class ExperimentOptions(JobOptions, total=False):
    """What `compare` and `train` can be told besides rules, network and task."""

    rates: Annotated[
        Mapping[str, float] | None,
        Option(None, "learning rates of single rules, by rule; lr for all others", flag=None),
    ]
    tuned: Annotated[
        Path | str | None,
        Option(
            None,
            "the folder of a search by 'tune', whose findings each rule is trained with",
            Path | None,
        ),
    ]
    track: Annotated[
        Sequence[str],
        Option(
            (),
            "where to send what is measured besides: tensorboard, wandb or mlflow",
            tuple[str, ...],
            topic="saving",
        ),
    ]
    out: Annotated[
        Path | str | None,
        Option(
            None,
            "the run folder; runs/VERB-TASK-TIME by default on the command line, in Python none: "
            "then nothing is written",
            Path | None,
        ),
    ]
    overwrite: Annotated[bool, Option(False, "replace the run that lies in the folder")]
    resume: Annotated[
        bool, Option(False, "resume the run that lies in the folder, made by the same call")
    ]


class StudyOptions(ExperimentOptions, total=False):
    """What `compare` and `train` can be told to make a study: several runs that differ in one
    thing.
    """

    folds: Annotated[
        int | None,
        Option(
            None,
            "folds of a cross-validation, a run for each: all samples of the task are one pool, "
            "and each is tested once; none by default",
        ),
    ]
    tasks: Annotated[
        Sequence[str | Task] | None,
        Option(
            None,
            "several tasks in place of one, a run for each; on the command line their names, or "
            "files of your own data, separated by commas",
            str | None,
        ),
    ]
