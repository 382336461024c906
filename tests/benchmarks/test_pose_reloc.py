import importlib.util
import sys
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
import torch

from vreloc_pyg.baselines import STRONGEST_RULE
from vreloc_pyg.datasets import RelocalizationSplit, Synthetic
from vreloc_pyg.datasets.benchmark import NUM_FOLDS, Benchmark
from vreloc_pyg.proposals.sliding_window import SlidingWindows
from vreloc_pyg.segments import Segments
from vreloc_pyg.training import make_preset
from vreloc_pyg.workflows import benchmark_rules, candidate_recall

PATH = Path(__file__).parents[2] / "benchmarks" / "pose_reloc.py"
WINDOWS = SlidingWindows(shortest=5, longest=40, ratio=2.0, overlap=0.5)
LEARNED = {
    "recommended": "MGFFNet (recommended)",
    "wrong_query": "MGFFNet (recommended), query of another class",
    "cnn": "CNN (recommended without graphs)",
    "paper": "MGFFNet (paper)",
}


@pytest.fixture(scope="module")
def script():
    spec = importlib.util.spec_from_file_location("benchmarks_pose_reloc", PATH)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def small_benchmark(fold):
    task = Synthetic(4, 2, 2, num_train=12, num_validation=4, num_test=4, num_features=8, seed=fold)
    return Benchmark("penn_action", task.splits(), WINDOWS)


@pytest.fixture(autouse=True)
def small(script, monkeypatch):
    """Presets are made small: their names, and what sets the CNN apart, stay."""

    def make(name, *parts, model=None, training=None, shortest=None):
        tiny = {"epochs": 1, "steps_per_epoch": 1, "batch_size": 2, "validation_pairs": 2}
        model = {"hidden_channels": 8, **(model or {})}
        training = {**(training or {}), **tiny}
        return make_preset(name, *parts, model=model, training=training, shortest=shortest)

    monkeypatch.setattr(script, "make_preset", make)
    threads, mode = torch.get_num_threads(), torch.get_deterministic_debug_mode()
    yield
    torch.set_num_threads(threads)
    torch.set_deterministic_debug_mode(mode)


def call(script, monkeypatch, *arguments):
    monkeypatch.setattr(sys, "argv", ["benchmarks/pose_reloc.py", *map(str, arguments)])
    script.main()


@pytest.mark.parametrize("system", ["recommended", "cnn", "paper"])
def test_presets_of_the_systems(script, system):
    chosen = script.preset(system, small_benchmark(0), fold=3)
    assert chosen.name == ("paper" if system == "paper" else "recommended")
    assert chosen.training.seed == 3
    assert chosen.model.aggregate == (system != "cnn")
    assert chosen.proposals == WINDOWS


def test_a_folds_answers(script, tmp_path):
    benchmark = small_benchmark(0)
    for system in script.SYSTEMS:
        script.run(system, benchmark, 2, tmp_path / "fold")
        frame = pd.read_csv(tmp_path / "fold" / f"{system}.csv")
        assert (frame["fold"] == 2).all()
        names = list(dict.fromkeys(frame["system"]))
        assert names == (
            [rule.name for rule in benchmark_rules(benchmark)] if system == "rules" else [LEARNED[system]]
        )
        assert (frame.groupby("system")["pair"].nunique() == 4).all()
        assert set(frame["query_id"]) == {query.video_id for query in benchmark.splits["test"].queries}
    recall = pd.read_csv(tmp_path / "fold" / "proposal_recall.csv", header=None, index_col=0)[1]
    expected = candidate_recall(benchmark.splits["test"], benchmark.proposals)
    assert recall.tolist() == pytest.approx(list(expected.values()))
    for system in ("recommended", "cnn", "paper"):
        assert (tmp_path / "fold" / system / "model" / "model.safetensors").exists()


