"""The contract, law by law: plain functions that raise `ContractError` where a rule breaks it.

Our own tests run them on every rule, `check_rule` on anyone's: there is one copy.
"""

from collections.abc import Callable
from dataclasses import fields
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from byway.audit.networks import KINDS, accepted, accepts, outline
from byway.audit.verdict import audit
from byway.core.errors import ConfigError, RuleError
from byway.core.hyper import numbers_of, unknown_to_python
from byway.core.signal import Signal, SquaredError
from byway.core.task import Split, Task
from byway.learning.rule import Rule
from byway.network.builders import mlp, rnn
from byway.training.loop import Loop
from byway.training.step import concluded
from byway.verify.case import BATCH, UPDATES, Case, optimisers, with_calls_of_f
from byway.verify.held import demand

# Two ways through one program round differently; in float64 by no more than this.
RTOL, ATOL = 1e-10, 1e-12


def shapes_and_types_are_those_of_what_changes(case: Case) -> None:
    """In float32 and in float64, its numbers handed in: an update is shaped like what it changes,
    state and memory keep their structure.
    """
    for dtype in ("float32", "float64"):
        _fits(case, dtype)


def _fits(case: Case, dtype: str) -> None:
    (net, x, signal), key = case.call(dtype), jax.random.key(0)
    numbers, mould = numbers_of(case.rule)

    def run(numbers):
        rule = mould(numbers)
        gamma = rule.init(net, key)
        state, memory = rule.start(gamma, net, BATCH)
        after, record = rule.f(gamma, net, state, x, signal, key)
        _, predicting = rule.f(gamma, net, state, x, None, key)
        learnt, update = rule.g(gamma, net, memory, record, signal)
        return (
            gamma,
            (state, memory),
            (after, learnt),
            update,
            (record.output, predicting.output),
            record.measures,
        )

    with unknown_to_python(case.rule):
        gamma, before, after, update, outputs, measures = jax.eval_shape(run, numbers)
    here, like = (
        f"{case} in {dtype}",
        lambda tree: jax.tree.map(lambda a: (a.shape, str(a.dtype)), tree),
    )
    strangers = sorted(update.net.keys() - net.theta.keys())
    demand(
        not strangers,
        f"{here}: updates of {strangers}",
        f"some of {sorted(net.theta)}",
        "name a projection as `p.name` does",
    )
    for name, taught in update.net.items():
        wanted = like(net.theta[name])
        demand(
            like(taught) == wanted,
            f"{here}: an update of {name} like {like(taught)}",
            str(wanted),
            "make it with `p.outer(pre, delta)`",
        )
    if update.gamma is not None:
        demand(
            like(update.gamma) == like(gamma),
            f"{here}: an update of gamma like {like(update.gamma)}",
            str(like(gamma)),
            "shape it so",
        )
    for name, old, new in zip(("state from f", "memory from g"), before, after, strict=True):
        demand(
            like(new) == like(old),
            f"{here}: a {name} like {like(new)}",
            f"{like(old)}, as `start` makes it",
            "keep its structure",
        )
    for name, made in zip(("teaching", "predicting"), outputs, strict=True):
        wanted = (signal.target.shape, dtype)
        demand(
            like(made) == wanted,
            f"{here}: an output like {like(made)} when {name}",
            str(wanted),
            "return the output's activity",
        )
    wrong = {name: a.shape for name, a in measures.items() if a.shape}
    demand(not wrong, f"{here}: measures of shapes {wrong}", "one number each", "take their mean")
    # What counts, as the clock of a delay does, is whole in either precision.
    numbers = [a for a in jax.tree.leaves((gamma, before)) if jnp.issubdtype(a.dtype, jnp.inexact)]
    others = sorted({str(a.dtype) for a in numbers} - {dtype})
    demand(
        not others,
        f"{here}: gamma, state or memory of {', '.join(others)}",
        dtype,
        "take the dtype of a weight",
    )


def one_program_for_all_learns_what_each_does_alone(case: Case) -> None:
    """All batches in one scan and several learners under `vmap` end where a learner does that is
    alone and has a call for each batch; and the learners do not all end at one place.
    """
    seeds = (0, 1)
    alone = [case.looped(seed)[0] for seed in seeds]
    for seed, one, together in zip(seeds, alone, case.abreast(*seeds), strict=True):
        _same(case, f"seed {seed} alone in a loop and beside others in a scan", together, one)
    first, second = (_numbers(one.net.theta) for one in alone)
    demand(
        any(not np.array_equal(a, b) for a, b in zip(first, second, strict=True)),
        f"{case}: the same weights from two seeds",
        "seeds that differ",
        "draw from the key that `init` and `f` are given",
    )


def the_same_key_gives_the_same_bits(case: Case) -> None:
    """Nothing is drawn but from the keys that a rule is given, and nothing is kept between runs."""
    _same(case, "learned twice from one seed", case.looped(0), case.looped(0), exact=True)


