"""From whole annotated videos to queries, references and pairs of disjoint classes."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np

from vreloc_pyg.datasets.folds import SPLITS, ClassFold
from vreloc_pyg.datasets.reading import Notes
from vreloc_pyg.datasets.splits import (
    Query,
    Reference,
    RelocalizationSplit,
    StoredQuery,
    StoredReference,
    changed,
    cut,
)
from vreloc_pyg.datasets.stretches import stretches_between
from vreloc_pyg.errors import DataError

#: A query's and a reference's id.
NamedPair = tuple[str, str]


def class_splits(
    name: str,
    references: Sequence[Reference],
    classes: ClassFold,
    queries: Sequence[Query] | None = None,
    pairs: Sequence[NamedPair] | None = None,
    seed: int = 0,
    notes: Notes | None = None,
) -> dict[str, RelocalizationSplit]:
    """``train``, ``validation`` and ``test`` of disjoint classes.

    References of validation and test are whole videos; those of training are the stretches of video that
    show no class of validation or test. A query is never paired with a reference that shares a source
    with it.

    Args:
        name: of the data set.
        references: whole videos.
        classes: must know every class that is shown.
        queries: clips. (default: every annotated instance)
        pairs: which pairs of validation and test are evaluated, by the ids of query and reference; those
            whose reference lacks the query's class become absent pairs. (default: each query with one
            reference of its class, drawn by ``seed``)
        seed: decides drawn pairs.
        notes: told where validation pairs are drawn although others were given.

    Raises:
        DataError: if ``classes`` lack one that is shown, or a split has no pair.
    """
    check_classes(classes, references, queries or ())
    splits: dict[str, RelocalizationSplit] = {}
    for key in SPLITS:
        title, kept = f"{name}-{key}", set(getattr(classes, key))
        asked = None if queries is None else [query for query in queries if query.label in kept]
        if key != "train" and asked is not None and pairs is not None:
            listed = listed_split(title, asked, references, pairs)
            if listed is not None:
                splits[key] = listed
                continue
            if key == "test":
                raise DataError(f"No pair that is listed asks for a test class of {name} that is shown there")
            if notes is not None:
                notes.add("splits without a listed pair, whose pairs were drawn", title)
        shown = [reference for reference in references if not kept.isdisjoint(reference.labels)]
        parts = [stretches_without(one, kept) if key == "train" else [one] for one in shown]
        if asked is None:
            asked = [
                instance_query(part, whole, label, start, stop)
                for whole, those in zip(shown, parts, strict=True)
                for part in those
                for label in sorted(kept & set(part.labels))
                for start, stop in part.steps_of(label).tolist()
            ]
        every = [part for those in parts for part in those]
        drawn = draw_pairs(asked, every, seed)
        if not drawn:
            raise DataError(
                f"No class of the {key} split of {name} is shown by two videos without a common source: "
                "nothing to look for"
            )
        splits[key] = RelocalizationSplit(title, asked, every, drawn)
    return splits


def listed_split(
    title: str, queries: Sequence[Query], references: Sequence[Reference], pairs: Sequence[NamedPair]
) -> RelocalizationSplit | None:
    """The listed pairs of some queries with the references that they name; ``None`` if no action is there."""
    place = {query.video_id: index for index, query in enumerate(queries)}
    kept = [(place[query], reference) for query, reference in pairs if query in place]
    named = {reference for _, reference in kept}
    own = [reference for reference in references if reference.video_id in named]
    number = {reference.video_id: index for index, reference in enumerate(own)}
    present: list[tuple[int, int]] = []
    absent: list[tuple[int, int]] = []
    for query, reference in kept:
        shown = queries[query].label in own[number[reference]].labels
        (present if shown else absent).append((query, number[reference]))
    return RelocalizationSplit(title, queries, own, present, absent) if present else None


def stretches_without(reference: Reference, kept: Collection[str]) -> list[Reference]:
    """The parts of a video between instances of classes not in ``kept``.

    A training video must not show the classes held out for validation and test, not even as background;
    every part that still holds a whole instance becomes a reference ``<video_id>/<number>``. A video
    without such classes is returned as it is.
    """
    step, whole = reference.seconds_per_step, (0, reference.num_steps)
    stretches = stretches_between(
        reference.segments.tolist(), reference.labels, kept, step, reference.num_steps
    )
    if [stretch[:2] for stretch in stretches] == [whole]:
        return [reference]
    parts = []
    for number, (first, last, inside) in enumerate(stretches):
        length_s = (last - first) * step
        part = changed(
            cut(reference, first, last),
            segments=(reference.segments[inside] - first * step).clamp(min=0, max=length_s),
            labels=tuple(reference.labels[index] for index in inside),
            video_id=f"{reference.video_id}/{number}",
            sources=(reference.video_id, *reference.sources),
            offset_s=reference.offset_s + first * step,
            cut_from=reference.cut_from or reference.video_id,
            joins=tuple(join - first for join in reference.joins if first < join < last),
        )
        parts.append(part)
    return parts


def instance_query(part: Reference, whole: Reference, label: str, start: int, stop: int) -> Query:
    """Steps of a part of a video as a query, which is as little searched in its sources as the video is."""
    about = (part.seconds_per_step, label, whole.video_id, whole.sources)
    if isinstance(part, StoredReference):
        return StoredQuery(part.stored.part(start, stop), *about)
    return Query(part.features[start:stop], *about)


def draw_pairs(queries: Sequence[Query], references: Sequence[Reference], seed: int) -> list[tuple[int, int]]:
    """For each query one reference that shows its class and shares no source with it, where there is one."""
    by_label: dict[str, list[int]] = {}
    for index, reference in enumerate(references):
        for label in sorted(set(reference.labels)):
            by_label.setdefault(label, []).append(index)
    rng = np.random.default_rng([seed, 1])
    pairs = []
    for index, query in enumerate(queries):
        others = [i for i in by_label.get(query.label, ()) if not references[i].shares_source(query)]
        draw = rng.random()  # drawn for every query, so that one query's fate does not move the next one's
        if others:
            pairs.append((index, others[int(draw * len(others))]))
    return pairs


def check_classes(classes: ClassFold, references: Sequence[Reference], queries: Sequence[Query] = ()) -> None:
    """Raise :class:`DataError` if a clip shows a class that the class split does not know."""
    known = {*classes.train, *classes.validation, *classes.test}
    shown = [(clip.video_id, label) for clip in references for label in sorted(set(clip.labels))]
    shown += [(query.video_id, query.label) for query in queries]
    unknown = [(video_id, label) for video_id, label in shown if label not in known]
    if unknown:
        video_id, label = unknown[0]
        number = len({label for _, label in unknown})
        raise DataError(
            f"The class split knows nothing of {number} classes, first {label!r} of video {video_id!r}; "
            "draw one for this data with `vreloc split`"
        )
