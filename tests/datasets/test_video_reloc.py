import json

import numpy as np
import pytest
import torch

from tests.datasets.conftest import RELOC_LABELS, reloc_items, write_video_reloc
from vreloc_pyg.datasets.video_reloc import (
    TASK,
    OfficialPair,
    RelocItem,
    VideoReloc,
    official_pairs,
    read_items,
)
from vreloc_pyg.errors import DataError, FeatureError
from vreloc_pyg.features.metadata import FeatureMetadata
from vreloc_pyg.features.store import write_store
from vreloc_pyg.systems.catalog import find_learned
from vreloc_pyg.systems.spec import Traits


def store_of(path, num_steps=40, leave_out=()):
    videos = [(f"{name}{i}", torch.randn(num_steps, 3)) for name in RELOC_LABELS for i in range(3)]
    kept = [one for one in videos if one[0] not in leave_out]
    return write_store(path, kept, FeatureMetadata("c3d", 3, 16.0))


def test_queries_and_references_are_the_published_stretches(tmp_path):
    store = store_of(tmp_path / "f.h5")
    reloc = VideoReloc(write_video_reloc(tmp_path / "data"), store)
    split = reloc.splits()["validation"]
    query, reference = split.queries[3], split.references[3]
    assert (query.label, query.video_id, query.num_steps) == ("4", "val1", 7)
    assert torch.equal(query.features, store.read("val1", 5, 12))
    assert torch.equal(reference.features, store.read("val1", 3, 23))
    assert reference.segments.tolist() == [[2.0, 9.0]]
    assert (reference.video_id, reference.sources, reference.offset_s) == ("val1#3", ("val1",), 3.0)
    assert reference.shares_source(query)
    assert len({one.video_id for one in split.references}) == 6
    assert len(split) == 6
    assert reloc.lengths["val1"] == 40


def test_without_features_lengths_are_known(tmp_path):
    split = VideoReloc(write_video_reloc(tmp_path / "data", lengths=False)).splits()["test"]
    query, reference = split[0]
    assert (query.num_steps, reference.num_steps) == (4, 20)
    with pytest.raises(FeatureError, match="without a feature store"):
        _ = query.features


def test_pairs_follow_the_rule_of_the_released_code():
    """Candidates are of the query's class and as long as it; the draw is the published Philox word."""
    items = [
        RelocItem("a", (0, 10), (2, 6), "x"),
        RelocItem("b", (0, 3), (0, 2), "x"),
        RelocItem("a", (20, 29), (0, 9), "x"),
        RelocItem("c", (0, 50), (1, 2), "y"),
    ]
    pairs = official_pairs(items)
    for pair in pairs:
        query, reference = items[pair.query], items[pair.reference]
        assert reference.label == query.label
        assert reference.num_steps >= query.query_steps
        assert pair.same_item == (pair.query == pair.reference)
        assert pair.same_video == (query.video_id == reference.video_id)
    assert pairs[3] == OfficialPair(3, 3, True, True)


def test_the_official_pairs(data_root):
    reloc = VideoReloc(data_root / "video_reloc")
    published = json.loads((data_root / "video_reloc/official_pairs_val.json").read_text())
    assert [pair.reference for pair in official_pairs(reloc.items("validation"))] == published
    pairs = official_pairs(reloc.items("test"))
    assert (len(pairs), sum(p.same_item for p in pairs), sum(p.same_video for p in pairs)) == (978, 20, 48)
    sizes = {
        name: len({item.video_id for item in reloc.items(name)}) for name in ("train", "validation", "test")
    }
    assert sizes == {"train": 3791, "validation": 444, "test": 494}


def test_missing_features_are_listed_and_left_out_when_asked(tmp_path):
    root = write_video_reloc(tmp_path / "data")
    store = store_of(tmp_path / "f.h5", leave_out=("val0", "test2"))
    with pytest.raises(DataError, match=r"2 annotated videos have no features in .*: test2, val0. --skip"):
        VideoReloc(root, store)
    reloc = VideoReloc(root, store, skip_missing=True)
    assert {item.video_id for item in reloc.items("validation")} == {"val1", "val2"}
    assert reloc.notes[0].startswith("2 annotated videos have no features")
    none_left = store_of(tmp_path / "g.h5", leave_out=("val0", "val1", "val2"))
    with pytest.raises(DataError, match=r"No item of val\.json is left"):
        VideoReloc(root, none_left, skip_missing=True)


