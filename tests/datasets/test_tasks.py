"""Data sets by name: what each accepts, one fold of each, and a contributor's own."""

import json
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.conftest import small_synthetic
from tests.datasets.conftest import split_checksum
from vreloc_pyg.datasets import TASKS, Loaded, Request, Task, find_task, load_task, penn_action
from vreloc_pyg.datasets.task import STEP_WINDOWS
from vreloc_pyg.datasets.tasks import open_annotations
from vreloc_pyg.datasets.utkinect import utkinect_folds
from vreloc_pyg.errors import DataError, SettingsError
from vreloc_pyg.experiments.plan import make_plan
from vreloc_pyg.experiments.runs import run_benchmark
from vreloc_pyg.features.metadata import FeatureMetadata
from vreloc_pyg.nn.actionness_classifier import ActionnessClassifier, ActionnessSettings
from vreloc_pyg.proposals.actionness_proposals import ActionnessProposals
from vreloc_pyg.proposals.listed import ListedProposals
from vreloc_pyg.proposals.sliding_window import SlidingWindows
from vreloc_pyg.sequences.pose import KINECT_SKELETON, PENN_SKELETON

NAMES = ["train", "validation", "test"]
READ = [name for name, task in TASKS.items() if task.needs_root]


@pytest.mark.parametrize(
    ("name", "task"),
    [
        *((name, "penn_action") for name in ("penn-action-reloc", "penn-action", "penn_action")),
        *(("jhmdb-reloc", "jhmdb"), ("utkinect-reloc", "utkinect")),
        *(("video-reloc", "video_reloc"), ("synthetic", "synthetic")),
    ],
)
def test_a_data_set_by_any_of_its_names(name, task):
    assert find_task(name) is TASKS[task]


def test_no_two_data_sets_share_a_name():
    names = [name for task in TASKS.values() for name in set(task.names)]
    assert len(names) == len(set(names))


@pytest.mark.parametrize("skeleton", [None, KINECT_SKELETON])
def test_a_data_set_of_ones_own_is_one_entry(monkeypatch, tmp_path, skeleton):
    """With three folds; poses do not decide how many there are."""

    def made(seed):
        return small_synthetic(seed=seed, num_features=8 if skeleton is None else 120).splits()

    def splits(request: Request) -> Loaded:
        return Loaded(made(10 * request.seed + request.fold), ("mended",))

    own = Task("my_data", splits, folds=3, windows=SlidingWindows(4, 30), skeleton=skeleton, needs_root=False)
    with pytest.raises(SettingsError, match="Unknown data set 'my_data'"):
        load_task("my_data", fold=2)
    monkeypatch.setitem(TASKS, own.name, own)
    data = load_task("my-data", fold=2, seed=1)
    assert split_checksum(data.splits["test"]) == split_checksum(made(12)["test"])
    assert (data.name, data.skeleton, data.notes) == ("my_data", skeleton, ("mended",))
    assert (data.proposals, data.shortest, data.longest) == (own.windows, 4, 30)
    with pytest.raises(SettingsError, match=r"'my_data' has folds 0 to 2 \(got 3\)"):
        load_task("my_data", fold=3)
    with pytest.raises(SettingsError, match=r"known are synthetic, .*, folder,.* my_data"):
        load_task("their_data")
    plan = make_plan("my-data", ["chance", "window-rule"], ["all"], max_pairs=2)
    answers = run_benchmark(plan, tmp_path, say=lambda _: None, progress=False)
    assert set(answers["fold"]) == {0, 1, 2}


def test_synthetic_needs_no_files():
    data = load_task("synthetic")
    assert list(data.splits) == NAMES
    assert data.skeleton is None
    lengths = data.proposals.lengths
    split = data.splits["test"]
    instances = [end - start for r in split.references for start, end in (r.segments / 0.5).tolist()]
    assert sum(lengths[0] <= length <= lengths[-1] for length in instances) > 0.95 * len(instances)
    assert split_checksum(load_task("synthetic", seed=1).splits["test"]) != split_checksum(split)


def test_penn_action_from_its_folder(penn_root, monkeypatch):
    sizes = {"num_train": 10, "num_validation": 4, "num_test": 6}
    monkeypatch.setattr(penn_action, "penn_action_reloc", partial(penn_action.penn_action_reloc, **sizes))
    data = load_task("penn_action", penn_root, fold=2)
    assert (data.name, data.skeleton) == ("penn_action", PENN_SKELETON)
    assert [len(data.splits[name]) for name in NAMES] == [10, 4, 6]
    assert data.splits["test"].classes == penn_action.penn_folds()[2].test


def test_utkinect_from_its_folder(kinect_root):
    data = load_task("utkinect", str(kinect_root), fold=4)
    assert (data.name, data.skeleton) == ("utkinect", KINECT_SKELETON)
    assert list(data.splits) == NAMES
    assert data.splits["validation"].classes == utkinect_folds()[4].validation
    assert data.splits["test"].num_features == data.skeleton.num_features


@pytest.fixture
def folder(tmp_path):
    """Six videos of three classes, with features of 40 steps of half a second."""
    rows = ["video,start_s,end_s,label"]
    features = tmp_path / "features"
    features.mkdir()
    for i in range(6):
        rows.append(f"v{i},{1 + i},{5 + i},{'abc'[i % 3]}")
        np.save(features / f"v{i}.npy", np.random.default_rng(i).normal(size=(40, 3)))
    (features / "metadata.json").write_text('{"frames_per_step": 10, "frame_rate": 20}')
    (tmp_path / "annotations.csv").write_text("\n".join(rows) + "\n")
    return tmp_path


