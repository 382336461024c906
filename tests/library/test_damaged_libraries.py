"""Libraries from elsewhere: whatever stands in their files ends in an answer or in an error of ours."""

import json
import shutil
import sqlite3
from contextlib import closing

import faiss
import numpy as np
import pytest
import torch
from safetensors.torch import load, save

from vreloc_pyg.datasets.splits import Query
from vreloc_pyg.errors import DataError
from vreloc_pyg.features.metadata import FeatureMetadata
from vreloc_pyg.library.indexing import index_features
from vreloc_pyg.library.library import Library
from vreloc_pyg.library.search import search
from vreloc_pyg.library.stored import LibraryStore
from vreloc_pyg.localization.training_free import training_free


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sound") / "library"
    library, drawn = Library(folder, create=True), torch.Generator().manual_seed(0)
    videos = [(name, torch.randn(40, 4, generator=drawn), 0.5) for name in ("first", "second")]
    index_features(library, videos, FeatureMetadata("c3d", 4, 16.0, 32.0))
    library.catalog.close()
    return folder


@pytest.fixture
def copied(sound, tmp_path):
    return shutil.copytree(sound, tmp_path / "library")


def execute(folder, statement, *values):
    with closing(sqlite3.connect(folder / "library.sqlite", isolation_level=None)) as connection:
        return connection.execute(statement, values).fetchall()


def ask(folder):
    """A search, and the features of a video by its name."""
    library = Library(folder)
    try:
        found = search(library, [Query(torch.ones(6, 4), 0.5, "", "clip")], training_free(), 2)
        LibraryStore(library).read("first")
        return found
    finally:
        library.catalog.close()


def test_a_sound_library_is_searched(copied):
    assert len(ask(copied)) == 2


IMPOSSIBLE = {
    "name": (b"\xff", "a\0"),
    "content": (b"", None),
    "features": ("/etc/passwd", "../library.sqlite", b"a", "a\0", ".."),
    "num_steps": ("x", 0, -5, 50, 10**8, 2**63 - 1),
    "seconds_per_step": ("x", 0, -1, 9e999),
    "duration_s": ("x", 0, -1, 9e999),
    "number": (-1, 2**63 - 1),
    "bytes": ("x", -1),
    "size": ("x",),
}


@pytest.mark.parametrize(
    ("column", "value"), [(column, value) for column, values in IMPOSSIBLE.items() for value in values]
)
def test_impossible_values_of_a_video_are_refused(copied, column, value):
    try:
        execute(copied, f"UPDATE videos SET {column} = ? WHERE name = 'first'", value)
    except sqlite3.IntegrityError:
        pytest.skip("SQLite refuses it too")
    with pytest.raises(DataError, match=r"impossible values|damaged|gone"):
        ask(copied)


STATES = ("", "zz", "{}", "[5]", json.dumps({"file": "../../etc/passwd", "bytes": 1, "number": 1}))
FACTS = [
    ("index", "5"),
    ("index", "{"),
    ("index", "[" * 50_000),
    ("index", json.dumps({"covered": 5, "fitted_on": 1, "state": ""})),
    *(("index", json.dumps({"covered": [1, 2], "fitted_on": 1, "state": one})) for one in (5, *STATES[1:])),
    ("index", json.dumps({"covered": ["1", [2]], "fitted_on": 1, "state": ""})),
    ("index_kind", "5"),
    ("index_kind", b"faiss"),
    ("metadata", json.dumps({"extractor": "c3d", "dim": 9, "frames_per_step": 16.0})),
    ("metadata", "9" * 5000),
    ("descriptors", b"x"),
    ("descriptors", "5"),
]


@pytest.mark.parametrize(("key", "value"), FACTS)
def test_facts_that_are_none_are_refused(copied, key, value):
    execute(copied, "UPDATE facts SET value = ? WHERE key = ?", value, key)
    with pytest.raises(DataError):
        ask(copied)


