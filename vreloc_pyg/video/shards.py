"""Features of many videos: extracted by several processes, and their shards merged."""

from __future__ import annotations

import os
import re
from pathlib import Path

from vreloc_pyg.errors import DataError, SettingsError
from vreloc_pyg.video.extraction import Extraction, extract_files, merge_stores
from vreloc_pyg.video.extractors import Device, load_extractor
from vreloc_pyg.video.place import Place
from vreloc_pyg.video.video_files import video_files


def extract_features(
    videos: str | Path,
    output: str | Path,
    extractor: str = "i3d",
    weights: str | Path | None = None,
    shard: str | None = None,
    device: Device = "cpu",
    person: Place | None = None,
) -> tuple[Path, Extraction]:
    """Extract features of videos into a store, or of one shard of them into its own.

    Args:
        videos: a file or folder.
        output: the store.
        extractor, weights, device: of the features, see :func:`.load_extractor`.
        shard: ``"I/N"``; by default torchrun's rank and world size, where they are set.
        person: whom to follow, in a single file; see :meth:`.VideoExtractor.following`.

    Returns:
        The store that was written, and what became of the videos.

    Raises:
        SettingsError: for a person in a folder of videos, or where features are of the whole picture.
    """
    if person is not None and Path(videos).is_dir():
        raise SettingsError(f"A person can be named in one video, and {videos} is a folder: give a file")
    files, output = video_files(videos), Path(output)
    index, count = _shard(shard)
    if count > 1:
        names = sorted(files)[index::count]
        if not names:
            raise DataError(f"Shard {index} of {count} has no video: there are {len(files)}")
        files = {name: files[name] for name in names}
        output = output.with_name(f"{output.stem}.{index}-of-{count}{output.suffix}")
    network = load_extractor(extractor, weights, device=device)
    return output, extract_files(files, network if person is None else network.following(person), output)


def _shard(shard: str | None) -> tuple[int, int]:
    if shard is None:
        shard = f"{os.environ.get('RANK', '0')}/{os.environ.get('WORLD_SIZE', '1')}"
    parts = [int(part) for part in shard.split("/") if re.fullmatch("[0-9]{1,9}", part)]
    if shard.count("/") != 1 or len(parts) != 2 or not parts[0] < parts[1]:
        raise SettingsError(f"Expected shard as I/N with 0 <= I < N (got {shard!r})")
    return parts[0], parts[1]


def merge_shards(output: str | Path) -> int:
    """Merge the shards beside a store and count its videos; :class:`DataError` if one is missing."""
    output = Path(output)
    of = re.compile(re.escape(output.stem) + r"\.[0-9]+-of-([0-9]{1,9})" + re.escape(output.suffix))
    names = sorted(one.name for one in output.parent.glob("*") if of.fullmatch(one.name))
    found, counts = [output.parent / name for name in names], {of.sub(r"\1", name) for name in names}
    if len(counts) > 1:
        raise DataError(f"Shards of several runs lie beside {output}: of {', '.join(sorted(counts))}")
    if counts and len(found) != int(*counts):
        raise DataError(f"Found {len(found)} of {int(*counts)} shards of {output}")
    return merge_stores(output, found)
