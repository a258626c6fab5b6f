"""A trained network in a file: what comes back answers as `fit` did, and a file that is broken or
of something else is refused.
"""

import json
import math
import pickle
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import load_file, save_file
from scipy.special import softmax
from sklearn.metrics import r2_score
from tests.part import some

import byway
from byway.audit.networks import accepted, tiny
from byway.core.encoding import Encoding
from byway.core.errors import BywayError, ConfigError, DataError, RunError, ShapeError
from byway.network.cells import CELLS
from byway.network.network import Network
from byway.rules import RULES
from byway.tasks._classes import SomeClasses
from byway.tasks._encoded import encoded
from byway.training.predictor import Predictor

DRAW = np.random.default_rng(0)
X = DRAW.normal(5, 3, (40, 4))
Y = np.array(["no", "yes", "maybe"])[np.arange(40) % 3]
NET = byway.mlp(4, 6, 3, key=1)
SHAPES = {
    "input-hidden1.weight": (4, 6),
    "input-hidden1.bias": (6,),
    "hidden1-output.weight": (6, 3),
    "hidden1-output.bias": (3,),
}
BUDGET = {"epochs": 1, "looks": 0, "progress": False}


@pytest.fixture(scope="module")
def trained():
    return byway.fit(NET, byway.rule("dfa"), byway.Data(X, Y), batch=7, seeds=2, **BUDGET)


@pytest.fixture
def file(trained, tmp_path):
    trained.save(tmp_path / "net.byway")
    return tmp_path / "net.byway"


def _by_hand(weights, x):
    """The outputs of an mlp with one layer of relus, in NumPy."""
    hidden = np.maximum(x @ weights["input-hidden1.weight"] + weights["input-hidden1.bias"], 0)
    return hidden @ weights["hidden1-output.weight"] + weights["hidden1-output.bias"]


def _standardised(trained, x):
    parts = trained.task.parts["train"][0]
    return (x - parts.mean(0)) / parts.std(0)


@pytest.mark.slow
def test_what_was_saved_answers_in_the_terms_of_the_task(trained, file):
    """From raw samples to labels, with nothing but NumPy and the arrays in the file."""
    assert [p.name for p in file.parent.iterdir()] == ["net.byway"]
    held = load_file(file)
    assert {k: a.shape for k, a in held.items() if k in SHAPES} == {
        name: (2, *shape) for name, shape in SHAPES.items()
    }
    for index in (0, 1):
        there = byway.load(file, seed=index)
        outputs = _by_hand({name: held[name][index] for name in SHAPES}, _standardised(trained, X))
        np.testing.assert_allclose(there.outputs(X), outputs, rtol=1e-10)
        np.testing.assert_allclose(there.predict_proba(X), softmax(outputs, 1), rtol=1e-10)
        labels = np.array(["maybe", "no", "yes"])[outputs.argmax(1)]
        assert there.classes == ("maybe", "no", "yes")
        assert there.predict(X).tolist() == labels.tolist()
        assert there.score(X, Y) == np.mean(labels == Y)
        # One seed of it in a file of its own, and the one in memory.
        there.save(file.parent / "one.byway")
        for other in (byway.load(file.parent / "one.byway"), trained.predictor(index)):
            assert (other.seed, other.about) == (index, there.about)
            np.testing.assert_array_equal(other.outputs(X), there.outputs(X))
    assert there.about["task"] == "data" and there.about["settings"]["batch"] == 7
    assert there.about["test"]["accuracy"] == trained.accuracy[1]


def test_the_answer_to_a_sample_does_not_depend_on_what_stands_beside_it(trained):
    one, many = trained.predictor(), np.tile(X, (30, 1))
    np.testing.assert_array_equal(one.outputs(many), np.tile(one.outputs(X), (30, 1)))
    np.testing.assert_array_equal(one.outputs(X[:1]), one.outputs(X)[:1])


def _same(one, other):
    """Whether two trees hold the same arrays, bit by bit, at the same places."""
    each = [jax.tree_util.tree_leaves_with_path(tree) for tree in (one, other)]
    assert [path for path, _ in each[0]] == [path for path, _ in each[1]]
    for (_, a), (_, b) in zip(*each, strict=True):
        np.testing.assert_array_equal(a, b)
        assert jnp.asarray(a).dtype == jnp.asarray(b).dtype


