import sys

import numpy as np
import pandas as pd
import pytest

from tests import results
from vreloc_pyg.errors import DataError
from vreloc_pyg.evaluation import THRESHOLDS, result_table, sign_flip_table
from vreloc_pyg.report import write_report

OURS = "MGFFNet (recommended)"
TIOUS = {"cgbm": [0.6, 0.2, 0.9], OURS: [0.8, 0.55, 0.97], "window rule": [0.3, 0.1, 0.2]}
KINS = {"cgbm": "rival", OURS: "own", "window rule": "rule", "chance (train length)": "rule"}


def frame_of(system, tious, fold, kind="answer"):
    frame = results.frame_of(system, tious, fold, kind, KINS.get(system, "rival"), THRESHOLDS)
    chances = {f"R@1({t:g})": (1 - t) / 10 for t in THRESHOLDS} if kind == "expected" else {}
    return frame.assign(**{"start error": 0.5}, **chances)


@pytest.fixture
def frame():
    parts = [frame_of(name, tious, fold) for name, tious in TIOUS.items() for fold in (0, 1)]
    chance = [frame_of("chance (train length)", [0.1] * 3, fold, "expected") for fold in (0, 1)]
    return pd.concat([*chance, *parts], ignore_index=True)


def report(frame, output, **changes):
    settings = {
        "name": "penn_action",
        "command": "vreloc benchmark --data penn_action",
        "parameters": {"cgbm": 1234567, OURS: 4000},
        "candidate_recall": {"0.5": 99.25, "0.9": 40.0},
        "notes": ["A note."],
    }
    return write_report(frame, output, **{**settings, **changes})


def test_everything_is_written(frame, pairs, tmp_path):
    path = report(frame, tmp_path / "new", pairs=pairs)
    assert sorted(file.name for file in path.parent.iterdir()) == [
        "curves.png", "differences.csv", "differences.md", "qualitative.png", "report.md",
        "results.csv", "results.md", "results.tex", "sign_flip.csv", "sign_flip.md",
    ]  # fmt: skip
    results = pd.read_csv(path.with_name("results.csv"))
    expected = result_table(frame)
    pd.testing.assert_frame_equal(results[expected.columns], expected)
    assert results["parameters"].tolist() == pytest.approx([np.nan, 1234567, 4000, np.nan], nan_ok=True)
    assert results["kin"].tolist() == ["rule", "rival", "own", "rule"]
    assert not any("published" in column for column in results)
    differences = pd.read_csv(path.with_name("differences.csv")).set_index("system")
    assert differences.loc[f"{OURS} − cgbm", "R@1(0.5)"] == pytest.approx(100 / 3)
    tests = pd.read_csv(path.with_name("sign_flip.csv"))
    assert tests["system"].tolist() == ["chance (train length)", OURS, "window rule"]
    assert tests["R@1(0.5) p"].tolist() == pytest.approx(
        sign_flip_table(frame, "cgbm")["R@1(0.5) p"].tolist(), nan_ok=True
    )
    assert r"MGFFNet (recommended) & \textbf{100.0}" in path.with_name("results.tex").read_text()


def test_the_report_joins_them(frame, pairs, tmp_path):
    text = report(frame, tmp_path, pairs=pairs).read_text(encoding="utf-8")
    assert "```sh\nvreloc benchmark --data penn_action\n```" in text
    assert "t-intervals over the 2 folds" in text
    assert "the share of 6 queries, asked in 6 pairs" in text
    assert f"Among all other systems, {OURS} is **first** at tIoU > 0.5, 0.6, 0.7, 0.75, 0.9, 0.95;" in text
    assert "## Class by class against cgbm, the best rival" in text
    assert "| cgbm | 66.7 | 66.7 |" in text
    assert "| 99.2 | 40.0 |" in text
    assert "| 1234567 |" in text
    assert "A note." in text
    assert "Errors are of the first answer" in text
    assert "| **0.5** s [0.5, 0.5] |" in text
    assert "![R@1 over the tIoU threshold](curves.png)" in text
    assert "![The truth and every system's answer](qualitative.png)" in text
    assert "published" not in text


def test_references_without_the_action_add_columns_and_nothing_else(frame, pairs, tmp_path):
    before = report(frame, tmp_path / "before", pairs=pairs).read_text(encoding="utf-8")
    frame["score"] = frame["R@1(0.5)"]
    absent = frame[frame["kind"] == "answer"].assign(kind="absent", tiou=np.nan, score=0.5)
    absent["pair"] += 3
    absent.loc[:, [name for name in absent if name.startswith("R@1")]] = np.nan
    text = report(pd.concat([frame, absent]), tmp_path / "after", pairs=pairs).read_text(encoding="utf-8")
    assert "*AUROC* is how often" in text
    assert "| mean tIoU | start error | AUROC | calibration error | N |" in text
    results = pd.read_csv(tmp_path / "after" / "results.csv").set_index("system")
    assert results.loc[OURS, "AUROC"] == 100
    assert results.loc["cgbm", "AUROC"] == pytest.approx(100 * 2 / 3)
    assert (
        text.partition("## MGFFNet (recommended) minus")[2]
        == before.partition("## MGFFNet (recommended) minus")[2]
    )