def test_features_of_another_length(tmp_path):
    with pytest.raises(DataError, match=r"test0 has 30 steps, expected 40; .* and 4 more"):
        VideoReloc(write_video_reloc(tmp_path / "data"), store_of(tmp_path / "f.h5", 30))


def test_features_that_are_a_step_short(tmp_path):
    """Within 5 % the last step stands for those that are missing."""
    items = reloc_items("val")
    items[5]["location"] = [20, 40]
    store = store_of(tmp_path / "f.h5", 39)
    split = VideoReloc(write_video_reloc(tmp_path / "data", val=items), store).splits()["validation"]
    features = split.references[5].features
    assert features.shape == (20, 3)
    assert torch.equal(features[:19], store.read("val2", 20, 39))
    assert torch.equal(features[19], features[18])


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"groundtruth": [2, 21]}, r"item 1 has a groundtruth \[2, 21\] outside its location \[1, 21\]"),
        ({"groundtruth": [6, 2]}, r"item 1 has an empty, reversed or negative groundtruth \[6, 2\]"),
        *(({"groundtruth": bounds}, "item 1 has an empty") for bounds in ([6, 6], [-1, 6])),
        ({"groundtruth": [1.5, 6]}, "item 1 has a groundtruth that is no pair of whole numbers"),
        *(({"location": place}, "item 1 has a location that is no pair") for place in ([1], None)),
        ({"drop": "label"}, "item 1 lacks one of the keys id, location"),
    ],
)
def test_bad_items_are_named(tmp_path, change, problem):
    items = reloc_items("train")
    items[1].update(change)
    items[1].pop(change.get("drop", ""), None)
    path = tmp_path / "train.json"
    path.write_text(json.dumps(items))
    with pytest.raises(DataError, match=rf"train.json: {problem}"):
        read_items(path)


def test_all_problems_are_counted(tmp_path):
    items = [*reloc_items("train"), *reloc_items("train")]
    (tmp_path / "train.json").write_text(json.dumps(items))
    with pytest.raises(DataError, match=r"item 6 is item 0 again; .* and 1 more"):
        read_items(tmp_path / "train.json")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ('[{"id": "a",\n', "line 2: .*cut off or no JSON"),
        *((text, "Expected a list of items") for text in ("{}", "[]")),
        ('[{"id": "a", "id": "b"}]', "the key 'id' twice"),
    ],
)
def test_files_that_are_no_list(tmp_path, text, problem):
    (tmp_path / "train.json").write_text(text)
    with pytest.raises(DataError, match=problem):
        read_items(tmp_path / "train.json")


def test_a_folder_without_the_files(tmp_path):
    with pytest.raises(DataError, match=r"Cannot read .*train.json"):
        VideoReloc(tmp_path)
    root = write_video_reloc(tmp_path / "data")
    with pytest.raises(DataError, match=r"one of train, validation, test \(got 'val'\)"):
        VideoReloc(root).items("val")
    (root / "length.json").write_text('{"a": 3}')
    with pytest.raises(DataError, match="Expected n_feat of every video"):
        VideoReloc(root)


def test_classes_must_not_be_shared(tmp_path):
    root = write_video_reloc(tmp_path / "data", test=reloc_items("val"))
    with pytest.raises(DataError, match=r"Splits validation and test of .* share the class '3'"):
        VideoReloc(root)


def test_the_draw_is_uniform():
    """Of 400 queries with 5 candidates each is drawn about 80 times."""
    items = [RelocItem(str(i), (0, 9), (0, 3), str(i % 80)) for i in range(400)]
    drawn = np.bincount([pair.reference // 80 for pair in official_pairs(items)], minlength=5)
    assert (abs(drawn - 80) < 40).all()


def test_answers_are_searched_as_far_as_published():
    """1024 frames, with anchors at every step: CGBM, the video level and SST of Feng et al."""
    assert TASK.longest == 64 < TASK.windows.longest
    traits = Traits(500, longest=TASK.longest)
    assert [find_learned(name).settings_for(traits).longest for name in ("cgbm", "video-level")] == [64, 64]
    sst = find_learned("sst").settings_for(traits)
    assert (sst.stride, sst.num_anchors) == (1, 64)
