"""The splits that published tables are of: what the package composes today is what they were made on."""

import itertools

import pytest

from tests.datasets.conftest import split_checksum
from vreloc_pyg.datasets import load_task
from vreloc_pyg.datasets.jhmdb import JHMDB, jhmdb_folds
from vreloc_pyg.datasets.penn_action import penn_folds
from vreloc_pyg.datasets.utkinect import utkinect_folds

PARTS = ("train", "validation", "test")

#: Of the splits of every fold with seed 0.
CHECKSUMS = {
    "penn_action": [
        ("43c512e6da5c4d51", "0aa6e1080170a3b3", "40f98a11986b82ac"),
        ("73c1b4e128653d26", "de9a799f1894d827", "3b0c585458b1053f"),
        ("9cf3b83d832d560d", "e66dbe1563ca610e", "d0dbaae9eccde145"),
        ("fd29af7af88e7cf0", "989e5929b200e01a", "3dbe57bfe2266cf3"),
        ("b258385f31a65571", "3a5d477b8bbc6370", "c98038777cf6901d"),
    ],
    "jhmdb": [
        ("e2b01af3c09b5c51", "f67aa9b9db3372e4", "ce19843edbf02f53"),
        ("151d0e814cb2c827", "3b5c0208c16fdea3", "00ee2b004f55fbf7"),
        ("89a816732cea5e34", "9b747089e6ce5ac7", "ea6263fc0916fbdc"),
        ("fd73cd193a7a20fe", "086ae35c347ab6d6", "98aba63c8c80cd62"),
        ("581549efdfad215d", "f635d9fbe4c49098", "b8fb86ea76db7978"),
    ],
    "utkinect": [
        ("d446ac9668304c49", "e56f938ddfa168fd", "7b1667a9de4b5935"),
        ("6c5d7cb8a0108af2", "050b391b4776459d", "f525a8d4402f99c4"),
        ("246285929ef59ddd", "261c86366fdfbe9d", "e9b3e83d6dc19c5e"),
        ("43eb0d51e057b894", "5129c4eeff36f3e7", "6d0046f6edd89a0e"),
        ("dec76a783aeb29b8", "ceed4bbaf84b48fd", "440dd8fb18fe642b"),
    ],
}
#: Pairs of every split with the action and without, of the sets that are composed.
SIZES = {
    "penn_action": [(1000, 0), (120, 60), (210, 105)],
    "jhmdb": [(1000, 0), (120, 60), (150, 75)],
}


@pytest.mark.slow
@pytest.mark.parametrize("fold", range(5))
@pytest.mark.parametrize("name", CHECKSUMS)
def test_splits_are_the_published_ones_and_share_no_clip(name, fold, data_root):
    splits = load_task(name, data_root / name, fold).splits
    assert tuple(split_checksum(splits[part]) for part in PARTS) == CHECKSUMS[name][fold]
    classes = {
        "penn_action": penn_folds,
        "jhmdb": lambda: jhmdb_folds(JHMDB(data_root / "jhmdb").classes),
        "utkinect": utkinect_folds,
    }[name]()[fold]
    for part, split in splits.items():
        assert set(split.classes) == set(getattr(classes, part))
        for query, reference in (split[index] for index in range(len(split))):
            assert not reference.shares_source(query)
    if name not in SIZES:
        return
    assert [(len(split), len(split.absent)) for split in splits.values()] == SIZES[name]
    used = []
    for split in splits.values():
        clips = {query.video_id for query in split.queries}
        for reference in split.references:
            shared = [source for source in reference.sources if source.startswith("part ")]
            assert len(shared) == (name == "jhmdb")  # one official part, which shares no video with the other
            clips |= {*reference.sources} - {*shared}
            assert set(reference.labels) <= set(split.classes)
        used.append(clips)
        for query, reference in (split[index] for index in range(len(split))):
            assert reference.labels.count(query.label) in (1, 2)
    assert all(one.isdisjoint(other) for one, other in itertools.combinations(used, 2))