def _there_and_back(net, rule, tmp_path, in_time=False):
    """A predictor as a file brings it: no program is compiled, as what is the same network, rule
    and gamma to the bit predicts the same.
    """
    net = net.redraw(jax.random.key(3)).as_learnt()
    shape = net[net.input].shape
    encoding = Encoding(shape=shape, sequences=in_time, in_time=in_time)
    one = Predictor(net, rule, rule.init(net, jax.random.key(1)), encoding, jax.random.key(2))
    one.save(tmp_path / "net.byway")
    other = byway.load(tmp_path / "net.byway")
    _same((one.net, one.gamma), (other.net, other.gamma))
    assert other.rule == rule and other.net.recurrent == net.recurrent
    assert jax.random.key_data(other.key).tolist() == jax.random.key_data(one.key).tolist()
    assert jax.tree.structure(other.net) == jax.tree.structure(net)
    return other


@pytest.mark.parametrize("name", some(RULES.own(), 8))
def test_every_rule_with_its_own_parameters(name, tmp_path):
    rule = byway.rule(name)
    for kind in accepted(rule):
        _there_and_back(tiny(kind, rule), rule, tmp_path, in_time=rule.in_time)


CHAIN = {"input": 4, "a": 5, "b": 5, "output": 2}
WIRED = [("input", "a"), ("a", "b"), ("b", "output")]


def _graph_of_many_kinds():
    """A skip, a delay, a label, a cycle, fields, and cells with settings."""
    p = [
        byway.Population("input", (6, 6, 1), byway.cell("relu"), False, jnp.zeros((36, 3))),
        byway.Population("field", (4, 4, 2), byway.quantised(5, 2.0), True, jnp.ones((32, 3))),
        byway.Population("a", (32,), byway.cell("leaky", tau=3.0), False, jnp.zeros((32, 3))),
        byway.Population("b", (32,), byway.cell("lif", refractory=2), False, jnp.zeros((32, 3))),
        byway.Population("output", (2,), byway.cell("identity"), False, jnp.zeros((2, 3))),
    ]
    few = byway.FixedFanIn.between(p[1], p[2], 3, delay=2)
    dense = lambda src, dst, **more: byway.Dense(
        src.name, dst.name, src.shape, dst.drive, jnp.zeros((src.size, dst.size)), None, **more
    )
    return Network(
        p,
        [
            byway.LocallyConnected.between(p[0], "field", 2, 3),
            few,
            byway.Skip("a", "b", (32,)),
            dense(p[2], p[3], label="too"),
            dense(p[3], p[2], delay=1),
            dense(p[3], p[4]),
        ],
        "input",
        "output",
    )


NETS = {
    "convnet": lambda: byway.convnet(
        (9, 8, 2), (3, 2), 4, hidden=(5,), padding="VALID", stride=2, pool=1
    ),
    "mlp": lambda: byway.mlp(8, 7, 6, 4, bias=False, fan_in=3, norm=True, readout_from=(0, 1)),
    "graph": lambda: byway.graph(CHAIN, [*WIRED, ("b", "b"), ("b", "a")], activation={"a": "tanh"}),
    **{name: lambda name=name: byway.rnn(5, 6, 4, activation=name) for name in CELLS.own()},
    "many": _graph_of_many_kinds,
}


@pytest.mark.parametrize("kind", NETS)
def test_every_kind_of_network(kind, tmp_path):
    net, rule = NETS[kind](), byway.rule("frozen")
    _there_and_back(net, rule, tmp_path, in_time=not net.feedforward)


def test_forward_forward_answers_by_its_own_procedure(tmp_path):
    """The goodness of each label, in NumPy; and the accuracy that `fit` measured."""
    task = byway.task("digits", validation=1200)
    net = byway.mlp(task.input_shape, 32, 10, norm=True)
    result = byway.fit(net, byway.rule("ff"), task, batch=16, **BUDGET)
    test = task.load()["test"]
    x, y = np.asarray(test.x), np.asarray(test.y)
    result.save(tmp_path / "net.byway")
    there = byway.load(tmp_path / "net.byway")
    w, b = (np.asarray(there.net.theta["input-hidden1"][part]) for part in ("weight", "bias"))
    goodness = []
    for label in range(10):
        z = x.reshape(360, 64) / 16
        z[:, :10] = np.eye(10)[label]
        h = np.maximum(z / (np.sqrt((z**2).mean(1, keepdims=True)) + 1e-8) @ w + b, 0)
        goodness.append((h**2).sum(1))
    np.testing.assert_allclose(there.outputs(x), np.stack(goodness, 1), rtol=1e-10)
    assert there.score(x[..., 0], y) == pytest.approx(result.accuracy[0], abs=1e-12)
    assert there.score(x.reshape(360, 64).astype(float), y) == there.score(x, y)
    for wrong in (x / 16, x.astype(int) + 1, x[:, :4], x.astype(float) - 1):
        with pytest.raises(DataError, match="from 0 to 16 of shape"):
            there.predict(wrong)


