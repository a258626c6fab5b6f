"""A checkpoint knows what it is of by what is computed: whatever changes that is told apart, and
nothing else is.
"""

import dataclasses
import functools
import re
import subprocess
import sys

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from tests.part import some

import byway
from byway.core.errors import RunError
from byway.core.signal import CrossEntropy, Signal, SquaredError
from byway.core.task import Split, Task
from byway.network.builders import convnet, graph, mlp
from byway.rules.backprop.bp import BP
from byway.rules.feedback.dfa import DFA
from byway.training.fit import fit

IMAGE = (4, 4, 1)
X, Y = np.random.default_rng(0).normal(size=(12, 16)), np.arange(12) % 2


class Dots(Task):
    """Images of noise; what a subclass says of them decides what is learnt."""

    input_shape = IMAGE
    outputs = 2
    gain = 1.0
    loss = CrossEntropy()

    def load(self):
        return dict.fromkeys(("train", "validation", "test"), Split(jnp.asarray(X), jnp.asarray(Y)))

    def batch(self, split, index, key):
        x = self.gain * split.x[index].reshape(-1, *IMAGE)
        return x, Signal(jax.nn.one_hot(split.y[index], 2, dtype=float), self.loss)


def activation(phi, slope, name="mine"):
    return mlp(IMAGE, 3, 2, activation=byway.Activation(name, phi, slope))


def equinox(**options):
    layer = eqx.nn.Conv2d(1, 2, 2, key=jax.random.key(0), **options)
    move, flat = (eqx.nn.Lambda(f) for f in (lambda x: jnp.moveaxis(x, -1, 0), jnp.ravel))
    size = jax.eval_shape(layer, jax.ShapeDtypeStruct((1, 4, 4), float)).size
    return byway.from_equinox(
        eqx.nn.Sequential([move, layer, flat, eqx.nn.Linear(size, 2, key=jax.random.key(1))]), IMAGE
    )


def rule(scale):
    class Scaled(BP):
        """A rule of a user's own, whose code is changed."""

        def g(self, gamma, net, memory, record, signal):
            memory, update = super().g(gamma, net, memory, record, signal)
            return memory, dataclasses.replace(update, net=jax.tree.map(scale, update.net))

    return Scaled()


def task(**changes):
    return type("Changed", (Dots,), changes)()


def box(function):
    return mlp(IMAGE, 3, 2, activation=byway.host("box", function))


class Chip:
    """A function on the host with a setting and a state."""

    def __init__(self, gain):
        self.gain, self.calls = gain, 0

    def __call__(self, u):
        self.calls += 1
        return self.gain * u


def _made(net=None, by=BP(), of=Dots(), **options):  # noqa: B008
    return {"net": mlp(IMAGE, 3, 2) if net is None else net, "rule": by, "task": of, **options}


def _fit(made, **options):
    return fit(**made, epochs=1, batch=6, looks=0, progress=False, **options)


