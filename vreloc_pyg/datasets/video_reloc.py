"""The benchmark of Feng et al., *Video Re-localization*, ECCV 2018 (https://arxiv.org/abs/1808.01575).

ActivityNet v1.3, 160/20/20 classes; every instance of at most 32 steps has a reference of its own, the
stretch of its video around it that holds no other instance of its class. A step is 16 frames.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from vreloc_pyg.datasets.philox import philox4x32
from vreloc_pyg.datasets.reading import read_json, refuse
from vreloc_pyg.datasets.splits import RelocalizationSplit, StoredQuery, StoredReference
from vreloc_pyg.errors import DataError
from vreloc_pyg.features.lazy import AbsentFeatures, LazyFeatures
from vreloc_pyg.features.store import FeatureSlice, FeatureStore

FILES = {"train": "train.json", "validation": "val.json", "test": "test.json"}
FRAMES_PER_STEP = 16
LONGEST_QUERY = 32


@dataclass(frozen=True)
class RelocItem:
    """An instance and the stretch of video around it, in steps of 16 frames.

    Args:
        video_id: of YouTube.
        location: the stretch within the video, half-open.
        groundtruth: the instance within the stretch, half-open.
        label: the class: ActivityNet's node id, as text, in the published files.
    """

    video_id: str
    location: tuple[int, int]
    groundtruth: tuple[int, int]
    label: str

    @property
    def num_steps(self) -> int:
        """Length of the stretch, the reference."""
        return self.location[1] - self.location[0]

    @property
    def query_steps(self) -> int:
        """Length of the instance, the query."""
        return self.groundtruth[1] - self.groundtruth[0]


@dataclass(frozen=True)
class OfficialPair:
    """A query and the reference it is looked for in, as indices of items.

    Args:
        query, reference: indices.
        same_item: the query is to be found in its own stretch of video.
        same_video: both are of one video; true of the same item too.
    """

    query: int
    reference: int
    same_item: bool
    same_video: bool


def official_pairs(items: Sequence[RelocItem]) -> list[OfficialPair]:
    """The evaluation pairs of the released code, without TensorFlow.

    The candidates of query i are the items of its class, itself not excluded, whose stretch is at least as
    long as the query, in the file's order. The code draws one with TensorFlow's graph mode and operation
    seed 6: Philox4x32-10 of the key (87654321, 0) and the counter (256 i, 0, 6, 0), first word modulo the
    number of candidates.

    Args:
        items: of a split, in the published order.
    """
    counters = np.zeros((len(items), 4), dtype=np.uint64)
    counters[:, 0] = 256 * np.arange(len(items))
    counters[:, 2] = 6
    words = philox4x32(counters, key=(87654321, 0))[:, 0]
    by_label: dict[str, list[int]] = {}
    for index, item in enumerate(items):
        by_label.setdefault(item.label, []).append(index)
    pairs = []
    for query, item in enumerate(items):
        candidates = [i for i in by_label[item.label] if items[i].num_steps >= item.query_steps]
        reference = candidates[int(words[query]) % len(candidates)]
        same_video = items[reference].video_id == item.video_id
        pairs.append(OfficialPair(query, reference, reference == query, same_video))
    return pairs


def read_items(path: str | Path) -> list[RelocItem]:
    """The items of a published file.

    Raises:
        DataError: if it cannot be read, or an item is malformed; the first are named with their number.
    """
    values = read_json(path)
    if not isinstance(values, list) or not values:
        raise DataError(f"Expected a list of items in {path} (got {type(values).__name__} without items)")
    items, problems = [], []
    seen: dict[RelocItem, int] = {}
    for number, value in enumerate(values):
        item, problem = parse_item(value)
        if item is not None and item in seen:
            problem = f"is item {seen[item]} again"
        if item is None or problem:
            problems.append(f"item {number} {problem}")
            continue
        seen[item] = number
        items.append(item)
    refuse(problems, path)
    return items


def parse_item(value: Any) -> tuple[RelocItem | None, str]:
    """The item of plain values, or what is wrong with them."""
    keys = ("id", "location", "groundtruth", "label")
    if not isinstance(value, dict) or not all(key in value for key in keys):
        return None, f"lacks one of the keys {', '.join(keys)}"
    bounds = []
    for key in ("location", "groundtruth"):
        pair = value[key]
        if not isinstance(pair, list) or len(pair) != 2 or not all(type(bound) is int for bound in pair):
            return None, f"has a {key} that is no pair of whole numbers"
        if not 0 <= pair[0] < pair[1]:
            return None, f"has an empty, reversed or negative {key} {pair}"
        bounds.append((pair[0], pair[1]))
    location, groundtruth = bounds
    if groundtruth[1] > location[1] - location[0]:
        return None, f"has a groundtruth {list(groundtruth)} outside its location {list(location)}"
    return RelocItem(str(value["id"]), location, groundtruth, str(value["label"])), ""


class VideoReloc:
    """The published split, from its own files.

    Args:
        root: folder with ``train.json``, ``val.json``, ``test.json`` and, optionally, ``length.json``.
        store: features; without any, queries and references know their lengths only.
        skip_missing: leave out items without features, and say so in ``notes``; else they are refused.
        frame_rates: frames per second of videos; a step of a video that is not listed counts as one second.
            The published files hold no frame rates, and overlaps do not depend on them.

    Attributes:
        notes: what was left out.

    Raises:
        DataError: if a file is malformed, classes are shared between splits, features are missing, or a
            video's features are of another length than the files say, by more than 5 %.
    """

    def __init__(
        self,
        root: str | Path,
        store: FeatureStore | None = None,
        skip_missing: bool = False,
        frame_rates: Mapping[str, float] | None = None,
    ) -> None:
        self.root = Path(root)
        self.store = store
        self.frame_rates = {} if frame_rates is None else frame_rates
        self.notes: list[str] = []
        self._items = {name: read_items(self.root / file) for name, file in FILES.items()}
        check_disjoint({name: {item.label for item in items} for name, items in self._items.items()}, root)
        self.lengths = read_lengths(self.root / "length.json")
        if store is not None:
            self._check_features(store, skip_missing)

    def _check_features(self, store: FeatureStore, skip_missing: bool) -> None:
        everything = [item for items in self._items.values() for item in items]
        missing = store.missing(item.video_id for item in everything)
        if missing:
            note = missing_features(missing, store)
            if not skip_missing:
                raise DataError(f"{note}. --skip_missing true leaves them out")
            absent = set(missing)
            for name, items in self._items.items():
                self._items[name] = [item for item in items if item.video_id not in absent]
                if not self._items[name]:
                    raise DataError(f"{note}. No item of {FILES[name]} is left")
            self.notes.append(f"{note}; left out")
        problems = []
        for video_id in sorted({item.video_id for items in self._items.values() for item in items}):
            steps, expected = store.num_steps(video_id), self.lengths.get(video_id)
            if expected is not None and abs(steps - expected) > max(1.0, 0.05 * expected):
                problems.append(f"{video_id} has {steps} steps, expected {expected}")
        refuse(problems, store.path)

    @property
    def durations_s(self) -> dict[str, float]:
        """Durations of whole videos in seconds, or in steps where frame rates are not given."""
        return {
            video_id: steps * self._seconds_per_step(video_id) for video_id, steps in self.lengths.items()
        }

    def items(self, split: str) -> list[RelocItem]:
        """The items of ``"train"``, ``"validation"`` or ``"test"``, in the published order."""
        if split not in self._items:
            raise DataError(f"Expected split to be one of {', '.join(FILES)} (got {split!r})")
        return list(self._items[split])

    def splits(self, self_pairs: bool = True) -> dict[str, RelocalizationSplit]:
        """``train``, ``validation`` and ``test`` with the official pairs.

        Args:
            self_pairs: keep pairs of one item with itself, as published.
        """
        return {name: self._split(name, items, self_pairs) for name, items in self._items.items()}

    def _split(self, name: str, items: Sequence[RelocItem], self_pairs: bool) -> RelocalizationSplit:
        queries, references = [], []
        for number, item in enumerate(items):
            start, stop = item.location
            low, high = item.groundtruth
            step = self._seconds_per_step(item.video_id)
            clip = self._features(item.video_id, start + low, start + high)
            queries.append(StoredQuery(clip, step, item.label, item.video_id))
            references.append(
                StoredReference(
                    self._features(item.video_id, start, stop),
                    step,
                    torch.tensor([[low * step, high * step]], dtype=torch.float64),
                    (item.label,),
                    f"{item.video_id}#{number}",
                    (item.video_id,),
                    start * step,
                )
            )
        pairs = [
            (pair.query, pair.reference) for pair in official_pairs(items) if self_pairs or not pair.same_item
        ]
        return RelocalizationSplit(f"video_reloc-{name}", queries, references, pairs)

    def _seconds_per_step(self, video_id: str) -> float:
        rate = self.frame_rates.get(video_id)
        return 1.0 if rate is None else FRAMES_PER_STEP / rate

    def _features(self, video_id: str, start: int, stop: int) -> LazyFeatures:
        if self.store is None:
            return AbsentFeatures(stop - start)
        # Stored videos may be a step or two shorter than the published lengths: an end past theirs is theirs.
        steps = self.store.num_steps(video_id)
        if stop > steps:
            return PaddedSlice(FeatureSlice(self.store, video_id, min(start, steps - 1), steps), stop - start)
        return FeatureSlice(self.store, video_id, start, stop)


@dataclass(frozen=True)
class PaddedSlice:
    """Stored features whose last step is repeated up to a length."""

    stored: FeatureSlice
    num_steps: int

    @property
    def num_features(self) -> int | None:
        """F."""
        return self.stored.num_features

    def read(self) -> torch.Tensor:
        """``[num_steps, F]`` float32."""
        features = self.stored.read()
        missing = self.num_steps - len(features)
        return torch.cat([features, features[-1:].expand(missing, -1)])[: self.num_steps]


def missing_features(missing: Sequence[str], store: FeatureStore) -> str:
    """A sentence that counts and names videos without features."""
    shown = ", ".join(missing[:20]) + (" …" if len(missing) > 20 else "")
    return f"{len(missing)} annotated videos have no features in {store.path}: {shown}"


def read_lengths(path: Path) -> dict[str, int]:
    """Steps of every video of ``length.json``; none where there is no such file."""
    if not path.exists():
        return {}
    values = read_json(path)
    try:
        return {video_id: int(value["n_feat"]) for video_id, value in values.items()}
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise DataError(f"Expected n_feat of every video in {path} (got {error!r})") from None


def check_disjoint(labels: Mapping[str, set[str]], where: str | Path) -> None:
    """Raise :class:`DataError` if splits share a class."""
    names = list(labels)
    for i, one in enumerate(names):
        for other in names[i + 1 :]:
            shared = sorted(labels[one] & labels[other])
            if shared:
                raise DataError(f"Splits {one} and {other} of {where} share the class {shared[0]!r}")
