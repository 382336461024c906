"""vreloc results: everything from kept predictions, and whether it still is what they give."""

import json
import shutil

import numpy as np
import pandas as pd
import pytest

from vreloc_pyg import cli
from vreloc_pyg.datasets.tasks import load_task
from vreloc_pyg.experiments.results import KEPT, check_results, find_benchmarks, write_results
from vreloc_pyg.files import write_json
from vreloc_pyg.report.plots import picture_difference

SYSTEMS = "[chance,window-rule,window-rule-best,frame-level,strongest-rule]"
PAGE = "".join(
    f"<!-- generated: {name} --><!-- end -->\n"
    for name in ("sets", "suite", "tables", "claims", "gist", "time")
)


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    """Where benchmarks are kept, one in ``synthetic`` with its report."""
    return tmp_path_factory.mktemp("results")


@pytest.fixture
def folder(kept, small_task, tmp_path, monkeypatch):
    if not (kept / "synthetic").exists():
        arguments = ["--output", str(kept / "synthetic"), "--systems", SYSTEMS, "--max-pairs", "6"]
        assert cli.main(["benchmark", *arguments]) == 0
    monkeypatch.setattr("vreloc_pyg.experiments.plan.load_task", None)
    shutil.copytree(kept, tmp_path / "kept", ignore=shutil.ignore_patterns("runs"))
    return tmp_path / "kept"


def test_a_report_is_made_again_without_data(folder, tmp_path, capsys):
    before = {path.name: path.read_bytes() for path in (folder / "synthetic").iterdir()}
    for path in (folder / "synthetic").iterdir():
        if path.name not in KEPT:
            path.unlink()
    page = tmp_path / "README.md"
    page.write_text(PAGE)
    arguments = ["results", str(folder), "--pages", str(page)]
    assert cli.main(arguments) == 0
    assert {path.name: path.read_bytes() for path in (folder / "synthetic").iterdir()} == before
    assert set(before) >= {"report.md", "results.csv", "curves.png", "qualitative.png", "sign_flip.md"}
    assert "predictions.csv" not in before
    assert "([report](kept/synthetic/report.md))" in page.read_text()
    assert cli.main([*arguments, "--check"]) == 0
    assert "is what its predictions give" in capsys.readouterr().out


def test_what_differs_is_said_file_by_file_and_nothing_is_written(folder, tmp_path, capsys):
    place, page = folder / "synthetic", tmp_path / "README.md"
    page.write_text(PAGE)
    write_results(folder, [page])
    report = (place / "report.md").read_text()
    (place / "report.md").write_text(report.replace("# Results on synthetic", "# Results on nothing"))
    (place / "results.md").unlink()
    (place / "mcnemar.csv").write_text("old")
    shutil.copy(place / "qualitative.png", place / "curves.png")
    page.write_text(page.read_text().replace("6 queries", "7 queries"))
    before = sorted((path.name, path.stat().st_mtime_ns) for path in place.iterdir())
    assert cli.main(["results", str(folder), "--pages", str(page), "--check"]) == 2
    error = capsys.readouterr().err
    assert f"nothing makes {place / 'mcnemar.csv'}: remove it" in error
    assert f"{place / 'results.md'} is missing" in error
    assert f"the picture {place / 'curves.png'} differs by 1.000" in error
    assert f"{place / 'report.md'}, line 1: has '# Results on nothing', not '# Results on synthetic'" in error
    assert f"{page}, line 2: has '- *synthetic*: 7 queries" in error
    assert sorted((path.name, path.stat().st_mtime_ns) for path in place.iterdir()) == before


def test_another_answer_changes_what_the_predictions_give(folder):
    """A check that looked at no number would pass."""
    path = folder / "synthetic" / "predictions.csv.gz"
    frame = pd.read_csv(path)
    frame.loc[frame["system"] == "frame-level", "end_s"] += 100
    frame.to_csv(path, index=False)
    with pytest.raises(Exception, match=r"differences.csv, line"):
        check_results(folder)


