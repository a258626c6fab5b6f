"""Solvers of ordinary differential equations ds/dt = f(s): explicit Runge-Kutta methods, and
solvers made of them whose every step can be taken back.

A value s is arrays by the name of a population. All step sizes are fixed. Derivatives are written
out: given what the loss owes to the end of a step, a solver says what it owes to its start, and
what is learnt.
"""

import functools
import operator
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array

from byway.core.tree import PyTree

Values = dict[str, Array]


class Field(ABC):
    """Abstract: the right-hand side f of an equation."""

    @abstractmethod
    def at(self, s: Values) -> Any:
        """What is to be known of f there; its `rate` is f(s)."""

    @abstractmethod
    def back(self, moment: Any, owed: Values) -> tuple[Values, PyTree]:
        """The transpose of its derivative by s, and of that by what is learnt, applied to `owed`.

        Args:
            moment: what `at` returned.
            owed: dC/df, shaped as s.
        """


class RungeKutta(NamedTuple):
    """An explicit method: k_i = f(s + h sum_j a_ij k_j), and s moves by h sum_i b_i k_i.

    Attributes:
        order: of its error after a fixed time, in h.
        stages: the rows a_i, each as long as there are stages before it.
        weights: the b_i.
    """

    order: int
    stages: tuple[tuple[float, ...], ...]
    weights: tuple[float, ...]

    def increment(self, field: Field, s: Values, h: float) -> Values:
        """Psi_h(s), by which a step of size h moves s."""
        return mixed((h, mixed(*zip(self.weights, self._rates(field, s, h), strict=True))))

    def back(
        self, field: Field, s: Values, h: float, owed: Values
    ) -> tuple[Values, Values, PyTree]:
        """The increment again, and the transpose of its derivative applied to `owed`.

        Args:
            field: the right-hand side.
            s: where the step starts.
            h: its size.
            owed: dC/d(increment).

        Returns:
            The increment, dC/ds by way of it, and what is learnt.
        """
        moments: list[Any] = []
        rates = self._rates(field, s, h, moments)
        shares = [[(h * weight, owed)] for weight in self.weights]
        found, learnt = [], []
        for i in reversed(range(len(rates))):
            if not (terms := [term for term in shares[i] if term[0]]):
                continue
            by_s, new = field.back(moments[i], mixed(*terms))
            for j, a in enumerate(self.stages[i]):
                shares[j].append((h * a, by_s))
            found.append((1.0, by_s))
            learnt.append((1.0, new))
        moved = mixed((h, mixed(*zip(self.weights, rates, strict=True))))
        return moved, mixed(*found), mixed(*learnt)

    def step(self, field: Field, s: Values, h: float) -> Values:
        """The value after a step."""
        return mixed((1.0, s), (1.0, self.increment(field, s, h)))

    def step_back(self, field: Field, s: Values, h: float, owed: Values) -> tuple[Values, PyTree]:
        """What the loss owes to s, given what it owes to s after a step; and what is learnt."""
        _, by_s, learnt = self.back(field, s, h, owed)
        return mixed((1.0, owed), (1.0, by_s)), learnt

    def adjoint(
        self, field: Field, s: Values, h: float, owed: Values
    ) -> tuple[Values, Values, PyTree]:
        """A step of size h back in time, of ds/dt = f(s) and of its continuous adjoint.

            da/dt = -(df/ds)^T a,   dg/dt = -(df/dtheta)^T a

        Returns:
            s and a at the time h before, and by how much g grew.
        """
        rates: list[tuple[Values, Values]] = []
        learnt = []
        for row in self.stages:
            here = mixed((1.0, s), *((-h * a, k) for a, (k, _) in zip(row, rates, strict=True)))
            owes = mixed((1.0, owed), *((h * a, k) for a, (_, k) in zip(row, rates, strict=True)))
            moment = field.at(here)
            by_s, new = field.back(moment, owes)
            rates.append((moment.rate, by_s))
            learnt.append(new)
        weigh = lambda sign, which: (
            (sign * h * b, k[which]) for b, k in zip(self.weights, rates, strict=True)
        )
        grown = mixed(*((h * b, new) for b, new in zip(self.weights, learnt, strict=True)))
        return mixed((1.0, s), *weigh(-1, 0)), mixed((1.0, owed), *weigh(1, 1)), grown

    def _rates(
        self, field: Field, s: Values, h: float, moments: list[Any] | None = None
    ) -> list[Values]:
        rates: list[Values] = []
        for row in self.stages:
            moment = field.at(
                mixed((1.0, s), *((h * a, k) for a, k in zip(row, rates, strict=True)))
            )
            rates.append(moment.rate)
            if moments is not None:
                moments.append(moment)
        return rates