@pytest.mark.parametrize("key", ["index", "descriptors"])
def test_indexing_builds_a_damaged_index_anew(copied, key):
    execute(copied, "UPDATE facts SET value = '5' WHERE key = ?", key)
    library = Library(copied)
    assert library.forget_damaged_index()
    library.refresh()
    library.catalog.close()
    assert len(ask(copied)) == 2


@pytest.mark.parametrize(
    "changed",
    [
        {"centre": torch.zeros(3)},
        {"map": torch.zeros(8, 8, dtype=torch.int8)},
        {"map": torch.zeros(4)},
        {"bank": torch.zeros(3, 5)},
        {"bank": torch.zeros(0, 8)},
    ],
)
def test_descriptors_that_do_not_fit_are_refused(copied, changed):
    [(content,)] = execute(copied, "SELECT value FROM facts WHERE key = 'descriptors'")
    execute(
        copied, "UPDATE facts SET value = ? WHERE key = 'descriptors'", save({**load(content), **changed})
    )
    with pytest.raises(DataError, match="descriptors"):
        ask(copied)


@pytest.mark.parametrize(
    "features", [torch.zeros(2, 4), torch.zeros(40), torch.zeros(40, 4, dtype=torch.int64)]
)
def test_features_of_another_shape_are_refused(copied, features):
    for file in (copied / "features").iterdir():
        file.write_bytes(save({"features": features}))
    with pytest.raises(DataError, match="expected 40 steps in F32"):
        ask(copied)


def test_an_index_of_another_kind_is_refused(copied):
    [place] = copied.glob("vectors-*.faiss")
    dims = faiss.read_index(str(place)).d
    other = faiss.IndexIDMap(faiss.IndexFlatL2(dims))
    other.add_with_ids(np.zeros((3, dims), np.float32), np.arange(3))
    faiss.write_index(other, str(place))
    about = json.loads(execute(copied, "SELECT value FROM facts WHERE key = 'index'")[0][0])
    about["state"] = json.dumps({**json.loads(about["state"]), "bytes": place.stat().st_size})
    execute(copied, "UPDATE facts SET value = ? WHERE key = 'index'", json.dumps(about))
    with pytest.raises(DataError, match="of another kind"):
        ask(copied)


def test_a_catalog_whose_header_forbids_to_write_is_damaged(copied):
    place = copied / "library.sqlite"
    content = bytearray(place.read_bytes())
    content[18] = 9  # the version of the format of writing
    place.write_bytes(content)
    library = Library(copied)
    with pytest.raises(DataError, match="is damaged: attempt to write a readonly database"):
        index_features(library, [("third", torch.ones(40, 4), 0.5)], FeatureMetadata("c3d", 4, 16.0, 32.0))
    library.catalog.close()
    assert place.read_bytes() == content


def test_an_index_that_claims_more_than_its_file_makes_no_room(copied):
    [place] = copied.glob("vectors-*.faiss")
    index = faiss.read_index(str(place))
    count, content = (index.ntotal * index.d).to_bytes(8, "little"), place.read_bytes()
    assert content.count(count) == 1
    place.write_bytes(content.replace(count, (2**36).to_bytes(8, "little")))
    with pytest.raises(DataError, match="is damaged"):
        ask(copied)


@pytest.mark.parametrize(
    ("statement", "expected"),
    [
        (
            "CREATE VIEW endless AS "
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i FROM n) SELECT i FROM n",
            "other tables",
        ),
        ("CREATE TRIGGER often AFTER INSERT ON videos BEGIN DELETE FROM videos; END", "other tables"),
        ("DROP TABLE facts", "other tables"),
        ("ALTER TABLE videos RENAME COLUMN name TO other", "is damaged"),
        ("UPDATE videos SET features = CAST(x'ff61' AS TEXT)", "is damaged"),
    ],
)
def test_tables_that_are_not_ours_are_refused_and_no_matter_of_the_disk(copied, statement, expected):
    execute(copied, statement)
    with pytest.raises(DataError, match=expected):
        ask(copied)
