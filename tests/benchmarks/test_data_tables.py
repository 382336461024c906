"""The scripts that write the tables of the literature's data, on small files."""

import sys
from importlib import import_module
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from video_reloc_derive import DerivedItem

from tests.datasets.conftest import write_video_reloc
from vreloc_pyg.datasets.video_reloc import RelocItem
from vreloc_pyg.errors import DataError

SCRIPTS = Path(__file__).resolve().parents[2] / "benchmarks"


def call(monkeypatch, name, *arguments):
    monkeypatch.setattr(sys, "argv", [name, *map(str, arguments)])
    module = import_module(name)
    module.main()
    return module


def test_rules_on_official_pairs(tmp_path, monkeypatch):
    root = write_video_reloc(tmp_path / "reloc", count=10)
    module = call(monkeypatch, "video_reloc_rules", "--root", root, "--output", tmp_path / "rules")
    table = pd.read_csv(tmp_path / "rules.csv")
    without = {"Without pairs of an item with itself", "Without pairs of one video"}
    assert set(table["pairs"]) == {"All official pairs", *without}
    assert (table["system"] == "chance (train length)").sum() == 3
    assert table["R@1(0.5)"].between(0, 100).all()
    text = (tmp_path / "rules.md").read_text()
    assert "*published*" in text
    assert "Feng et al., ECCV 2018" in text
    systems = module.rules(module.VideoReloc(root).splits()["train"])
    assert len(systems) == 8


def test_the_committed_table_is_what_the_script_writes(tmp_path, monkeypatch, data_root):
    """On the real split; intervals are seeded, so every digit is the same."""
    arguments = ["--root", data_root / "video_reloc", "--annotations"]
    arguments += [data_root / "activitynet/anet_anno_action.json", "--derivation", tmp_path / "derivation"]
    call(monkeypatch, "video_reloc_rules", *arguments)
    committed = (SCRIPTS.parent / "docs/results/video_reloc_derivation.md").read_text()
    made = (tmp_path / "derivation.md").read_text()
    assert made.split("```")[0] == committed.split("```")[0]


def test_every_item_is_accounted_for():
    place = ((0, 50), (5, 9))
    published = [
        RelocItem("a", *place, "7"),
        RelocItem("b", (10, 310), (5, 9), "7"),
        *(RelocItem(f"gone{i}", *place, "8") for i in range(3)),
        *(RelocItem("c", (0, 50 + i), (5, 9), "8") for i in range(2)),
    ]
    derived = [
        DerivedItem(RelocItem("a", *place, "run"), False),
        DerivedItem(RelocItem("b", (0, 400), (15, 19), "run"), True),
        *(DerivedItem(RelocItem(f"d{i}", *place, "jump"), False) for i in range(4)),
    ]
    assert import_module("video_reloc_rules").account(published, derived, {"a", "b", "c", "d"}) == {
        "published": 7,
        "derived exactly": 1,
        "video not in the annotations": 3,
        "cropped at random": 1,
        "unexplained": 2,
        "derived, not published": 4,
    }


@pytest.mark.parametrize("labels", [("7", "run", "7", "jump"), ("7", "run", "8", "run")])
def test_classes_must_map_one_to_one(labels):
    items = [RelocItem(name, (0, 50), (5, 9), label) for name, label in zip("aabb", labels, strict=True)]
    derived = [DerivedItem(item, False) for item in items[1::2]]
    with pytest.raises(DataError, match="class"):
        import_module("video_reloc_rules").account(items[::2], derived, {"a", "b"})


def test_derivation_needs_annotations(tmp_path, monkeypatch, capsys):
    with pytest.raises(SystemExit):
        call(monkeypatch, "video_reloc_rules", "--root", tmp_path, "--derivation", tmp_path / "d")
    assert "go together" in capsys.readouterr().err


