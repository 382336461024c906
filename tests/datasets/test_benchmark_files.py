"""Benchmarks that are read from annotations and a feature store."""

import json

import numpy as np
import pytest
import torch

from vreloc_pyg.datasets import load_benchmark
from vreloc_pyg.datasets.tasks import STEP_WINDOWS, open_annotations
from vreloc_pyg.errors import DataError, SettingsError
from vreloc_pyg.features.metadata import FeatureMetadata
from vreloc_pyg.nn.actionness_classifier import ActionnessClassifier, ActionnessSettings
from vreloc_pyg.proposals.actionness_proposals import ActionnessProposals
from vreloc_pyg.proposals.listed import ListedProposals
from vreloc_pyg.proposals.pools import SSNPools


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
    benchmark = load_benchmark("folder", folder, features=folder / "features")
    assert benchmark.proposals == STEP_WINDOWS
    assert not benchmark.proposals_given
    assert benchmark.shortest == 2
    assert benchmark.skeleton is None
    assert benchmark.features == FeatureMetadata(frames_per_step=10, frame_rate=20)
    assert [len(split) for split in benchmark.splits.values()] == [2, 2, 2]
    assert benchmark.splits["test"].num_features == 3


def test_the_seed_draws_classes_and_a_file_fixes_them(folder):
    store = folder / "features"
    drawn = [
        load_benchmark("folder", folder, seed=seed, features=store).splits["test"].classes
        for seed in range(6)
    ]
    assert len(set(drawn)) > 1
    classes = {"train": ["b"], "validation": ["a"], "test": ["c"]}
    (folder / "classes.json").write_text(json.dumps(classes))
    for seed in range(3):
        benchmark = load_benchmark("folder", folder, 0, seed, store, folder / "classes.json")
        assert benchmark.splits["test"].classes == ("c",)
    classes["test"] = ["z"]
    (folder / "classes.json").write_text(json.dumps(classes))
    with pytest.raises(DataError, match="knows nothing of 1 classes, first 'c'"):
        load_benchmark("folder", folder, 0, 0, store, folder / "classes.json")


def test_proposals_of_a_list_are_used(folder):
    lines = [f"v{i} {i} {i + 8}\n" for i in range(6)]
    (folder / "list.txt").write_text("".join(lines))
    benchmark = load_benchmark("folder", folder, features=folder / "features", proposals=folder / "list.txt")
    assert isinstance(benchmark.proposals, ListedProposals)
    assert benchmark.proposals_given
    reference = benchmark.splits["test"].references[0]
    start = int(reference.video_id[1:])
    assert benchmark.proposals.propose(reference).tolist() == [[2 * start, 2 * start + 16]]


def test_proposals_are_kept_where_asked(folder):
    source = ActionnessProposals(ActionnessClassifier(ActionnessSettings(3, 4)))
    source.save_pretrained(folder / "model")
    files = {"features": folder / "features", "proposals": folder / "model"}
    benchmark = load_benchmark("folder", folder, **files, proposal_cache=folder / "cache")
    reference = benchmark.splits["test"].references[0]
    assert torch.equal(benchmark.proposals.propose(reference), source.propose(reference))
    assert len(list((folder / "cache").iterdir())) == 1
    with pytest.raises(SettingsError, match="proposal_cache keeps what proposals make"):
        load_benchmark("folder", folder, features=folder / "features", proposal_cache=folder / "cache")


def test_the_diagnostic_pools_know_the_answers(folder):
    benchmark = load_benchmark("folder", folder, features=folder / "features", candidates="ssn_pools")
    assert isinstance(benchmark.proposals, SSNPools)
    reference = benchmark.splits["test"].references[0]
    drawn = benchmark.proposals.propose(reference.unannotated())
    assert len(drawn) < len(STEP_WINDOWS(reference.num_steps))
    assert {tuple(one) for one in drawn.tolist()} <= {tuple(one) for one in STEP_WINDOWS(40).tolist()}


def test_thumos_lists_are_in_frames_where_the_data_set_knows_rates(tmp_path):
    folder = tmp_path / "temporal_annotations_test"
    folder.mkdir()
    for i in range(3):
        lines = [f"video_test_{i}{j} 1.0 4.0\n" for j in range(2)]
        (folder / f"Class{i}_test.txt").write_text("".join(lines))
    lengths = [f"video_test_{i}{j} 20.0 600\n" for i in range(3) for j in range(2)]
    (tmp_path / "thumos14_video_length_test.txt").write_text("".join(lengths))
    (tmp_path / "list.txt").write_text(
        "".join(f"video_test_{i}{j} 30 90\n" for i in range(3) for j in range(2))
    )
    benchmark = load_benchmark("thumos14", tmp_path, proposals=tmp_path / "list.txt")
    reference = benchmark.splits["test"].references[0]
    windows = benchmark.proposals.propose(reference).double() * reference.seconds_per_step
    torch.testing.assert_close(windows, torch.tensor([[1.0, 3.0]]).double(), atol=0.5, rtol=0)


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({"data": "synthetic", "root": "x"}, "is generated: it reads no root"),
        ({"data": "synthetic", "features": "x"}, "makes its own features"),
        ({"data": "utkinect", "root": "x", "features": "x"}, "makes its own features"),
        ({"data": "video_reloc", "root": "x", "classes": "x"}, "has its own classes"),
        ({"data": "penn_action", "root": "x", "classes": "x"}, "has its own classes"),
        ({"data": "folder"}, "is read from files: give its folder as root"),
        ({"data": "folder", "root": "x", "fold": 1}, "has folds 0 to 0"),
        ({"data": "folder", "root": "x", "candidates": "some"}, "candidates to be all or ssn_pools"),
    ],
)
def test_settings_that_do_not_go_with_the_data(settings, problem):
    with pytest.raises(SettingsError, match=problem):
        load_benchmark(**settings)


def test_annotations_of_other_data_sets():
    with pytest.raises(SettingsError, match=r"one of activitynet, thumos14, folder \(got 'utkinect'\)"):
        open_annotations("utkinect", "x")
