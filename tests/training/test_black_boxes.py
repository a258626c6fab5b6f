"""Training through functions on the host: what fails, what is kept, and how often they are
called.
"""

import threading

import numpy as np
import pytest

import byway
from byway.core.errors import BlackBoxError
from byway.training.fit import fit
from byway.training.layout import Layout

EPOCHS, BATCH = 2, 5
STEPS = 24 // BATCH


class Chip:
    """A relu on the host that counts its calls, and does as it is told from a call on."""

    def __init__(self, broken_from=np.inf, fault=None):
        self.calls, self.broken_from, self.fault = 0, broken_from, fault
        self.inside = threading.Lock()

    def __call__(self, u):
        assert self.inside.acquire(blocking=False), "two calls at once"
        try:
            self.calls += 1
            return self.fault(u) if self.calls >= self.broken_from else np.maximum(u, 0)
        finally:
            self.inside.release()


def boxed(function, **options):
    return byway.mlp(4, 5, 3, activation=byway.host("chip", function, gain=2.0), **options)


def trained(net, task, name="node_perturbation", **change):
    settings = {"epochs": EPOCHS, "batch": BATCH, "progress": False} | change
    return fit(net, byway.rule(name), task, **settings)


def _raises(u):
    raise ZeroDivisionError("no current")


FAULTS = {
    "raises": (_raises, "raised ZeroDivisionError: no current"),
    "shape": (lambda u: u[:1], r"returned an array of shape \(1, 5\)"),
    "nan": (lambda u: u * np.nan, r"returned \d+ NaN and 0 infinite numbers among \d+"),
}


@pytest.mark.parametrize("seeds", [pytest.param(1, marks=pytest.mark.slow), 3])
@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_in_compiled_training_comes_out_as_itself_and_the_rows_before_it_stay(
    blobs, capfd, fault, seeds
):
    function, said = FAULTS[fault]
    # Scores, an epoch, scores.
    sound = Layout(seeds).padded + seeds * 2 * STEPS + Layout(seeds).padded
    chip, rows = Chip(sound + 3, function), []
    with pytest.raises(BlackBoxError, match=f"the black box 'chip' {said}") as found:
        trained(boxed(chip), blobs, seeds=seeds, on_epoch=rows.append)
    assert "finite real numbers of shape" in found.value.wanted
    assert [row.epoch for row in rows] == [0, 1]
    assert all(np.all(np.isfinite(v)) for v in rows[-1].values())
    assert chip.calls == sound + 3  # once it has failed it is left alone
    assert "Traceback" not in capfd.readouterr().err


def test_the_box_can_be_used_again_after_a_fault(blobs):
    chip = Chip(1, _raises)
    net = boxed(chip)
    with pytest.raises(BlackBoxError):
        trained(net, blobs)
    chip.broken_from = np.inf
    assert trained(net, blobs).failures == {}


@pytest.mark.parametrize("seeds", [1, 3])
def test_a_device_is_called_once_for_each_pass(blobs, seeds):
    """Two passes a step and learner; one for each score, also of learners that only fill up the
    devices. Compiling calls nothing.
    """
    chip, counts = Chip(), []
    trained(boxed(chip), blobs, seeds=seeds, on_epoch=lambda row: counts.append(chip.calls))
    assert counts[0] == Layout(seeds).padded
    assert np.diff(counts).tolist() == [seeds * 2 * STEPS + Layout(seeds).padded] * EPOCHS


def test_forward_forward_calls_a_device_twice_a_step(blobs):
    """The neutral pass, and one for the right and the wrong label together; a score takes one more
    for each of three labels.
    """
    chip, counts = Chip(), []
    trained(
        boxed(chip, norm=True), blobs, name="ff", on_epoch=lambda row: counts.append(chip.calls)
    )
    assert counts[0] == 1 + 3
    assert np.diff(counts).tolist() == [2 * STEPS + 1 + 3] * EPOCHS


@pytest.mark.parametrize(
    ("name", "norm"),
    [
        pytest.param("node_perturbation", False, marks=pytest.mark.slow),
        pytest.param("ff", True, marks=pytest.mark.slow),
        pytest.param("frozen", False, marks=pytest.mark.slow),
    ],
)
def test_through_the_host_a_relu_trains_as_the_compiled_one(blobs, name, norm):
    outside = trained(boxed(Chip(), norm=norm), blobs, name=name, seeds=3)
    inside = trained(byway.mlp(4, 5, 3, norm=norm), blobs, name=name, seeds=3)
    for projection, theta in inside.learners.net.theta.items():
        np.testing.assert_allclose(
            outside.learners.net.theta[projection]["weight"], theta["weight"], rtol=1e-6, atol=1e-9
        )
    np.testing.assert_array_equal(outside.accuracy, inside.accuracy)


@pytest.mark.slow
def test_a_learner_that_diverges_fails_alone_and_not_as_a_fault_of_the_box(blobs):
    result = trained(boxed(Chip()), blobs, optimiser="sgd", lr=1e300, schedule="constant", seeds=2)
    assert set(result.failures) == {0, 1}
    assert "stopped being finite at update" in result.failures[0]


@pytest.mark.slow
def test_the_microscope_does_not_look_where_there_is_no_true_gradient(blobs):
    """Nor does it use up a pass of the box, which may drift."""
    assert trained(boxed(Chip()), blobs).looks == 0
    assert trained(byway.mlp(4, 5, 3), blobs).history.group("angle").keys() == {
        "input-hidden1",
        "hidden1-output",
    }
