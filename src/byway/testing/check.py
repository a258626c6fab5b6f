"""The whole contract and a rule's own checks, in one call."""

import dataclasses
import time
from collections.abc import Callable, Iterator
from typing import Any

import jax
from typing_extensions import override

from byway.audit.networks import accepted, learns_samples
from byway.core.errors import BywayError
from byway.learning.rule import Rule
from byway.tasks import TASKS
from byway.testing import laws
from byway.testing.case import Case, ContractError
from byway.verify.run import FAULTS, Result, verify, wanted


@dataclasses.dataclass(frozen=True)
class Held:
    """One law, tried.

    Attributes:
        law: what has to hold, in words.
        on: the network or task, or empty.
        problem: what was found instead, or empty.
        seconds: how long it took.
    """

    law: str
    on: str
    problem: str
    seconds: float


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
        for law in dict.fromkeys(h.law for h in self.laws):
            tried = [h for h in self.laws if h.law == law]
            lines.append(f"  {'no ' if any(h.problem for h in tried) else 'yes'}  {law}")
            lines += [
                f"         {line}" for h in tried if h.problem for line in h.problem.splitlines()
            ]
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
        held = [_try(law, name, on, arguments) for law, name, on, arguments in _laws(rule, kinds)]
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
) -> Iterator[tuple[Callable[..., None], str, str, tuple[Any, ...]]]:
    """Every law with its name, what it is tried on, and its arguments."""
    for law in laws.BY_ITSELF:
        yield law, law.__name__, "", (rule,)
    cases = {kind: Case(rule, kind) for kind in kinds}
    for law in laws.ON_NETWORKS:
        for kind in kinds:
            yield law, law.__name__, kind, (cases[kind],)
    for law in laws.ON_FEW:
        for kind in laws.few(rule, kinds):
            yield law, law.__name__, kind, (cases[kind],)
    for name in trained_on(rule, kinds):
        law = laws.a_second_epoch_compiles_nothing_and_a_second_run_gives_the_same_bits
        yield law, law.__name__, name, (rule, TASKS.get(name)())


def trained_on(rule: Rule, kinds: list[str]) -> list[str]:
    """The small tasks that a rule can be trained on: one of single samples, one of sequences."""
    return ["digits"] * (learns_samples(rule) and "mlp" in kinds) + ["delayed_xor"] * (
        rule.in_time and "rnn" in kinds
    )


def _try(law: Callable[..., None], name: str, on: str, arguments: tuple[Any, ...]) -> Held:
    start, problem = time.perf_counter(), ""
    try:
        law(*arguments)
    except BywayError as broken:
        problem = str(broken)
    except FAULTS as raised:
        problem = (
            f"{on or 'by itself'}: raised {type(raised).__name__}: "
            f"{str(raised).partition(chr(10))[0]}"
        )
    return Held(name.replace("_", " "), on, problem, time.perf_counter() - start)


def _notes(rule: Rule, kinds: list[str]) -> list[str]:
    notes = [] if rule.checks() else ["it brings no checks of its own: see `Rule.checks`"]
    if rule.claims.signal == {"error"}:
        for kind in kinds:
            if not laws.no_error_leaves_the_weights_alone(Case(rule, kind)):
                notes.append(f"on {kind} its weights change even where the error is zero")
    return notes
