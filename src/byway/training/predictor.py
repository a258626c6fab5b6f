"""A trained network that stands alone: what it takes to answer raw samples, in one file.

The file is safetensors, which holds arrays and no code. Every array has a leading axis, one entry
for each seed in it:

    PROJECTION.PART         weights and wiring, "input-hidden1.weight" for example
    position/POPULATION     where units sit
    gamma/PATH              the rule's own parameters
    key                     from which a rule draws that draws when it predicts

In the header, under "byway", is a JSON object: `format`, the version of this layout; `network`, a
blueprint; `rule`, its name and settings; `encoding`, the way from raw samples to inputs and from
outputs to answers; `seeds`; and `about`, where each of them comes from. A reader leaves aside what
it does not know.
"""

import dataclasses
import json
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Key
from scipy.special import softmax
from typing_extensions import override

from byway.core.encoding import Encoding
from byway.core.errors import (
    BywayError,
    ConfigError,
    DataError,
    RunError,
    ShapeError,
    UnknownNameError,
    unknown_name,
)
from byway.core.given import is_whole, require, shown
from byway.core.hyper import hypers
from byway.core.score import R2
from byway.core.tree import PyTree
from byway.learning.rule import Rule
from byway.network.blackbox import failures
from byway.network.blueprint import arrays_of, blueprint, built, filled
from byway.network.describe import describe
from byway.network.network import Network
from byway.tasks._encoded import encoded
from byway.training.step import NOISE, branch

FORMAT, HEADER = 1, "byway"
# Samples that one compiled prediction takes, as many as `fit` scores at once; fewer are filled up,
# so that the answer to one does not depend on how many stand beside it.
TOGETHER = 500
# Labels that an error names.
MOST_NAMED = 20
# What is said by those who find a file other than `save` writes it.
BROKEN = (
    *(BywayError, LookupError, TypeError, ValueError, AttributeError, OverflowError),
    RecursionError,
)


@dataclasses.dataclass(frozen=True, repr=False, eq=False)
class Predictor:
    """A trained network with all that it takes to answer raw samples: `result.predictor()`, or
    `byway.load("net.byway")` in another program.

    It answers as `fit` does where it scores the test split, to rounding.

    Attributes:
        net: the network, with its weights.
        rule: the rule that trained it, which says how it predicts.
        gamma: the rule's own parameters.
        encoding: how raw samples become inputs, and what outputs mean.
        key: from which a rule draws that draws when it predicts.
        seed: which learner it was.
        about: where it comes from: the task, the settings, the test scores, the version of Byway.
    """

    net: Network
    rule: Rule
    gamma: PyTree
    encoding: Encoding
    key: Key[Array, ""]
    seed: int = 0
    about: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    @property
    def classes(self) -> tuple[Any, ...]:
        """The label of each output; empty where outputs are no classes."""
        return self.encoding.labels

    def outputs(self, x: Any) -> np.ndarray:
        """What the network says of raw samples, before it is made an answer.

        Args:
            x: samples as the task had them before it scaled them, "samples *shape", as
                `encoding.shape` says; or, where they are sequences, a list of arrays
                "time *shape".

        Returns:
            "samples out"; in time "samples time out", of which steps after the end of a sequence
            mean nothing.

        Raises:
            DataError: they are not such as it was trained on.
        """
        return self._outputs(encoded(self.encoding, x)[0])

    def predict(self, x: Any) -> np.ndarray:
        """The answer to each sample: its label, or its numbers in their own units; the outputs
        themselves where the task did not say what they mean.

        Args:
            x: as in `outputs`.

        Returns:
            "samples"; of several numbers "samples out"; of sequences with an answer at each step
            "samples time ...".
        """
        return self.encoding.answers(self._answering(x))

    def predict_proba(self, x: Any) -> np.ndarray:
        """The probability of each class, "samples classes", in the order of `classes`.

        Raises:
            ConfigError: outputs are no classes, or were not trained by their cross-entropy, so that
                nothing makes probabilities of them.
        """
        if not self.classes or self.encoding.loss != "cross_entropy":
            raise ConfigError(
                "the probabilities of a network whose outputs are "
                + ("scores" if self.classes else "no classes"),
                "classes, trained by the cross-entropy",
                "use predict, or outputs",
            )
        return softmax(self._answering(x), axis=-1)

    def score(self, x: Any, y: Any) -> float:
        """How good its answers are: the share of labels that are right; of numbers R², averaged
        over outputs.

        Args:
            x: as in `outputs`.
            y: the right answers, shaped as those of `predict`.

        Raises:
            ConfigError: nobody said what outputs mean.
            DataError: not as many y as answers, or a label that is none of `classes`.
        """
        return agreement(self.encoding, self.predict(x), np.asarray(y))

    def save(self, path: Path | str) -> None:
        """Write it as one file, which `byway.load` reads.

        Args:
            path: the file; one that is there is replaced.

        Raises:
            RunError: it cannot be written.
        """
        write(path, [self])

    @override
    def __repr__(self) -> str:
        on = f" on {self.about['task']}" if self.about.get("task") else ""
        return f"<Predictor: {self.rule.id}{on}, seed {self.seed}: {describe(self.net)}>"

    def _answering(self, x: Any) -> np.ndarray:
        """Outputs where an answer is asked for: of a sequence at its last step, perhaps."""
        inputs, lengths = encoded(self.encoding, x)
        outputs = self._outputs(inputs)
        if not self.encoding.at_end:
            return outputs
        last = np.full(len(outputs), outputs.shape[1]) if lengths is None else lengths
        return outputs[np.arange(len(outputs)), last - 1]

    def _outputs(self, inputs: np.ndarray) -> np.ndarray:
        made = []
        for number, start in enumerate(range(0, len(inputs), TOGETHER)):
            some = inputs[start : start + TOGETHER]
            rows = np.concatenate([some, np.repeat(some[-1:], TOGETHER - len(some), 0)])
            x = jnp.asarray(rows).astype(self.net.dtype)
            key = branch(self.key, NOISE, number)
            with failures(self.net):
                out = jax.block_until_ready(
                    _output(self.rule, self.gamma, self.net, x, key, self.encoding.in_time)
                )
            # NumPy has no functions for some types of half precision.
            out = out.astype(jnp.float32) if out.dtype.itemsize < 4 else out
            made.append(np.asarray(out)[: len(some)])
        return np.concatenate(made)


