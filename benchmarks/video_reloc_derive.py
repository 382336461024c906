"""Feng et al.'s split, derived from ActivityNet's annotations by the rules of its authors' code."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from vreloc_pyg.datasets.reading import Instance
from vreloc_pyg.datasets.video_reloc import LONGEST_QUERY, RelocItem
from vreloc_pyg.errors import DataError

#: Numbers of training, validation and test classes.
SIZES = {"train": 160, "validation": 20, "test": 20}
LONGEST_REFERENCE = 300


@dataclass(frozen=True)
class DerivedItem:
    """An item, and whether its stretch was too long and is cropped at random in the published files."""

    item: RelocItem
    cropped: bool


def derive_items(
    annotations: Mapping[str, Any],
    lengths: Mapping[str, Mapping[str, int]],
    permutation: Sequence[int],
) -> dict[str, list[DerivedItem]]:
    """Derive the splits as https://github.com/fengyang0317/video_reloc does.

    Leaf classes sorted by name and permuted give 160/20/20. Videos whose instances of different classes
    overlap are left out; overlapping ones of one class are merged. An instance of 1 to 32 steps becomes an
    item; its stretch reaches from the end of the last instance of its class before it to the start of the
    next. Stretches above 300 steps were cropped with a random generator that depends on every video before:
    they are returned whole and marked.

    Args:
        annotations: ActivityNet's JSON, in the official layout or keyed by ``v_<id>`` with
            ``duration_second`` and ``annotations``.
        lengths: ``n_feat`` and ``n_frames`` of every video.
        permutation: indices of the sorted classes; those of training first, then validation, then test.

    Returns:
        Items of ``train``, ``validation`` and ``test``, labelled with class names, in the annotations' order.

    Raises:
        DataError: if the layout is unknown, or the permutation does not fit the classes.
    """
    videos = plain_videos(annotations)
    classes = sorted(leaf_classes(annotations, videos))
    if sorted(permutation) != list(range(len(classes))) or len(classes) != sum(SIZES.values()):
        raise DataError(
            f"Expected a permutation of {sum(SIZES.values())} classes (got {len(permutation)} indices and "
            f"{len(classes)} classes)"
        )
    split_of: dict[str, str] = {}
    first = 0
    for name, size in SIZES.items():
        split_of.update({classes[index]: name for index in permutation[first : first + size]})
        first += size
    derived: dict[str, list[DerivedItem]] = {name: [] for name in SIZES}
    for video_id, (duration_s, instances) in videos.items():
        merged = merge_instances(instances)
        if merged is None or video_id not in lengths:
            continue
        steps = Steps(lengths[video_id]["n_frames"], lengths[video_id]["n_feat"], duration_s)
        for index, (start_s, end_s, label) in enumerate(merged):
            low, high = steps.start(start_s), steps.end(end_s)
            if not 0 < high - low <= LONGEST_QUERY:
                continue
            before = [end for _, end, other in merged[:index] if other == label]
            after = [start for start, _, other in merged[index + 1 :] if other == label]
            start = steps.start(before[-1] if before else 0.0)
            stop = steps.end(after[0] if after else duration_s)
            item = RelocItem(video_id, (start, stop), (low - start, high - start), label)
            derived[split_of[label]].append(DerivedItem(item, stop - start > LONGEST_REFERENCE))
    return derived


@dataclass(frozen=True)
class Steps:
    """Seconds of a video to steps of 16 frames, as the authors' code rounds them."""

    num_frames: int
    num_steps: int
    duration_s: float

    def start(self, seconds: float) -> int:
        """The step that a moment lies in."""
        return int((self.num_frames * seconds / self.duration_s) // 16)

    def end(self, seconds: float) -> int:
        """One past the step that a moment lies in, at most the number of steps."""
        return min(self.num_steps, self.start(seconds) + 1)


def plain_videos(annotations: Mapping[str, Any]) -> dict[str, tuple[float, list[Instance]]]:
    """Duration in seconds and instances of every video of either layout."""
    database = annotations.get("database", annotations)
    videos = {}
    for key, value in database.items():
        try:
            duration_s = float(value["duration"] if "duration" in value else value["duration_second"])
            instances = [
                (float(one["segment"][0]), float(one["segment"][1]), str(one["label"]))
                for one in value["annotations"]
            ]
        except (KeyError, TypeError, ValueError, IndexError) as error:
            raise DataError(f"Expected duration and annotations of video {key!r} (got {error!r})") from None
        videos[key.removeprefix("v_") if "database" not in annotations else key] = (duration_s, instances)
    return videos


def leaf_classes(
    annotations: Mapping[str, Any], videos: Mapping[str, tuple[float, list[Instance]]]
) -> set[str]:
    """Classes without children in the taxonomy; without a taxonomy, those that are annotated."""
    taxonomy = annotations.get("taxonomy")
    if taxonomy is None:
        return {label for _, instances in videos.values() for _, _, label in instances}
    parents = {node["parentName"] for node in taxonomy}
    return {node["nodeName"] for node in taxonomy} - parents


def merge_instances(instances: Sequence[Instance]) -> list[Instance] | None:
    """Instances by start, overlapping ones of one class merged; ``None`` if different classes overlap."""
    merged = sorted(instances, key=lambda one: one[0])
    removed: set[int] = set()
    for i in range(len(merged)):
        start, end, label = merged[i]
        for j in range(i + 1, len(merged)):
            if merged[j][0] > end:
                break
            if merged[j][2] != label:
                return None
            removed.add(j)
            end = max(end, merged[j][1])
        merged[i] = (start, end, label)
    return [one for i, one in enumerate(merged) if i not in removed]
