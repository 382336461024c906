"""The phenomenon that the paper sets out from, measured: are single steps alike where whole clips are?"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from scipy import stats
from torch import Tensor
from torch.nn.functional import normalize

from vreloc_pyg.datasets.splits import Query, Reference, RelocalizationSplit
from vreloc_pyg.errors import DataError
from vreloc_pyg.evaluation import mean_interval
from vreloc_pyg.sequences.windows import equidistant_steps

FloatArray = NDArray[np.float64]

#: Queries and annotated instances of a class that are compared, and pairs of them of either kind, at most.
MOST_CLIPS, MOST_PAIRS = 50, 500
#: Equidistant steps of a clip that are looked at.
NUM_STEPS = 8

#: What of two clips is compared, from single steps to the whole.
COMPARED = (
    ONE_STEP := "one step, same position",
    OTHER_STEP := "one step, other position",
    BEST_STEP := "one step, best match",
    ALL_STEPS := "all steps, same position",
    "all steps, best matches",
    CLIP_MEANS := "clip means",
)
#: How: by the cosine of features, or by minus their Euclidean distance.
SIMILARITIES = ("cosine", "distance")

#: Similarities of pairs by (similarity, compared): ``[N, S]`` with S steps, or ``[N, 1]`` of whole clips.
Values = dict[tuple[str, str], FloatArray]


class Asked(NamedTuple):
    """A query and its features ``[T, F]``, read once where they lie in a store."""

    query: Query
    features: Tensor


class Instance(NamedTuple):
    """An annotated instance: the reference it is in, and its own features ``[T, F]``."""

    reference: Reference
    features: Tensor


class ClassValues(NamedTuple):
    """Similarities of the queries of a class to instances of the ``same`` and of ``different`` classes."""

    same: Values
    different: Values


def clip_similarities(query: Tensor, other: Tensor) -> dict[tuple[str, str], Tensor]:
    """Every similarity of two clips, by (similarity, compared).

    Steps are those of :func:`.equidistant_steps`, so that the same position is the same share of a clip; the
    other position is half a clip away, counted round. The best match of a step of the query is the most
    similar of *all* steps of the other clip.

    Args:
        query, other: features, ``[Tq, F]`` and ``[T, F]``.

    Returns:
        ``[S]`` for single steps, ``[1]`` for averages over steps and for clip means.
    """
    lengths = torch.tensor([len(query), len(other)])
    own, theirs = equidistant_steps(lengths, NUM_STEPS)  # [S] each
    means = query.mean(0, keepdim=True), other.mean(0, keepdim=True)
    found = {}
    for name in SIMILARITIES:
        if name == "cosine":
            table = normalize(query[own]) @ normalize(other).T  # [S, T]
            whole = (normalize(means[0]) * normalize(means[1])).sum(1)
        else:
            table = -torch.cdist(query[own], other, compute_mode="donot_use_mm_for_euclid_dist")
            whole = -(means[0] - means[1]).norm(dim=1)
        away = table.gather(1, theirs.roll(NUM_STEPS // 2)[:, None])[:, 0]
        aligned, best = table.gather(1, theirs[:, None])[:, 0], table.amax(1)
        parts = (aligned, away, best, aligned.mean(0, keepdim=True), best.mean(0, keepdim=True), whole)
        found.update({(name, compared): part for compared, part in zip(COMPARED, parts, strict=True)})
    return found


def measure_phenomenon(splits: Sequence[RelocalizationSplit], seed: int = 0) -> dict[str, ClassValues]:
    """Similarities of pairs of clips of the same and of different classes, by the query's class.

    A pair is a query and an annotated instance of a reference that shares no source with it. Of a class at
    most 50 queries and 50 instances are drawn, and 500 pairs of either kind; a class of which no two clips
    can be paired is left out.

    Args:
        splits: whose queries, and instances of their classes, are compared; their classes are disjoint.
        seed: decides which.

    Raises:
        DataError: if fewer than two classes can be compared.
    """
    rng = np.random.default_rng(seed)
    clips = {label: _clips_of(split, label, rng) for split in splits for label in split.classes}
    found = {}
    for label, (queries, instances) in clips.items():
        every = [(one, other) for one in queries for other in instances if _apart(one, other)]
        same = [every[index] for index in rng.permutation(len(every))[:MOST_PAIRS]]
        others = [instance for name, (_, theirs) in clips.items() if name != label for instance in theirs]
        drawn = rng.integers([[len(queries)], [max(len(others), 1)]], size=(2, 2 * MOST_PAIRS)).T.tolist()
        different = [(queries[q], others[i]) for q, i in drawn if others and _apart(queries[q], others[i])]
        if same and different:
            found[label] = ClassValues(_values(same), _values(different[:MOST_PAIRS]))
    if len(found) < 2:
        raise DataError(
            "Expected at least two classes of which a query and an instance share no source "
            f"(got {', '.join(found) or 'none'} of {', '.join(clips)})"
        )
    return found


def _clips_of(
    split: RelocalizationSplit, label: str, rng: np.random.Generator
) -> tuple[list[Asked], list[Instance]]:
    queries = [query for query in split.queries if query.label == label]
    asked = [queries[index] for index in rng.permutation(len(queries))[:MOST_CLIPS]]
    spans = [(one, span) for one in split.references for span in one.steps_of(label).tolist()]
    chosen = [spans[index] for index in rng.permutation(len(spans))[:MOST_CLIPS]]
    instances = [Instance(one, one.features[start:end]) for one, (start, end) in chosen]
    return [Asked(query, query.features) for query in asked], instances


def _apart(asked: Asked, instance: Instance) -> bool:
    return not instance.reference.shares_source(asked.query)


def _values(pairs: Sequence[tuple[Asked, Instance]]) -> Values:
    each = [clip_similarities(query.features, other.features) for query, other in pairs]
    return {key: torch.stack([one[key] for one in each]).double().numpy() for key in each[0]}


def auroc(positive: FloatArray, negative: FloatArray) -> float:
    """Probability that a positive value is above a negative one, ties counted half; of any shapes."""
    ranks = stats.rankdata(np.concatenate([positive.ravel(), negative.ravel()]))
    above = ranks[: positive.size].sum() - positive.size * (positive.size + 1) / 2
    return float(above / (positive.size * negative.size))


def rank_correlation(one: FloatArray, other: FloatArray) -> float:
    """Spearman's correlation of two lists of values; NaN where one of them is constant."""
    ranks = [stats.rankdata(values) for values in (one, other)]
    if any(np.ptp(values) == 0 for values in ranks):
        return float("nan")
    return float(np.corrcoef(*ranks)[0, 1])