def agreement(encoding: Encoding, answers: np.ndarray, truth: np.ndarray) -> float:
    """How well answers agree with what is right; see `Predictor.score`."""
    if not encoding.answering:
        raise ConfigError(
            "a score of outputs that nobody said the meaning of",
            "classes, or numbers to be predicted",
            "use predict, and score that; a task of your own says it by Task.encoding",
        )
    if answers.shape != truth.shape:
        raise DataError(
            f"y of shape {truth.shape}", f"{answers.shape}, as the answers", "reshape it"
        )
    if not encoding.labels:
        out = 1 if encoding.flat else answers.shape[-1]
        said, right = (a.reshape(-1, out).astype(float) for a in (answers, truth))
        away = right - right.mean(0)
        return R2.of(np.stack([(said - right) ** 2, away, away**2], -1).mean(0))
    for label in dict.fromkeys(truth.ravel().tolist()):
        if label not in encoding.labels:
            some = ", ".join(map(shown, encoding.labels[:MOST_NAMED]))
            raise DataError(
                f"the label {shown(label)} in y",
                f"some of {some}{', ...' if len(encoding.labels) > MOST_NAMED else ''}",
                "say y in the terms of predictor.classes: labels, not their numbers",
            )
    return float(np.mean(answers == truth))


@eqx.filter_jit
def _output(
    rule: Rule, gamma: PyTree, net: Network, x: Array, key: Key[Array, ""], in_time: bool
) -> Array:
    return rule.predict(gamma, net, x, key, in_time).output