def test_numbers_in_their_own_units(tmp_path):
    y = np.stack([1e3 + X[:, 0] - X[:, 1], X[:, 2] / 1e3], 1)
    task = byway.Data(X, y, kind="regression", test_x=X[:9], test_y=y[:9])
    result = byway.fit(byway.mlp(4, 5, 2), byway.rule("bp"), task, batch=8, **BUDGET)
    there = byway.load(_saved(result, tmp_path))
    assert there.predict(X).shape == (40, 2)
    np.testing.assert_allclose(
        there.score(X[:9], y[:9]), r2_score(y[:9], there.predict(X[:9])), rtol=1e-10
    )
    assert there.score(X[:9], y[:9]) == pytest.approx(result.r2[0], rel=1e-9)
    np.testing.assert_allclose(result.predictions.values[0], there.predict(X[:9]), rtol=1e-12)
    np.testing.assert_allclose(result.predictions.truth, y[:9], rtol=1e-12)
    with pytest.raises(ConfigError, match="no classes"):
        there.predict_proba(X)
    with pytest.raises(DataError, match=r"\(9, 2\)"):
        there.score(X[:9], y[:9, 0])


def _saved(result, folder):
    result.save(folder / "net.byway")
    return folder / "net.byway"


@pytest.mark.slow
def test_a_readout_that_is_solved_at_the_end_and_sequences_of_any_length(tmp_path):
    """An echo state network learns nothing before its readout is solved: what is saved has it. The
    answer of a sequence is that of its last step, whatever fills it up.
    """
    lengths = np.arange(24) % 4 + 3
    x = [DRAW.normal(2, 3, (n, 2)) for n in lengths]
    y = np.array([np.sign(one[-1, 0] - 2) for one in x]).astype(int)
    task = byway.Data(x, y, sequences=True, test_x=x, test_y=y)
    net = byway.rnn(2, 20, 2, activation="leaky")
    result = byway.fit(net, byway.rule("esn"), task, batch=4, **BUDGET)
    there = byway.load(_saved(result, tmp_path))
    assert there.predict(x).shape == (24,)
    assert (
        there.score(x, y) == pytest.approx(result.accuracy[0], abs=1e-12) and result.accuracy > 0.8
    )
    np.testing.assert_array_equal(result.predictions.truth, (y + 1) // 2)
    labels = np.array(result.predictions.labels)
    assert labels[result.predictions.values[0]].tolist() == there.predict(x).tolist()
    one_by_one = np.concatenate([there.predict([one]) for one in x])
    assert one_by_one.tolist() == there.predict(x).tolist()


@pytest.mark.parametrize(
    ("name", "raw"),
    [("digits", (8, 8, 1)), ("copy", None), ("adding", None), ("slow_change", (21,))],
)
def test_tasks_of_ours_say_what_their_samples_are(name, raw):
    """Raw samples become what `batch` hands out, and targets, taken for outputs, themselves."""
    task = byway.task(name) if name == "digits" else byway.task(name, samples=200)
    split = task.load()["test"]
    x, signal = task.batch(split, jnp.arange(8), jax.random.key(0))
    rawly = np.asarray(x if raw is None else split.x[:8])
    one = Predictor(NET, byway.rule("bp"), {}, task.encoding, jax.random.key(0))
    np.testing.assert_array_equal(encoded(one.encoding, rawly)[0], x)
    truth = np.asarray(signal.target)
    said = task.encoding.answers(truth)
    expected = truth.argmax(-1) if task.encoding.labels else truth[..., 0]
    np.testing.assert_array_equal(said, expected)


def test_classes_have_their_published_names():
    named = {name: byway.task(name).encoding.labels for name in ("fashion_mnist", "cifar10")}
    assert [named["fashion_mnist"][i] for i in (0, 4, 9)] == ["T-shirt/top", "Coat", "Ankle boot"]
    assert [named["cifar10"][i] for i in (0, 5, 9)] == ["airplane", "dog", "truck"]
    assert byway.task("mnist").encoding.labels == tuple(range(10))
    some = SomeClasses(byway.task("cifar10"), (9, 3))
    assert some.encoding.labels == ("truck", "cat")


def test_a_score_takes_labels_and_not_their_numbers(trained):
    with pytest.raises(DataError, match=r"(?s)the label 0 in y.*'maybe', 'no', 'yes'"):
        trained.predictor().score(X, np.arange(40) % 3)


def test_it_stands_alone_in_another_program(trained, file):
    """No task, no builder: only the file and raw samples."""
    np.save(file.parent / "x.npy", X)
    program = (
        "import sys, numpy as np, jax; jax.config.update('jax_enable_x64', True); import byway;"
        "there = byway.load(sys.argv[1], seed=1); x = np.load(sys.argv[2]);"
        "np.save(sys.argv[3], there.outputs(x)); print(*there.predict(x))"
    )
    paths = [str(file), str(file.parent / "x.npy"), str(file.parent / "out.npy")]
    ran = subprocess.run(
        [sys.executable, "-c", program, *paths], capture_output=True, text=True, check=True
    )
    one = trained.predictor(1)
    assert ran.stdout.split() == one.predict(X).tolist()
    np.testing.assert_array_equal(np.load(file.parent / "out.npy"), one.outputs(X))


class _Own(byway.Rule):
    """A rule of one's own that predicts as it likes."""

    claims = byway.rule("frozen").claims
    gain: float = byway.hyper(2.0, "what outputs are multiplied by")

    def accepts(self, net):
        pass

    def f(self, gamma, net, state, x, signal, key):
        phase = net.forward(x)
        return state, byway.Record({"run": phase}, self.gain * phase.post[net.output])

    def g(self, gamma, net, memory, record, signal):
        return memory, byway.Update({})


def test_a_rule_of_ones_own_is_named_and_nothing_in_a_file_is_run(tmp_path):
    encoding = Encoding(shape=(4,))
    one = Predictor(NET, _Own(gain=3.0), {}, encoding, jax.random.key(0))
    one.save(tmp_path / "net.byway")
    with pytest.raises(RunError, match="'_own', which is not known here") as caught:
        byway.load(tmp_path / "net.byway")
    assert "test_predictor._Own" in str(caught.value) and "byway.register" in str(caught.value)
    byway.register(_Own)
    there = byway.load(tmp_path / "net.byway")
    np.testing.assert_array_equal(there.predict(X), one.outputs(X))
    (tmp_path / "evil.py").write_text("raise SystemExit('run')", encoding="utf-8")
    for rule in (
        {"id": f"{tmp_path}/evil.py:Evil", "class": "Evil", "settings": {}},
        {"id": "_own", "class": "x", "settings": {"gian": 1.0}},
    ):
        _with_header(tmp_path / "net.byway", tmp_path / "bad.byway", {"rule": rule})
        with pytest.raises(BywayError, match=r"not known here|did you mean 'gain'"):
            byway.load(tmp_path / "bad.byway")


def _with_header(path, target, changes):
    with safe_open(path, framework="numpy") as file:
        header = json.loads(file.metadata()["byway"]) | changes
    kept = {k: v for k, v in header.items() if v is not ...}
    save_file(load_file(path), target, {"byway": json.dumps(kept)})


def test_a_network_with_code_of_ones_own_is_handed_over_beside_the_file(tmp_path):
    own = byway.Activation("mine", jnp.sin, jnp.cos)
    net = byway.mlp(4, 6, 3, activation=own)
    result = byway.fit(net, byway.rule("bp"), byway.Data(X, Y), batch=7, **BUDGET)
    path = _saved(result, tmp_path)
    with pytest.raises(RunError, match="the activation 'mine'") as caught:
        byway.load(path)
    assert "net=net" in caught.value.fix
    there = byway.load(path, net=net)
    np.testing.assert_array_equal(there.outputs(X), result.predictor().outputs(X))
    assert there.net.learnt


@pytest.mark.parametrize(
    ("other", "given"),
    [
        (byway.mlp(4, 6, 3, bias=False), "hidden1-output.bias is there"),
        (byway.mlp(4, 6, 3, 3), "hidden1-hidden2.bias is missing"),
        (byway.mlp(4, 7, 3), "of shape (6, 3)"),
    ],
)
def test_a_network_of_another_shape_is_refused(file, other, given):
    with pytest.raises(ShapeError) as caught:
        byway.load(file, net=other)
    assert given in caught.value.given


def test_a_reader_leaves_aside_what_it_does_not_know(trained, file):
    encoding = trained.task.encoding.to_json() | {"colour": "blue"}
    more = {"later": "what nobody knows", "encoding": encoding}
    _with_header(file, file.parent / "later.byway", more)
    np.testing.assert_array_equal(
        byway.load(file.parent / "later.byway").outputs(X), trained.predictor().outputs(X)
    )


BAD_HEADERS = {
    "no format": {"format": ...},
    "a later format": {"format": 2},
    "a format that is none": {"format": []},
    "seeds that are none": {"seeds": ["x"]},
    "no seeds": {"seeds": []},
    "one seed too many": {"seeds": [0, 1, 2]},
    "no network": {"network": ...},
    "a network that is none": {"network": 3},
    "an unknown kind": {
        "network": {"input": "a", "output": "b", "populations": [], "projections": [{"kind": "X"}]}
    },
    "an encoding of nothing": {"encoding": {}},
    "labels that are lists": {"encoding": {"shape": [4], "labels": [[1], [2], [3]]}},
    "too few labels": {"encoding": {"shape": [4], "labels": [1, 2]}},
    "another shape": {"encoding": {"shape": [5]}},
    "a mean that is infinite": {"encoding": {"shape": [4], "mean": [math.inf]}},
    "a shape that is infinite": {"encoding": {"shape": [math.inf]}},
    "a rule without a name": {"rule": {}},
    "a setting out of range": {"rule": {"id": "ff", "class": "", "settings": {"decay": 7}}},
    "gamma of another rule": {"rule": {"id": "kolen_pollack", "class": "", "settings": {}}},
    "about nothing": {"about": 3},
}


@pytest.mark.parametrize("name", BAD_HEADERS)
def test_a_header_that_is_broken_is_refused(file, name):
    _with_header(file, file.parent / "bad.byway", BAD_HEADERS[name])
    with pytest.raises(BywayError) as caught:
        byway.load(file.parent / "bad.byway", seed=2 if "too many" in name else None)
        raise AssertionError("it was read")
    assert "bad.byway" in str(caught.value)


def test_files_that_cannot_be_read_or_written(trained, file):
    whole = file.read_bytes()
    for name, held in (("cut", whole[:-8]), ("text", b"hello"), ("nothing", b"")):
        (file.parent / name).write_bytes(held)
    for name in ("none", "cut", "text", "nothing"):
        with pytest.raises(RunError, match="cannot be read"):
            byway.load(file.parent / name)
    with pytest.raises(RunError, match=r"is a folder\n.*\n.*weights\.safetensors"):
        byway.load(file.parent)
    save_file({"input-hidden1.weight": np.ones((1, 4, 6))}, file.parent / "plain")
    with pytest.raises(RunError, match="weights and nothing else"):
        byway.load(file.parent / "plain")
    arrays = load_file(file)
    with safe_open(file, framework="numpy") as held:
        header = held.metadata()
    for text in ("{", "[" * 100_000, "3"):
        save_file(arrays, file.parent / "bad", {"byway": text})
        with pytest.raises(RunError, match="header of"):
            byway.load(file.parent / "bad")
    for name, value, said in (
        ("input-hidden1.bias", np.full((2, 6), np.nan), "not finite"),
        ("input-hidden1.weight", np.ones((2, 6, 4)), "not as Byway writes it"),
        ("gamma/hidden1", np.ones((2, 3, 7)), "gamma/hidden1 is of shape"),
        ("hidden1-output.bias", None, "not as Byway writes it"),
        ("key", np.zeros((2, 5), np.uint32), "not as Byway writes it"),
    ):
        assert name in arrays
        held = {k: v for k, v in (arrays | {name: value}).items() if v is not None}
        save_file(held, file.parent / "bad", header)
        with pytest.raises(BywayError, match=said):
            byway.load(file.parent / "bad")
    with pytest.raises(RunError, match="cannot be written"):
        trained.save(file.parent / "nowhere" / "net.byway")
    for ask in (lambda: byway.load(file, seed=2), lambda: trained.predictor(2)):
        with pytest.raises(ConfigError, match="seed"):
            ask()


@pytest.mark.parametrize(
    "activation", ["relu", "tanh", "sigmoid", "hard_sigmoid", "softplus", "identity", "quantised"]
)
def test_a_network_can_be_sent_to_another_process(activation):
    net = byway.mlp(4, 6, 3, activation=activation)
    there = pickle.loads(pickle.dumps(net))  # noqa: S301  as multiprocessing does, with what we wrote ourselves
    assert jax.tree.structure(there) == jax.tree.structure(net)  # so nothing compiles twice
    output = lambda net: net.forward(jnp.asarray(X)).post[net.output]
    np.testing.assert_array_equal(output(there), output(net))