def test_recall_of_released_lists(tmp_path, monkeypatch):
    (tmp_path / "ssn.txt").write_text("# 1\na\n1\n1\n1\n3 0.2 0.6\n2\n3 0.5 1 0.2 0.4\n3 1 1 0.2 0.6\n")
    (tmp_path / "thumos.txt").write_text("video_test_1 30 120\nvideo_test_0000270 1 2\n")
    folder = tmp_path / "thumos14/temporal_annotations_test"
    folder.mkdir(parents=True)
    (folder / "Diving_test.txt").write_text("video_test_1 1.0 4.0\nvideo_test_1 6.0 9.0\n")
    (tmp_path / "thumos14/thumos14_video_length_test.txt").write_text("video_test_1 10 300\n")
    arguments = ["--activitynet", tmp_path / "ssn.txt", "--thumos", tmp_path / "thumos.txt"]
    arguments += ["--thumos-root", tmp_path / "thumos14", "--output", tmp_path / "recall"]
    call(monkeypatch, "tag_recall", *arguments)
    table = pd.read_csv(tmp_path / "recall.csv").set_index(["list", "tiou"])
    assert table.loc[("ActivityNet v1.2, validation", 0.95), "per_instance"] == 100
    assert table.loc[("THUMOS14, test", 0.9), "per_instance"] == 50
    assert table.loc[("THUMOS14, test", 0.9), "per_video"] == 100
    assert (tmp_path / "recall.png").stat().st_size > 0
    assert "1 videos" in (tmp_path / "recall.md").read_text()


def test_actionness_recall(tmp_path, monkeypatch, small_splits):
    """On synthetic folds; done folds are read, not trained again."""
    module = import_module("actionness_recall")
    from vreloc_pyg.datasets import TaskData
    from vreloc_pyg.proposals.sliding_window import SlidingWindows

    windows = SlidingWindows(shortest=5, longest=40)
    small = {"steps_per_epoch": 1, "epochs": 1, "batch_size": 2, "border": 1}
    monkeypatch.setattr(module, "TRAINING", small)
    monkeypatch.setattr(module, "GRID", [SlidingWindows(16, 40, 3.0, 0.0), windows])
    monkeypatch.setattr(module, "GROUPING", {"smoothing": 0.0, "thresholds": [0.4, 0.5, 0.6]})
    monkeypatch.setattr(module, "found", always_enough(module.found))
    monkeypatch.setattr(module, "load_task", lambda name, root, fold: TaskData(name, small_splits, windows))
    mode, threads = torch.get_deterministic_debug_mode(), torch.get_num_threads()
    arguments = ["x", "--root", "data", "--output", str(tmp_path / "out"), "--threads", "1"]
    monkeypatch.setattr(sys, "argv", [*arguments, "--table", str(tmp_path / "table")])
    try:
        module.main()
        weights = (tmp_path / "out/fold2/model.safetensors").read_bytes()
        (tmp_path / "out/fold2/model.safetensors").write_bytes(b"kept")
        module.main()
        assert (tmp_path / "out/fold2/model.safetensors").read_bytes() == b"kept" != weights
    finally:
        torch.set_deterministic_debug_mode(mode)
        torch.set_num_threads(threads)
    assert len(list((tmp_path / "out").glob("fold*"))) == 5
    table = pd.read_csv(tmp_path / "table.csv").set_index("proposals")
    assert list(table.index) == [module.TAG, module.SLIDING, module.DENSE]
    frame = pd.read_csv(tmp_path / "out/fold0/recall.csv")
    dense = frame[frame["system"] == module.DENSE]["tiou"]
    assert table.loc[module.DENSE, "tIoU > 0.5"] == pytest.approx(100 * (dense > 0.5).mean())


def always_enough(found):
    """An untrained classifier may group too little for any grid of windows to be as few."""

    def patched(source, split):
        best, count = found(source, split)
        few = type(source).__name__ == "ActionnessProposals"
        return best, max(count, 1000.0) if few else count

    return patched


def test_curves_of_the_speed_benchmark():
    module = import_module("tag_speed")
    for kind in ("noise", "walk", "actions"):
        curve = module.make_curve(kind, np.random.default_rng(0))
        assert curve.shape == (300,)
        assert ((curve >= 0) & (curve <= 1)).all()
    assert module.ORACLE.exists()
