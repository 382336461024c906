"""The data set of Feng et al., *Video Re-localization*, ECCV 2018 (https://arxiv.org/abs/1808.01575).

ActivityNet v1.3, 160/20/20 classes; every instance of at most 32 steps has a reference of its own, the
stretch of its video around it that holds no other instance of its class. A step is 16 frames.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from vreloc_pyg.datasets.philox import philox4x32
from vreloc_pyg.datasets.reading import SHOWN, refuse
from vreloc_pyg.datasets.splits import RelocalizationSplit, StoredQuery, StoredReference
from vreloc_pyg.datasets.task import Loaded, Request, Task
from vreloc_pyg.errors import DataError
from vreloc_pyg.features.lazy import AbsentFeatures, FeaturePart, LazyFeatures
from vreloc_pyg.features.store import FeatureSlice, FeatureStore
from vreloc_pyg.files import read_json

FILES = {"train": "train.json", "validation": "val.json", "test": "test.json"}
LONGEST_QUERY = 32
#: Steps of the longest answer that Feng et al. search, 1024 frames; every rival keeps to it.
LONGEST_ANSWER = 64


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
    """A query and the reference it is looked for in.

    Args:
        query, reference: indices of items.
        same_item: the query is to be found in its own stretch of video.
        same_video: both are of one video; true of the same item too.
    """

    query: int
    reference: int
    same_item: bool
    same_video: bool


def official_pairs(items: Sequence[RelocItem]) -> list[OfficialPair]:
    """The evaluation pairs of the released code, without TensorFlow, of items in the published order.

    The candidates of query i are the items of its class, itself not excluded, whose stretch is at least as
    long as the query, in the file's order. The code draws one with TensorFlow's graph mode and operation
    seed 6: Philox4x32-10 of the key (87654321, 0) and the counter (256 i, 0, 6, 0), first word modulo the
    number of candidates.
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
    """The items of a published file; :class:`DataError` with the numbers of the first malformed ones."""
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

    Attributes:
        lengths: steps of whole videos. A step counts as one second: the published files hold no frame rates,
            and overlaps do not depend on them.
        notes: what was left out.

    Raises:
        DataError: if a file is malformed, classes are shared between splits, features are missing, or a
            video's features are of another length than the files say, by more than 5 %.
    """

    def __init__(
        self, root: str | Path, store: FeatureStore | None = None, skip_missing: bool = False
    ) -> None:
        self.root = Path(root)
        self.store = store
        self.notes: list[str] = []
        self._items = {name: read_items(self.root / file) for name, file in FILES.items()}
        for (one, items), (other, others) in itertools.combinations(self._items.items(), 2):
            shared = sorted({item.label for item in items} & {item.label for item in others})
            if shared:
                raise DataError(f"Splits {one} and {other} of {root} share the class {shared[0]!r}")
        self.lengths = read_lengths(self.root / "length.json")
        if store is not None:
            self._check_features(store, skip_missing)

    def _check_features(self, store: FeatureStore, skip_missing: bool) -> None:
        everything = [item for items in self._items.values() for item in items]
        missing = store.missing(item.video_id for item in everything)
        if missing:
            shown = ", ".join(missing[:SHOWN]) + (" …" if len(missing) > SHOWN else "")
            note = f"{len(missing)} annotated videos have no features in {store.path}: {shown}"
            if not skip_missing:
                raise DataError(f"{note}. --skip-missing leaves them out")
            for name, items in self._items.items():
                self._items[name] = [item for item in items if item.video_id in store]
                if not self._items[name]:
                    raise DataError(f"{note}. No item of {FILES[name]} is left")
            self.notes.append(f"{note}; left out")
        problems = []
        for video_id in sorted({item.video_id for items in self._items.values() for item in items}):
            steps, expected = store.num_steps(video_id), self.lengths.get(video_id)
            if expected is not None and abs(steps - expected) > max(1.0, 0.05 * expected):
                problems.append(f"{video_id} has {steps} steps, expected {expected}")
        refuse(problems, store.path)

    def splits(self) -> dict[str, RelocalizationSplit]:
        """``train``, ``validation`` and ``test`` with the official pairs."""
        return {name: self._split(name, items) for name, items in self._items.items()}

    def items(self, split: str) -> list[RelocItem]:
        """Those of ``train``, ``validation`` or ``test``, in the published order."""
        if split not in self._items:
            raise DataError(f"Expected one of {', '.join(self._items)} (got {split!r})")
        return self._items[split]

    def _split(self, name: str, items: Sequence[RelocItem]) -> RelocalizationSplit:
        queries, references = [], []
        for number, item in enumerate(items):
            start, stop = item.location
            low, high = item.groundtruth
            clip = self._features(item.video_id, start + low, start + high)
            queries.append(StoredQuery(clip, 1.0, item.label, item.video_id))
            references.append(
                StoredReference(
                    self._features(item.video_id, start, stop),
                    1.0,
                    torch.tensor([[low, high]], dtype=torch.float64),
                    (item.label,),
                    f"{item.video_id}#{number}",
                    (item.video_id,),
                    float(start),
                )
            )
        pairs = [(pair.query, pair.reference) for pair in official_pairs(items)]
        return RelocalizationSplit(f"video_reloc-{name}", queries, references, pairs)

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

    def read(self) -> torch.Tensor:
        """``[num_steps, F]`` float32."""
        features = self.stored.read()
        missing = self.num_steps - len(features)
        return torch.cat([features, features[-1:].expand(missing, -1)])[: self.num_steps]

    def part(self, start: int, stop: int) -> FeaturePart:
        """Some of these steps."""
        return FeaturePart(self, start, stop)


def read_lengths(path: Path) -> dict[str, int]:
    """Steps of every video of ``length.json``; none where there is no such file."""
    if not path.exists():
        return {}
    values = read_json(path)
    try:
        return {video_id: int(value["n_feat"]) for video_id, value in values.items()}
    except (AttributeError, KeyError, TypeError, ValueError, OverflowError) as error:
        raise DataError(f"Expected n_feat of every video in {path} (got {error!r})") from None


def read_splits(request: Request) -> Loaded:
    """The published splits, with the features that were given."""
    reloc = VideoReloc(request.root, request.store, request.skip_missing)
    return Loaded(reloc.splits(), reloc.notes, reloc.lengths)


TASK = Task("video_reloc", read_splits, longest=LONGEST_ANSWER)
