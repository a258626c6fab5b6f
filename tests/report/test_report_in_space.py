"""Wiring and influence in the report of a run: of networks with a fixed fan-in alone, in memory and
from disk the same.
"""

import dataclasses
import re

import numpy as np
import pytest

import byway
from byway.report.charts import styles
from byway.report.in_space import in_space
from byway.report.page import write_page
from byway.runs.folder import read
from byway.runs.outcomes import Outcomes
from byway.runs.weights import sparse_network


@pytest.fixture(scope="module")
def run():
    """A network in space that two rules train, with cycles of no use to them left out."""
    task = byway.task("digits")
    net = byway.grownet(64, 60, task.outputs, regions=2, fan_in=8)
    return byway.compare(["bp", "dfa"], net=net, task=task, epochs=1, seeds=2, looks=0)


@pytest.fixture(scope="module")
def folder(run, tmp_path_factory):
    return run.save(tmp_path_factory.mktemp("runs") / "run")


def test_what_stands_there_is_what_wiring_says(run):
    found = in_space(run, styles(run))
    for label, one in found.rules.items():
        held = byway.wiring(run[label].learner().net)
        assert one.facts["synapses"] == f"{held.synapses:,}" == f"{60 * 8 + 60 * 10:,}"
        assert one.facts["wiring cost [mm]"] == f"{held.cost:,.0f}"
        assert one.facts["joined units"] == "60 of 60"
        form = held.form(draws=3)
        assert one.form[0][:2] == ["modularity Q", f"{form.modularity:.3f}"]
        assert one.form[-1][-1] == f"{form.small_world('space'):.2f}"
        path = byway.influence(run[label].learner().net).strongest()
        assert one.way.startswith(str(path)) and f"output {path.units[-1][1]}" in one.way


def test_charts_are_of_what_differs_from_unit_to_unit(run):
    whats = [what for what, _ in in_space(run, styles(run)).charts]
    starts = [what.partition(";")[0] for what in whats]
    assert starts == [
        "The synapses by which a hidden unit is read",  # all read as many
        "The length of a synapse [µm]",
        "The synapses from input to output",  # and there are no delays
    ]
    held = byway.wiring(run["bp"].learner().net)
    assert f"bp {held.out_degree[held.inner].mean():.3g}" in whats[0]
    assert f"bp {held.length.mean():.3g}" in whats[1]


def test_all_units_and_the_strongest_synapses_are_drawn(run):
    picture = in_space(run, styles(run)).rules["dfa"].picture
    assert {name: path.count("M") for name, *_, path in picture.units} == {
        "input": 64,
        **{f"region{i}": 30 for i in (1, 2)},
        "output": 10,
    }
    assert sum(path.count("M") for *_, path in picture.synapses) == 300
    assert "300 strongest of 1,080" in picture.label
    places = [tuple(map(float, re.findall(r"-?[\d.]+", p)[:2])) for *_, p in picture.units]
    assert all(0 <= x <= 560 and 0 <= y <= 330 for x, y in places)
    assert picture.frame.count("M") == 12


def test_from_disk_it_is_the_same(run, folder):
    again = read(folder)
    for label in run:
        net, held = run[label].learner(1).net, sparse_network(again, label, 1)
        for name, parts in (net.theta | net.structure).items():
            for part, a in parts.items():
                mine = (held.theta | held.structure)[name][part]
                np.testing.assert_array_equal(mine, a)
    mine, other = in_space(run, styles(run)), in_space(again, styles(again))
    assert dataclasses.asdict(mine) == dataclasses.asdict(other)
    page = write_page(again, folder / "report.html").read_text(encoding="utf-8")
    assert 'id="in-space"' in page and "While it grew" not in page


def test_a_dense_network_has_no_such_section_and_its_weights_are_not_read(tmp_path, monkeypatch):
    task = byway.task("digits")
    run = byway.compare(["bp"], net=byway.mlp(64, 8, 10), task=task, epochs=1, looks=0)
    assert in_space(run, styles(run)) is None
    again = read(run.save(tmp_path / "run"))
    monkeypatch.setattr("byway.runs.weights.built", None)
    assert in_space(again, styles(again)) is None


def test_a_rule_whose_seeds_all_failed_is_left_out(run):
    lost = dataclasses.replace(run["bp"], failures=dict.fromkeys(run["bp"].seeds, "it failed"))
    both = Outcomes({"bp": lost, "dfa": run["dfa"]})
    assert list(in_space(both, styles(both)).rules) == ["dfa"]
    alone = Outcomes({"bp": lost})
    assert in_space(alone, styles(alone)) is None