def test_seeds_are_averaged_and_one_is_drawn(frame, pairs, tmp_path):
    learned = frame["kin"] != "rule"
    again = frame[learned].assign(seed=1, tiou=0.1, **{f"R@1({t:g})": 0.0 for t in THRESHOLDS})
    path = report(pd.concat([frame.assign(seed=0), again]), tmp_path, pairs=pairs)
    assert "The seeds of a fold are averaged first." in path.read_text(encoding="utf-8")
    results = pd.read_csv(path.with_name("results.csv")).set_index("system")
    assert results.loc[OURS, "R@1(0.5)"] == 50
    assert path.with_name("qualitative.png").exists()


def test_audit_rows_have_a_section_of_their_own(frame, pairs, tmp_path):
    audits = [frame_of("join oracle", [0.99] * 3, fold).assign(kin="audit") for fold in (0, 1)]
    path = report(pd.concat([frame, *audits], ignore_index=True), tmp_path / "audited", pairs=pairs)
    before, heading, after = path.read_text(encoding="utf-8").partition("## Audit rows\n")
    assert heading
    section, _, rest = after.partition("\n## ")
    assert "| join oracle | 100.0 [100.0, 100.0] |" in section
    assert "join oracle" not in before + rest
    assert f"| {OURS} | **100.0** [100.0, 100.0] |" in before
    assert "join oracle" in path.with_name("results.csv").read_text()
    for name in ("results.md", "results.tex", "differences.csv", "sign_flip.csv"):
        assert "join oracle" not in path.with_name(name).read_text(encoding="utf-8")


def test_published_numbers_stand_beside_fengs_split(frame, tmp_path):
    path = report(
        frame[frame["fold"] == 0], tmp_path, name="video_reloc", published={"cgbm": "CGBM", OURS: "MGFFNet"}
    )
    text = path.read_text(encoding="utf-8")
    assert "| cgbm | here | 66.7 |" in text
    assert "| cgbm | *published*, Feng et al. 2018 | 43.5 |" in text
    assert "*published*, Zhou et al. 2022 (protocol unclear) | 49.3 | 49.0 | 49.3 | 44.0 |" in text
    results = pd.read_csv(path.with_name("results.csv")).set_index("system")
    assert results.loc["cgbm", "published R@1(0.5), Feng et al. 2018"] == 43.5
    # One fold: intervals are over its classes, and there is no table by fold.
    assert "t-intervals over the classes of the one fold" in text
    assert "in each fold" not in text
    assert not path.with_name("qualitative.png").exists()


def test_without_a_rival_there_is_no_test(frame, tmp_path):
    own = frame[(frame["fold"] == 0) & frame["system"].isin([OURS, "cgbm"])]
    own = own[
        [
            "system",
            "kind",
            "pair",
            "query",
            "query_id",
            "label",
            "tiou",
            "start_s",
            "seconds",
            "R@1(0.7)",
            "R@1(0.9)",
        ]
    ]
    path = report(own.assign(fold=0, kin=["ablation"] * 3 + ["own"] * 3), tmp_path, candidate_recall=None)
    assert not path.with_name("sign_flip.csv").exists()
    text = path.read_text(encoding="utf-8")
    assert "Class by class" not in text
    assert "Recall of the candidate" not in text
    assert "R@1(0.5)" not in text


def test_one_system_alone_has_a_table_and_no_comparison(frame, tmp_path):
    path = report(frame[frame["system"] == OURS], tmp_path)
    text = path.read_text(encoding="utf-8")
    assert "## All thresholds" in text
    assert "stands" not in text
    assert "minus every other" not in text
    assert path.with_name("curves.png").exists()
    assert not path.with_name("differences.csv").exists()


def test_without_matplotlib_the_report_says_so(frame, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    path = report(frame, tmp_path)
    assert "## Pictures\n\nPictures need matplotlib: pip install" in path.read_text(encoding="utf-8")
    assert not path.with_name("curves.png").exists()


def test_a_curve_that_rises_is_refused_before_anything_is_written(frame, tmp_path):
    frame.loc[frame["system"] == "cgbm", "R@1(0.9)"] = 1.0
    with pytest.raises(DataError, match=r"R@1 of 'cgbm' rises from .* to 100.00 at 0.9"):
        report(frame, tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_refuses_systems_that_cannot_be_compared(frame, tmp_path):
    with pytest.raises(DataError, match="every system to answer the same pairs"):
        report(frame.iloc[:-1], tmp_path)