def test_what_is_done_is_skipped(script, tmp_path, monkeypatch):
    benchmark = small_benchmark(0)
    (tmp_path / "rules.csv").write_text("done")

    def never(*_, **__):
        raise AssertionError("ran again")

    for name in ("evaluate", "train_localizer", "benchmark_rules"):
        monkeypatch.setattr(script, name, never)
    script.run("rules", benchmark, 0, tmp_path)
    assert (tmp_path / "rules.csv").read_text() == "done"
    with pytest.raises(AssertionError, match="ran again"):
        script.run("recommended", benchmark, 0, tmp_path)
    assert not (tmp_path / "recommended.csv").exists()


def test_queries_of_another_class(script):
    """Also where several queries are cut from one video."""
    split = small_benchmark(0).splits["test"]
    queries = [replace(query, video_id="one video") for query in split.queries]
    assert len({query.label for query in queries}) > 1

    class Recorder:
        name = "system"

        def localize(self, query, reference, top_n=1):
            self.query = query
            return Segments([[0.0, 1.0]])

    recorder = Recorder()
    wrong = script.WrongQuery(recorder, RelocalizationSplit("test", queries, split.references, split.pairs))
    assert wrong.name == "system, query of another class"
    for query, reference in zip(queries, split.references, strict=True):
        wrong.localize(replace(query, label=""), reference)  # as the evaluation asks
        assert recorder.query.label not in ("", query.label)


@pytest.fixture(scope="module")
def answers(script, tmp_path_factory):
    """The output folder of all folds: rules as they are, and every learned system a copy of some rule."""
    output = tmp_path_factory.mktemp("answers")
    for fold in range(NUM_FOLDS):
        benchmark = small_benchmark(fold)
        script.run("rules", benchmark, fold, output / f"fold{fold}")
        rules = pd.read_csv(output / f"fold{fold}" / "rules.csv")
        names = [name for name in dict.fromkeys(rules["system"]) if "chance" not in name]
        for (system, name), rule in zip(LEARNED.items(), names, strict=False):
            frame = rules[rules["system"] == rule].assign(system=name)
            frame.to_csv(output / f"fold{fold}" / f"{system}.csv", index=False)
    return output


def sections(path):
    """The text of every heading."""
    parts = path.read_text().split("\n## ")
    return {part.split("\n", 1)[0]: part.split("\n", 1)[1] for part in parts}


def rows(text):
    """First cells of a Markdown table's rows."""
    lines = [line for line in text.splitlines() if line.startswith("|")]
    return [line.split("|")[1].strip() for line in lines[2:]]


def test_tables_hold_every_system_and_difference(script, answers, tmp_path, monkeypatch):
    stem = tmp_path / "results" / "penn_action"
    call(script, monkeypatch, "--output", answers, "--table", stem)
    names = [rule.name for rule in benchmark_rules(small_benchmark(0))]
    ours = [LEARNED[system] for system in ("recommended", "wrong_query", "cnn")]
    table = pd.read_csv(stem.with_suffix(".csv"))
    assert table["system"].tolist() == names + ours
    assert (table["N"] == 4 * NUM_FOLDS).all()
    frames = [
        pd.read_csv(answers / f"fold{fold}" / f"{system}.csv")
        for system in ("rules", "recommended", "wrong_query", "cnn")
        for fold in range(NUM_FOLDS)
    ]
    mean = pd.concat(frames).groupby("system")["tiou"].mean()
    assert table["mean tIoU"].tolist() == pytest.approx([100 * mean[name] for name in names + ours])

    text = stem.with_suffix(".md").read_text()
    assert text.startswith("# Results on penn-action-reloc\n")
    assert f"{4 * NUM_FOLDS} test queries" in text
    assert "python benchmarks/pose_reloc.py --benchmark penn_action" in text
    found = sections(stem.with_suffix(".md"))
    assert rows(found["All thresholds"]) == names + ours
    by_fold = found["R@1 at tIoU > .5 in each fold"]
    assert rows(by_fold) == names + ours
    assert "| fold 0 | fold 1 | fold 2 | fold 3 | fold 4 |" in by_fold
    for rival in ("window rule", STRONGEST_RULE, LEARNED["cnn"]):
        shown = rows(found[f"Differences from: {rival}"])
        assert f"{LEARNED['recommended']} − {rival}" in shown
        assert all(row.endswith(f" − {rival}") for row in shown)
    recall = pd.concat(
        [
            pd.read_csv(answers / f"fold{fold}" / "proposal_recall.csv", header=None, index_col=0)[1]
            for fold in range(NUM_FOLDS)
        ],
        axis=1,
    ).mean(axis=1)
    cells = [line for line in found["Recall of the candidate windows"].splitlines() if line.startswith("|")]
    assert "tIoU > 0.5" in cells[0]
    assert [float(cell) for cell in cells[2].strip("| ").split(" | ")] == pytest.approx(
        recall.tolist(), abs=0.051
    )