def test_a_folder(folder):
    data = load_task("folder", folder, features=folder / "features")
    assert data.proposals == STEP_WINDOWS
    assert not data.proposals_given
    assert (data.shortest, data.longest) == (2, 128)
    assert data.skeleton is None
    assert data.features == FeatureMetadata(frames_per_step=10, frame_rate=20)
    assert [len(split) for split in data.splits.values()] == [2, 2, 2]
    assert data.splits["test"].num_features == 3


def test_the_seed_draws_classes_and_a_file_fixes_them(folder):
    store = folder / "features"
    drawn = [load_task("folder", folder, seed=seed, features=store) for seed in range(6)]
    assert len({data.splits["test"].classes for data in drawn}) > 1
    classes = {"train": ["b"], "validation": ["a"], "test": ["c"]}
    (folder / "classes.json").write_text(json.dumps(classes))
    for seed in range(3):
        data = load_task("folder", folder, 0, seed, store, folder / "classes.json")
        assert data.splits["test"].classes == ("c",)
    classes["test"] = ["z"]
    (folder / "classes.json").write_text(json.dumps(classes))
    with pytest.raises(DataError, match="knows nothing of 1 classes, first 'c'"):
        load_task("folder", folder, 0, 0, store, folder / "classes.json")


def test_proposals_of_a_list_are_used(folder):
    lines = [f"v{i} {i} {i + 8}\n" for i in range(6)]
    (folder / "list.txt").write_text("".join(lines))
    data = load_task("folder", folder, features=folder / "features", proposals=folder / "list.txt")
    assert isinstance(data.proposals, ListedProposals)
    assert data.proposals_given
    reference = data.splits["test"].references[0]
    start = int(reference.video_id[1:])
    assert data.proposals.propose(reference).tolist() == [[2 * start, 2 * start + 16]]


def test_proposals_are_kept_where_asked(folder):
    source = ActionnessProposals(ActionnessClassifier(ActionnessSettings(3, 4)))
    source.save_pretrained(folder / "model")
    files = {"features": folder / "features", "proposals": folder / "model"}
    data = load_task("folder", folder, **files, proposal_cache=folder / "cache")
    reference = data.splits["test"].references[0]
    assert torch.equal(data.proposals.propose(reference), source.propose(reference))
    assert len(list((folder / "cache").iterdir())) == 1


def test_thumos_lists_are_in_frames_where_the_data_set_knows_rates(tmp_path):
    videos = [f"video_test_{i}{j}" for i in range(3) for j in range(2)]
    (tmp_path / "temporal_annotations_test").mkdir()
    for i in range(3):
        lines = "".join(f"{video} 1.0 4.0\n" for video in videos[2 * i : 2 * i + 2])
        (tmp_path / f"temporal_annotations_test/Class{i}_test.txt").write_text(lines)
    lengths = "".join(f"{video} 20.0 600\n" for video in videos)
    (tmp_path / "thumos14_video_length_test.txt").write_text(lengths)
    (tmp_path / "list.txt").write_text("".join(f"{video} 30 90\n" for video in videos))
    data = load_task("thumos14", tmp_path, proposals=tmp_path / "list.txt")
    reference = data.splits["test"].references[0]
    windows = data.proposals.propose(reference).double() * reference.seconds_per_step
    torch.testing.assert_close(windows, torch.tensor([[1.0, 3.0]]).double(), atol=0.5, rtol=0)


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({"data": "thumos"}, "Unknown data set 'thumos'; known are synthetic, penn_action, jhmdb, utkinect"),
        ({"data": "synthetic", "root": "x"}, "is generated: it reads no root"),
        ({"data": "synthetic", "features": "x"}, "makes its own features"),
        ({"data": "utkinect", "root": "x", "features": "x"}, "makes its own features"),
        ({"data": "video_reloc", "root": "x", "classes": "x"}, "has its own classes"),
        ({"data": "penn_action", "root": "x", "classes": "x"}, "has its own classes"),
        *(({"data": name}, "is read from files: give its folder as root") for name in READ),
        ({"data": "folder", "root": "x", "fold": 1}, r"has folds 0 to 0 \(got 1\)"),
        ({"data": "synthetic", "fold": 1}, r"has folds 0 to 0 \(got 1\)"),
        ({"data": "penn_action", "root": "x", "fold": 5}, r"has folds 0 to 4 \(got 5\)"),
        ({"data": "utkinect", "root": "x", "fold": -1}, r"has folds 0 to 4 \(got -1\)"),
        ({"data": "synthetic", "seed": -1}, "seed >= 0"),
        ({"data": "folder", "root": "x", "proposal_cache": "x"}, "proposal_cache keeps what proposals make"),
    ],
)
def test_settings_that_do_not_go_with_the_data(settings, problem):
    with pytest.raises(SettingsError, match=problem):
        load_task(**settings)


@pytest.mark.parametrize("name", READ)
def test_files_must_be_there(name, tmp_path):
    with pytest.raises(DataError, match=str(tmp_path)):
        load_task(name, tmp_path)


def test_annotations_of_data_split_by_classes(folder):
    assert open_annotations("folder", folder).classes == ("a", "b", "c")
    with pytest.raises(SettingsError, match=r"one of activitynet, thumos14, folder \(got 'utkinect'\)"):
        open_annotations("utkinect", Path("x"))
