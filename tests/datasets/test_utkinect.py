from collections import Counter

import numpy as np
import pytest
import torch

from tests.datasets.conftest import split_checksum, write_labels, write_recording
from vreloc_pyg.datasets.sampling import TrainingPool
from vreloc_pyg.datasets.splits import Reference
from vreloc_pyg.datasets.utkinect import (
    CLASSES,
    SECONDS_PER_STEP,
    UTKinect,
    cut_query,
    utkinect_folds,
    utkinect_reloc,
)
from vreloc_pyg.errors import DataError
from vreloc_pyg.sequences.pose import KINECT_SKELETON, normalize_pose, pose_features

FRAME_IDS = [100, 102, 104, 110, 112, 120, 122, 130, 132, 140, 142, 144]


@pytest.fixture
def folder(tmp_path):
    write_recording(tmp_path, "s01_e01", FRAME_IDS)
    write_labels(tmp_path, {"s01_e01": [("walk", 104, 116), ("carry", 120, 140), ("walk", 140, 144)]})
    return tmp_path


def rewrite(path, line, change):
    """Change one line, counted from 1, of a text file."""
    lines = path.read_text().splitlines()
    lines[line - 1] = change(lines[line - 1])
    path.write_text("\n".join(lines) + "\n")


def interpolated(table):
    """Joints at every fourth frame id by explicit interpolation; the first of equal frame ids counts."""
    rows = []
    for frame in range(int(table[0, 0]), int(table[-1, 0]) + 1, 4):
        before = max(i for i in range(len(table)) if table[i, 0] <= frame)
        before = min(i for i in range(len(table)) if table[i, 0] == table[before, 0])
        later = [i for i in range(len(table)) if table[i, 0] > frame]
        after = min(later) if later else before
        gap = table[after, 0] - table[before, 0]
        share = (frame - table[before, 0]) / gap if gap else 0.0
        rows.append((1 - share) * table[before, 1:] + share * table[after, 1:])
    return np.array(rows).reshape(len(rows), 20, 3)


@pytest.mark.parametrize(
    "frame_ids", [FRAME_IDS, [100, 102, 102, 108, 116, 118, 126, 126, 126, 128, 130], [7, 9, 11]]
)
def test_steps_are_every_fourth_frame_id(tmp_path, frame_ids):
    write_recording(tmp_path, "s01_e01", frame_ids)
    write_labels(tmp_path, {"s01_e01": []})
    reference = UTKinect(tmp_path).recordings[0]
    table = np.loadtxt(tmp_path / "joints_s01_e01.txt")
    joints = interpolated(table)
    expected = pose_features(normalize_pose(joints, KINECT_SKELETON))
    np.testing.assert_allclose(reference.features, expected, atol=1e-5)
    assert reference.num_steps == (frame_ids[-1] - frame_ids[0]) // 4 + 1
    assert reference.seconds_per_step == SECONDS_PER_STEP == pytest.approx(4 / 30)


def test_instances_are_seconds_from_the_first_frame(folder):
    data = UTKinect(folder)
    assert len(data.recordings) == 1
    reference = data.recordings[0]
    assert reference.video_id == "s01_e01"
    assert reference.labels == ("walk", "carry", "walk")
    expected = torch.tensor([[4, 16], [20, 40], [40, 44]], dtype=torch.float64) / 30
    torch.testing.assert_close(reference.segments, expected)


def test_joints_may_lie_in_a_folder_of_their_own(tmp_path):
    (tmp_path / "joints").mkdir()
    write_recording(tmp_path / "joints", "s01_e01", FRAME_IDS)
    write_labels(tmp_path / "joints", {"s01_e01": [("walk", 104, 116)]})
    assert UTKinect(tmp_path).recordings[0].labels == ("walk",)


def test_corrected_labels_are_preferred_and_instances_with_nan_left_out(folder):
    actions = [("push", 104, 116), ("carry", "NaN", "NaN"), ("pull", 120, "nan")]
    write_labels(folder, {"s01_e01": actions}, name="actionLabel_modified.txt")
    assert UTKinect(folder).recordings[0].labels == ("push",)


