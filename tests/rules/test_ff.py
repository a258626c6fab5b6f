"""Forward-forward: each layer's update is the gradient of its own loss, written out here and
differentiated.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import special, stats

import by_hand
import byway
from byway.audit.verdict import audit
from byway.core.errors import RuleError
from byway.core.signal import CrossEntropy, Signal
from byway.network.builders import convnet, graph, mlp
from byway.network.convolutions import LocallyConnected
from byway.rules.local.ff import FF

CLASSES = 3


@jax.custom_jvp
def _relu_passing_all(u):
    """A relu whose derivative is one everywhere."""
    return jnp.maximum(u, 0)


@_relu_passing_all.defjvp
def _pass_all(u, du):
    return _relu_passing_all(u[0]), du[0]


def _net(*sizes, seed=0):
    return by_hand.with_biases(mlp(*(sizes or (8, 6, 5, 4, CLASSES)), norm=True, key=seed))


def _labelled(x, label):
    flat = np.array(x).reshape(len(x), -1)
    flat[:, : label.shape[1]] = label
    return flat.reshape(x.shape)


def _activities(net, x):
    """What each layer of a normalised mlp receives and makes, in NumPy."""
    h, received, made = np.asarray(x), [], []
    for p in net.projections[:-1]:
        received.append(np.asarray(by_hand.rms_normalised(h)))
        h = np.maximum(received[-1] @ np.asarray(p.weight) + np.asarray(p.bias), 0)
        made.append(h)
    return received, made, np.asarray(by_hand.rms_normalised(h))


def _inputs(record, phase):
    return np.asarray(record[phase].post["input"])


def _local_loss(rule, layer, positive, negative, memory):
    """Logistic losses over both passes, and peer normalisation over the positive one."""
    up, down = layer(positive), layer(negative)
    axes = tuple(range(1, up.ndim))
    theta = rule.threshold * up[0].size
    good, bad = jnp.sum(jnp.maximum(up, 0) ** 2, axes), jnp.sum(jnp.maximum(down, 0) ** 2, axes)
    right, wrong = jnp.log(1 + jnp.exp(theta - good)), jnp.log(1 + jnp.exp(bad - theta))
    mean = rule.decay * memory + (1 - rule.decay) * jnp.mean(_relu_passing_all(up), 0)
    return jnp.mean(jnp.concatenate([right, wrong])) + rule.peer * jnp.mean(
        (jnp.mean(mean) - mean) ** 2
    )


SETTINGS = [
    FF(),
    FF(threshold=0.4, peer=0.7, decay=0.6),
    FF(peer=0.0),
    FF(threshold=2.0, peer=5.0, decay=0.0),
]


@pytest.mark.parametrize("rule", SETTINGS, ids=str)
def test_update_of_each_layer_is_the_gradient_of_its_own_loss(rule):
    net = _net()
    x, target = by_hand.sample(8, CLASSES, batch=6)
    draw = np.random.default_rng(3)
    memory = {h.name: jnp.asarray(draw.uniform(size=h.shape)) for h in net.hidden}
    _, update, record = by_hand.taught(rule, net, x, target, memory=memory)
    positive, _, _ = _activities(net, _labelled(x, target))
    negative, _, _ = _activities(net, _inputs(record, "negative"))
    for i, p in enumerate(net.projections[:-1]):

        def loss(theta, i=i, p=p):
            layer = lambda pre: pre @ theta["weight"] + theta["bias"][None, :]
            return _local_loss(rule, layer, positive[i], negative[i], memory[p.dst])

        assert (
            by_hand.largest_gap(
                {p.name: update.net[p.name]}, {p.name: jax.jit(jax.grad(loss))(p.theta)}
            )
            < 1e-12
        )


def test_update_of_a_convolution_is_the_gradient_of_its_own_loss():
    net, rule = by_hand.with_biases(convnet((6, 6, 1), (3,), CLASSES, norm=True)), FF(peer=1.0)
    x, target = by_hand.sample((6, 6, 1), CLASSES)
    memory, update, record = by_hand.taught(rule, net, x, target)
    positive, negative = (
        by_hand.rms_normalised(record[phase].post["input"]) for phase in ("positive", "negative")
    )

    def loss(theta):
        return _local_loss(
            rule,
            lambda pre: by_hand.convolution(pre, **theta, pool=2),
            positive,
            negative,
            jnp.full((3, 3, 3), 0.5),
        )

    name = "input-conv1"
    assert (
        by_hand.largest_gap(
            {name: update.net[name]}, {name: jax.jit(jax.grad(loss))(net.theta[name])}
        )
        < 1e-12
    )
    made = jnp.maximum(by_hand.convolution(positive, **net.theta[name], pool=2), 0)
    np.testing.assert_allclose(memory["conv1"], 0.9 * 0.5 + 0.1 * np.mean(made, 0), rtol=1e-12)


def test_head_learns_softmax_regression_on_the_neutral_pass():
    net = _net()
    x, target = by_hand.sample(8, CLASSES)
    _, update, _ = by_hand.taught(FF(), net, x, target)
    _, _, received = _activities(net, _labelled(x, np.full((len(x), CLASSES), 1 / CLASSES)))
    loss = lambda theta: by_hand.cross_entropy(
        jnp.asarray(received) @ theta["weight"] + theta["bias"][None, :], target
    )
    head = net.projections[-1]
    assert (
        by_hand.largest_gap({"": update.net[head.name]}, {"": jax.grad(loss)(head.theta)}) < 1e-12
    )


@pytest.mark.parametrize(("kept", "silenced"), [("positive", "negative"), ("negative", "positive")])
def test_update_of_one_sample_changes_the_length_of_its_activity_but_not_the_direction(
    kept, silenced
):
    """So all layers can learn at once: what the next one receives stays the same to first order,
    here exactly.
    """
    net, rule = mlp(8, 6, 5, CLASSES, norm=True, bias=False, key=2), FF(peer=0.0)
    x, target = by_hand.sample(8, CLASSES, batch=1)
    signal = Signal(target, CrossEntropy())
    record = by_hand.recorded(rule, net, x, signal)
    quiet = {name: jnp.zeros_like(h) for name, h in record[silenced].post.items()}
    record = eqx.tree_at(lambda r: r[silenced].post, record, quiet)
    update = by_hand.learned(rule, net, record, signal)
    for p in net.projections[:-1]:
        pre, before = (
            np.asarray(a)[0] for a in (record[kept].pre[p.name], record[kept].post[p.dst])
        )
        after = pre @ np.asarray(p.weight - 0.01 * update.net[p.name]["weight"])
        active = before > 0
        cosine = (
            before[active]
            @ after[active]
            / (np.linalg.norm(before[active]) * np.linalg.norm(after[active]))
        )
        assert cosine == pytest.approx(1, abs=1e-14)
        longer = np.linalg.norm(after[active]) > np.linalg.norm(before[active])
        assert longer == (kept == "positive")
        np.testing.assert_allclose(
            after[~active], (pre @ np.asarray(p.weight))[~active], rtol=1e-12
        )


def test_changing_later_layers_leaves_earlier_updates_alone_when_the_wrong_labels_are_the_same():
    """With two classes the wrong label has no choice, so later layers cannot change it."""
    net = _net(8, 6, 5, 4, 2)
    x, target = by_hand.sample(8, 2)
    other = net.with_theta({p.name: {"weight": 3 * p.weight - 0.1} for p in net.projections[1:]})
    _, before, _ = by_hand.taught(FF(), net, x, target)
    _, after, _ = by_hand.taught(FF(), other, x, target)
    for k in ("weight", "bias"):
        np.testing.assert_array_equal(before.net["input-hidden1"][k], after.net["input-hidden1"][k])
    assert not np.array_equal(
        before.net["hidden1-hidden2"]["weight"], after.net["hidden1-hidden2"]["weight"]
    )


def test_updates_read_no_weights_at_all():
    """Given the record, other weights make the same updates, bit for bit."""
    net, other, rule = _net(), _net(seed=9), FF()
    x, target = by_hand.sample(8, CLASSES)
    signal = Signal(target, CrossEntropy())
    record = by_hand.recorded(rule, net, x, signal)
    jax.tree.map(
        np.testing.assert_array_equal,
        *(by_hand.learned(rule, n, record, signal) for n in (net, other)),
    )


def test_scaling_an_image_only_shrinks_its_label():
    """The label is written at full size before normalising, so 10 x with a label is x with a tenth
    of that label.

    Normalisation takes out the rest, to the part in 1e8 that keeps it finite for a silent input.
    """
    net = _net()
    x, target = by_hand.sample(8, CLASSES)
    _, _, scaled = by_hand.taught(FF(), net, 10 * x, target)
    _, _, plain = by_hand.taught(FF(), net, x, target)
    _, (expected, *_), _ = _activities(net, _labelled(x, np.asarray(target) / 10))
    np.testing.assert_allclose(scaled["positive"].post["hidden1"], expected, rtol=1e-6, atol=1e-6)
    assert by_hand.apart(plain["positive"].post["hidden1"], jnp.asarray(expected)) > 0.01


def test_scaling_image_and_label_together_leaves_the_first_layer_unchanged():
    net = _net()
    x, _ = by_hand.sample(8, CLASSES)
    np.testing.assert_allclose(
        net.forward(10 * x).post["hidden1"], net.forward(x).post["hidden1"], rtol=1e-6, atol=1e-6
    )


def test_positives_carry_the_right_label_and_the_untouched_rest_of_the_image():
    x, target = by_hand.sample(8, CLASSES)
    _, _, record = by_hand.taught(FF(), _net(), x, target)
    np.testing.assert_array_equal(_inputs(record, "positive"), _labelled(x, target))
    np.testing.assert_array_equal(
        _inputs(record, "negative")[:, CLASSES:], np.asarray(x)[:, CLASSES:]
    )


def test_wrong_labels_follow_the_softmax_of_the_head_without_the_right_one():
    """A chi-square test of 6,000 draws for one image; a true label among the negatives would teach
    the opposite.
    """
    classes, right, draws = 5, 2, 6000
    net = by_hand.with_biases(mlp(8, 6, classes, norm=True))
    x, _ = by_hand.sample(8, classes, batch=1)
    target = jnp.tile(jax.nn.one_hot(jnp.array([right]), classes, dtype=float), (draws, 1))
    _, _, record = by_hand.taught(FF(), net, jnp.tile(x, (draws, 1)), target)
    labels = _inputs(record, "negative")[:, :classes]
    assert set(np.unique(labels)) == {0.0, 1.0}
    assert np.all(labels.sum(1) == 1)
    counts = labels.sum(0)
    assert counts[right] == 0
    _, _, received = _activities(net, _labelled(x, np.full((1, classes), 1 / classes)))
    head = net.projections[-1]
    belief = special.softmax((received @ np.asarray(head.weight) + np.asarray(head.bias))[0])
    others = np.arange(classes) != right
    expected = belief[others] / belief[others].sum()
    assert expected.max() > 1.5 * expected.min(), "a belief too flat to tell from uniform draws"
    assert stats.chisquare(counts[others], draws * expected).pvalue > 1e-3


def test_wrong_labels_that_are_not_hard_are_each_as_likely_and_nobody_waits():
    classes, right, draws = 5, 2, 6000
    net = by_hand.with_biases(mlp(8, 6, classes, norm=True))
    x, _ = by_hand.sample(8, classes, batch=1)
    target = jnp.tile(jax.nn.one_hot(jnp.array([right]), classes, dtype=float), (draws, 1))
    rule = FF(hard=False)
    _, _, record = by_hand.taught(rule, net, jnp.tile(x, (draws, 1)), target)
    counts = _inputs(record, "negative")[:, :classes].sum(0)
    assert counts[right] == 0
    assert stats.chisquare(np.delete(counts, right)).pvalue > 1e-3
    deep = mlp(8, 6, 6, classes, norm=True)
    for one, locking in ((rule, "no"), (FF(hard=False, together=True), "yes")):
        verdict = audit(one, deep)
        assert verdict.found.locking == locking and not verdict.disagreements


def test_neutral_label_is_one_over_classes_in_training_and_in_prediction():
    net, rule = _net(), FF()
    x, target = by_hand.sample(8, CLASSES)
    _, _, record = by_hand.taught(rule, net, x, target)
    predicting = by_hand.recorded(rule, net, x, None)
    for seen in (record, predicting):
        np.testing.assert_array_equal(
            _inputs(seen, "neutral"), _labelled(x, np.full((len(x), CLASSES), 1 / CLASSES))
        )
    np.testing.assert_allclose(predicting.readouts["head"], record.output, rtol=1e-12)


def test_quiet_layers_answer_with_the_label_of_least_goodness():
    net = _net()
    x, _ = by_hand.sample(8, CLASSES)
    loud, quiet = (by_hand.recorded(FF(quiet=q), net, x, None).output for q in (False, True))
    np.testing.assert_array_equal(quiet, -loud)


def test_layers_that_judge_together_have_one_number_in_common():
    """The update of a layer is its own activity times p, and p is the same in all of them."""
    net, rule = _net(), FF(together=True, peer=0.0)
    x, target = by_hand.sample(8, CLASSES, batch=1)
    _, update, record = by_hand.taught(rule, net, x, target)
    quiet = {name: jnp.zeros_like(h) for name, h in record["negative"].post.items()}
    silent = eqx.tree_at(lambda r: r["negative"].post, record, quiet)
    update = by_hand.learned(rule, net, silent, Signal(target, CrossEntropy()))
    positive = record["positive"].post
    good = sum(np.sum(np.asarray(positive[h.name]) ** 2) for h in net.hidden)
    doubt = 1 / (1 + np.exp(good - sum(h.size for h in net.hidden)))
    for p in net.projections[:-1]:
        # An update is averaged over two samples, of which one is silent.
        np.testing.assert_allclose(
            update.net[p.name]["bias"], -doubt * np.asarray(positive[p.dst])[0], rtol=1e-10
        )


@pytest.mark.parametrize(
    ("sizes", "counted"), [((8, 6, 5, 4, CLASSES), slice(1, None)), ((8, 6, CLASSES), slice(None))]
)
def test_prediction_is_the_goodness_of_each_label_without_the_first_layer(sizes, counted):
    """A single hidden layer has to count: there is no other."""
    net = _net(*sizes)
    x, _ = by_hand.sample(8, CLASSES)
    expected = np.zeros((len(x), CLASSES))
    for label in range(CLASSES):
        _, made, _ = _activities(net, _labelled(x, np.tile(np.eye(CLASSES)[label], (len(x), 1))))
        expected[:, label] = sum((h**2).sum(1) for h in made[counted])
    record = by_hand.recorded(FF(), net, x, None)
    np.testing.assert_allclose(record.output, expected, rtol=1e-12)


def test_what_each_layer_achieves_alone_is_a_readout():
    net = _net()
    x, _ = by_hand.sample(8, CLASSES)
    readouts = by_hand.recorded(FF(), net, x, None).readouts
    assert readouts.keys() == {"hidden1", "hidden2", "hidden3", "head"}
    for label in range(CLASSES):
        _, made, _ = _activities(net, _labelled(x, np.tile(np.eye(CLASSES)[label], (len(x), 1))))
        for i, h in enumerate(made, 1):
            np.testing.assert_allclose(readouts[f"hidden{i}"][:, label], (h**2).sum(1), rtol=1e-12)


def test_running_means_start_at_a_half_and_follow_the_positives():
    net, rule = _net(), FF(decay=0.8)
    _, memory = rule.start({}, net, 5)
    expected = {h.name: np.full(h.shape, 0.5) for h in net.hidden}
    for seed in range(3):
        x, target = by_hand.sample(8, CLASSES, seed=seed)
        memory, _, _ = by_hand.taught(rule, net, x, target, memory=memory)
        _, made, _ = _activities(net, _labelled(x, target))
        for h, post in zip(net.hidden, made, strict=True):
            expected[h.name] = 0.8 * expected[h.name] + 0.2 * post.mean(0)
            np.testing.assert_allclose(memory[h.name], expected[h.name], rtol=1e-12)


@pytest.mark.slow
def test_real_features_are_not_written_over():
    """The class shows in the first three columns alone, where the label would stand: without them
    36 % were right.
    """
    draw, labels = np.random.default_rng(0), np.arange(600) % 3
    x = draw.normal(size=(600, 6))
    x[np.arange(600), labels] += 4
    options = {"epochs": 20, "batch": 32, "looks": 0, "progress": False}
    task = byway.Data(x, labels)
    with pytest.raises(
        RuleError,
        match="ff writes the label over the first 3 inputs, and the task data can spare 0",
    ) as caught:
        byway.fit(mlp(task.input_shape, 32, 32, 3, norm=True), FF(), task, **options)
    assert "room=3" in caught.value.fix
    task = byway.Data(x, labels, room=3)
    assert (
        byway.fit(mlp(task.input_shape, 32, 32, 3, norm=True), FF(), task, **options).accuracy[0]
        > 0.8
    )


@pytest.mark.parametrize(
    "net",
    [
        mlp(8, 6, 3),
        mlp(8, 6, 3, norm=True, activation="tanh"),
        mlp(8, 3, norm=True),
        mlp(2, 6, 3, norm=True),
    ],
    ids=["not normalised", "not relu", "no hidden layer", "no room for the label"],
)
def test_networks_that_it_cannot_train_are_refused(net):
    with pytest.raises(RuleError, match="ff was given"):
        FF().accepts(net)


@pytest.mark.parametrize("name", ["ff", "symba", "ff_recurrent"])
def test_of_one_label_there_is_no_wrong_one(name):
    """A negative would be its own positive."""
    made = byway.topdown if name == "ff_recurrent" else byway.mlp
    byway.rule(name).accepts(made(8, 6, 2, norm=True))
    with pytest.raises(RuleError, match="1 output"):
        byway.rule(name).accepts(made(8, 6, 1, norm=True))


def _sparse(seed=3):
    """Two hidden layers whose units read 3 others each."""
    net = mlp(8, 6, 5, CLASSES, fan_in=3, norm=True).redraw(jax.random.key(seed))
    return by_hand.with_biases(net)


def _dense(p):
    """A weight for each pair of units, out of a wiring table."""
    weight = np.zeros(p.by_entries().weight.shape)
    for post, row in enumerate(np.asarray(p.index)):
        weight[row, post] = np.asarray(p.weight)[post]
    return weight


def test_where_units_read_few_inputs_a_label_is_a_pattern_that_all_of_them_see():
    """And each layer's update is the gradient of its own loss still, synapse by synapse."""
    net, rule = _sparse(), FF(peer=0.7)
    x, target = by_hand.sample(8, CLASSES, batch=6)
    patterns = np.asarray(rule.init(net, jax.random.key(7)))
    memory = {h.name: jnp.full(h.shape, 0.3) for h in net.hidden}
    _, update, record = by_hand.taught(rule, net, x, target, memory=memory)
    z = {name: _inputs(record, name) for name in ("neutral", "positive", "negative")}
    plain = np.asarray(by_hand.rms_normalised(x))
    np.testing.assert_allclose(z["positive"], plain + np.asarray(target) @ patterns, rtol=1e-12)
    np.testing.assert_allclose(z["neutral"], plain + patterns.mean(0)[None], rtol=1e-12)
    wrong = (z["negative"] - plain) @ np.linalg.pinv(patterns)
    np.testing.assert_allclose(np.sort(wrong), np.tile([0.0, 0, 1], (6, 1)), atol=1e-12)
    assert not np.any(wrong * np.asarray(target) > 0.5)
    positive, negative = z["positive"], z["negative"]
    for p in net.projections[:-1]:
        received = [np.asarray(by_hand.rms_normalised(a)) for a in (positive, negative)]
        rows = np.arange(len(p.weight))[:, None]

        def loss(theta, p=p, received=received, rows=rows):
            table = jnp.zeros((p.sources, len(p.weight))).at[p.index, rows].set(theta["weight"])
            layer = lambda pre: jnp.asarray(pre) @ table + theta["bias"][None]
            return _local_loss(rule, layer, *received, memory[p.dst])

        true = jax.jit(jax.grad(loss))(p.theta)
        assert by_hand.largest_gap({p.name: update.net[p.name]}, {p.name: true}) < 1e-12
        positive, negative = (np.maximum(a @ _dense(p) + np.asarray(p.bias), 0) for a in received)