def write(path: Path | str, predictors: Sequence[Predictor]) -> None:
    """Write predictors of one training, which differ in their seeds; the file is whole, or not
    there.

    Raises:
        RunError: it cannot be written.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import save_file

    path, first = Path(path), predictors[0]
    each = [_arrays(one) for one in predictors]
    # In C order: of arrays in another safetensors writes the wrong numbers.
    arrays = {name: np.stack([np.asarray(one[name]) for one in each]) for name in each[0]}
    partial = path.with_name(f".{path.name}.partial")
    header = _header(first) | {
        "seeds": [one.seed for one in predictors],
        "about": [dict(one.about) for one in predictors],
    }
    try:
        # As one text: of several the order is not the same each time.
        save_file(arrays, partial, {HEADER: json.dumps(header)})
        os.replace(partial, path)
    except (OSError, SafetensorError) as problem:
        raise RunError(
            f"{path} cannot be written: {problem}",
            "a file in a folder that can be written",
            "choose another path",
        ) from problem


def read(
    path: Path | str,
    seed: int | None,
    net: Network | None,
    rule_called: Callable[[str], type[Rule] | None],
) -> Predictor:
    """A predictor from a file; see `byway.load`.

    Args:
        path: the file.
        seed: which of the seeds in it; the first by default.
        net: the network, where it has parts that the file does not hold.
        rule_called: the class of a rule by its name, None where there is none.
    """
    from safetensors import SafetensorError, safe_open

    if Path(path).is_dir():
        raise RunError(
            f"{path} is a folder",
            "a file that save() wrote, or the weights of a run",
            "name a file in it: of a run's folder jobs/RULE/SEEDS/weights.safetensors",
        )
    try:
        with safe_open(path, framework="numpy") as file:
            header = _held(path, (file.metadata() or {}).get(HEADER))
            seeds = header["seeds"]
            chosen = seeds[0] if seed is None else seed
            if not is_whole(chosen) or chosen not in seeds:
                raise ConfigError(
                    f"seed = {shown(seed)} of {path}",
                    f"one of {', '.join(map(str, seeds))}",
                    "choose one of these",
                )
            at = seeds.index(chosen)
            arrays = {name: file.get_slice(name)[at] for name in file.keys()}  # noqa: SIM118
    except (OSError, SafetensorError, IndexError, TypeError) as problem:
        raise RunError(
            f"{path} cannot be read: {problem}",
            "a file that save() wrote, or the weights of a run",
            "check the path",
        ) from problem
    if net is not None:
        require(Network, "net", net, "a network", "leave it out, where the file holds one")
        net = _with_weights(path, net, arrays)
    try:
        return _read(path, header, arrays, chosen, at, net, rule_called)
    except RunError:
        raise
    except BROKEN as problem:
        said = f"{type(problem).__name__}: {problem}".partition("\n")[0]
        given, fix = f"{path} is not as Byway writes it: {said}", "restore it, or save it again"
        if isinstance(problem, ConfigError | UnknownNameError):
            given, fix = f"{path}: {problem.given}", problem.fix
        raise RunError(given, "a file that save() wrote", fix) from problem


def _held(path: Path | str, text: str | None) -> dict[str, Any]:
    """What the header of a file says, which is known to be one of ours then."""
    if text is None:
        raise RunError(
            f"{path} holds weights and nothing else",
            "a file that save() of a result, a predictor or a run wrote",
            "train again, and save it",
        )
    try:
        header = dict(json.loads(text).items())
        version, seeds = int(header["format"]), header["seeds"]
        if not seeds or not all(is_whole(seed) for seed in seeds):
            raise ValueError("no seeds")
    except BROKEN as problem:
        raise RunError(
            f"the header of {path} is not as Byway writes it: {problem}",
            "a file that save() wrote",
            "restore it, or save it again",
        ) from problem
    if version > FORMAT:
        raise RunError(
            f"{path}, in format {version} of a later Byway",
            f"format {FORMAT} or before",
            "read it with the Byway that wrote it, or a later one",
        )
    return header


def _read(
    path: Path | str,
    header: Mapping[str, Any],
    arrays: dict[str, np.ndarray],
    seed: int,
    at: int,
    net: Network | None,
    rule_called: Callable[[str], type[Rule] | None],
) -> Predictor:
    plan = header["network"]
    broken = [n for n, a in arrays.items() if a.dtype.kind == "f" and not np.isfinite(a).all()]
    if broken:
        raise RunError(
            f"{path}, in which {broken[0]} of seed {seed} is not finite",
            "weights of a run that did not fail",
            "choose another seed",
        )
    if net is None and "unknown" in plan:
        raise RunError(
            f"{path}, whose network has {plan['unknown']}",
            "a network that a file can hold, or the network itself",
            "build it as it was trained and hand it over: byway.load(path, net=net)",
        )
    net = built(plan, arrays) if net is None else net
    rule = _rule(path, header["rule"], rule_called)
    rule.accepts(net)
    shapes = eqx.filter_eval_shape(lambda: rule.init(net, jax.random.key(0)))
    paths, shape = jax.tree_util.tree_flatten_with_path(shapes)
    leaves = [jnp.asarray(arrays[f"gamma/{_place(place)}"]) for place, _ in paths]
    for (place, like), leaf in zip(paths, leaves, strict=True):
        if leaf.shape != like.shape:
            raise RunError(
                f"{path}, in which gamma/{_place(place)} is of shape {leaf.shape}",
                f"{like.shape}, as {rule.id} has it for this network",
                "restore it, or save it again",
            )
    made = Predictor(
        net,
        rule,
        jax.tree.unflatten(shape, leaves),
        Encoding.from_json(header["encoding"]),
        jax.random.wrap_key_data(jnp.asarray(arrays["key"])),
        seed,
        dict(header["about"][at]),
    )
    _try(made)
    return made


def _try(predictor: Predictor) -> None:
    """Raise something unless its parts fit each other; nothing is computed."""
    encoding, net = predictor.encoding, predictor.net
    shape = encoding.shape if encoding.taken is None else encoding.taken
    if encoding.room:
        shape = (shape[0] + encoding.room, *shape[1:])
    lead = (1, 1) if encoding.sequences else (1,)
    x = jax.ShapeDtypeStruct((*lead, *shape), net.dtype)
    found = eqx.filter_eval_shape(
        _output, predictor.rule, predictor.gamma, net, x, predictor.key, encoding.in_time
    )
    meant = encoding.labels if encoding.labels else encoding.target_mean
    if meant is not None and len(meant) != found.shape[-1]:
        raise ValueError(f"{found.shape[-1]} outputs, which mean {len(meant)} things")


def _header(predictor: Predictor) -> dict[str, Any]:
    try:
        plan = blueprint(predictor.net)
    except ConfigError as problem:
        plan = {"unknown": problem.given}
    rule = predictor.rule
    settings = {field.name: getattr(rule, field.name) for field in hypers(type(rule))}
    return {
        "format": FORMAT,
        "network": plan,
        "rule": {
            "id": rule.id,
            "class": f"{type(rule).__module__}.{type(rule).__qualname__}",
            "settings": settings,
        },
        "encoding": predictor.encoding.to_json(),
    }


def _arrays(predictor: Predictor) -> dict[str, Any]:
    gamma = {
        f"gamma/{_place(place)}": a
        for place, a in jax.tree_util.tree_leaves_with_path(predictor.gamma)
    }
    return arrays_of(predictor.net) | gamma | {"key": jax.random.key_data(predictor.key)}


def _place(path: Any) -> str:
    return jax.tree_util.keystr(path, simple=True, separator="/")


def _rule(
    path: Path | str, held: Mapping[str, Any], rule_called: Callable[[str], type[Rule] | None]
) -> Rule:
    kind = rule_called(str(held["id"]))
    if kind is None:
        raise RunError(
            f"{path}, trained by the rule {held['id']!r}, which is not known here",
            f"the class {held['class']}, which says how such a network predicts",
            "import it and give it to byway.register, then load the file again",
        )
    known = [field.name for field in hypers(kind)]
    for name in held["settings"]:
        if name not in known:
            raise unknown_name(f"setting of {held['id']}", name, known)
    return kind(**held["settings"])


def _with_weights(path: Path | str, net: Network, arrays: Mapping[str, np.ndarray]) -> Network:
    """A network with the weights of a file; raises unless they are of such a network."""
    wanted = {name: a for name, a in arrays_of(net).items() if "/" not in name}
    held = {name: a for name, a in arrays.items() if "/" not in name and name != "key"}
    if missing := sorted(wanted.keys() ^ held.keys()):
        there = "there" if missing[0] in held else "missing"
        raise ShapeError(
            f"{path}, in which {missing[0]} is {there}",
            f"just {', '.join(wanted)}",
            "build the network as it was trained",
        )
    for name, a in held.items():
        if a.shape != wanted[name].shape or a.dtype.kind != wanted[name].dtype.kind:
            raise ShapeError(
                f"{path}, in which {name} is {a.dtype} of shape {a.shape}",
                f"numbers of shape {wanted[name].shape}",
                "build the network as it was trained",
            )
    return filled(net, {name: jnp.asarray(a, wanted[name].dtype) for name, a in held.items()})