METHODS: Mapping[str, RungeKutta] = {
    "euler": RungeKutta(1, ((),), (1.0,)),
    "midpoint": RungeKutta(2, ((), (0.5,)), (0.0, 1.0)),
    "rk4": RungeKutta(4, ((), (0.5,), (0.0, 0.5), (0.0, 0.0, 1.0)), (1 / 6, 1 / 3, 1 / 3, 1 / 6)),
}


class Shear(NamedTuple):
    """A change of one of two values by the other, which can be undone whatever the field is.

        target' = keep target + take other + push Psi_{way h}(other)

    Attributes:
        target: 0 for the first value, 1 for the second.
        keep: share of the target that is kept; not 0.
        take: share of the other value that is added.
        push: share of an increment there that is added; 0 for none.
        way: 1 for an increment forwards in time, -1 backwards.
    """

    target: int
    keep: float | Array
    take: float | Array
    push: float
    way: int = 1

    def undone(self, two: tuple[Values, Values], moved: Values | None) -> tuple[Values, Values]:
        """Both values before it, given the increment that it added, if it did."""
        terms = [(1.0, two[self.target]), (-self.take, two[1 - self.target])]
        if moved is not None:
            terms.append((-self.push, moved))
        return _with(two, self.target, mixed((1 / self.keep, mixed(*terms))))


class Reversible(NamedTuple):
    """A solver that carries two values and steps by shears, so that each step has an exact inverse.

    Attributes:
        base: the method whose increments it takes.
        shears: of a step, in order.
        lead: by how much of an increment the first value is ahead of s.
    """

    base: RungeKutta
    shears: tuple[Shear, ...]
    lead: float = 0.0

    def depart(self, field: Field, s: Values, h: float) -> tuple[Values, Values]:
        """The two values, where the solution is s."""
        if not self.lead:
            return s, s
        return mixed((1.0, s), (self.lead, self.base.increment(field, s, h))), s

    def depart_back(
        self, field: Field, s: Values, h: float, owed: tuple[Values, Values], learnt: PyTree
    ) -> PyTree:
        """What is learnt in all, given what the loss owes to the two values at the start, where the
        solution is s; and what is learnt after it.
        """
        if not self.lead:
            return learnt
        _, _, new = self.base.back(field, s, h, mixed((self.lead, owed[0])))
        return mixed((1.0, learnt), (1.0, new))

    def arrive(self, field: Field, two: tuple[Values, Values], h: float) -> Values:
        """The solution, where the two values are these."""
        if not self.lead:
            return two[0]
        return mixed((1.0, two[0]), (-self.lead, self.base.increment(field, two[1], h)))

    def step(self, field: Field, two: tuple[Values, Values], h: float) -> tuple[Values, Values]:
        """Both values after a step."""
        for shear in self.shears:
            other = two[1 - shear.target]
            terms = [(shear.keep, two[shear.target]), (shear.take, other)]
            if shear.push:
                terms.append((shear.push, self.base.increment(field, other, shear.way * h)))
            two = _with(two, shear.target, mixed(*terms))
        return two

    def undo(self, field: Field, two: tuple[Values, Values], h: float) -> tuple[Values, Values]:
        """Both values before the step that left these."""
        for shear in reversed(self.shears):
            moved = None
            if shear.push:
                moved = self.base.increment(field, two[1 - shear.target], shear.way * h)
            two = shear.undone(two, moved)
        return two

    def arrive_back(
        self, field: Field, two: tuple[Values, Values], h: float, owed: Values, learnt: PyTree
    ) -> tuple[tuple[Values, Values], PyTree]:
        """What the loss owes to the two values at the end, given what it owes to the solution; and
        what is learnt, added to what is learnt after it.
        """
        if not self.lead:
            return (owed, mixed((0.0, owed))), learnt
        _, by_s, new = self.base.back(field, two[1], h, mixed((-self.lead, owed)))
        return (owed, by_s), mixed((1.0, learnt), (1.0, new))

    def step_back(
        self,
        field: Field,
        two: tuple[Values, Values],
        h: float,
        owed: tuple[Values, Values],
    ) -> tuple[tuple[Values, Values], tuple[Values, Values], PyTree]:
        """A step taken back, with what the loss owes. An increment is computed once for both.

        Args:
            field: the right-hand side.
            two: both values after the step.
            h: its size.
            owed: what the loss owes to them.

        Returns:
            Both values before it, what the loss owes to those, and what is learnt.
        """
        learnt = []
        for shear in reversed(self.shears):
            other, due = two[1 - shear.target], owed[shear.target]
            by_other = [(1.0, owed[1 - shear.target]), (shear.take, due)]
            moved = None
            if shear.push:
                moved, by_s, new = self.base.back(
                    field, other, shear.way * h, mixed((shear.push, due))
                )
                by_other.append((1.0, by_s))
                learnt.append((1.0, new))
            two = shear.undone(two, moved)
            owed = _with(owed, 1 - shear.target, mixed(*by_other))
            owed = _with(owed, shear.target, mixed((shear.keep, due)))
        return two, owed, mixed(*learnt)


