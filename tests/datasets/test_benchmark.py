import pytest

from vreloc_pyg.datasets.penn_action import penn_folds, split_checksum
from vreloc_pyg.datasets.tasks import load_benchmark
from vreloc_pyg.datasets.utkinect import CLASSES as KINECT_CLASSES
from vreloc_pyg.datasets.utkinect import utkinect_folds
from vreloc_pyg.errors import DataError, SettingsError
from vreloc_pyg.sequences.pose import KINECT_SKELETON, PENN_SKELETON

NAMES = ["train", "validation", "test"]


def test_synthetic_needs_no_files():
    benchmark = load_benchmark("synthetic")
    assert list(benchmark.splits) == NAMES
    assert benchmark.skeleton is None
    lengths = benchmark.proposals.lengths
    split = benchmark.splits["test"]
    instances = [end - start for r in split.references for start, end in (r.segments / 0.5).tolist()]
    assert sum(lengths[0] <= length <= lengths[-1] for length in instances) > 0.95 * len(instances)


def test_the_seed_reaches_the_synthetic_task():
    first, again, other = (load_benchmark("synthetic", seed=seed).splits["test"] for seed in (1, 1, 2))
    assert split_checksum(first) == split_checksum(again) != split_checksum(other)


def test_penn_action_from_its_folder(penn_root):
    benchmark = load_benchmark("penn_action", penn_root, fold=2)
    assert (benchmark.name, benchmark.skeleton) == ("penn_action", PENN_SKELETON)
    assert [len(benchmark.splits[name]) for name in NAMES] == [1500, 120, 210]
    assert benchmark.splits["test"].classes == penn_folds()[2].test
    assert benchmark.splits["test"].num_features == benchmark.skeleton.num_features


def test_utkinect_from_its_folder(tmp_path, write_recording, write_labels):
    frames = list(range(0, 404, 4))
    actions = [(label, 40 * i, 40 * i + 28) for i, label in enumerate(KINECT_CLASSES)]
    for seed, video_id in enumerate(("s01_e01", "s02_e01")):
        write_recording(tmp_path, video_id, frames, seed)
    write_labels(tmp_path, {"s01_e01": actions, "s02_e01": actions})
    benchmark = load_benchmark("utkinect", str(tmp_path), fold=4)
    assert (benchmark.name, benchmark.skeleton) == ("utkinect", KINECT_SKELETON)
    assert list(benchmark.splits) == NAMES
    assert benchmark.splits["validation"].classes == utkinect_folds()[4].validation
    assert benchmark.splits["test"].num_features == benchmark.skeleton.num_features


def test_refuses_an_unknown_benchmark():
    with pytest.raises(
        SettingsError, match=r"Unknown benchmark 'thumos'; known are synthetic, penn_action, utkinect"
    ):
        load_benchmark("thumos")


@pytest.mark.parametrize(
    ("name", "fold", "last"), [("synthetic", 1, 0), ("penn_action", 5, 4), ("utkinect", -1, 4)]
)
def test_refuses_a_fold_that_does_not_exist(name, fold, last):
    with pytest.raises(SettingsError, match=rf"'{name}' has folds 0 to {last} \(got {fold}\)"):
        load_benchmark(name, "somewhere", fold=fold)


@pytest.mark.parametrize("name", ["penn_action", "utkinect"])
def test_files_must_be_named_and_there(name, tmp_path):
    with pytest.raises(SettingsError, match=f"'{name}' is read from files: give its folder as root"):
        load_benchmark(name)
    with pytest.raises(DataError, match=str(tmp_path)):
        load_benchmark(name, tmp_path)
