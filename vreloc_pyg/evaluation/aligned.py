"""Results of several systems on the same pairs, side by side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from vreloc_pyg.errors import DataError
from vreloc_pyg.evaluation.intervals import FloatArray
from vreloc_pyg.evaluation.metrics import METRICS, Metric
from vreloc_pyg.systems.protocol import KINS

NEEDED = {"system", "kin", "kind", "pair", "query", "label", "tiou", "seconds"}


@dataclass(frozen=True, eq=False)
class Answers:
    """What S systems are worth on the same N pairs, by K metrics.

    Args:
        systems: ``system``, ``kin``, ``kind`` and mean ``seconds``, S rows in the order of the frames.
        pairs: ``fold``, ``pair``, ``query`` and ``label``, N rows, sorted by the first two.
        values: ``[S, N, K]``, averaged over seeds; NaN where a system has no value.
    """

    systems: pd.DataFrame
    pairs: pd.DataFrame
    values: FloatArray

    @property
    def num_queries(self) -> int:
        """Number of different queries: some are asked of several references."""
        return len(self.pairs[["fold", "query"]].drop_duplicates())

    def place_of(self, name: str) -> int:
        """Row of a system; :class:`DataError`, with those there are, if none has the name."""
        names = self.systems["system"].tolist()
        if name not in names:
            raise DataError(f"Expected 'rival' to be one of {names} (got {name!r})")
        return names.index(name)


def joined(frames: pd.DataFrame | Sequence[pd.DataFrame]) -> pd.DataFrame:
    """The frames as one, with a fold and a seed for every row; :class:`DataError` if they lack columns."""
    frame = frames if isinstance(frames, pd.DataFrame) else pd.concat(list(frames), ignore_index=True)
    missing = NEEDED - set(frame.columns)
    if missing or frame.empty:
        raise DataError(
            f"Expected the result of evaluate() with rows (lacks {sorted(missing) or 'rows'}); predictions "
            "without 'kin' or 'query', of an earlier version, are to be made anew"
        )
    # Rules, which nothing trains, have no seed where systems beside them do.
    given = {name: frame[name].fillna(0) if name in frame else 0 for name in ("fold", "seed")}
    return frame.assign(**given)


def align(frames: pd.DataFrame | Sequence[pd.DataFrame], metrics: Sequence[Metric] | None = None) -> Answers:
    """Results of :func:`~vreloc_pyg.evaluation.evaluate` side by side, of pairs that hold the action.

    Args:
        frames: with columns ``fold`` and ``seed`` where there are several.
        metrics: what to look at. (default: see :func:`held_metrics`)

    Raises:
        DataError: if columns are missing, a system has several kins, or systems or seeds did not answer the
            same pairs.
    """
    frame = joined(frames)
    frame = frame[frame["kind"] != "absent"]
    metrics = held_metrics(frame, metrics)
    systems = frame[["system", "kin"]].drop_duplicates(ignore_index=True)
    names = systems["system"].tolist()
    unknown = sorted(set(map(str, systems["kin"])) - set(KINS))
    if unknown or len(set(names)) < len(names):
        raise DataError(f"Expected one kin per system, of {', '.join(KINS)} (got {unknown or 'several'})")
    rank = frame["system"].map({name: index for index, name in enumerate(names)})
    by_pair = frame.assign(rank=rank).groupby(["rank", "fold", "pair"])
    columns = [metric.column for metric in metrics]
    known = by_pair[columns].count().to_numpy() == by_pair.size().to_numpy()[:, None]
    values = np.where(known, by_pair[columns].mean().to_numpy(dtype=np.float64), np.nan)
    keys = by_pair[["query", "label"]].first().reset_index()
    _check_pairs(frame, names, keys.assign(seeds=by_pair.size().to_numpy()))
    pairs = keys.loc[keys["rank"] == 0, ["fold", "pair", "query", "label"]]
    by_system = frame.groupby("system", sort=False)
    systems["kind"] = by_system["kind"].first().to_numpy()
    systems["seconds"] = by_system["seconds"].mean().to_numpy()
    return Answers(systems, pairs, values.reshape(len(names), len(pairs), len(columns)))


def _check_pairs(frame: pd.DataFrame, names: Sequence[str], keys: pd.DataFrame) -> None:
    """Check that every system and every one of its seeds answered the same pairs once."""
    twice = frame.loc[frame.duplicated(["system", "fold", "seed", "pair"]), "system"]
    if len(twice):
        raise DataError(f"System {twice.iloc[0]!r} answered a pair of a fold more than once")
    wanted = keys.loc[keys["rank"] == 0, ["fold", "pair"]].to_numpy()
    for number, name in enumerate(names):
        own = keys[keys["rank"] == number]
        if not np.array_equal(own[["fold", "pair"]].to_numpy(), wanted):
            raise DataError(
                f"Expected every system to answer the same pairs: {names[0]!r} has {len(wanted)} rows, "
                f"{name!r} has {len(own)}, and they are not the same"
            )
        if (own.groupby("fold")["seeds"].nunique() > 1).any():
            raise DataError(f"The seeds of {name!r} did not answer the same pairs")


def held_metrics(frame: pd.DataFrame, metrics: Sequence[Metric] | None = None) -> list[Metric]:
    """Metrics that a frame must hold; by default those of ``METRICS`` that it does."""
    chosen = [metric for metric in METRICS if metric.column in frame] if metrics is None else list(metrics)
    absent = [metric.name for metric in chosen if metric.column not in frame]
    if absent or not chosen:
        raise DataError(f"Expected the result of evaluate() with these metrics (lacks {absent or 'all'})")
    return chosen
