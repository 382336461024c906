"""vreloc audit: what a composed set gives away, on a small Penn Action folder."""

import re
from dataclasses import replace

import pandas as pd
import pytest

from tests.datasets.conftest import penn_clip, write_penn_action
from vreloc_pyg import cli
from vreloc_pyg.datasets import TASKS, Loaded
from vreloc_pyg.datasets.composer import Composer
from vreloc_pyg.datasets.penn_action import CLASSES, PennAction, penn_action_reloc
from vreloc_pyg.datasets.splits import changed
from vreloc_pyg.experiments.audit import AUDITED
from vreloc_pyg.experiments.predictions import PREDICTIONS_NAME, read_table_gz
from vreloc_pyg.proposals.sliding_window import SlidingWindows
from vreloc_pyg.systems.catalog import choose_systems, find_system
from vreloc_pyg.systems.rules.audit import DETECTORS
from vreloc_pyg.systems.rules.window_rule import BEST_WINDOW_RULE

SIZES = {"num_train": 10, "num_validation": 4, "num_test": 6}


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    clips = [
        penn_clip(40 + 8 * copy, label, seed=number)
        for number, label in enumerate(CLASSES)
        for copy in range(3)
    ]
    return write_penn_action(tmp_path_factory.mktemp("penn"), clips)


def trembling(reference):
    """Every clip that was joined trembles, and what lies between them does not."""
    features = reference.features.clone()
    for start, end in zip(reference.joins[::2], reference.joins[1::2], strict=True):
        features[start:end:2, :26] += 0.8
    return changed(reference, features=features)


def audit(monkeypatch, root, output, betraying=False):
    """Exit code of an audit of a few references whose clips are neither cut nor trimmed."""

    def splits(request):
        composer = Composer(cut=0, margin=0)
        made = penn_action_reloc(
            PennAction(request.root).clips, request.fold, **SIZES, seed=request.seed, composer=composer
        )
        if betraying:
            made = {
                name: replace(split, references=[*map(trembling, split.references)])
                for name, split in made.items()
            }
        return Loaded(made)

    task = replace(TASKS["penn_action"], splits=splits, windows=SlidingWindows(8, 60, 2.0, 0.5))
    monkeypatch.setitem(TASKS, "penn_action", task)
    return cli.main(
        ["audit", "--data=penn-action-reloc", f"--root={root}", "--folds=0", f"--output={output}"]
    )


def test_the_report_holds_every_audit_row_beside_what_it_is_compared_with(
    monkeypatch, root, tmp_path, capsys
):
    code = audit(monkeypatch, root, tmp_path)
    results = pd.read_csv(tmp_path / "results.csv").set_index("system")
    assert set(results.index) == {find_system(name).row for name in choose_systems(AUDITED)}
    rule = results.loc[BEST_WINDOW_RULE.row]
    found = results.loc[[one.row for one in DETECTORS]]
    ahead = any((found[column] > rule[column]).any() for column in ("R@1(0.7)", "R@1(0.9)"))
    assert code == (2 if ahead else 0)
    assert ("No detector of joins is ahead" in capsys.readouterr().out) != ahead
    report = (tmp_path / "report.md").read_text(encoding="utf-8")
    for row in results.index[results["kin"] == "audit"]:
        assert f"| {row} |" in report
    answers = read_table_gz(tmp_path / PREDICTIONS_NAME)
    asked = answers.groupby("system")["kind"].agg(lambda kinds: (kinds == "absent").sum())
    of_another = find_system("audit-another-class").row
    assert asked[BEST_WINDOW_RULE.row] == SIZES["num_test"] // 2
    assert asked[of_another] == 0


def test_a_set_whose_joins_can_be_seen_is_refused(monkeypatch, root, tmp_path, capsys):
    assert audit(monkeypatch, root, tmp_path, betraying=True) == 2
    (line,) = capsys.readouterr().err.splitlines()[-1:]
    assert line.startswith("vreloc audit: penn_action gives away where its references were joined: ")
    row, column, found, best = re.search(
        r": '(.+)' has (R@1\(0\.[79]\)) = ([\d.]+) %, the window rule ([\d.]+) %", line
    ).groups()
    results = pd.read_csv(tmp_path / "results.csv").set_index("system")
    assert row in {one.row for one in DETECTORS}
    assert results.loc[row, column] == pytest.approx(float(found), abs=0.05)
    assert results.loc[BEST_WINDOW_RULE.row, column] == pytest.approx(float(best), abs=0.05)
    assert float(found) > float(best)
    assert (tmp_path / "report.md").exists()  # which says the same