def class_table(found: Mapping[str, ClassValues]) -> pd.DataFrame:
    """A row for every class and every comparison.

    Columns are ``class, similarity, compared``; ``AUROC`` of pairs of the same against pairs of different
    classes; ``correlation``, by rank, with the clip means of the same pairs, over pairs of the same class;
    the mean similarities ``same`` and ``different``; and the numbers of pairs of either kind.
    """
    rows = []
    for label, (same, different) in found.items():
        for (similarity, compared), values in same.items():
            whole = np.broadcast_to(same[similarity, CLIP_MEANS], values.shape)
            others = different[similarity, compared]
            rows.append(
                {
                    "class": label,
                    "similarity": similarity,
                    "compared": compared,
                    "AUROC": auroc(values, others),
                    "correlation": rank_correlation(values.ravel(), whole.ravel()),
                    "same": values.mean(),
                    "different": others.mean(),
                    "same pairs": len(values),
                    "different pairs": len(others),
                }
            )
    return pd.DataFrame(rows)


def phenomenon_table(classes: pd.DataFrame) -> pd.DataFrame:
    """Means over classes with 95 % t-intervals, a row for every comparison.

    ``AUROC`` and ``correlation`` are those of :func:`class_table`; ``behind clip means`` is by how much the
    AUROC is less than that of the clip means, class by class.
    """
    rows = []
    for similarity, own in classes.groupby("similarity", sort=False):
        by_class = own.pivot(index="class", columns="compared", values=["AUROC", "correlation"])
        for compared in COMPARED:
            parts = {"AUROC": by_class["AUROC", compared]}
            if compared != CLIP_MEANS:  # they are level with themselves
                parts["behind clip means"] = by_class["AUROC", CLIP_MEANS] - by_class["AUROC", compared]
                parts["correlation"] = by_class["correlation", compared]
            row: dict[str, object] = {"similarity": similarity, "compared": compared}
            for name, values in parts.items():
                row.update(zip((name, f"{name} low", f"{name} high"), known_interval(values), strict=True))
            rows.append({**row, "classes": len(by_class)})
    return pd.DataFrame(rows)


def known_interval(values: pd.Series) -> tuple[float, ...]:
    """:func:`.mean_interval` of what is known of some classes; NaN where nothing is."""
    known = values.dropna().to_numpy()
    return tuple(map(float, np.ravel(mean_interval(known[:, None])))) if len(known) else (math.nan,) * 3
