"""THUMOS14 (Jiang et al., 2014, https://www.crcv.ucf.edu/THUMOS14)."""

from __future__ import annotations

import math
from pathlib import Path

from vreloc_pyg.datasets.annotations import AnnotatedDataset, AnnotatedVideo
from vreloc_pyg.datasets.reading import Instance, Notes, check_instance, find_file, merge_overlaps, refuse
from vreloc_pyg.datasets.task import annotated_task
from vreloc_pyg.errors import DataError
from vreloc_pyg.files import read_lines

SUBSETS = {"validation": "val", "test": "test"}
#: Test videos that the literature leaves out, since their annotations are known to be wrong.
EXCLUDED = ("video_test_0000270", "video_test_0001496")
#: Every CliffDiving is a Diving too.
TOGETHER = (("CliffDiving", "Diving"),)
#: Numbers of training, validation and test classes; the paper has 14 and 6.
SIZES = (12, 2, 6)


class Thumos14(AnnotatedDataset):
    """The temporally annotated videos of THUMOS14's validation and test sets, in the folder ``root``.

    Read are ``temporal_annotations_{validation,test}/<Class>_{val,test}.txt`` (lines of video, start and end
    in seconds) and, where they are there, ``thumos14_video_length_{val,test}.txt`` (video, seconds, frames)
    and ``{validation,test}_durations.txt`` (lines of file name and seconds in turn). ``Ambiguous`` is no
    class, and the two excluded test videos are left out. Overlapping instances of one class are merged, those
    past the end of their video left out; ``notes`` counts them.

    Raises:
        DataError: if there are no annotations, or a line is malformed or its segment reversed.
    """

    name = "thumos14"

    def __init__(self, root: str | Path) -> None:
        root = Path(root)
        notes = Notes()
        instances: dict[str, list[Instance]] = {}
        problems: list[str] = []
        durations: dict[str, tuple[float, int | None]] = {}
        for subset, short in SUBSETS.items():
            for path in sorted((root / f"temporal_annotations_{subset}").glob("*")):
                if path.suffix.lower() == ".txt" and not path.name.startswith((".", "Ambiguous")):
                    read_annotations(path, instances, problems)
            durations.update(read_durations(find_file(root, f"{subset}_durations.txt")))
            durations.update(read_lengths(find_file(root, f"thumos14_video_length_{short}.txt")))
        refuse(problems, root)
        if not instances:
            raise DataError(f"Found no annotations {root}/temporal_annotations_*/<Class>_*.txt")
        videos = []
        for video_id, found in sorted(instances.items()):
            if video_id in EXCLUDED:
                notes.add("videos to avoid, left out", video_id)
                continue
            duration_s, frames = durations.get(video_id, (None, None))
            clipped = []
            for start_s, end_s, label in found:
                last_s = min(end_s, duration_s or end_s)
                if check_instance(start_s, end_s, duration_s):
                    where = f"{video_id} {label} [{start_s:g}, {end_s:g}]"
                    notes.add("instances past the end of their video, left out", where)
                elif last_s > start_s:
                    clipped.append((start_s, last_s, label))
            if not clipped:
                continue
            merged = merge_overlaps(clipped)
            if len(merged) < len(clipped):
                notes.add("videos with overlapping instances of one class, merged", video_id)
            videos.append(AnnotatedVideo(video_id, duration_s, tuple(merged), frames))
        classes = {label for video in videos for label in video.labels}
        super().__init__(videos, notes, TOGETHER, SIZES if len(classes) == sum(SIZES) else None)


def read_annotations(path: Path, instances: dict[str, list[Instance]], problems: list[str]) -> None:
    """Add the instances of one class, and what is wrong with its lines."""
    label = path.stem.rsplit("_", 1)[0]
    for number, line in read_lines(path):
        words = line.split()
        try:
            video_id, start_s, end_s = words[0], float(words[1]), float(words[2])
        except (IndexError, ValueError):
            problem = f"expected a video, a start and an end (got {line!r})"
            problems.append(f"{path.name}, line {number}: {problem}")
            continue
        problem = check_instance(start_s, end_s, None) or ("has no length" if start_s == end_s else "")
        if problem:
            problems.append(f"{path.name}, line {number}: the segment [{start_s:g}, {end_s:g}] {problem}")
        instances.setdefault(video_id, []).append((start_s, end_s, label))


def read_lengths(path: Path | None) -> dict[str, tuple[float, int | None]]:
    """Seconds and frames of every video of a list of ``video seconds frames``."""
    lengths: dict[str, tuple[float, int | None]] = {}
    for number, line in read_lines(path) if path else []:
        try:
            video_id, seconds, frames = line.split()[:3]
            lengths[video_id] = (float(seconds), int(float(frames)))
            if not 0 < lengths[video_id][0] < math.inf:
                raise ValueError
        except (ValueError, OverflowError):
            raise DataError(
                f"{path}, line {number}: expected a video, seconds and frames (got {line!r})"
            ) from None
    return lengths


def read_durations(path: Path | None) -> dict[str, tuple[float, int | None]]:
    """Seconds of every video of a list of file names and seconds in turn."""
    lines = read_lines(path) if path else []
    durations: dict[str, tuple[float, int | None]] = {}
    for (_, name), (number, seconds) in zip(lines[::2], lines[1::2], strict=False):
        try:
            durations[Path(name.strip()).stem] = (float(seconds), None)
            if not 0 < float(seconds) < math.inf:
                raise ValueError
        except ValueError:
            raise DataError(f"{path}, line {number}: expected seconds (got {seconds!r})") from None
    if len(lines) % 2:
        raise DataError(f"{path}, line {lines[-1][0]}: the duration of {lines[-1][1].strip()} is missing")
    return durations


TASK = annotated_task(Thumos14.name, Thumos14)