def compiled_or_not_a_step_is_the_same(case: Case) -> None:
    """What f and g do does not depend on who runs them: no Python number made of an array, no state
    of their own.
    """
    learner, batch = case.start(), case.batch()
    _same(
        case,
        "one step, compiled and not",
        case.compiled_step(learner, batch),
        case.step(learner, batch),
    )


def learning_changes_the_readout_and_stays_finite(case: Case) -> None:
    """Every rule trains what feeds the output; a batch counts once."""
    (end, scores), start = case.looped(0), case.start()
    seen = concluded(case.rule, end).net
    lost = sorted({name for one in scores for name, v in one.items() if not np.all(np.isfinite(v))})
    demand(
        not lost and int(end.failed) == -1,
        f"{case}: {', '.join(lost)} not finite",
        "numbers",
        "look for a division by zero",
    )
    demand(
        int(end.step) == UPDATES,
        f"{case}: {int(end.step)} batches counted",
        str(UPDATES),
        "leave the counting to training",
    )
    still = [
        p.name
        for p in case.net.incoming(case.net.output)
        if p.weight is not None
        and np.array_equal(seen.theta[p.name]["weight"], start.net.theta[p.name]["weight"])
    ]
    demand(
        not still,
        f"{case}: {', '.join(still)} as drawn after {UPDATES} batches",
        "a readout that learns",
        "put it into the update",
    )


def arguments_are_left_as_they_were(case: Case) -> None:
    """Arrays cannot be written to, but the dicts that hold them can: f and g leave them alone."""
    rule, (net, x, signal), key = case.rule, case.call(), jax.random.key(0)

    def run():
        gamma = rule.init(net, key)
        state, memory = rule.start(gamma, net, BATCH)
        before = _leaves(given := (gamma, net, state, signal))
        _, record = rule.f(gamma, net, state, x, signal, key)
        _untouched(case, "f", before, _leaves(given))
        before = _leaves(given := (gamma, net, memory, record, signal))
        rule.g(gamma, net, memory, record, signal)
        _untouched(case, "g", before, _leaves(given))

    jax.eval_shape(run)


def the_audit_bears_out_the_claims(case: Case) -> None:
    """What the program reads is what the rule says that it reads."""
    wrong = audit(case.rule, case.net).disagreements
    demand(
        not wrong,
        f"{case}: {'; '.join(wrong)}",
        "claims that the program bears out",
        "correct the rule or its `claims`",
    )


def it_accepts_some_network_and_says_why_it_refuses_the_others(rule: Rule) -> None:
    """A refusal is a `RuleError` that starts with the rule's name."""
    kinds = accepted(rule)
    demand(
        bool(kinds),
        f"{rule.id} refuses {', '.join(KINDS)}",
        "one kind at least",
        "let `accepts` return for what it can train",
    )
    for kind in KINDS.keys() - set(kinds):
        try:
            rule.accepts(outline(kind, rule))
        except RuleError as refusal:
            start = f"{rule.id} was given "
            said = str(refusal).partition("\n")[0]
            demand(
                said.startswith(start),
                f"{kind} is refused with {said!r}",
                f"{start!r} and what was wrong",
                "name rule and network",
            )


def black_boxes_are_refused_where_slopes_are_needed_and_nowhere_else(rule: Rule) -> None:
    """A hidden population without a slope stops the rules that claim to read slopes, and no
    others.
    """
    needs, takes = rule.claims.derivative == "yes", accepts(rule, "blackbox")
    demand(
        takes != needs or not accepts(rule, "mlp"),
        f"{rule.id} claims derivative {rule.claims.derivative!r} and "
        f"{'accepts' if takes else 'refuses'} a hidden black box",
        "a refusal" if needs else "a network like any other",
        "in `accepts`, call `net.require_slopes`" if needs else "refuse only what it cannot train",
    )


def hyper_parameters_explain_themselves_and_keep_their_range(rule: Rule) -> None:
    """A hyper-parameter is made by `hyper`: it has a line of help, and a value out of its range is
    refused by its name.
    """
    for field in fields(rule):
        name = f"{type(rule).__name__}.{field.name}"
        demand(
            not hasattr(Rule, field.name),
            f"{name}, which hides Rule.{field.name}",
            "a name of its own",
            "rename the hyper-parameter",
        )
        demand(
            len(field.metadata.get("doc", "")) > 10,
            f"{name} without a word of help",
            "a line",
            'declare it with hyper(default, "...")',
        )
        for bound, beyond in (("low", -1), ("high", 1)):
            if (edge := field.metadata[bound]) is not None:
                demand(
                    not _takes(rule, field.name, edge + beyond),
                    f"{name} takes {edge + beyond}",
                    f"{bound} {edge}",
                    "call `check_ranges`",
                )


def _takes(rule: Rule, name: str, value: Any) -> bool:
    try:
        type(rule)(**{name: value})
    except ConfigError as refusal:
        return name not in str(refusal)
    return True