def test_blank_lines_and_spaces_do_not_matter(folder):
    (folder / "actionLabel.txt").write_text("\n s01_e01 \n\nwalk:  104   116 \n\n")
    path = folder / "joints_s01_e01.txt"
    path.write_text("\n" + path.read_text().replace(" ", "   "))
    assert UTKinect(folder).recordings[0].segments.shape == (1, 2)


@pytest.mark.parametrize(
    "line", ["walk 104 116", "walk: 104", "walk: 104 x", "walk: 104 116 120", "s1_e01", "walk: a 116", "???"]
)
def test_a_malformed_label_line_is_named(folder, line):
    rewrite(folder / "actionLabel.txt", 3, lambda _: line)
    problem = r"actionLabel\.txt, line 3: expected 'sNN_eNN' or 'action: first last'"
    with pytest.raises(DataError, match=problem):
        UTKinect(folder)


LABELS, JOINTS = "actionLabel.txt", "joints_s01_e01.txt"


@pytest.mark.parametrize(
    ("name", "content", "problem"),
    [
        (LABELS, b"walk: 104 116\n", f"{LABELS}, line 1: expected 'sNN_eNN'"),
        *((LABELS, content, f"{LABELS} names no recording") for content in (b"", b"\n\n")),
        *((name, b"\xff\xfe\x00", f"Cannot read .*{name}") for name in (LABELS, JOINTS)),
        *((name, None, f"Cannot read .*{name}") for name in (LABELS, JOINTS)),
        (JOINTS, b"", rf"{JOINTS}: expected at least two lines \(got 0\)"),
        (JOINTS, b"1" + 60 * b" 2", rf"{JOINTS}: expected at least two lines \(got 1\)"),
    ],
)
def test_files_that_cannot_be_used(folder, name, content, problem):
    (folder / name).unlink()
    if content is not None:
        (folder / name).write_bytes(content)
    with pytest.raises(DataError, match=problem):
        UTKinect(folder)


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda line: line + " 1.5", "expected 61 finite numbers"),
        (lambda line: line.rsplit(" ", 1)[0], "expected 61 finite numbers"),
        (lambda line: line.rsplit(" ", 1)[0] + " nan", "expected 61 finite numbers"),
        (lambda line: line.rsplit(" ", 1)[0] + " abc", "could not convert string to float: .*abc"),
    ],
)
def test_a_malformed_joint_line_is_named(folder, change, problem):
    rewrite(folder / JOINTS, 5, change)
    with pytest.raises(DataError, match=rf"{JOINTS}, line 5: {problem}"):
        UTKinect(folder)


@pytest.mark.parametrize(("first", "last"), [(98, 110), (110, 110), (120, 110), (160, 170)])
def test_an_instance_outside_its_recording_is_named(folder, first, last):
    write_labels(folder, {"s01_e01": [("walk", 104, 116), ("push", first, last)]})
    with pytest.raises(DataError, match=rf"actionLabel\.txt, line 3: push \[{first}, {last}\] lies outside"):
        UTKinect(folder)


def test_an_instance_may_end_a_little_late(folder):
    write_labels(folder, {"s01_e01": [("walk", 104, 150)]})
    reference = UTKinect(folder).recordings[0]
    assert float(reference.segments[0, 1]) == pytest.approx(reference.duration_s)


def counting_reference(segments, labels, num_steps=30, step=0.5):
    """A reference whose features tell the number of their step."""
    features = torch.arange(num_steps, dtype=torch.float32)[:, None]
    bounds = torch.tensor(segments, dtype=torch.float64).reshape(-1, 2)
    return Reference(features, step, bounds, tuple(labels), "s04_e01")


