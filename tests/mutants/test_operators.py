"""Faults are small, each once, in code alone; and a campaign tells found ones from others."""

import ast
import random
import sys

import pytest

from tests.mutants.campaign import ROOT, Measured, all_mutants, draw, judge, key
from tests.mutants.forked import in_fork
from tests.mutants.operators import mutants
from tests.mutants.report import page


def changes(source):
    return {(one.operator, one.before, one.after) for one in mutants(source, "a.py")}


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("x = a < b", {("comparison", "a < b", "(a <= b)"), ("comparison", "a < b", "(a >= b)")}),
        ("x = a not in b", {("comparison", "a not in b", "(a in b)")}),
        ("x = a @ b", set()),
        ("x = a ** b", {("arithmetic", "a ** b", "(a * b)")}),
        ("x = a or b", {("logic", "a or b", "(a and b)")}),
        ("x = -a", {("sign or not", "-a", "(a)")}),
        ("x = 3", {("constant", "3", "(4)"), ("constant", "3", "(2)")}),
        ("x = 0.5", {("constant", "0.5", "(1.5)")}),
        ("x = True", {("constant", "True", "False")}),
        ("x = f(a, b)", {("swap", "f(a, b)", "(f(b, a))")}),
        ("x = f(a, a)", set()),
        ("x = max(a, b)", set()),
        ("x = f(a, dim=b)", {("keyword", "f(a, dim=b)", "(f(a))")}),
        ("x = f(a, device=b)", set()),
        ("x = a.clamp()", {("call", "a.clamp()", "(a)")}),
        ("x = torch.relu(a)", set()),
        ("x = a.detach()", set()),
        ("def f():\n    return a, b", {("swap", "a, b", "((b, a))")}),
        ("if a:\n    x = b", {("condition", "a", "(not a)")}),
        (
            "if a:\n    raise E(b < 1)",
            {("condition", "a", "(not a)"), ("statement", "raise E(b < 1)", "pass")},
        ),
        ("x = a\nx = b", {("statement", "x = b", "pass")}),
        ("x += a", {("statement", "x += a", "pass")}),
        ("f(a)", {("statement", "f(a)", "pass")}),
        ('def f(a: int | None = None) -> int | None:\n    """Text 1."""\n    assert a < 1', set()),
        ("def f(a=b + c, *, chunk=4096):\n    pass", {("arithmetic", "b + c", "(b - c)")}),
        ("@cache(maxsize=32)\nclass A:\n    a: int", set()),
        ('raise E(f"{1 + 2}")', {("statement", 'raise E(f"{1 + 2}")', "pass")}),
        ("BLOCK = 1024", set()),
    ],
)
def test_what_is_changed(source, expected):
    assert changes(source) == expected


def test_every_fault_of_the_package_is_code_and_another():
    sources = {}
    for one in random.Random(0).sample(all_mutants(), 50):
        source = sources.setdefault(one.file, (ROOT / one.file).read_text())
        assert source.encode()[one.span[0] : one.span[1]].decode() == one.before
        assert ast.dump(ast.parse(one.apply(source))) != ast.dump(ast.parse(source))


def test_faults_that_are_drawn_are_of_every_file_and_kind():
    every = all_mutants()
    drawn = draw(every, 330, seed=0)
    assert drawn == draw(every, 330, seed=0)
    assert len(drawn) == len({key(one) for one in drawn}) > 300
    assert {one.file for one in drawn} == {one.file for one in every}
    assert {one.operator for one in drawn} == {one.operator for one in every}


PLANTED = '''def sign(number):
    """1, 0 or -1."""
    if number < 0:
        return -1
    return min(number, 1.0)


def unseen():
    return 1
'''
TESTS = """import planted


def test_sign():
    assert [planted.sign(number) for number in (-2, 0, 2)] == [-1, 0, 1]


def test_sign_of_one():
    assert planted.sign(1) == 1
"""


def test_a_fault_is_found_by_a_test_that_sees_it(tmp_path):
    (tmp_path / "planted.py").write_text(PLANTED)
    (tmp_path / "test_planted.py").write_text(TESTS)
    lines = {("planted.py", line) for line in (3, 4, 5)}
    tests = Measured(
        {"test_planted.py::test_sign": 0.1, "test_planted.py::test_sign_of_one": 0.1},
        {"test_planted.py::test_sign": lines, "test_planted.py::test_sign_of_one": {("planted.py", 5)}},
    )
    found = {(one.before, one.after): one for one in mutants(PLANTED, "planted.py")}
    results = [
        judge(found[what], tmp_path, tests)
        for what in [("number < 0", "(number >= 0)"), ("number < 0", "(number <= 0)"), ("1", "(2)")]
    ]
    by = "test_planted.py::test_sign"
    assert results == [("killed", by), ("killed", by), ("survived", "no test runs it")]
    assert (tmp_path / "planted.py").read_text() == PLANTED


def test_a_fork_that_does_not_end_is_ended(tmp_path):
    def endless():
        while True:
            pass

    assert in_fork(endless, tmp_path, seconds=0) is None
    assert in_fork(lambda: sys.exit(3), tmp_path, seconds=5) is None
    assert in_fork(lambda: 7, tmp_path, seconds=5) == 7


def test_the_page_counts_equivalent_faults_apart():
    def row(first, now, why=""):
        return {
            **dict.fromkeys(("place", "operator", "before", "after", "found_by"), "a"),
            "file": "vreloc_pyg/nn/a.py",
            "line": "1",
            "first": first,
            "now": now,
            "why": why,
        }

    said = page([row("killed", "killed"), row("survived", "ended"), row("survived", "survived", "same")], 9)
    assert "| nn | 3 | 1 | 50.0 | 100.0 | 66.7 |" in said
    assert "## Not found\n\nNone." in said
