"""ActivityNet v1.2 and v1.3 (Caba Heilbron et al., CVPR 2015, http://activity-net.org)."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from vreloc_pyg.datasets.annotations import (
    AnnotatedDataset,
    AnnotatedVideo,
    Instance,
    Notes,
    check_instance,
    find_file,
    merge_overlaps,
)
from vreloc_pyg.datasets.reading import read_json, refuse
from vreloc_pyg.errors import DataError

#: Numbers of training, validation and test classes of the two releases, by their number of classes.
SIZES = {100: (80, 10, 10), 200: (160, 20, 20)}


class ActivityNet(AnnotatedDataset):
    """ActivityNet's annotated videos.

    Either layout is read: the official one (``database``, ``taxonomy``, ``version``), or one object per
    video under ``v_<id>`` with ``duration_second``, ``duration_frame`` and ``annotations``, which knows
    frame counts too.

    Same-label instances that overlap are merged; videos whose instances of different classes overlap are
    left out, as in Feng et al. (https://arxiv.org/abs/1808.01575); so are instances of no length and videos
    without instances (the official test subset). ``notes`` counts all of that.

    Args:
        root: the JSON file, or a folder that holds it.

    Raises:
        DataError: if it cannot be read, an id occurs twice, or an instance is reversed or outside its video.
    """

    name = "activitynet"

    def __init__(self, root: str | Path) -> None:
        path = annotation_file(Path(root))
        values = read_json(path)
        database = values.get("database", values) if isinstance(values, dict) else None
        if not isinstance(database, dict) or not database:
            raise DataError(f"Expected an object per video in {path}")
        notes, problems = Notes(), []
        videos: dict[str, AnnotatedVideo] = {}
        seen: set[str] = set()
        for key, value in database.items():
            video_id = key if "database" in values else key.removeprefix("v_")
            if video_id in seen:
                problems.append(f"{key}: the video {video_id!r} is there twice")
                continue
            seen.add(video_id)
            try:
                video = read_video(video_id, value, notes)
            except (DataError, KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
                problems.append(
                    f"{key}: {error if isinstance(error, DataError) else f'malformed, {error!r}'}"
                )
                continue
            if video is not None:
                videos[video_id] = video
        refuse(problems, path)
        self.version = str(values.get("version", ""))
        classes = {label for video in videos.values() for label in video.labels}
        super().__init__(list(videos.values()), notes, sizes=SIZES.get(len(classes)))


def annotation_file(root: Path) -> Path:
    """The annotations in a folder, or the file itself.

    Raises:
        DataError: if there is none, or more than one.
    """
    if not root.is_dir():
        return root
    found = find_file(root, "anet_anno_action.json")
    if found is not None:
        return found
    official = [path for path in sorted(root.iterdir()) if path.name.lower().startswith("activity_net")]
    official = [path for path in official if path.suffix.lower() == ".json"]
    if len(official) != 1:
        raise DataError(
            f"Expected one activity_net.v1-*.min.json in {root} (found {len(official)}); "
            "give the file itself as root"
        )
    return official[0]


def read_video(video_id: str, value: Mapping[str, Any], notes: Notes) -> AnnotatedVideo | None:
    """The video of plain values, or ``None`` if it is of no use."""
    duration_s = float(value["duration"] if "duration" in value else value["duration_second"])
    if not 0 < duration_s < float("inf"):
        raise DataError(f"Expected a positive duration (got {duration_s})")
    instances: list[Instance] = []
    for number, one in enumerate(value["annotations"]):
        start_s, end_s = (float(bound) for bound in one["segment"])
        problem = check_instance(start_s, end_s, duration_s)
        if problem:
            raise DataError(f"annotation {number} [{start_s:g}, {end_s:g}] {problem}")
        if end_s > duration_s:
            notes.add("instances end past their video by less than 5 %, clipped", video_id)
        if min(end_s, duration_s) - start_s <= 0:
            notes.add("instances of no length, left out", video_id)
            continue
        instances.append((start_s, min(end_s, duration_s), str(one["label"])))
    if not instances:
        notes.add("videos without instances, left out", video_id)
        return None
    merged = merge_overlaps(instances)
    if len(merged) < len(instances):
        notes.add("videos with overlapping instances of one class, merged", video_id)
    if any(later[0] < one[1] for i, one in enumerate(merged) for later in merged[i + 1 :]):
        notes.add("videos with overlapping instances of different classes, left out", video_id)
        return None
    frames = value.get("duration_frame")
    subset = value.get("subset")
    return AnnotatedVideo(video_id, duration_s, tuple(merged), frames, subset)
