"""One's own data set from Python, without files."""

from __future__ import annotations

from collections.abc import Sequence

from vreloc_pyg.datasets.class_splits import NamedPair, class_splits
from vreloc_pyg.datasets.folder_json import check_fold
from vreloc_pyg.datasets.folds import ClassFold
from vreloc_pyg.datasets.reading import Notes, refuse
from vreloc_pyg.datasets.splits import Query, Reference, check_features
from vreloc_pyg.datasets.task import suiting_windows
from vreloc_pyg.datasets.tasks import TaskData
from vreloc_pyg.errors import DataError
from vreloc_pyg.proposals.sliding_window import SlidingWindows
from vreloc_pyg.sequences.pose import Skeleton


def own_task(
    queries: Sequence[Query] | None,
    references: Sequence[Reference],
    classes: ClassFold,
    pairs: Sequence[NamedPair] | None = None,
    skeleton: Skeleton | None = None,
    windows: SlidingWindows | None = None,
    seed: int = 0,
    name: str = "own",
) -> TaskData:
    """One fold of a data set of one's own, as the commands and :func:`.train_system` take it.

    Training references are cut down to the stretches that show no class of validation or test, and no query
    is searched in a reference that shares a source with it.

    Args:
        queries: clips, ``video_id`` their id. (default: ``None``, every annotated instance)
        references: whole annotated videos, some of which may show no action at all.
        classes: of training, validation and test, two each or more.
        pairs: ids of query and reference that are evaluated in validation and test; where the reference
            does not show the query's class, the right answer is that it is not there. (default: each query
            with one reference of its class, drawn by ``seed``)
        skeleton: of pose features, see :func:`.pose_features`; ``None`` for other features.
        windows: candidates. (default: as long as training actions, or twice or half as long)
        seed: decides what is drawn.
        name: for tables.

    Raises:
        DataError: if ids are there twice or unknown, a pair shares a source, or a split has one class or no
            pair.
        FeatureError: if features are not as wide as each other, or as the skeleton says.
    """
    refuse(check_ids(queries, references, pairs), name)
    shown = {label for reference in references for label in reference.labels}
    shown |= {query.label for query in queries or ()}
    refuse([f"the class split {problem}" for problem in check_fold(classes, shown)], name)
    width = None if skeleton is None else skeleton.num_features
    clips: list[Query | Reference] = [*references, *(queries or ())]
    for clip in clips:
        width = check_features(clip.features, f"{name}, clip {clip.video_id!r}", width).size(1)
    notes = Notes()
    splits = class_splits(name, references, classes, queries, pairs, seed, notes)
    windows = windows or suiting_windows(splits["train"])
    lengths = windows.shortest, windows.longest
    return TaskData(name, splits, windows, skeleton, *lengths, notes=notes.lines())


def check_ids(
    queries: Sequence[Query] | None, references: Sequence[Reference], pairs: Sequence[NamedPair] | None
) -> list[str]:
    """Ids that are there twice, and pairs that name unknown ones or share a source."""
    if queries is None and pairs is not None:
        raise DataError("Pairs name queries by their ids: give the queries too")
    asked = {query.video_id: query for query in queries or ()}
    searched = {reference.video_id: reference for reference in references}
    problems = []
    for kind, clips, known in (("queries", queries or (), asked), ("references", references, searched)):
        if len(clips) != len(known):
            ids = [clip.video_id for clip in clips]
            twice = next(one for one in ids if ids.count(one) > 1)
            problems.append(f"two {kind} have the id {twice!r}")
    for number, (one, other) in enumerate(pairs or ()):
        query, reference = asked.get(one), searched.get(other)
        if query is None:
            problems.append(f"pair {number} names the query {one!r}, which is not among the queries")
        if reference is None:
            problems.append(f"pair {number} names the reference {other!r}, which is not among the references")
        if query is not None and reference is not None and reference.shares_source(query):
            problems.append(f"pair {number} searches {one!r} in {other!r}, with which it shares a source")
    return problems