CONSTANT = {
    name: jnp.asarray([[1.0, 2.0, value]]) for name, value in (("one", 3.0), ("other", 4.0))
}
PERTURBED = byway.rule("node_perturbation")
APART = {
    "a stride and a pool": lambda: [
        _made(convnet(IMAGE, (2,), 2, stride=s, pool=p)) for s, p in ((2, 1), (1, 2))
    ],
    "a padding": lambda: [
        _made(convnet(IMAGE, (2,), 2, kernel=2, pool=3, padding=p)) for p in ("SAME", "VALID")
    ],
    "a padding and a stride of a layer of Equinox": lambda: [
        _made(equinox(padding=p, stride=s)) for p, s in ((0, 2), (1, 3))
    ],
    "levels of a quantiser": lambda: [
        _made(mlp(IMAGE, 3, 2, activation=byway.quantised(bits)), PERTURBED) for bits in (1, 3)
    ],
    "an activation under one name": lambda: [
        _made(activation(phi, slope))
        for phi, slope in ((jnp.sin, jnp.cos), (jnp.tanh, lambda u: 1 - jnp.tanh(u) ** 2))
    ],
    "a slope alone": lambda: [
        _made(activation(jnp.sin, slope)) for slope in (jnp.cos, jnp.ones_like)
    ],
    "a constant that a function holds": lambda: [
        _made(activation(lambda u, c=c: u * c, lambda u, c=c: u * 0 + c)) for c in CONSTANT.values()
    ],
    "code of a rule": lambda: [_made(by=rule(scale)) for scale in (lambda a: a, lambda a: 2 * a)],
    "a number in a task": lambda: [_made(of=task(gain=gain)) for gain in (1.0, 1.5)],
    "the loss of a task": lambda: [
        _made(of=task(loss=loss)) for loss in (CrossEntropy(), SquaredError())
    ],
    "what a task scores": lambda: [
        _made(of=task(score=lambda self, output, signal, n=n: {"loss": n * signal.loss(output)}))
        for n in (1, 2)
    ],
    "the order of a task": lambda: [
        _made(of=task(order=order))
        for order in (Dots.order, lambda self, key, size: jnp.arange(size))
    ],
    "a rate within optax": lambda: [_made(optimiser=optax.adam(rate)) for rate in (1e-3, 1e-2)],
    "a schedule within optax": lambda: [
        _made(optimiser=optax.sgd(course))
        for course in (lambda count: 1e-3, optax.cosine_decay_schedule(1e-3, 10))
    ],
    "a function on the host": lambda: [_made(box(f), PERTURBED) for f in (np.tanh, np.sin)],
    "code of a function on the host": lambda: [
        _made(box(f), PERTURBED) for f in (lambda u: u + 1, lambda u: u + 2)
    ],
    "what a function on the host holds": lambda: [
        _made(box(lambda u, n=n: u + n), PERTURBED) for n in (1, 2)
    ],
    "an object on the host": lambda: [_made(box(Chip(gain)), PERTURBED) for gain in (1.0, 2.0)],
    "arguments of a function on the host": lambda: [
        _made(box(functools.partial(np.multiply, n)), PERTURBED) for n in (1.0, 2.0)
    ],
    "what is connected": lambda: [
        _made(graph({"input": IMAGE, "a": 2, "b": 2, "output": 2}, edges))
        for edges in (
            [("input", "a"), ("input", "b"), ("a", "output"), ("b", "output")],
            [("input", "a"), ("input", "b"), ("a", "output"), ("b", "output"), ("a", "b")],
        )
    ],
}


@pytest.mark.parametrize("case", some(list(APART), 3))
def test_what_changes_what_is_computed_is_another_training(case, tmp_path):
    one, other = APART[case]()
    _fit(one, checkpoint=tmp_path)
    with pytest.raises(RunError, match="of another training"):
        _fit(other, checkpoint=tmp_path)


def test_the_refusal_says_that_no_setting_tells_them_apart(tmp_path):
    one, other = APART["an activation under one name"]()
    _fit(one, checkpoint=tmp_path)
    with pytest.raises(
        RunError, match="it computes something else, though its settings read the same"
    ):
        _fit(other, checkpoint=tmp_path)


SAME = {
    "an optimiser built again": lambda: _made(
        optimiser=optax.chain(optax.clip(1.0), optax.adam(optax.cosine_decay_schedule(1e-3, 9)))
    ),
    "functions written again, with other names": lambda: _made(
        activation(*(lambda u: u**2, lambda u: 2 * u))
    ),
    "a rule and a task defined again": lambda: _made(by=rule(lambda a: 3 * a), of=task(gain=2.0)),
    "a layer of Equinox built again": lambda: _made(equinox(padding=1)),
    "weights that are drawn anyway": lambda: _made(mlp(IMAGE, 3, 2, key=len(SEEN))),
    "an object on the host that was called": lambda: _made(box(CHIP), PERTURBED),
    "a device that drifts": lambda: _made(
        mlp(IMAGE, 3, 2, activation=byway.network.blackbox.device()), PERTURBED
    ),
}
SEEN, CHIP = [], Chip(2.0)


