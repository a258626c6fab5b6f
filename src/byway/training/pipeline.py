"""Stages on devices of their own: while one makes an update, the one before it makes the next.

A stage makes some updates in one call of its compiled program, and what later stages need of them
goes on to their devices. Calls are enqueued and not waited for, so all devices are busy at once.
Each stage carries out its part of the program that one device would carry out, in the same order,
so it learns and measures the same.
"""

from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from byway.audit.program import trace
from byway.core.task import Split
from byway.learning.learner import Learner
from byway.training.batches import Own
from byway.training.layout import Layout
from byway.training.stages import Stage, Waits, carried_out

# A call makes at most so many updates, and so few that what it hands on takes no more room [B]; on
# a CPU, where room costs time, no more than take about this many multiplications. A stretch, in
# which the pipeline fills and empties once, is cut into about so many calls.
MOST_UPDATES, MOST_BYTES, MOST_WORK, CALLS = 16, 2**26, 1.5e9, 32
# So many calls of each stage may be under way.
AHEAD = 4
Scores = dict[str, Array]
# `update(numbers, learner, own, held, i)`: update number i of a window, of one learner.
Once = Callable[..., tuple[Learner, Scores]]


class Staged:
    """An update in stages, and a compiled program of each.

    Args:
        update: the update, of one learner.
        arguments: the shapes of its arguments without the last.
        layout: how learners lie.

    Attributes:
        stages: what each device does.
        trained: by stage, what it trains, in words.
        names: the scores.
        fixed: by stage, the numbers of the learner's leaves that it is given and does not change;
            that which says whether the learner failed comes first.
        most: updates in a call, at most.
    """

    def __init__(self, update: Once, arguments: tuple[Any, ...], layout: Layout):
        flat, shape = jax.tree.flatten((*arguments, jax.ShapeDtypeStruct((), jnp.int32)))
        self.names: list[str] = []

        def flattened(*flat: Any) -> list[Any]:
            learner, scores = update(*jax.tree.unflatten(shape, flat))
            self.names = sorted(scores)
            return [*jax.tree.leaves(learner), *(scores[name] for name in self.names)]

        numbers, learner, *_ = arguments
        self._program = trace(flattened, flat)
        self._waits = Waits(self._program, len(jax.tree.leaves(numbers)), learner)
        self.stages = self._waits.stages(layout.stages)
        self.trained = [self._waits.trained(stage) for stage in self.stages]
        leaves = len(jax.tree.leaves(learner))
        places = jax.tree.unflatten(jax.tree.structure(learner), range(leaves))
        moving = {i for stage in self.stages for i in stage.leaves}
        self.fixed = [[places.failed, *(i for i in range(leaves) if i not in moving)]] * len(
            self.stages
        )
        handed = sum(self._bytes(slot) for stage in self.stages for slot in stage.hands)
        work = MOST_WORK if jax.default_backend() == "cpu" else np.inf
        most = min(MOST_UPDATES, MOST_BYTES / max(1, handed), work / max(1, self._waits.work))
        self.most = max(1, int(most))
        self.programs = [
            jax.jit(self._over(layout, stage, fixed), donate_argnums=0)
            for stage, fixed in zip(self.stages, self.fixed, strict=True)
        ]

    def _over(self, layout: Layout, stage: Stage, fixed: list[int]) -> Callable[..., Any]:
        """`program(leaves it changes, leaves it does not, what comes from other stages, numbers,
        own, held, first, count)` -> the first, what goes to other stages, scores, and a sign that
        all is done; "learners ...".
        """
        program, waits = self._program, self._waits
        taken = [slot for slots in stage.takes.values() for slot in slots]
        made = [
            *(waits.outs[i] for i in stage.leaves),
            *stage.hands,
            *(waits.scores[k] for k in stage.scores),
        ]
        cuts = len(stage.leaves), len(stage.leaves) + len(stage.hands)
        empty = [
            jax.ShapeDtypeStruct((self.most, *program.shapes[slot]), program.dtypes[slot])
            for slot in made[cuts[0] :]
        ]

        def one(of_one, shared):
            mine, still, arrived, numbers, own = of_one
            held, first, count = shared
            known = dict(zip((waits.ins[i] for i in fixed), still, strict=True))
            known |= _at(program.ins, jax.tree.leaves(numbers))
            rest = jax.tree.leaves((own, held))
            known |= _at(program.ins[-1 - len(rest) :], rest)

            def body(k, carry):
                mine, gone = carry
                here = known | {program.ins[-1]: first + k}
                here |= zip((waits.ins[i] for i in stage.leaves), mine, strict=True)
                here |= zip(taken, (a[k] for a in arrived), strict=True)
                new = carried_out(program, stage.equations, here, made)
                gone = [a.at[k].set(b) for a, b in zip(gone, new[cuts[0] :], strict=True)]
                return new[: cuts[0]], gone

            def run(mine, gone):
                return jax.lax.fori_loop(0, count, body, (mine, gone))

            nothing = [jnp.zeros(a.shape, a.dtype) for a in empty]
            mine, gone = jax.lax.cond(still[0] < 0, run, lambda *stay: stay, mine, nothing)
            return mine, gone[: len(stage.hands)], gone[len(stage.hands) :], count

        over = layout.over(one)
        return lambda mine, still, arrived, numbers, own, *shared: over(
            (mine, still, arrived, numbers, own), shared
        )

    def _bytes(self, slot: int) -> int:
        return int(np.prod(self._program.shapes[slot])) * self._program.dtypes[slot].itemsize