def a_second_epoch_compiles_nothing_and_a_second_run_gives_the_same_bits(
    rule: Rule, task: Task
) -> None:
    """Tracing f is what comes before compiling: once everything ran, it is not traced again."""
    # Two classes: of one, the second loop would be given the program of the first.
    (rule, traced), (same, _) = with_calls_of_f(rule), with_calls_of_f(rule)
    net = (rnn if task.in_time else mlp)(task.input_shape, 4, task.outputs, **rule.network_options)
    splits = {k: Split(s.x[:40], s.y[:40]) for k, s in task.load().items()}

    def run(loop):
        scores, _ = loop.train()
        return scores, loop.score("validation"), loop.look()[0]

    first, again = (
        Loop(one, net, task, splits, optimisers(rule), 16, [3], 10) for one in (rule, same)
    )
    run(first)
    before = len(traced)
    second = run(first)
    demand(
        len(traced) == before > 0,
        f"{rule.id}: f traced {len(traced) - before} times in a second epoch",
        "none",
        "keep Python out of what f and g depend on: numbers that change belong in state or memory",
    )
    run(again)
    here = f"{rule.id} on {task.id}"
    _same(here, "two epochs, twice", run(again), second, exact=True)
    _same(here, "two epochs, twice", again.real_learners(), first.real_learners(), exact=True)


def no_error_leaves_the_weights_alone(case: Case) -> bool:
    """Whether an update is zero where the error is. Not a law: a rule may read more than an
    error.
    """
    rule, (net, x, signal), key = case.rule, case.call(), jax.random.key(0)
    gamma = rule.init(net, key)
    state, memory = rule.start(gamma, net, BATCH)

    @jax.jit
    def largest():
        _, record = rule.f(gamma, net, state, x, signal, key)
        _, update = rule.g(
            gamma,
            net,
            memory,
            record,
            Signal(record.output, SquaredError(), signal.weight, signal.payoff),
        )
        return jnp.max(jnp.stack([jnp.max(jnp.abs(a)) for a in jax.tree.leaves(update.net)]))

    return float(largest()) == 0.0


# What holds for a rule on every network that it accepts, and for a rule by itself.
ON_NETWORKS: tuple[Callable[[Case], None], ...] = (
    shapes_and_types_are_those_of_what_changes,
    one_program_for_all_learns_what_each_does_alone,
    the_same_key_gives_the_same_bits,
    learning_changes_the_readout_and_stays_finite,
    arguments_are_left_as_they_were,
    the_audit_bears_out_the_claims,
)
# What has to be compiled operation by operation is looked at on few networks.
ON_FEW: tuple[Callable[[Case], None], ...] = (compiled_or_not_a_step_is_the_same,)
BY_ITSELF: tuple[Callable[[Rule], None], ...] = (
    it_accepts_some_network_and_says_why_it_refuses_the_others,
    black_boxes_are_refused_where_slopes_are_needed_and_nowhere_else,
    hyper_parameters_explain_themselves_and_keep_their_range,
)


def few(rule: Rule, kinds: list[str]) -> list[str]:
    """Of the networks that a rule accepts those that stand for the others: a plain one and, where
    it sees time, one in time.
    """
    chosen = [kind for kind in kinds if kind == "mlp" or (kind == "rnn" and rule.in_time)]
    return chosen or kinds[:1]


def _numbers(tree: Any) -> list[np.ndarray]:
    return [
        np.asarray(jax.random.key_data(a) if jnp.issubdtype(a.dtype, jax.dtypes.prng_key) else a)
        for a in jax.tree.leaves(tree)
    ]


def _same(where: object, what: str, one: Any, other: Any, exact: bool = False) -> None:
    """Raise where two trees differ: in structure, in a bit, or by more than rounding."""
    demand(
        jax.tree.structure(one) == jax.tree.structure(other),
        f"{where}: {what}, of different structure",
        "one",
        "return the same always",
    )
    paths = [jax.tree_util.keystr(path) for path, _ in jax.tree_util.tree_flatten_with_path(one)[0]]
    for path, a, b in zip(paths, _numbers(one), _numbers(other), strict=True):
        close = (
            np.array_equal(a, b, equal_nan=a.dtype.kind == "f")
            if exact
            else np.allclose(a, b, RTOL, ATOL, equal_nan=True)
        )
        demand(
            close,
            f"{where}: {what}: {path} differs by {np.max(np.abs(a - b), initial=0):.2g}",
            "the same bits" if exact else f"the same within {RTOL:g}",
            "draw from the given key alone, keep nothing outside state and memory, and let no "
            "sample's shape decide",
        )


def _leaves(tree: Any) -> tuple[Any, list[Any]]:
    return jax.tree.structure(tree), jax.tree.leaves(tree)


def _untouched(
    case: Case, who: str, before: tuple[Any, list[Any]], after: tuple[Any, list[Any]]
) -> None:
    same = before[0] == after[0] and all(a is b for a, b in zip(before[1], after[1], strict=True))
    demand(
        same,
        f"{case}: {who} writes to what it is given",
        "arguments left as they were",
        "make a new dict, as in `old | new`",
    )
