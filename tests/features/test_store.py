import io
import json
import os
import pickle
import threading
import zipfile

import h5py
import numpy as np
import pytest
import torch
from safetensors.numpy import save_file
from safetensors.torch import save_file as save_torch
from torch.utils.data import DataLoader, Dataset

from vreloc_pyg.errors import DataError, FeatureError
from vreloc_pyg.features.metadata import FeatureMetadata
from vreloc_pyg.features.store import (
    ActivityNetStore,
    DirectoryStore,
    FeatureSlice,
    HDF5Store,
    StoreWriter,
    feature_store,
    hdf5,
    open_store,
    write_store,
)
from vreloc_pyg.features.store.feature_store import ByteCache, read_metadata
from vreloc_pyg.library.inputs import stored_videos

METADATA = FeatureMetadata("c3d", 3, 16.0, 25.0)


def features(num_steps, seed=0, width=3):
    return torch.randn(num_steps, width, generator=torch.Generator().manual_seed(seed))


def c3d_file(path, rows=7, videos=("a", "-b_c")):
    with h5py.File(path, "w") as file:
        for seed, video in enumerate(videos):
            file.create_dataset(f"v_{video}/c3d_features", data=features(rows, seed).numpy())
    return path


@pytest.fixture(params=["ours", "activitynet", "npy", "npz", "safetensors"])
def filled(request, tmp_path):
    """A store of each kind with videos a (7 steps) and b (4 steps), and what it should hold."""
    expected = {"a": features(7, 0), "b": features(4, 1)}
    path = tmp_path / "features"
    if request.param == "ours":
        write_store(path, expected.items(), METADATA)
    elif request.param == "activitynet":
        with h5py.File(path, "w") as file:
            for video, values in expected.items():
                rows = torch.stack([values, values + 100], 1).flatten(0, 1)  # every second row is dropped
                file.create_dataset(f"v_{video}/c3d_features", data=rows.numpy())
    else:
        path.mkdir()
        save = {
            "npy": lambda file, values: np.save(file, values),
            "npz": lambda file, values: np.savez(file, features=values, other=np.zeros(3)),
            "safetensors": lambda file, values: save_file({"anything": values}, file),
        }[request.param]
        for video, values in expected.items():
            save(path / f"{video}.{request.param}", values.numpy())
    return open_store(path), expected


def test_every_layout_reads_the_same(filled):
    store, expected = filled
    assert store.ids() == ["a", "b"]
    assert len(store) == 2
    assert "a" in store
    assert "c" not in store
    assert store.missing(["a", "d", "c", "d"]) == ["c", "d"]
    assert store.num_features == 3
    for video, values in expected.items():
        assert store.num_steps(video) == len(values)
        assert torch.equal(store.read(video), values)
        assert torch.equal(store.read(video, 1, 3), values[1:3])
        assert torch.equal(store.read(video, 2), values[2:])
    for call in (store.read, store.num_steps):
        with pytest.raises(DataError, match=r"features has no video 'nobody'"):
            call("nobody")
    store.read("a").zero_()  # what was read may be changed
    assert torch.equal(store.read("a"), expected["a"])
    part = FeatureSlice(store, "a", 2, 5)
    assert part.num_steps == 3
    assert torch.equal(part.read(), expected["a"][2:5])


@pytest.mark.parametrize(("start", "stop"), [(0, 8), (-1, 3), (3, 3), (4, 2), (7, None)])
def test_steps_outside_a_video_are_refused(filled, start, stop):
    with pytest.raises(FeatureError, match=r"steps of 'a' in .* within \[0, 7\]"):
        filled[0].read("a", start, stop)


class Videos(Dataset):
    def __init__(self, store):
        self.store = store

    def __len__(self):
        return 12

    def __getitem__(self, index):
        return self.store.read("ab"[index % 2], 1, 4), os.getpid()


