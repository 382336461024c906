"""Inputs that once were faults, made anew: what they were is said, and each must be refused or read well."""

from __future__ import annotations

import gzip
import io
import json
import pickle
import struct
import tarfile
import zlib

import h5py
import numpy as np

from tests.fuzz.mutate import Files
from tests.fuzz.packing import close_safetensors


def _hdf5(offset_of: bytes, change: bytes, version: str = "earliest") -> Files:
    """Our layout with the bytes at a signature changed."""
    sink = io.BytesIO()
    with h5py.File(sink, "w", libver=version) as file:
        file.attrs["vreloc_features"] = 1
        file.attrs["metadata"] = json.dumps({"frames_per_step": 16.0, "frame_rate": 25.0})
        file["features/a"] = np.ones((7, 3), dtype=np.float32)
    content = bytearray(sink.getvalue())
    for at in range(len(content)):
        if content.startswith(offset_of, at):
            content[at : at + len(change)] = change
    return {"f.h5": bytes(content)}


def _mat(claimed: int) -> Files:
    """A matrix of text of nearly no bytes, whose dimensions claim many."""
    flags = struct.pack("<IIII", 6, 8, 4, 0)
    dims = struct.pack("<IIii", 5, 8, claimed, claimed)
    name = struct.pack("<HH4s", 1, 1, b"x\0\0\0")
    body = flags + dims + name + struct.pack("<II", 4, 0)
    head = b"MATLAB 5.0".ljust(124) + struct.pack("<H2s", 0x0100, b"IM")
    return {"labels/0001.mat": head + struct.pack("<II", 14, len(body)) + body}


def _mat_unpacks_to_much() -> Files:
    packed = zlib.compress(bytes(2**29), 9)
    head = b"MATLAB 5.0".ljust(124) + struct.pack("<H2s", 0x0100, b"IM")
    return {"labels/0001.mat": head + struct.pack("<II", 15, len(packed)) + packed}


def _tar_claims() -> Files:
    """A source distribution whose weights are a gigabyte, of zeros."""
    sink = io.BytesIO()
    with tarfile.open(fileobj=sink, mode="w:gz", compresslevel=1) as archive:
        about = tarfile.TarInfo("x/i3d-kinetics-400.ckpt")
        about.size = 2**28
        archive.addfile(about, io.BytesIO(bytes(2**28)))
    return {"w.tar.gz": sink.getvalue()}


def _kept(features: dict[str, object], about: object) -> Files:
    header = {"features": features, "__metadata__": {"about": json.dumps(about)}}
    return {
        "kept.safetensors": close_safetensors({"header.json": json.dumps(header).encode(), "data": b"\0" * 8})
    }


def _windows(values: list[list[int]]) -> bytes:
    sink = io.BytesIO()
    np.save(sink, np.array(values, dtype=np.int64))
    return sink.getvalue()


def _long_header(array: bytes) -> bytes:
    """An array whose header, of NumPy's second version, claims to be 600 MB long."""
    return array.replace(b"NUMPY\1\0v\0{'", b"NUMPY\2\0v\0{'")


def _moments(end: float, video: str = "a.mp4", score: float = 1.0) -> bytes:
    row = {"video": video, "start_s": 0.0, "end_s": end, "score": score}
    return json.dumps({"about": {}, "moments": [row]}).encode()


def _ranges(rate: str, end: float, video: str = "a.mp4") -> object:
    """A task of Label Studio with a range of frames."""
    value = {"ranges": [{"start": 1, "end": end}], "timelinelabels": ["a"]}
    return [{"data": {"video": video, "frame_rate": rate}, "annotations": [{"result": [{"value": value}]}]}]


_SKELETON = {"joints": 2 * 10**7, "dims": 2, "centre": [0], "mirror": [0], "features": "joints"}


