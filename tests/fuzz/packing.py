"""What files are packed in: opened, so that their content can be changed, and closed again."""

from __future__ import annotations

import gzip
import io
import struct
import tarfile
import zipfile

from tests.fuzz.mutate import Files


def open_zip(content: bytes) -> Files:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def close_zip(parts: Files) -> bytes:
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_STORED) as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    return sink.getvalue()


def open_gzip(content: bytes) -> Files:
    return {"table.csv": gzip.decompress(content)}


def close_gzip(parts: Files) -> bytes:
    return gzip.compress(parts["table.csv"], 1)


def open_tar(content: bytes) -> Files:
    with tarfile.open(fileobj=io.BytesIO(content)) as archive:
        return {one.name: archive.extractfile(one).read() for one in archive if one.isfile()}  # type: ignore[union-attr]


def close_tar(parts: Files) -> bytes:
    sink = io.BytesIO()
    with tarfile.open(fileobj=sink, mode="w:gz", compresslevel=1) as archive:
        for name, content in parts.items():
            about = tarfile.TarInfo(name)
            about.size = len(content)
            archive.addfile(about, io.BytesIO(content))
    return sink.getvalue()


def open_safetensors(content: bytes) -> Files:
    (size,) = struct.unpack("<Q", content[:8])
    return {"header.json": content[8 : 8 + size], "data": content[8 + size :]}


def close_safetensors(parts: Files) -> bytes:
    header = parts["header.json"]
    return struct.pack("<Q", len(header)) + header + parts["data"]


LAYERS = {
    **dict.fromkeys((".npz", ".pt", ".ckpt"), (open_zip, close_zip)),
    ".csv.gz": (open_gzip, close_gzip),
    ".tar.gz": (open_tar, close_tar),
    ".safetensors": (open_safetensors, close_safetensors),
}