def _at(slots: Sequence[int], values: Sequence[Any]) -> dict[int, Any]:
    """The first slots, each with its value."""
    return dict(zip(slots[: len(values)], values, strict=True))


class Pipeline:
    """Trains learners as `Programs.train` does, with their layers in stages.

    Args:
        staged: of the arguments of `train`, an update in stages.
        layout: how learners lie.
        watched: the score that is finite as long as a learner's numbers are.

    Attributes:
        trained: by stage, what it trains, in words.
        size: how many updates a call made, of late.
    """

    def __init__(self, staged: Callable[..., Staged], layout: Layout, watched: str):
        self._staged, self._watched = staged, watched
        self._devices = jax.local_devices()[: layout.stages]
        self._copies: dict[str, tuple[Any, list[Any]]] = {}
        self.trained: list[list[str]] = []
        self.size = 1

    def train(
        self,
        numbers: list[Array],
        learners: Learner,
        own: Own,
        shared: tuple[Any, ...],
        size: int | None = None,
    ) -> tuple[Learner, dict[str, np.ndarray]]:
        """The updates of a window from number `first` (from 0) up to `last`, left out, and the
        scores of each, zero for the others. The arrays of the learners are used up; those that come
        back lie where their stages are. With a `size`, calls make so many updates each, and wait
        for each other: all devices but one are idle.
        """
        held, first, last = shared[0], *map(int, shared[1:3])
        made = self._staged(numbers, learners, own, held)
        devices = self._devices[: len(made.stages)]
        given = [
            self._everywhere(name, tree)
            for name, tree in (("numbers", numbers), ("own", own), ("held", held))
        ]
        failed, before = (np.array(a) for a in (learners.failed, learners.step))
        leaves, shape = jax.tree.flatten(learners)
        put = lambda some, device: jax.device_put([leaves[i] for i in some], device)
        fixed = [put(some, device) for some, device in zip(made.fixed, devices, strict=True)]
        mine = [put(one.leaves, device) for one, device in zip(made.stages, devices, strict=True)]
        found: dict[str, list[tuple[Any, int]]] = {name: [] for name in made.names}
        waiting: deque[Any] = deque()
        self.trained, apart = made.trained, size is not None
        self.size = size = size or max(1, min(made.most, -(-(last - first) // CALLS)))
        for start in range(first, last, size):
            count, handed = min(size, last - start), {}
            for s, stage in enumerate(made.stages):
                taken = [handed[slot] for slots in stage.takes.values() for slot in slots]
                some = *(copies[s] for copies in given), np.int32(start), np.int32(count)
                mine[s], hands, scores, ended = made.programs[s](
                    mine[s], fixed[s], jax.device_put(taken, devices[s]), *some
                )
                if apart:
                    jax.block_until_ready(ended)
                handed.update(zip(stage.hands, hands, strict=True))
                for k, values in zip(stage.scores, scores, strict=True):
                    found[made.names[k]].append((values, count))
            waiting.append(ended)
            if len(waiting) > AHEAD * len(made.stages):
                jax.block_until_ready(waiting.popleft())
        for stage, changed in zip(made.stages, mine, strict=True):
            for i, a in zip(stage.leaves, changed, strict=True):
                leaves[i] = a
        new: Learner = jax.block_until_ready(jax.tree.unflatten(shape, leaves))
        window = len(held) if isinstance(own, Split) else own.shape[1]
        measured = {name: _placed(parts, first, window) for name, parts in found.items()}
        # It is watched before its update: if number i (from 0) is the first that is not finite,
        # update i (from 1) broke it.
        sound = np.isfinite(measured.pop(self._watched))[:, first:last]
        broke = np.where(sound.all(1), last - first, np.argmin(sound, 1))
        whole = np.all([_finite(a) for a in jax.tree.leaves(new.net.theta)], 0)
        now = np.where((failed >= 0) | (sound.all(1) & whole), failed, before + broke)
        return eqx.tree_at(lambda one: one.failed, new, jnp.asarray(now, failed.dtype)), measured

    def _everywhere(self, name: str, tree: Any) -> list[Any]:
        """A tree on every device; the same one is copied once."""
        if name not in self._copies or self._copies[name][0] is not tree:
            self._copies[name] = tree, [jax.device_put(tree, device) for device in self._devices]
        return self._copies[name][1]


def _placed(parts: Sequence[tuple[Any, int]], first: int, window: int) -> np.ndarray:
    """What calls have measured of some updates each, "learners updates ...", in its window."""
    found = np.concatenate([np.asarray(values)[:, :count] for values, count in parts], 1)
    made = np.zeros((len(found), window, *found.shape[2:]), found.dtype)
    made[:, first : first + found.shape[1]] = found
    return made


@jax.jit
def _finite(a: Array) -> Array:
    return jnp.all(jnp.isfinite(a), tuple(range(1, a.ndim)))