def test_the_papers_preset_is_compared_on_the_pairs_it_answered(script, answers, tmp_path, monkeypatch):
    monkeypatch.setattr(script, "PAPER_QUERIES", 3)
    stem = tmp_path / "penn_action"
    call(
        script,
        monkeypatch,
        "--output",
        answers,
        "--table",
        stem,
        "--systems",
        "rules",
        "recommended",
        "paper",
    )
    section = sections(stem.with_suffix(".md"))["The paper's preset"]
    assert "the first 3 test queries" in section
    table, differences = section.split("Differences from it")
    names = [rule.name for rule in benchmark_rules(small_benchmark(0))]
    others = [*names, LEARNED["recommended"]]
    assert rows(table) == [*others, LEARNED["paper"]]
    frames = [pd.read_csv(answers / f"fold{fold}" / "paper.csv") for fold in range(NUM_FOLDS)]
    tiou = pd.concat([frame[frame["pair"] < 3] for frame in frames])["tiou"]
    last = [line for line in table.splitlines() if line.startswith("|")][-1]
    assert f"{100 * tiou.mean():.1f} [" in last
    assert rows(differences) == [f"{name} − {LEARNED['paper']}" for name in others]


def test_the_papers_preset_answers_the_first_pairs(script, tmp_path, monkeypatch):
    monkeypatch.setattr(script, "PAPER_QUERIES", 3)
    script.run("paper", small_benchmark(0), 0, tmp_path)
    assert pd.read_csv(tmp_path / "paper.csv")["pair"].tolist() == [0, 1, 2]


def test_a_trained_model_is_not_trained_again(script, tmp_path, monkeypatch):
    benchmark = small_benchmark(0)
    script.run("recommended", benchmark, 0, tmp_path)
    first = pd.read_csv(tmp_path / "recommended.csv").drop(columns="seconds")
    (tmp_path / "recommended.csv").unlink()
    monkeypatch.delattr(script, "train_localizer")
    script.run("recommended", benchmark, 0, tmp_path)
    second = pd.read_csv(tmp_path / "recommended.csv").drop(columns="seconds")
    pd.testing.assert_frame_equal(first, second)


def test_tables_of_some_systems(script, answers, tmp_path, monkeypatch):
    stem = tmp_path / "penn_action"
    call(script, monkeypatch, "--output", answers, "--table", stem, "--systems", "rules", "recommended")
    found = sections(stem.with_suffix(".md"))
    assert rows(found["All thresholds"])[-1] == LEARNED["recommended"]
    assert f"Differences from: {STRONGEST_RULE}" in found
    assert f"Differences from: {LEARNED['cnn']}" not in found


def test_folds_and_systems_asked_for_are_run(script, tmp_path, monkeypatch):
    loaded = []

    def load(name, root, fold, proposals):
        assert proposals is None
        loaded.append((name, root, fold))
        return small_benchmark(fold)

    monkeypatch.setattr(script, "load_benchmark", load)
    arguments = "--benchmark", "penn_action", "--root", "data", "--output", tmp_path, "--threads", "1"
    call(script, monkeypatch, *arguments, "--folds", "1", "3", "--systems", "rules")
    assert loaded == [("penn_action", "data", 1), ("penn_action", "data", 3)]
    written = sorted(path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("rules.csv"))
    assert written == ["fold1/rules.csv", "fold3/rules.csv"]
    assert pd.read_csv(tmp_path / "fold3" / "rules.csv")["fold"].unique().tolist() == [3]
