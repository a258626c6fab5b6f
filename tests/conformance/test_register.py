"""Names for what a program brings itself: a class that is registered, or one in a file."""

import subprocess
import sys

import pytest

import byway
from byway.core.errors import ConfigError, UnknownNameError
from byway.core.hyper import hyper
from byway.network.cells import CELLS
from byway.network.cells.lif import LIF
from byway.rules import RULES
from byway.rules.feedback.fa import FA
from byway.rules.feedback.pepita import Pepita
from byway.tasks import TASKS
from byway.tasks.digits import Digits

FILE = '''
from byway import Task
from byway.rules.feedback.dfa import DFA as Ours
from byway.tasks.digits import Digits

class MyRule(Ours):
    """Ours, by another name."""
    answer = {answer}

class Other(Ours): ...
class Few(Digits): ...
class Plain: ...
'''


@pytest.fixture(autouse=True)
def forgotten(monkeypatch):
    """What a test adds is gone after it."""
    for registry in (RULES, TASKS, CELLS):
        monkeypatch.setattr(registry, "_added", {})


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "my.file.py"
    path.write_text(FILE.format(answer=41), encoding="utf-8")
    return path


def test_a_registered_rule_has_a_name_and_hyper_parameters():
    @byway.register
    class MyFeedback(FA):
        gain: float = hyper(1.0, "scale of what comes back", low=0.0)

    assert RULES.ids()[-1] == "my_feedback" and "my_feedback" not in RULES.own()
    made = byway.rule("my_feedback", gain=2.0)
    assert type(made) is MyFeedback and made.gain == 2.0 and made.id == "my_feedback"
    with pytest.raises(byway.BywayError, match="setting of my_feedback"):
        byway.rule("my_feedback", gian=2.0)
    with pytest.raises(UnknownNameError, match="did you mean 'my_feedback'"):
        byway.rule("my_fedback")


def test_tasks_cells_and_rules_find_their_own_place():
    class Bits(Digits): ...

    class Slow(LIF): ...

    assert byway.register(Bits) is Bits and byway.register(Slow) is Slow
    assert (TASKS.ids()[-1], CELLS.ids()[-1]) == ("bits", "slow") and "bits" not in RULES.ids()
    assert byway.cell("slow", tau=30.0).tau == 30.0
    assert byway.rnn(2, 3, 1, activation="slow").populations[1].cell.name == "slow"


def test_a_taken_name_is_refused_and_a_class_written_again_is_not():
    def written(answer):
        class Again(FA): ...

        Again.answer = answer
        return byway.register(Again)

    written(1)
    assert written(2) is RULES.get("again") and RULES.get("again").answer == 2
    for taken in ("DFA", "Again"):
        with pytest.raises(ConfigError, match=f"rename the class {taken}"):
            byway.register(type(taken, (FA,), {"__module__": "elsewhere"}))


def test_a_class_of_nothing_of_ours_is_refused():
    with pytest.raises(ConfigError, match=r"a class of byway.Rule, byway.Task"):
        byway.register(int)


def test_a_class_of_a_file_is_found_by_its_path(file, monkeypatch):
    found = RULES.get(f"{file}:MyRule")
    assert found.answer == 41 and found().id == "my_rule"
    assert RULES.get("my_rule") is found is RULES.get(f"{file}:MyRule")
    assert TASKS.get(f"{file}:Few")().id == "few"
    monkeypatch.chdir(file.parent)
    assert type(byway.rule("my.file.py:MyRule")) is found


def test_a_file_that_has_changed_is_run_again(file):
    assert RULES.get(f"{file}:MyRule").answer == 41
    file.write_text(FILE.format(answer=42) + "# longer\n", encoding="utf-8")
    assert RULES.get(f"{file}:MyRule").answer == RULES.get("my_rule").answer == 42


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("none.py:MyRule", ["no file ", "correct the path"]),
        ("my.file.py", ["no class of it", "MyRule, Other", "name it as my.file.py:MyRule"]),
        ("my.file.py:Mine", ["has no Mine", "MyRule, Other"]),
        ("my.file.py:Plain", ["Plain of my.file.py, which is no Rule"]),
        ("my.file.py:Few", ["Few of my.file.py, which is no Rule"]),
        ("my.file.py:FILE", ["has no FILE"]),
    ],
)
def test_what_is_not_in_a_file_is_said(name, said, file, monkeypatch):
    monkeypatch.chdir(file.parent)
    with pytest.raises(ConfigError) as told:
        byway.rule(name)
    assert all(words in str(told.value) for words in said), told.value


def test_a_file_without_any_says_what_to_write(tmp_path):
    (tmp_path / "empty.py").write_text("", encoding="utf-8")
    with pytest.raises(ConfigError, match=r"there is none\s+do: write a class of byway.Rule"):
        byway.rule(f"{tmp_path}/empty.py:Any")


def test_a_mistake_in_a_file_comes_out_as_it_is(tmp_path):
    (tmp_path / "broken.py").write_text("1 / 0", encoding="utf-8")
    with pytest.raises(ZeroDivisionError):
        byway.rule(f"{tmp_path}/broken.py:Any")


def test_only_the_rule_that_is_asked_for_is_imported():
    program = (
        "import sys, byway; byway.rule('dfa'); byway.task('digits');"
        "print(sorted(m for m in sys.modules if m.startswith(('byway.rules.', 'byway.tasks.'))"
        " and '._' not in m and m.count('.') == 3 or m.startswith('byway.tasks.') and '._' not in "
        "m))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)  # noqa: PLW1510
    assert done.stdout.strip() == "['byway.rules.feedback.dfa', 'byway.tasks.digits']", done.stderr


@pytest.mark.parametrize("name", ["start", "claimed", "learning_rate"])
def test_a_hyper_parameter_may_not_hide_what_a_rule_has(name):
    """Such a rule would fail later, in the audit, and not say why."""
    with pytest.raises(
        byway.BywayError, match=f"called '{name}'.*[\\s\\S]*a name that Rule does not use"
    ):
        type("Mine", (FA,), {"__annotations__": {name: float}, name: hyper(1.0, "anything")})


def test_a_hyper_parameter_may_have_another_default_in_a_rule_made_of_a_rule():
    class Wider(Pepita):
        size: float = hyper(0.5, "size of F", low=0.0)

    assert Wider().size == 0.5
