"""The page of a kind of network: its tiny instance, drawn, and who trains it."""

import dataclasses
from collections.abc import Sequence

from byway.audit.networks import KINDS, accepts
from byway.learning.rule import Rule
from byway.network.describe import describe
from byway.pages.drawing import network_svg
from byway.pages.words import table


@dataclasses.dataclass(frozen=True)
class About:
    """What cannot be read from a network.

    Attributes:
        what: what kind it is, in a sentence or two.
        python: how to build one.
        command: how to ask the command line for one, or empty.
    """

    what: str
    python: str
    command: str = ""


ABOUT = {
    "mlp": About(
        "A multi-layer perceptron: dense layers, each fed by the one before. Which hidden layers "
        "feed the output is a choice.",
        "byway.mlp(784, 500, 500, 10)",
        "byway train --net.kind mlp --net.hidden 128 128",
    ),
    "convnet": About(
        "Convolutions with mean pooling, then dense layers. Each square is a feature map, each "
        "line between maps a kernel.",
        "byway.convnet((28, 28, 1), (16, 32), 10)",
        "byway train --net.kind convnet --net.channels 16 32",
    ),
    "blackbox": About(
        "A network with units that have no slope, drawn as squares: here quantised to 3 bits; any "
        "Python function will do, through "
        "`byway.host`. A rule that reads a slope there refuses it and names those that need none.",
        'byway.mlp(784, 500, 10, activation="quantised")',
        "byway train --rule node_perturbation --net.activation quantised",
    ),
    "rnn": About(
        "A recurrent network: each hidden layer also projects to itself, one time step later "
        "(dashed).",
        "byway.rnn(2, 64, 1)",
        "byway train --task adding --rule bptt --net.kind rnn --net.hidden 64",
    ),
    "coupled": About(
        "A recurrent network that can be gone back through: each hidden layer is two halves, each "
        "driven by the other and not by itself, of units that never forget. From the state after a "
        "step and its input follows the state before it.",
        "byway.coupled(2, 64, 1)",
        "byway train --task adding --rule reversible --net.kind coupled --net.hidden 64",
    ),
    "revgru": About(
        "Coupled halves of gated units, which forget: a RevGRU. `keep` sets how much of its past a "
        "unit keeps at least, and so how many bits of it have to be stored.",
        'byway.coupled(2, 64, 1, activation=byway.cell("gru", keep=0.125))',
        "byway train --task adding --rule reversible_exact --net.kind coupled --net.activation gru",
    ),
    "orthogonal": About(
        "A recurrent network whose layers turn their past by a product of plane rotations, whose "
        "angles are learned: nothing is lost, so it can be gone back through.",
        "byway.orthogonal(2, 64, 1)",
        "byway train --task adding --rule reversible --net.kind orthogonal --net.hidden 64",
    ),
    "revnet": About(
        "A residual network of two streams that are added to in turn, so that every block can be "
        "undone: activity of the way there need not be kept.",
        "byway.revnet(784, 128, 10)",
        "byway train --rule reversible --net.kind revnet --net.hidden 128 --net.blocks 8",
    ),
    "topdown": About(
        "Layers that also project down to the one before (dashed): a rule that settles runs both "
        "ways at once, one in time brings the step before.",
        "byway.topdown(784, 128, 128, 10)",
        "byway train --rule pc --net.kind topdown --net.hidden 128 128",
    ),
    "ode": About(
        "A neural ODE: the state of the flowing units follows a differential equation, whose "
        "right-hand side is the small network around them. The cycle takes no time steps: it is "
        "solved within one sample, from a state of zero, and the output reads where it ends.",
        "byway.ode(784, 64, 10)",
        "byway train --net.kind ode --net.hidden 64 --net.steps 16",
    ),
    "subtasks": About(
        "A network of codes, which end one subtask and begin the next; here two subtasks side by "
        "side, and one that reads both codes. To a rule that knows no subtasks a code is a layer "
        "of linear units.",
        'byway.graph({"input": 784, "below": 200, "left": 5, "right": 4, "above": 100, "output": '
        '10}, [("input", "below"), ("below", "left"), ("input", "right"), ("left", "above"), '
        '("right", "above"), ("above", "output")], activation={"below": "relu", "left": "code", '
        '"right": "code", "above": "relu"})',
    ),
    "grownet": About(
        "Units in space between an input and an output surface; a region is a population. Each "
        "unit reads a few others, near ones most likely, and has room for more.",
        "byway.grownet(784, 500, 10)",
        "byway train --net.kind grownet --net.units 500",
    ),
    "cyclic": About(
        "Any directed graph, cycles and self-loops too; dashed arcs go back in the order of the "
        "populations. It has no forward pass in "
        "one sweep: a rule that settles trains it.",
        'byway.graph({"input": 5, "hidden": 6, "output": 3}, [("input", "hidden"), ("hidden", '
        '"hidden"), ("hidden", "output")])',
    ),
}


def network_page(kind: str, rules: Sequence[Rule]) -> str:
    """The page, as Markdown.

    Args:
        kind: one of `KINDS`.
        rules: the rules that there are.
    """
    net, about = KINDS[kind](), ABOUT[kind]
    willing = [f"[`{rule.id}`](../rules/{rule.id}.md)" for rule in rules if accepts(rule, kind)]
    rows = [
        [
            f"`{p.name}`",
            type(p).__name__.lower(),
            "none" if p.weight is None else "x".join(map(str, p.weight.shape)),
            "later" if p.name in net.recurrent else "at once",
        ]
        for p in net.projections
    ]
    lines = [
        f"# {kind}",
        "",
        about.what,
        "",
        "<figure>",
        network_svg(net),
        "<figcaption>The tiny network on which rules are audited: ",
    ]
    lines[-1] += f"{describe(net)}.</figcaption>"
    lines += ["</figure>", "", *table(["projection", "kind", "weights", "arrives"], rows)]
    lines += [
        "## Who trains it",
        "",
        f"{', '.join(willing)}. The others refuse it and say why.",
        "",
    ]
    lines += [
        "## Build one",
        "",
        "```python",
        "import byway",
        "",
        f"net = {about.python}",
        "```",
        "",
    ]
    return "\n".join(lines + ([f"    {about.command}", ""] if about.command else []))


def networks_page() -> str:
    """The list of all kinds, as Markdown."""
    rows = [[f"[`{kind}`](networks/{kind}.md)", ABOUT[kind].what] for kind in KINDS]
    return "\n".join(["# Networks", "", *table(["kind", "what it is"], rows)])
