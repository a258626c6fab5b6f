"""The options of training, declared once: signatures, docs, `--help`, TOML and checks are made of
this.
"""

import dataclasses
import inspect
import typing
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, TypedDict, TypeVar

import optax

from byway.core.errors import unknown_name
from byway.learning.growth import Growth

Made = TypeVar("Made", bound=Callable[..., Any])


@dataclasses.dataclass(frozen=True)
class Option:
    """What there is to know of an option beside its name and type.

    Attributes:
        default: its value unless told; None where it depends on task, rule or network.
        doc: what it means, and what None stands for.
        flag: its type on the command line and in a TOML file, where Python takes more.
        topic: under which topic of `--help` it stands; "" for the first screen.
    """

    default: Any
    doc: str
    flag: Any = None
    topic: str = ""


class Options(TypedDict, total=False):
    """What `fit`, `train`, `compare` and `tune` can be told of training."""

    epochs: Annotated[
        int | None, Option(None, "passes over the training split; the task's suggestion by default")
    ]
    batch: Annotated[
        int | None, Option(None, "samples in an update; the task's suggestion by default")
    ]
    seeds: Annotated[int, Option(1, "how many learners, seeded first_seed, first_seed + 1, ...")]
    first_seed: Annotated[int, Option(0, "the first of the seeds")]
    optimiser: Annotated[
        str | optax.GradientTransformation | None,
        Option(
            None,
            "adam, adamw, sgd, momentum, rmsprop or adam_each, or in Python any optax "
            "transformation; each rule's own by default, adam for most",
            str | None,
            topic="optimiser",
        ),
    ]
    lr: Annotated[
        float | None, Option(None, "learning rate of the weights; each rule's own by default")
    ]
    lr_gamma: Annotated[
        float | None,
        Option(
            None,
            "learning rate of a rule's own parameters, where they learn; lr by default, or the "
            "rule's own multiple of it",
            topic="optimiser",
        ),
    ]
    schedule: Annotated[
        str | None,
        Option(
            None,
            '"cosine" takes the rate to zero over the run, "constant" leaves it; each rule\'s own '
            "by default, cosine for most",
            topic="optimiser",
        ),
    ]
    clip: Annotated[
        float | None,
        Option(
            None,
            "the largest norm of all updates together; longer ones are scaled down to it",
            topic="optimiser",
        ),
    ]
    decay: Annotated[
        float | None,
        Option(
            None,
            "decoupled weight decay, multiplied by the learning rate; biases do not decay; none by "
            "default",
            topic="optimiser",
        ),
    ]
    warmup: Annotated[
        int | None,
        Option(
            None,
            "updates over which the learning rate rises from 0; none by default",
            topic="optimiser",
        ),
    ]
    scales: Annotated[
        Mapping[str, float] | None,
        Option(
            None,
            "by projection, such as 'input-hidden1', what its learning rate is multiplied by; 1 by "
            "default",
            topic="optimiser",
        ),
    ]
    base_width: Annotated[
        int | None,
        Option(
            None,
            "the width of hidden layers that lr was found at: in wider or narrower ones each "
            "projection then learns at the rate that muP (Yang et al. 2022) gives it; the same "
            "rate everywhere by default",
            topic="optimiser",
        ),
    ]
    patience: Annotated[
        int | None,
        Option(
            None,
            "epochs without a better main score on validation, averaged over seeds, after which "
            "training stops; it goes through all epochs by default",
        ),
    ]
    best: Annotated[
        bool,
        Option(
            False,
            "keep, of each seed, the epoch with the best main score on validation in place of the "
            "last",
        ),
    ]
    probe: Annotated[
        int | None,
        Option(
            None,
            "validation samples under the microscope, which compares updates with the true "
            "gradient; 64 by default",
            topic="microscope",
        ),
    ]
    looks: Annotated[
        int | None,
        Option(
            None,
            "how often the microscope looks, closer together early; 0 for never; by default up to "
            "20 times, for less than a tenth of the time",
            topic="microscope",
        ),
    ]
    look_at: Annotated[
        Sequence[int] | None,
        Option(
            None,
            "the updates after which it looks instead, 0 for the start",
            tuple[int, ...] | None,
            topic="microscope",
        ),
    ]
    every: Annotated[
        int | None,
        Option(
            None,
            "time steps between updates, for a rule that learns at every step; a whole sequence "
            "by default",
        ),
    ]
    parallel: Annotated[
        str | None,
        Option(
            None,
            '"layers" shares the layers among the devices that there are, which work at the same '
            "time, for a rule whose updates wait for nothing downstream: the same results, sooner; "
            "by default each learner is on one",
            topic="jobs",
        ),
    ]
    growth: Annotated[
        Growth | Sequence[Growth] | None,
        Option(
            None,
            "what grows the network while it learns, one policy or several (set,rigl); "
            "'byway list growth' names them; nothing by default, as where it says none",
            str | None,
        ),
    ]
    save_every: Annotated[
        float | None,
        Option(
            None,
            "seconds between two checkpoints, from which 'byway resume' starts, 60 by default; "
            "ends of epochs count too",
            topic="saving",
        ),
    ]
    keep: Annotated[
        int | None,
        Option(
            None,
            "how many of the latest checkpoints to keep, for 'byway branch'; 0 for all; 1 by "
            "default",
            topic="saving",
        ),
    ]


def declared(options: type) -> dict[str, tuple[Any, Option]]:
    """The options that a class declares, those of its bases first: by name, type and the rest."""
    hints = typing.get_type_hints(options, include_extras=True)
    found = {}
    for name, hint in hints.items():
        kind, about = typing.get_args(hint)[:2]
        found[name] = kind, about
    return found


def filled(options: type, given: Mapping[str, Any]) -> dict[str, Any]:
    """All options that a class declares: as they are given, else by default.

    Raises:
        UnknownNameError: one that there is not, with the nearest ones.
    """
    known = declared(options)
    for name in given:
        if name not in known:
            raise unknown_name("option", name, known)
    return {name: given.get(name, about.default) for name, (_, about) in known.items()}


def taking(options: type, **defaults: Any) -> Callable[[Made], Made]:
    """Of a function with `**options: Unpack[...]`: write them out in its signature and docstring.

    Args:
        options: the class that declares them.
        defaults: those that this function has other defaults for.
    """

    def finish(function: Made) -> Made:
        signature = inspect.signature(function)
        kept = [p for p in signature.parameters.values() if p.kind is not p.VAR_KEYWORD]
        texts, more = [], []
        for name, (kind, about) in declared(options).items():
            if name not in signature.parameters:
                default = defaults.get(name, about.default)
                keyword = inspect.Parameter.KEYWORD_ONLY
                more.append(inspect.Parameter(name, keyword, default=default, annotation=kind))
                texts.append(f"        {name}: {about.doc}.")
        function.__signature__ = signature.replace(  # pyright: ignore[reportFunctionMemberAccess]
            parameters=[*kept, *more]
        )
        head, line, rest = (function.__doc__ or "").partition("        options: ")
        if line:
            _, newline, rest = rest.partition("\n")
            function.__doc__ = head + "\n".join(texts) + newline + rest
        return function

    return finish