def test_budgets_stand_in_the_report(folder):
    pace = {"step_s": 0.1, "pair_s": 0.2, "batch_size": 16, "num_pairs": 60, "epochs": 6}
    systems = {"mgffnet": {**pace, "steps_per_epoch": 135}}
    write_json(folder / "synthetic" / "budgets.json", {"budget_s": 100.0, "systems": systems})
    write_results(folder)
    report = (folder / "synthetic" / "report.md").read_text()
    assert "is trained for 100 processor seconds" in report
    assert "| MGFFNet (recommended) | 135 | 6 | 16 | 60 |" in report


@pytest.mark.parametrize("about", ["{}", "[", '{"data": "synthetic"}'])
def test_what_cannot_be_read_is_said(folder, about, capsys):
    (folder / "synthetic" / "benchmark.json").write_text(about)
    assert cli.main(["results", str(folder)]) == 2
    assert "benchmark.json of a benchmark" in capsys.readouterr().err


def test_a_folder_without_benchmarks_and_a_page_that_is_not_there(folder, tmp_path, capsys):
    assert cli.main(["results", str(tmp_path / "nowhere")]) == 2
    assert "There is no benchmark.json of a benchmark in" in capsys.readouterr().err
    assert cli.main(["results", str(folder), "--pages", str(tmp_path / "no.md")]) == 2
    assert "Cannot read the page" in capsys.readouterr().err


def test_data_sets_are_in_the_order_in_which_they_are_known(folder):
    for name in ("a_utkinect", "b_penn_action"):
        shutil.copytree(folder / "synthetic", folder / name)
        about = json.loads((folder / name / "benchmark.json").read_text())
        write_json(folder / name / "benchmark.json", {**about, "data": name[2:]})
    names = [one.name for one in find_benchmarks(folder)]
    assert set(names) == {"synthetic", "penn-action-reloc", "utkinect-reloc"}
    assert names.index("penn-action-reloc") < names.index("utkinect-reloc")
    assert [one.name for one in find_benchmarks(folder / "synthetic")] == ["synthetic"]


def test_pictures_differ_by_the_mean_over_what_both_have(tmp_path):
    from matplotlib.image import imsave

    grey = np.full((100, 200, 3), 0.5)
    for name, picture in (
        ("a", grey),
        ("b", np.pad(grey[:, :-2], ((0, 2), (0, 0), (0, 0)))),
        ("c", grey[:90]),
    ):
        imsave(tmp_path / f"{name}.png", picture)
    changed = grey.copy()
    changed[:50] = 0.0
    imsave(tmp_path / "d.png", changed)
    found = [picture_difference(tmp_path / "a.png", tmp_path / f"{name}.png") for name in "abcd"]
    assert found == pytest.approx([0.0, 0.0, 1.0, 0.25], abs=0.003)


def test_a_row_of_ones_own_stands_among_kept_ones(folder, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("vreloc_pyg.experiments.plan.load_task", load_task)
    place, output = folder / "synthetic", tmp_path / "mine"
    arguments = ["benchmark", "--output", str(output), "--max-pairs", "6", "--beside", str(place)]
    assert cli.main([*arguments, "--systems", "[frame-level,frame-level-sdtw]"]) == 0
    kept, joined = (pd.read_csv(one / "results.csv").set_index("system") for one in (place, output))
    assert list(joined.index) == [*kept.index[:-1], "frame-level (sdtw)", kept.index[-1]]
    shown = [name for name in kept if name.startswith("R@1")]
    pd.testing.assert_frame_equal(joined.loc[kept.index, shown], kept[shown])
    assert "--beside synthetic" in (output / "report.md").read_text()
    assert cli.main(["results", str(output), "--check"]) == 0

    capsys.readouterr()
    elsewhere = [*arguments[:2], str(tmp_path / "other"), "--max-pairs", "5", *arguments[5:]]
    assert cli.main([*elsewhere, "--systems", "chance"]) == 2
    assert "asked other pairs" in capsys.readouterr().err
    assert not (tmp_path / "other").exists()
