"""The whole contract and a rule's own checks, in one call."""

import dataclasses
from collections.abc import Callable, Iterator
from typing import Any

import jax
from typing_extensions import override

from byway.audit.networks import accepted, learns_samples
from byway.learning.rule import Rule
from byway.tasks import TASKS
from byway.verify import laws
from byway.verify.case import Case
from byway.verify.held import ContractError, Held, told, tried
from byway.verify.run import Result, verify, wanted


@dataclasses.dataclass(frozen=True)
class Report:
    """What `check_rule` found; it prints well.

    Attributes:
        rule: the rule's id.
        networks: the kinds of network that it accepts, on which the laws were tried.
        laws: every law, once for each network.
        checks: the rule's own checks.
        notes: what a person should know, and what is no fault.
    """

    rule: str
    networks: list[str]
    laws: list[Held]
    checks: list[Result]
    notes: list[str]

    @property
    def problems(self) -> list[str]:
        """What does not hold."""
        return [h.problem for h in self.laws if h.problem] + [
            str(r) for r in self.checks if not r.holds
        ]

    @override
    def __str__(self) -> str:
        lines = [
            f"{self.rule}: {'conforms' if not self.problems else 'does not conform'}, on "
            f"{', '.join(self.networks) or 'no network'}"
        ]
        lines += told(self.laws)
        for r in self.checks:
            measured = r.problem or f"{r.measured:.3g}"
            lines.append(
                f"  {'yes' if r.holds else 'no '}  {r.check.name}: {measured}, wanted "
                f"{wanted(r.check)} ({r.check.source})"
            )
        lines += [f"  note: {note}" for note in self.notes]
        return "\n".join(
            [
                *lines,
                f"  {sum(h.seconds for h in self.laws) + sum(r.seconds for r in self.checks):.0f} "
                "s",
            ]
        )


def check_rule(rule: Rule) -> Report:
    """Hold a rule to the contract on every kind of network that it accepts, and run its own checks.

    One line in a test of yours: `check_rule(MyRule())`. All is done in float64, most in float32 as
    well; it takes a minute or two.

    Args:
        rule: the rule; its hyper-parameters are used as they are.

    Returns:
        What was tried; print it.

    Raises:
        ContractError: something does not hold. Everything is tried before, and the message is the
            whole report.
    """
    with jax.enable_x64(True):
        kinds = accepted(rule)
        held = [tried(law, on, *arguments) for law, on, arguments in _laws(rule, kinds)]
        sound = [kind for kind in kinds if not any(h.problem for h in held if h.on == kind)]
        checks, notes = verify(rule), _notes(rule, sound)
    report = Report(rule.id, kinds, held, checks, notes)
    if report.problems:
        raise ContractError(
            str(report),
            "a rule that keeps the contract",
            "mend the first problem, and run it again",
        )
    return report


def _laws(
    rule: Rule, kinds: list[str]
) -> Iterator[tuple[Callable[..., None], str, tuple[Any, ...]]]:
    """Every law with what it is tried on, and its arguments."""
    for law in laws.BY_ITSELF:
        yield law, "", (rule,)
    cases = {kind: Case(rule, kind) for kind in kinds}
    for law in laws.ON_NETWORKS:
        for kind in kinds:
            yield law, kind, (cases[kind],)
    for law in laws.ON_FEW:
        for kind in laws.few(rule, kinds):
            yield law, kind, (cases[kind],)
    for name in trained_on(rule, kinds):
        law = laws.a_second_epoch_compiles_nothing_and_a_second_run_gives_the_same_bits
        yield law, name, (rule, TASKS.get(name)())


def trained_on(rule: Rule, kinds: list[str]) -> list[str]:
    """The small tasks that a rule can be trained on: one of single samples, one of sequences."""
    return ["digits"] * (learns_samples(rule) and "mlp" in kinds) + ["delayed_xor"] * (
        rule.in_time and "rnn" in kinds
    )


def _notes(rule: Rule, kinds: list[str]) -> list[str]:
    notes = [] if rule.checks() else ["it brings no checks of its own: see `Rule.checks`"]
    if rule.claims.signal == {"error"}:
        for kind in kinds:
            if not laws.no_error_leaves_the_weights_alone(Case(rule, kind)):
                notes.append(f"on {kind} its weights change even where the error is zero")
    return notes