def test_processes_and_threads_read_the_same(filled):
    store, expected = filled
    store.read("a")  # the file is open when the workers are forked
    assert torch.equal(pickle.loads(pickle.dumps(store)).read("a"), expected["a"])
    batches = list(DataLoader(Videos(store), batch_size=None, num_workers=2))
    assert os.getpid() not in {int(pid) for _, pid in batches}
    for index, (values, _) in enumerate(batches):
        assert torch.equal(values, expected["ab"[index % 2]][1:4])
    wrong = []

    def read_many(seed):
        rng = np.random.default_rng(seed)
        for _ in range(40):
            start = int(rng.integers(3))
            if not torch.equal(store.read("b", start, 4), expected["b"][start:4]):
                wrong.append(start)

    threads = [threading.Thread(target=read_many, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


# ActivityNet's layout


def test_activitynet_ids_with_and_without_prefix(tmp_path):
    store = ActivityNetStore(c3d_file(tmp_path / "c3d.hdf5"))
    assert store.ids() == ["-b_c", "a"]
    assert torch.equal(store.read("v_-b_c"), store.read("-b_c"))
    assert store.metadata == FeatureMetadata("c3d", 3, 16.0)
    assert store.num_steps("a") == 4  # rows 0, 2, 4, 6


def test_only_the_rows_asked_for_are_read(tmp_path):
    """Of a data set whose other rows are damaged."""
    with h5py.File(tmp_path / "large.hdf5", "w") as file:
        rows = file.create_dataset("v_a/c3d_features", (4000, 64), "f4", chunks=(100, 64), fletcher32=True)
        rows[...] = np.arange(4000)[:, None]
        offsets = [rows.id.get_chunk_info(index).byte_offset for index in range(40)]
    with (tmp_path / "large.hdf5").open("r+b") as file:
        for offset in (*offsets[:20], *offsets[21:]):
            file.seek(offset)
            file.write(b"damage")
    store = open_store(tmp_path / "large.hdf5")
    assert store.num_steps("a") == 2000
    assert store.read("a", 1000, 1050)[:, 0].tolist() == list(range(2000, 2100, 2))
    with pytest.raises(DataError, match="truncated or damaged"):
        store.read("a", 900, 901)


def external_link(file, other):
    file["v_a/c3d_features"] = h5py.ExternalLink(other, "v_a/c3d_features")


def soft_link(file, other):
    file["v_b/c3d_features"] = np.ones((4, 3), np.float32)
    file["v_a"] = h5py.SoftLink("/v_b")


def external_storage(file, other):
    file.create_dataset("v_a/c3d_features", (4, 3), "f4", external=[(other, 0, 48)])


def virtual(file, other):
    layout = h5py.VirtualLayout((4, 3), "f4")
    layout[...] = h5py.VirtualSource(other, "v_a/c3d_features", (4, 3))
    file.create_virtual_dataset("v_a/c3d_features", layout)


def unwritten(file, other):
    file.create_dataset("v_a/c3d_features", shape=(2_500_000, 4096), dtype="f4")


def bomb(file, other):
    zeros = file.create_dataset("v_a/c3d_features", (400_000, 64), "f4", chunks=(4000, 64), compression=9)
    zeros[...] = 0


def large_chunk(file, other):
    file.create_dataset(
        "v_a/c3d_features", (4, 3), "f4", maxshape=(None, 3), chunks=(2**25, 3), compression=1
    )


@pytest.mark.parametrize(
    ("make", "problem"),
    [
        (external_link, "is a link"),
        (soft_link, "is a link"),
        (external_storage, "consists of other files"),
        (virtual, "consists of other files"),
        (unwritten, "claims 40,960,000,000 bytes and holds 0"),
        (bomb, "claims 102,400,000 bytes and holds"),
        (large_chunk, "its chunks have"),
        (lambda file, other: file.create_group("v_a/c3d_features"), "is no data set"),
    ],
)
def test_a_file_that_is_made_of_others_or_claims_too_much_is_refused(tmp_path, make, problem):
    """Whoever may write a feature file could else have other files read, or the memory filled."""
    other = str(c3d_file(tmp_path / "secret.hdf5", rows=4, videos=("a",)))
    with h5py.File(tmp_path / "crafted.hdf5", "w") as file:
        make(file, other)
    with pytest.raises(DataError, match=problem):
        open_store(tmp_path / "crafted.hdf5").read("a")


def test_an_archive_that_claims_too_much_is_refused(tmp_path):
    (tmp_path / "a").mkdir()
    np.savez_compressed(tmp_path / "a" / "a.npz", features=np.zeros((400_000, 64), np.float32))
    with pytest.raises(DataError, match="claims 102,400,000 bytes and holds"):
        DirectoryStore(tmp_path / "a").read("a")
    header = np.lib.format.header_data_from_array_1_0(np.zeros((1, 3)))
    content = io.BytesIO()
    np.lib.format.write_array_header_1_0(content, {**header, "shape": (10**11, 3)})
    for name, problem in (("b.npy", "Cannot read"), ("c.npz", "claims 2,400,000,000,000 bytes and has")):
        path = tmp_path / "a" / name
        if name.endswith("npy"):
            path.write_bytes(content.getvalue())
        else:
            with zipfile.ZipFile(path, "w") as archive:
                archive.writestr("features.npy", content.getvalue())
        with pytest.raises(DataError, match=problem):
            DirectoryStore(tmp_path / "a").read(path.stem)


@pytest.mark.parametrize("kind", [torch.bfloat16, torch.float16, torch.float64, torch.float32])
def test_features_of_any_precision_are_read(tmp_path, kind):
    values = features(5).to(kind)
    save_torch({"features": values}, tmp_path / "a.safetensors")
    assert torch.equal(DirectoryStore(tmp_path).read("a"), values.float())


def test_names_with_the_prefix_of_activitynet_are_found(tmp_path):
    np.save(tmp_path / "v_a.npy", features(5).numpy())
    assert torch.equal(DirectoryStore(tmp_path).read("a"), features(5))


def test_metadata_in_another_encoding_or_nested_too_deep_is_refused(tmp_path):
    np.save(tmp_path / "a.npy", features(5).numpy())
    for content in (b'{"extractor": "\xe9"}', b"[" * 100_000, b'{"dim": ' + b"9" * 5000 + b"}", b"{", b"[]"):
        (tmp_path / "metadata.json").write_bytes(content)
        with pytest.raises(DataError, match=r"metadata\.json"):
            DirectoryStore(tmp_path)


def test_other_hdf5_files_and_videos_without_features_are_refused(tmp_path):
    for fill, problem in (
        (lambda file: file.create_group("v_a"), "Cannot read c3d_features of v_a in .* there is no"),
        (lambda file: file.create_dataset("v_a/c3d_features", data=np.zeros(3)), "no matrix c3d_features"),
        (lambda file: file.create_dataset("b/c3d_features", data=np.zeros((3, 2))), "groups v_<id>"),
    ):
        with h5py.File(tmp_path / "other.hdf5", "w") as file:
            fill(file)
        with pytest.raises(DataError, match=problem):
            open_store(tmp_path / "other.hdf5")
    with h5py.File(c3d_file(tmp_path / "c3d.hdf5"), "a") as file:
        file.create_group("v_empty")
        file.create_dataset("v_text/c3d_features", data=np.array([[b"x"]]))
        file.create_dataset("v_none/c3d_features", data=np.zeros((0, 3)))
    store = open_store(tmp_path / "c3d.hdf5")
    with pytest.raises(DataError, match="c3d_features of v_empty"):
        store.read("empty")
    for video in ("text", "none"):
        with pytest.raises(FeatureError, match=f"c3d_features of v_{video} .* as a matrix"):
            store.read(video)


# Damaged files


def test_files_that_are_no_store(tmp_path):
    content = c3d_file(tmp_path / "c3d.hdf5").read_bytes()
    for size in (0, 100, 900, -1):
        (tmp_path / "cut.hdf5").write_bytes(content[:size])
        with pytest.raises(DataError, match=r"Cannot read .*cut.hdf5: truncated or no HDF5"):
            open_store(tmp_path / "cut.hdf5")
    (tmp_path / "empty").mkdir()
    problems = {"nowhere.h5": "There is no feature store", "empty": "Found no .npy, .npz, .safetensors"}
    for path, problem in problems.items():
        with pytest.raises(DataError, match=problem):
            open_store(tmp_path / path)


def test_values_that_are_not_finite_or_of_another_width(tmp_path):
    bad = features(6)
    bad[4, 1] = float("inf")
    np.save(tmp_path / "a.npy", bad.numpy())
    np.save(tmp_path / "b.npy", np.zeros((4, 2)))
    (tmp_path / "metadata.json").write_text('{"dim": 3}')
    store = open_store(tmp_path)
    with pytest.raises(FeatureError, match=r"'a' in .* hold NaN or infinite values, at step 4"):
        store.read("a", 2, 6)
    assert torch.equal(store.read("a", 0, 4), bad[:4])
    with pytest.raises(FeatureError, match=r"Expected F = 3 for 'b' in .* \(got 2\)"):
        store.read("b")


@pytest.mark.parametrize(
    ("name", "content", "problem"),
    [
        *((name, b"nonsense", "Cannot read the features") for name in ("a.npy", "a.npz", "a.safetensors")),
        ("a.npy", np.array([{}]), "Cannot read the features"),
        *(("a.npy", array, "as a matrix") for array in (np.zeros(3), np.zeros((0, 3)), np.array([["x"]]))),
    ],
)
def test_damaged_arrays_are_named(tmp_path, name, content, problem):
    if isinstance(content, bytes):
        (tmp_path / name).write_bytes(content)
    else:
        np.save(tmp_path / name, content)
    with pytest.raises((DataError, FeatureError), match=problem):
        open_store(tmp_path).read("a")


def test_two_arrays_of_one_name(tmp_path):
    np.savez(tmp_path / "a.npz", one=np.zeros((2, 2)), two=np.zeros((2, 2)))
    with pytest.raises(DataError, match=r"one named features, in .*a.npz \(got one, two\)"):
        open_store(tmp_path).read("a")
    np.save(tmp_path / "a.npy", np.zeros((2, 2)))
    with pytest.raises(DataError, match=r"Two files in .* hold features of 'a': a.npy and a.npz"):
        open_store(tmp_path)


def test_metadata_of_a_folder(tmp_path):
    np.save(tmp_path / "a.npy", np.zeros((2, 3)))
    (tmp_path / "metadata.json").write_text(json.dumps(METADATA.to_dict()))
    store = open_store(tmp_path)
    assert isinstance(store, DirectoryStore)
    assert store.metadata == METADATA
    assert store.frame_rate("a") == 25.0
    for text in ("{", "[1]", '{"width": 3}', '{"dim": "x"}'):
        (tmp_path / "metadata.json").write_text(text)
        with pytest.raises(DataError, match=r"metadata of .*metadata.json"):
            open_store(tmp_path)


# The cache


def test_the_cache_is_bounded_in_bytes_and_drops_the_oldest():
    cache = ByteCache(100)
    for key in "abc":
        cache.put(key, torch.zeros(10))  # 40 bytes
        assert cache.num_bytes <= 100
    assert cache.get("a") is None
    assert cache.get("b") is not None  # now the newest
    cache.put("d", torch.zeros(10))
    assert cache.get("c") is None
    assert cache.get("b") is not None
    cache.put("huge", torch.zeros(1000))
    assert cache.get("huge") is None
    assert cache.num_bytes == 80
    cache.put("b", torch.zeros(10))
    assert cache.num_bytes == 80


def test_what_is_cached_is_not_read_again(tmp_path, monkeypatch):
    write_store(tmp_path / "f.h5", [("a", features(5))], METADATA)
    reads = []
    plain = hdf5.read_rows
    monkeypatch.setattr(hdf5, "read_rows", lambda *args: reads.append(args[1]) or plain(*args))
    store = open_store(tmp_path / "f.h5")
    monkeypatch.setattr(feature_store, "CACHE_BYTES", 0)
    uncached = open_store(tmp_path / "f.h5")
    for _ in range(3):
        store.read("a", 0, 3)
    assert len(reads) == 1
    for _ in range(3):
        uncached.read("a", 0, 3)
    assert len(reads) == 4


# Our layout


def test_our_file_remembers_everything(tmp_path):
    with StoreWriter(tmp_path / "f.h5", METADATA) as writer:
        writer.add("a", features(5))
        writer.add("b", features(2), frame_rate=30.0)
        assert "a" in writer
        assert not (tmp_path / "f.h5").exists()
    store = open_store(tmp_path / "f.h5")
    assert isinstance(store, HDF5Store)
    assert store.metadata == METADATA
    assert (store.frame_rate("a"), store.frame_rate("b")) == (25.0, 30.0)
    assert "f.h5" in repr(store)


@pytest.mark.parametrize("rate", [0.0, -25.0, float("inf"), float("nan"), "fast"])
def test_a_rate_that_cannot_be_is_refused(tmp_path, rate):
    with StoreWriter(tmp_path / "f.h5", FeatureMetadata(frames_per_step=16.0)) as writer:
        writer.add("a", features(5), frame_rate=rate)
    with pytest.raises(DataError, match="The frame_rate of 'a' in"):
        next(stored_videos(open_store(tmp_path / "f.h5")))
    with pytest.raises(DataError, match="frame_rate"):
        read_metadata(json.dumps({"frame_rate": rate}), "f.h5")


@pytest.fixture
def path(tmp_path):
    """A store whose writing was stopped after its first video, as a user stops it."""

    def run():
        with StoreWriter(tmp_path / "f.h5", METADATA) as writer:
            writer.add("a", features(5))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run()
    return tmp_path / "f.h5"


def test_an_interrupted_run_goes_on(path, tmp_path):
    with h5py.File(path.with_name("f.h5.part"), "a") as file:  # and it was killed while it wrote
        file["features"].create_dataset(".unfinished", data=np.zeros(3))
    assert not path.exists()
    with StoreWriter(path, METADATA, resume=True) as writer:
        assert "a" in writer
        writer.add("b", features(2))
    assert open_store(path).ids() == ["a", "b"]
    assert [one.name for one in tmp_path.iterdir()] == ["f.h5"]


def test_another_run_is_not_gone_on_with(path):
    with pytest.raises(FeatureError, match="begun with other features"):
        StoreWriter(path, FeatureMetadata("i3d", 3), resume=True).__enter__()
    with StoreWriter(path, FeatureMetadata("i3d", 3)) as writer:  # without resume it begins anew
        writer.add("b", features(2))
    assert open_store(path).ids() == ["b"]


@pytest.mark.parametrize(
    ("video", "values", "kind"),
    [
        *((video, features(2), DataError) for video in ("", "a/b", "there")),
        *(("a", torch.zeros(shape), FeatureError) for shape in ((3,), (0, 3), (2, 4))),
        ("a", torch.tensor([[0.0, float("nan"), 1.0]]), FeatureError),
    ],
)
def test_what_cannot_be_added(tmp_path, video, values, kind):
    with StoreWriter(tmp_path / "f.h5", METADATA) as writer:
        writer.add("there", features(2))
        with pytest.raises(kind, match=r"f\.h5|Expected finite features"):
            writer.add(video, values)
    assert open_store(tmp_path / "f.h5").ids() == ["there"]


def test_versions_to_come_and_empty_files_are_refused(tmp_path):
    with h5py.File(tmp_path / "new.h5", "w") as file:
        file.attrs[hdf5.FORMAT_KEY] = 2
    with pytest.raises(DataError, match=r"version 1 of our layout \(got 2\)"):
        open_store(tmp_path / "new.h5")
    with pytest.raises(DataError, match="holds no video"):
        write_store(tmp_path / "empty.h5", [], METADATA)
