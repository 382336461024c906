"""ActivityNet v1.2 and v1.3 (Caba Heilbron et al., CVPR 2015, http://activity-net.org)."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from vreloc_pyg.datasets.annotations import AnnotatedDataset, AnnotatedVideo
from vreloc_pyg.datasets.reading import (
    Instance,
    Notes,
    check_instance,
    merge_overlaps,
    only_file,
    refuse,
)
from vreloc_pyg.datasets.task import annotated_task
from vreloc_pyg.errors import DataError
from vreloc_pyg.files import read_json

#: Numbers of training, validation and test classes of the two releases, by their number of classes.
SIZES = {100: (80, 10, 10), 200: (160, 20, 20)}


class ActivityNet(AnnotatedDataset):
    """ActivityNet's annotated videos, of a JSON file or the folder that holds it.

    Either layout is read: the official one (``database``, ``taxonomy``, ``version``), or one object per
    video under ``v_<id>`` with ``duration_second``, ``duration_frame`` and ``annotations``, which knows
    frame counts too.

    Same-label instances that overlap are merged; videos whose instances of different classes overlap are
    left out, as in Feng et al. (https://arxiv.org/abs/1808.01575); so are instances of no length and videos
    without instances (the official test subset). ``notes`` counts all of that.

    Raises:
        DataError: if it cannot be read, an id occurs twice, or an instance is reversed or outside its video.
    """

    name = "activitynet"

    def __init__(self, root: str | Path) -> None:
        path = only_file(Path(root), "anet_anno_action.json", "activity_net*.json")
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
            except (
                DataError,
                KeyError,
                TypeError,
                ValueError,
                IndexError,
                OverflowError,
                AttributeError,
            ) as error:
                problem = str(error) if isinstance(error, DataError) else f"malformed, {error!r}"
                problems.append(f"{key}: {problem}")
                continue
            if video is not None:
                videos[video_id] = video
        refuse(problems, path)
        classes = {label for video in videos.values() for label in video.labels}
        super().__init__(list(videos.values()), notes, sizes=SIZES.get(len(classes)))


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
    return AnnotatedVideo(video_id, duration_s, tuple(merged), value.get("duration_frame"))


TASK = annotated_task(ActivityNet.name, ActivityNet)