def test_queries_are_cut_at_their_own_instance():
    reference = counting_reference([[1.0, 2.0], [3.0, 5.0], [9.0, 12.5]], ["run", "sit", "run"])
    queries = [cut_query(reference, index) for index in range(3)]
    steps = [query.features[:, 0].tolist() for query in queries]
    assert steps == [[2, 3], [6, 7, 8, 9], list(range(18, 25))]
    assert [query.label for query in queries] == ["run", "sit", "run"]
    assert {query.video_id for query in queries} == {"s04_e01"}


@pytest.fixture
def recordings(kinect_root):
    return UTKinect(kinect_root).recordings


def check_pairs(split, classes):
    assert split.classes == classes
    assert len(set(split.pairs)) == len(split.pairs)
    for query, reference in (split[i] for i in range(len(split))):
        assert query.video_id[:3] != reference.video_id[:3]  # the person
        assert query.label in reference.labels


def test_pairs_are_of_different_people(recordings):
    splits = utkinect_reloc(recordings, fold=3, references_per_query=5)
    fold = utkinect_folds()[3]
    for name, split in splits.items():
        assert split.name == f"utkinect-fold3-{name}"
        check_pairs(split, getattr(fold, name))
    # 3 people perform each class twice; there are only 2 other recordings for each query.
    assert [len(splits[name]) for name in ("validation", "test")] == [2 * 6 * 2] * 2
    test = splits["test"]
    assert Counter(query for query, _ in test.pairs) == dict.fromkeys(range(len(test.queries)), 2)
    assert len(splits["train"]) == len(splits["train"].queries) == 6 * 6
    assert all(label in fold.train for part in splits["train"].references for label in part.labels)


def test_nobody_is_found_in_their_own_recordings_in_training_either(recordings):
    pool = TrainingPool(utkinect_reloc(recordings, fold=3)["train"])
    rng = np.random.default_rng(0)
    for query in (pool.draw_query(rng) for _ in range(50)):
        assert query.sources == (query.video_id[:3],)
        assert pool.draw_match(query, rng).video_id[:3] != query.video_id[:3]


def test_the_seed_decides_the_pairs(recordings):
    first, again, other = (
        [split_checksum(split) for split in utkinect_reloc(recordings, 0, 1, seed).values()]
        for seed in (0, 0, 1)
    )
    assert first == again != other


# On the real data.


@pytest.fixture(scope="module")
def real_recordings(data_root):
    return UTKinect(data_root / "utkinect").recordings


def test_real_recordings(real_recordings):
    assert len(real_recordings) == 20
    assert {reference.sources for reference in real_recordings} == {(f"s{i:02d}",) for i in range(1, 11)}
    counts = Counter(label for reference in real_recordings for label in reference.labels)
    # One instance of "carry" is annotated as NaN.
    assert counts == {**dict.fromkeys(CLASSES, 20), "carry": 19}


@pytest.mark.parametrize("fold", range(5))
def test_real_training_references_show_no_held_out_class(real_recordings, fold):
    classes, splits = utkinect_folds()[fold], utkinect_reloc(real_recordings, fold)
    for name in ("validation", "test"):
        check_pairs(splits[name], getattr(classes, name))
        assert len(splits[name]) == 5 * len(splits[name].queries)
        assert len(splits[name].references) == 20
    whole = {reference.video_id: reference for reference in real_recordings}
    references = splits["train"].references
    num_instances = 0
    for part in references:
        assert set(part.labels) <= set(classes.train)
        num_instances += len(part.labels)
        recording = whole[part.cut_from or part.video_id]
        first = int((recording.features == part.features[0]).all(1).nonzero()[0, 0])
        last = first + part.num_steps
        assert torch.equal(recording.features[first:last], part.features)
        for (start, end), label in zip(recording.segments.tolist(), recording.labels, strict=True):
            if label not in classes.train:
                assert end <= first * SECONDS_PER_STEP + 1e-6 or start >= last * SECONDS_PER_STEP - 1e-6
    # Few instances share a step with a held-out neighbour and are lost.
    assert num_instances >= 0.95 * sum(
        label in classes.train for reference in real_recordings for label in reference.labels
    )
