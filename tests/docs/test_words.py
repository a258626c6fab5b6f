"""What the audit's words mean is said in one sentence, and quoted wherever it is explained."""

import dataclasses
import inspect
import re
from pathlib import Path

from byway.audit.page import COLUMNS, audit_page
from byway.core.words import MEANING, QUESTIONS
from byway.learning.rule import Claims
from byway.report.words import VERDICTS

ROOT = Path(__file__).parents[2]


def one_line(text: str) -> str:
    return " ".join(text.split())


def test_there_is_a_question_for_each_claim():
    fields = [field.name for field in dataclasses.fields(Claims)]
    assert list(QUESTIONS) == fields
    assert list(COLUMNS) == fields


def test_each_question_is_one_sentence():
    for question in QUESTIONS.values():
        assert question[0].isupper()
        assert re.findall(r"[.?!](?=\s|$)", question) == ["?"]


def test_they_are_quoted_by_claims_report_audit_and_readme():
    claims, readme = inspect.getdoc(Claims), (ROOT / "README.md").read_text(encoding="utf-8")
    page = audit_page([])
    for name, question in QUESTIONS.items():
        assert f"{name}: {question[0].lower()}{question[1:]}" in one_line(claims)
        assert question in page
        assert name not in MEANING or MEANING[name].startswith(question)
    for name in ("transport", "locking", "derivative", "signal"):
        assert QUESTIONS[name] in one_line(readme)
    assert VERDICTS is MEANING