def found() -> list[tuple[str, str, Files]]:
    """The door, what was wrong, and the input."""
    segment = [{"segment": [1, 2], "label": "a"}]

    def video(**more: object) -> Files:
        return {
            "activity_net.json": json.dumps(
                {"v_a": {"duration_second": 9, "annotations": segment, **more}}
            ).encode()
        }

    thumos = {"temporal_annotations_test/Diving_test.txt": b"v 1 2\n"}
    pairs = b"fold,pair,query,query_id,reference_id,label,kind,truths\n"
    answers = b"system,kin,kind,fold,pair,start_s,end_s\n"
    about = json.dumps({"data": "synthetic", "systems": [], "command": "", "candidate_recall": 1}).encode()

    def benchmark(one: bytes, other: bytes) -> Files:
        return {
            "benchmark.json": about,
            "pairs.csv.gz": gzip.compress(one),
            "predictions.csv.gz": gzip.compress(other),
        }

    csv = b"video,start_s,end_s,label\na,0,1,x\nb,0,1,x\na,2,3,y\nb,2,3,y\na,4,5,z\nb,4,5,z\n"
    own = {"annotations.csv": csv, "queries.csv": b"query,label\nq,x\n"}
    return [
        ("times", "an int of more digits than Python reads", {"time.txt": b"9" * 5000 + b":1"}),
        ("times", "infinitely many seconds", {"time.txt": b"9" * 400}),
        ("activitynet", "a number too large for a float", video(duration_second=10**400)),
        ("activitynet", "a number of frames that is none", video(duration_frame=[1])),
        ("thumos14", "infinitely many frames", {**thumos, "thumos14_video_length_test.txt": b"v 9 inf\n"}),
        ("thumos14", "a duration that is none", {**thumos, "test_durations.txt": b"v.mp4\nnan\n"}),
        ("own-set", "a fold of 5,000 digits", {**own, "pairs.csv": b"query,reference,fold\nq,a," + b"9" * 5000}),  # noqa: E501
        ("own-set", "a fold that is a digit and no number", {**own, "pairs.csv": "query,reference,fold\nq,a,²\n".encode()}),  # noqa: E501
        ("own-set", "a skeleton of 20 million joints", {**own, "skeleton.json": json.dumps(_SKELETON).encode()}),  # noqa: E501
        ("utkinect", "frame ids far apart", {
            "joints_s01_e01.txt": b"1" + b" 1" * 60 + b"\n1e12" + b" 1" * 60, "actionLabel.txt": b"s01_e01\n"}),  # noqa: E501
        ("penn-action", "text that claims 40 GB", _mat(100_000)),
        ("penn-action", "half a GB in 500 KB", _mat_unpacks_to_much()),
        ("predictions", "no gzip within gzip's header", {**benchmark(pairs, answers), "pairs.csv.gz": gzip.compress(pairs)[:-8] + b"\xff" * 8}),  # noqa: E501
        ("predictions", "a table without its columns", benchmark(b"a,b\n1,2\n", answers + b"s,own,answer,0,0,1,2\n")),  # noqa: E501
        ("predictions", "a pair that is there twice", benchmark(pairs + b"0,0,0,q,r,l,present,1:2\n" * 2, answers + b"s,own,answer,0,0,1,2\n")),  # noqa: E501
        ("predictions", "a time that is no number", benchmark(pairs + b"0,0,0,q,r,l,present,1:2\n", answers + b"s,own,answer,0,0,x,2\n")),  # noqa: E501
        ("predictions", "200 MB in 200 KB", benchmark(bytes(2 * 10**8), answers)),
        ("proposal-cache", "windows outside the video", {"*.npy": _windows([[-5, 900]])}),
        ("proposal-cache", "rows of three", {"*.npy": _windows([[0, 1, 2]])}),
        ("feature-cache", "features of no rows", _kept({"dtype": "F32", "shape": [0, 2], "data_offsets": [0, 0]}, {})),  # noqa: E501
        ("feature-cache", "steps of text", _kept({"dtype": "F32", "shape": [1, 2], "data_offsets": [0, 8]},
                                                 {"seconds_per_step": "x", "duration_s": 1, "problems": []})),
        ("weights", "a gigabyte of zeros in a distribution", _tar_claims()),
        ("weights", "an array of no content", {"w.pkl": pickle.dumps({"weight": None})}),
        ("proposal-cache", "a header of 600 MB", {"*.npy": _long_header(_windows([[0, 5]]))}),
        ("arrays", "a header of 600 MB", {"a.npy": _long_header(_windows([[0, 5]]))}),
        ("results", "seconds beyond all clocks", {"found.json": _moments(1e308)}),
        ("results", "frames beyond all timelines", {"found.json": _moments(1e18)}),
        ("results", "a name of 5,000 letters", {"found.json": _moments(5.0, "a" * 5000)}),
        ("results", "a score of 64 bits", {"found.json": _moments(5.0, score=2**63)}),
        ("imports", "an address that is none", {"given.csv": b"video,start_s,end_s,label\nhttp://[,0,1,x\n"}),
        ("imports", "an encoding of several bytes", {"given.xml": b'<?xml version="1.0" encoding="shift_jis"?><a/>'}),  # noqa: E501
        ("imports", "a heading of 150 KB", {"given.csv": b"video" * 30_000}),
        ("imports", "a time beyond all floats", {"given.json": json.dumps(_ranges("1e-9", 1e308)).encode()}),
        ("imports", "a name that no file has", {"given.json": json.dumps(_ranges("25", 5, "a\0")).encode()}),
        ("hdf5", "a damaged table of symbols", _hdf5(b"SNOD", b"XXXX")),
        ("hdf5", "a damaged heap", _hdf5(b"HEAP", b"XXXX")),
        ("hdf5", "a damaged header of the latest format", _hdf5(b"OHDR", b"OHDR\xff\xff", "latest")),
    ]  # fmt: skip