def _fields():
    """A hidden layer of local fields that share no weights."""
    size = {"input": (4, 4, 1), "hidden1": (3, 3, 2), "output": CLASSES}
    dense = graph(size, [("input", "hidden1"), ("hidden1", "output")], norm=True)
    field = LocallyConnected.between(dense["input"], "hidden1", 2, 2)
    return graph(size, [field, ("hidden1", "output")], norm=True)


@pytest.mark.parametrize(
    "net", [convnet((4, 4, 1), (2,), CLASSES, norm=True), _fields()], ids=["kernels", "fields"]
)
@pytest.mark.slow
def test_kernels_and_fields_see_the_pattern_everywhere(net):
    """And the update of the layer that sees it is the gradient of its own loss still."""
    rule, (x, target) = FF(peer=0.7), by_hand.sample((4, 4, 1), CLASSES, batch=6)
    patterns = np.asarray(rule.init(net, jax.random.key(7)))
    memory = {h.name: jnp.full(h.shape, 0.3) for h in net.hidden}
    _, update, record = by_hand.taught(rule, net, x, target, memory=memory)
    positive, negative = (_inputs(record, name) for name in ("positive", "negative"))
    plain = np.asarray(by_hand.rms_normalised(x))
    shown = np.einsum("bc,cijk->bijk", np.asarray(target), patterns)
    np.testing.assert_allclose(positive, plain + shown, rtol=1e-12)
    assert np.all(np.any(positive != negative, axis=0))
    p = net.projections[0]

    def loss(theta):
        layer = lambda z: p.with_theta(theta).forward(by_hand.rms_normalised(jnp.asarray(z)))
        return _local_loss(rule, layer, positive, negative, memory[p.dst])

    true = jax.grad(loss)(p.theta)
    assert by_hand.largest_gap({p.name: update.net[p.name]}, {p.name: true}) < 1e-12


@pytest.mark.slow
def test_a_pattern_writes_over_nothing():
    """Four features of which each shows the class, in a task that can spare none."""
    draw, labels = np.random.default_rng(0), np.arange(600) % 2
    x = draw.normal(size=(600, 4)) + 2 * (2 * labels - 1)[:, None]
    task = byway.Data(x, labels)
    net = byway.grownet(task.input_shape, 24, 2, regions=2, fan_in=3, norm=True)
    options = {"epochs": 10, "batch": 32, "lr": 1e-2, "looks": 0, "progress": False}
    assert byway.fit(net, FF(), task, **options).accuracy[0] > 0.9
