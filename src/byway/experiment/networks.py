"""The network of an experiment, by kind: what the command line builds, and Python where no network
is given.
"""

import dataclasses
from collections.abc import Callable

from byway.core.errors import ConfigError, look_up
from byway.core.given import require_whole, shown
from byway.core.task import Task
from byway.learning.rule import Rule
from byway.network.builders import (
    conv_revnet,
    convnet,
    coupled,
    lru,
    mlp,
    ode,
    orthogonal,
    revnet,
    rnn,
    topdown,
)
from byway.network.grown import grownet
from byway.network.network import Network

# Of each convolution, and in a grownet, unless told; and the kinds of network that alone have a
# setting.
CHANNELS, UNITS = (16, 32), 500
ONLY: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(("channels", "kernel", "pool"), ("convnet", "conv_revnet")),
    **dict.fromkeys(("duration", "steps", "decay", "method"), ("ode",)),
    **dict.fromkeys(
        ("regions", "form", "spare", "born", "reach", "cycles", "speed", "own_delays"), ("grownet",)
    ),
    "fan_in": ("mlp", "grownet"),
    "block_size": ("mlp",),
    "code": ("mlp",),
    "units": ("lru", "grownet"),
    "blocks": ("revnet", "conv_revnet"),
    "stages": ("orthogonal",),
    "dummies": ("orthogonal",),
}
# Kinds without dense hidden layers, and what says their size.
UNLAYERED = {"grownet": "net.units", "conv_revnet": "net.channels and net.blocks"}
NETWORKS: dict[str, Callable[..., Network]] = {
    "mlp": lambda task, hidden, options: mlp(task.input_shape, *hidden, task.outputs, **options),
    "rnn": lambda task, hidden, options: rnn(task.input_shape, *hidden, task.outputs, **options),
    "lru": lambda task, hidden, options: lru(task.input_shape, *hidden, task.outputs, **options),
    "coupled": lambda task, hidden, options: coupled(
        task.input_shape, *hidden, task.outputs, **options
    ),
    "orthogonal": lambda task, hidden, options: orthogonal(
        task.input_shape, *hidden, task.outputs, **options
    ),
    "revnet": lambda task, hidden, options: revnet(
        task.input_shape, *hidden, task.outputs, **options
    ),
    "conv_revnet": lambda task, _, options: conv_revnet(
        task.input_shape, options.pop("channels", CHANNELS), task.outputs, **options
    ),
    "topdown": lambda task, hidden, options: topdown(
        task.input_shape, *hidden, task.outputs, **options
    ),
    "ode": lambda task, hidden, options: ode(task.input_shape, *hidden, task.outputs, **options),
    "grownet": lambda task, _, options: grownet(
        task.input_shape, options.pop("units", UNITS), task.outputs, **options
    ),
    "convnet": lambda task, hidden, options: convnet(
        task.input_shape,
        options.pop("channels", CHANNELS),
        task.outputs,
        hidden=hidden,
        **options,
    ),
}