@pytest.mark.parametrize("case", some(list(SAME), 2))
def test_the_same_training_made_again_is_gone_on_with(case, tmp_path, monkeypatch):
    straight = _fit(SAME[case](), checkpoint=tmp_path)
    SEEN.append(case)
    monkeypatch.setattr(
        "byway.training.loop.Loop.train", lambda *args: pytest.fail("it had finished")
    )
    again = _fit(SAME[case](), checkpoint=tmp_path)
    learnt = [
        [np.asarray(a).tobytes() for a in jax.tree.leaves(result.learner().net)]
        for result in (straight, again)
    ]
    assert learnt[0] == learnt[1]


SCRIPT = """
import sys, numpy as np, jax.numpy as jnp, optax, byway
if True:
    {comment}
    pass
class Mine(byway.task("digits").__class__):
    def scaled(self, x):
        return super().scaled(x) * {scale}
names = {{"u", "v", "w", "a", "b", "c"}}  # of another order in each process
def answer(u):
    {comment}
    return u * (len(names) if "u" in {{"u", "v", "w"}} else 1)
task = Mine()
data = {{k: type(s)(s.x[:20], s.y[:20]) for k, s in task.load().items()}}
net = byway.mlp(task.input_shape, 3, 10, activation=byway.host("box", answer))
chosen = optax.chain(optax.adam(1e-3), optax.add_noise(0.1, 0.5, 0))
result = byway.fit(
    net, byway.rule("node_perturbation"), task, data=data, epochs=1, batch=10, progress=False,
    optimiser=chosen, checkpoint=sys.argv[1], on_epoch=lambda row: print(row.step, flush=True),
)
"""


@pytest.mark.slow
def test_the_same_script_in_another_process_goes_on_and_a_changed_one_is_refused(tmp_path):
    def run(**changes):
        script = SCRIPT.format(**{"scale": 1.5, "comment": "# as it was"} | changes)
        return subprocess.run(
            [sys.executable, "-c", script, str(tmp_path)],
            capture_output=True,
            text=True,
            check=False,
        )

    for comment in ("# as it was", "# other words, and more\n    # lines"):
        done = run(comment=comment)
        assert done.returncode == 0 and done.stdout == "0\n2\n", done.stderr
    refused = run(scale=1.6)
    assert "it computes something else" in refused.stderr


def test_arrays_are_told_apart_by_their_numbers_shape_and_type():
    from byway.training.fingerprint import fingerprint

    made = [
        jnp.zeros(4),
        jnp.zeros((2, 2)),
        jnp.zeros(4, int),
        jnp.zeros(4).at[2].set(-0.0),
        jax.random.key(0),
        jax.random.key(1),
        {},
    ]
    assert len({fingerprint(a) for a in made}) == len(made)
    assert fingerprint({"a": made[0]}, made[1]) == fingerprint(np.zeros(4), np.zeros((2, 2)))
    assert fingerprint(made[0], made[1]) != fingerprint(made[1], made[0])


def test_rules_of_two_kinds_are_told_apart_by_name_first(tmp_path):
    _fit(_made(), checkpoint=tmp_path)
    with pytest.raises(RunError, match=r"its rule is bp\(\), and .*program differ"):
        _fit(_made(by=DFA()), checkpoint=tmp_path)


def test_a_program_is_the_same_whatever_its_functions_are_called():
    """And however often one is written out: both hang on what the process has traced before."""
    from byway.training.fingerprint import _nameless

    def doubled(a):
        return a * 2 + 1

    inner = jax.jit(doubled)
    text = jax.jit(lambda a: jnp.sin(inner(a)) + inner(a + 3)).lower(jnp.zeros(2)).as_text()
    (name,) = set(re.findall(r"call @([\w.]+)", text))
    start = text.index(f"  func.func private @{name}(")
    copy = text[start : text.index("\n  }\n", start) + 5].replace(f"@{name}(", "@other(")
    twice = text[:start] + copy + text[start:].replace(f"@{name}(", "@third(")
    twice = twice.replace(f"call @{name}(", "call @other(", 1).replace(f"@{name}(", "@third(")
    assert twice.count("@other") == twice.count("@third") == 2
    assert _nameless(twice) == _nameless(text) != _nameless(text.replace("2.0", "2.5"))
