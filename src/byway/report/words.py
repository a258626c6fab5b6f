"""What the numbers say, in sentences."""

from collections.abc import Sequence

from byway.report.summary import BASELINES, Comparison

VERDICTS = {
    "transport": (
        "Does an update use the weights of another projection, carried backwards to it? A synapse has no way to know them. "
        "Backprop does; feedback alignment uses fixed random weights instead."
    ),
    "locking": (
        "Must an update wait for something that is computed further downstream, from the same sample? If no, each layer can learn "
        "as soon as it has been active."
    ),
    "derivative": "Does an update use the slope φ′(u) of a unit’s activation? If no, units may be black boxes or spikes.",
    "signal": (
        "Which parts of the teaching signal the updates are computed from: the target itself, the error vector at the output, or one "
        "number, the loss. Less is easier to deliver."
    ),
    "phases": "How many times the network runs for one update.",
    "memory": (
        "What the rule itself carries from one step to the next, besides the weights: nothing, a number for each unit (units) or one "
        "for each weight (synapses)."
    ),
}

MICROSCOPE = {
    "angle": (
        "Angle to the true gradient",
        "Which way the update points. At 0° the rule is gradient descent; below 90° (dotted) a small step still lowers the loss; at 90° "
        "the update has nothing to do with the gradient.",
    ),
    "norm_ratio": (
        "Norm ratio",
        "How long the update is beside the gradient, |update| / |gradient|: 1 (dotted) in backprop. A ratio that drifts acts like a "
        "learning rate that drifts; Adam evens it out, plain gradient descent does not.",
    ),
    "sign_agreement": (
        "Sign agreement",
        "The share of weights that the update pushes the same way as the gradient, where there is one. By chance it is 50 % (dotted).",
    ),
    "descent": (
        "Descent per unit of update",
        "How much the loss falls, to first order, for a step of length one along this update: ⟨update, gradient⟩ / |update|. Never more "
        "than |gradient|, which backprop reaches; below zero (dotted) the loss rises. It shrinks as learning levels off. Each rule is "
        "measured at its own weights and on its own loss: that of forward-forward’s goodness has another scale.",
    ),
}


def reading(rows: Sequence[Comparison]) -> list[str]:
    """The table in a few sentences: who beats the frozen control, and how far each rule is from backprop."""
    return [_control(rows), *_baseline(rows), *_failed(rows)]


def _failed(rows: Sequence[Comparison]) -> list[str]:
    failed = [f"{row.rule} lost {row.seeds - row.survived} of {row.seeds} seeds" for row in rows if row.survived < row.seeds]
    return [f"{join(failed)}: these numbers are of the seeds that finished."] if failed else []


def join(items: Sequence[str]) -> str:
    """`a, b and c`."""
    return " and ".join([", ".join(items[:-1]), items[-1]] if len(items) > 1 else items)


def _control(rows: Sequence[Comparison]) -> str:
    judged = [(row.rule, row.wins) for row in rows if row.wins]
    if not judged:
        return "No rule can be held against the frozen control here, so nothing shows whether hidden layers learnt anything."
    always = [rule for rule, wins in judged if wins.won == wins.of]
    seldom = join([f"{rule} on {wins.won} of {wins.of}" for rule, wins in judged if wins.won < wins.of])
    if not always:
        return f"No rule beats the frozen control on every seed: {seldom}."
    head = f"{join(always)} {'beat' if len(always) > 1 else 'beats'} the frozen control on every seed"
    return f"{head}; {seldom}." if seldom else f"{head}."


def _baseline(rows: Sequence[Comparison]) -> list[str]:
    base = next((row for row in rows if row.rule in BASELINES), None)
    if base is None:
        return ["Backprop has no result here, so there is no distance to it."]
    judged = [(d.mean, row.rule, d) for row in rows if (d := row.difference)]
    head = f"Backprop reaches {base.accuracy:.1f} %." if base.survived else "No seed of backprop finished."
    if not judged:
        return [head, "With fewer than two seeds in common there is no interval: a difference may be luck."] if len(rows) > 1 else [head]
    behind = [
        f"{rule} by {-d.mean:.2f} points ({-d.high:.2f} to {-d.low:.2f})" for _, rule, d in sorted(judged, reverse=True) if d.high < 0
    ]
    ahead = [f"{rule} by {d.mean:.2f} points ({d.low:.2f} to {d.high:.2f})" for _, rule, d in sorted(judged) if d.low > 0]
    level = [rule for _, rule, d in judged if d.low <= 0 <= d.high]
    parts = (("Behind it, with 95 % intervals", behind), ("Ahead of it, with 95 % intervals", ahead), ("Not told apart from it", level))
    return [head, *(f"{name}: {join(items)}." for name, items in parts if items)]