@dataclasses.dataclass(frozen=True)
class NetSettings:
    """The network that every rule trains.

    Attributes:
        kind: mlp, convnet, topdown (layers that project to both their neighbours), rnn, lru (linear
            recurrent units), ode (a neural ODE), grownet (units in space, wired by distance); of
            those that can be gone back through revnet (residual, of two streams), conv_revnet (of
            convolutions), coupled (recurrent, of two halves), orthogonal (recurrent, of rotations);
            by default rnn where samples are sequences, mlp elsewhere.
        hidden: sizes of the dense hidden layers; of a revnet, the units of both streams together;
            of an ode, its state and the layers of its right-hand side. The task's suggestion by
            default, none after convolutions.
        channels: of each convolution, or of each stage of a conv_revnet; 16 32 by default.
        kernel: side of every kernel [pixel]; 3 by default.
        pool: side of the mean-pooling window after a convolution [pixel]; 2 by default.
        activation: of hidden layers: relu, long_relu, leaky_relu, tanh, sigmoid, hard_sigmoid,
            softplus, identity, quantised; in time also leaky, lif, alif, gru, lstm, rev_lstm,
            integrator (the default of coupled), with numbers as lif:tau=20,hard=true.
        fan_in: how many units of the layer before each hidden unit reads, in an mlp, all by
            default; how many each unit of a grownet reads, 32 by default.
        block_size: units of an mlp with fan-in that read the same blocks of units; 1 by default.
        code: units of a code in an mlp, where one subtask ends and the next begins: a linear layer
            before the last hidden one, or before the output; 0 for one less than outputs. None by
            default; subtask always has one.
        units: how many units a grownet has, 500 by default; how many complex numbers each memory of
            an lru holds, as many as its hidden layer has units by default.
        regions: into how many regions a grownet is cut, from input to output; 4 by default.
        form: of a grownet: volume, the default, ball or sheet.
        spare: free slots of each unit of a grownet, for growth; none by default.
        born: share of the units of a grownet that there are at first, all by default.
        reach: length over which synapses of a grownet become rare [um], in a cube of 400; 80 by
            default, inf for wiring blind to distance.
        cycles: whether regions of a grownet read themselves and those beyond them too.
        speed: of conduction in a grownet [um a time step]; no delays by default.
        own_delays: whether each synapse is late by its own length, not all of two regions alike.
        blocks: how many blocks of two hidden layers a revnet has, 8 by default, or each stage of a
            conv_revnet, 2 by default.
        duration: how long an ode is integrated; 1 by default.
        steps: steps of its solver in that time; 16 by default.
        decay: rate at which its state decays by itself; 0 by default.
        method: of its solver: euler, midpoint or rk4, the default.
        stages: stages of rotations in an orthogonal layer; log2 of its units by default.
        dummies: units more in an orthogonal layer, read by itself alone; none by default.
        norm: whether layers send activity over its root mean square; ff always does.
        bias: whether projections have a bias.
    """

    kind: str | None = None
    hidden: tuple[int, ...] | None = None
    channels: tuple[int, ...] | None = None
    kernel: int | None = None
    pool: int | None = None
    activation: str | None = None
    fan_in: int | None = None
    block_size: int | None = None
    code: int | None = None
    units: int | None = None
    regions: int | None = None
    form: str | None = None
    spare: int | None = None
    born: float | None = None
    reach: float | None = None
    cycles: bool = False
    speed: float | None = None
    own_delays: bool = False
    blocks: int | None = None
    duration: float | None = None
    steps: int | None = None
    decay: float | None = None
    method: str | None = None
    stages: int | None = None
    dummies: int | None = None
    norm: bool = False
    bias: bool = True

    def resolved(self, task: Task) -> "NetSettings":
        """The same network with what a task suggests written out."""
        kind = ("rnn" if task.in_time else "mlp") if self.kind is None else self.kind
        suggested = tuple(task.suggests.hidden)
        # A revnet is as wide all the way.
        few = {"convnet": 0, "revnet": 1, **dict.fromkeys(UNLAYERED, 0)}.get(kind)
        # Runs of version 0.1 have the suggestion written out for a grownet, too.
        unset = self.hidden is None or (kind in UNLAYERED and self.hidden == suggested)
        hidden = suggested[:few] if unset else self.hidden
        return dataclasses.replace(self, kind=kind, hidden=hidden)

    def __call__(self, task: Task, rule: Rule) -> Network:
        """The network, with the options that the rule cannot do without.

        Raises:
            UnknownNameError: a kind that there is not.
            ConfigError: a setting of another kind, or one that contradicts what the rule needs.
        """
        mine = self.resolved(task)
        kind = mine.kind or ""
        builder = look_up("network kind", kind, NETWORKS)
        if mine.hidden and kind in UNLAYERED:
            raise ConfigError(
                f"net.hidden = {shown(mine.hidden)} for a network of the kind {kind}",
                f"its size by {UNLAYERED[kind]}",
                "leave net.hidden out",
            )
        options = {
            name: value
            for name, value in vars(mine).items()
            if value is not None and name not in ("kind", "hidden")
            # What is off is off in every kind.
            if not (value is False and name in ONLY)
        }
        needs = dict(rule.network_options)
        # The units that a rule works best with are a default: it refuses by itself those that it
        # cannot train. In an lru the memories are what it asks for.
        if "activation" in options or mine.kind == "lru":
            needs.pop("activation", None)
        # Of how many units a code is may be chosen; where there is none, the rule says so.
        if "code" in options or mine.kind != "mlp":
            needs.pop("code", None)
        for name, value in options.items():
            if kind not in (only := ONLY.get(name, (kind,))):
                raise ConfigError(
                    f"net.{name} = {value} for a network of the kind {kind}",
                    f"one of the kind {' or '.join(only)}",
                    f"leave net.{name} out, or add --net.kind {only[0]}",
                )
            if name in ("kernel", "pool", "units", "steps", "blocks", "stages"):
                require_whole(f"net.{name}", value)
            # What is off may be off by default.
            if needs.get(name, value) != value and value is not False:
                raise ConfigError(
                    f"net.{name} = {value} for {rule.id}",
                    f"{needs[name]}, which {rule.id} cannot do without",
                    f"leave net.{name} out, or {rule.id}",
                )
        return builder(task, mine.hidden, {**options, **needs})