def reversible_heun() -> Reversible:
    """Order 2, one evaluation of f a step; q is the second value, p the first, half a step ahead.

        q' = 2 p - q,   p' = p + h f(q'),   s = p - h/2 f(q)

    Source   Kidger, Foster, Li and Lyons, Efficient and accurate gradients for neural SDEs, NeurIPS
             2021, algorithm 1, where s and f(q) are carried in place of p
    """
    return Reversible(METHODS["euler"], (Shear(1, -1.0, 2.0, 0.0), Shear(0, 1.0, 0.0, 1.0)), 0.5)


def mccallum_foster(base: RungeKutta, coupling: float | Array = 0.999) -> Reversible:
    """The order of a base, for twice its evaluations of f a step; z is the second value.

        s' = c s + (1 - c) z + Psi_h(z),   z' = z - Psi_{-h}(s')

    Args:
        base: any explicit method.
        coupling: the c in (0, 1]: below 1 the two values are drawn together, and going back takes
            them apart by 1/c a step.

    Source   McCallum and Foster, Efficient, accurate and stable gradients for neural ODEs, 2024,
             arXiv 2410.11648
    """
    return Reversible(base, (Shear(0, coupling, 1 - coupling, 1.0), Shear(1, 1.0, 0.0, -1.0, -1)))


def mixed(*terms: tuple[Any, PyTree]) -> Any:
    """A weighted sum of trees of arrays; a term whose weight is the number 0 is left out, unless it
    is all there is.
    """
    terms = tuple(term for term in terms if _counts(term[0])) or terms[:1]
    weights = [weight for weight, _ in terms]
    return jax.tree.map(functools.partial(_total, weights), *(tree for _, tree in terms))


def _total(weights: Sequence[Any], *arrays: Array) -> Array:
    first, *others = (
        a if _is(weight, 1) else -a if _is(weight, -1) else weight * a
        for weight, a in zip(weights, arrays, strict=True)
    )
    return functools.reduce(operator.add, others, first)


def _is(weight: Any, number: float) -> bool:
    return isinstance(weight, int | float) and weight == number


def _counts(weight: Any) -> bool:
    return not _is(weight, 0)


def _with(two: tuple[Any, Any], place: int, new: Any) -> tuple[Any, Any]:
    return (new, two[1]) if place == 0 else (two[0], new)


def largest(values: Values) -> Array:
    """The largest size of any number."""
    return jnp.max(jnp.stack([jnp.max(jnp.abs(a), initial=0) for a in values.values()]))
