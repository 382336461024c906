"""What is kept of a benchmark: every answer, and the pairs that were asked, in two small files.

All tables are made from them, without data and without training.
"""

from __future__ import annotations

import gzip
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from torch import Tensor

from vreloc_pyg.datasets.splits import RelocalizationSplit
from vreloc_pyg.errors import DataError, reading
from vreloc_pyg.evaluation.hits import best_tiou, passes
from vreloc_pyg.evaluation.metrics import Metric, with_curve
from vreloc_pyg.files import replacing
from vreloc_pyg.segments import read_spans, spans_text

PREDICTIONS_NAME, PAIRS_NAME = "predictions.csv.gz", "pairs.csv.gz"

#: What tells a run, then what it answered; ``query`` to ``label`` follow from the pair.
RUN = ("system", "kin", "kind", "fold", "seed", "pair")
OF_PAIR = ("query", "query_id", "reference_id", "label")
ANSWER = ("start_s", "end_s", "score", "probability", "seconds", "parameters", "train_s", "about")
TEXT = dict.fromkeys(
    ("system", "kin", "kind", "about", "query_id", "reference_id", "label", "truths", "others"), str
)
NUMBERS = {"fold", "seed", "pair", "query", "query_s", "duration_s", *ANSWER} - {"about"}
NEEDED_OF_ANSWERS = ("system", "kin", "kind", "fold", "pair", "start_s", "end_s")
NEEDED_OF_PAIRS = ("fold", "pair", *OF_PAIR, "truths")
#: For ``pandas.read_csv``: every digit counts, and pandas 2 errs in the last one unless it is told so.
EXACT: dict[str, Any] = {} if int(pd.__version__.split(".")[0]) >= 3 else {"float_precision": "round_trip"}
#: The largest table that is read, in bytes; those of five folds and 14 systems have 2 MB.
MOST_BYTES = 2**27


def rounded(frame: pd.DataFrame) -> pd.DataFrame:
    """Answers with the digits that mean something: 5 of scores and probabilities, 10 µs of the time taken.

    Starts and ends stay exact, since whether an answer is right may hang on the last digit.
    """
    frame = frame.copy()
    for column in ("score", "probability"):
        if column in frame:
            frame[column] = [float(f"{value:.5g}") for value in frame[column]]
    return frame.assign(seconds=frame["seconds"].round(5))


def pairs_table(splits: Mapping[int, RelocalizationSplit]) -> pd.DataFrame:
    """The pairs of test splits by fold: first those whose reference shows the action, then the others.

    Columns are ``fold``, ``pair``, ``query`` (its number in the split), ``query_id``, ``reference_id``,
    ``label``, ``kind`` (``"present"`` or ``"absent"``), ``duration_s`` of the reference, and ``truths``, its
    instances of the class in seconds (:func:`.spans_text`). ``query_s``, the query's duration, and
    ``others``, the reference's instances of other classes, are for pictures.
    """
    rows = []
    for fold, split in splits.items():
        for pair, (q, r) in enumerate([*split.pairs, *split.absent]):
            query, reference = split.queries[q], split.references[r]
            rows.append(
                {
                    "fold": fold,
                    "pair": pair,
                    "query": q,
                    "query_id": query.video_id,
                    "reference_id": reference.video_id,
                    "label": query.label,
                    "kind": "present" if pair < len(split) else "absent",
                    "query_s": query.duration_s,
                    "duration_s": reference.duration_s,
                    "truths": spans_text(reference.segments_of(query.label)),
                    "others": spans_text(
                        reference.segments[[one != query.label for one in reference.labels]]
                    ),
                }
            )
    return pd.DataFrame(rows)


def predictions_table(frame: pd.DataFrame) -> pd.DataFrame:
    """Of answers what cannot be computed again; metrics only of expectations, which no answer tells."""
    kept = [name for name in (*RUN, *ANSWER) if name in frame]
    if not (frame["kind"] == "expected").any():
        return frame[kept]
    known = {*RUN, *OF_PAIR, *ANSWER}
    judged = [name for name in map(str, frame.columns) if name not in known]
    return pd.concat([frame[kept], frame[judged].where(frame["kind"] == "expected")], axis=1)


def recompute(
    predictions: pd.DataFrame, pairs: pd.DataFrame, metrics: Sequence[Metric] | None = None
) -> pd.DataFrame:
    """The answers as :func:`~vreloc_pyg.evaluation.evaluate` judged them, with every metric.

    Args:
        predictions, pairs: of :func:`predictions_table` and :func:`pairs_table`.
        metrics: those that look at one answer only. (default: those of tables and curves)

    Raises:
        DataError: if a pair is missing, or predictions hold no expectation of a metric.
    """
    metrics = with_curve() if metrics is None else metrics
    predictions, keys = predictions.reset_index(drop=True), ["fold", "pair"]
    for table, needed in ((predictions, NEEDED_OF_ANSWERS), (pairs, NEEDED_OF_PAIRS)):
        missing_columns = [name for name in needed if name not in table]
        if missing_columns:
            raise DataError(f"A table of a benchmark lacks the columns {', '.join(missing_columns)}")
    if pairs.duplicated(keys).any():
        raise DataError("The table of pairs names a pair of a fold twice")
    about = pairs.set_index(keys)
    asked = pd.MultiIndex.from_frame(predictions[keys])
    missing = asked.difference(about.index)
    if len(missing):
        fold, pair = missing[0]
        raise DataError(f"Pair {pair} of fold {fold} was answered, but is not among the pairs")
    of_pair = about.loc[asked].reset_index(drop=True)
    judged: list[dict[str, float]] = []
    columns = ["tiou", *(metric.column for metric in metrics)]
    rows = predictions.assign(truths=of_pair["truths"].to_numpy())
    for _, row in rows.iterrows():
        if row["kind"] == "expected":
            absent = [name for name in columns if name not in row]
            if absent:
                raise DataError(f"The predictions of {row['system']!r} hold no expectation of {absent[0]}")
            judged.append({name: float(row[name]) for name in columns})
        elif row["kind"] == "absent":
            judged.append(dict.fromkeys(columns, float("nan")))
        else:
            bounds = [] if pd.isna(row["start_s"]) else [[row["start_s"], row["end_s"]]]
            answer = torch.tensor(bounds, dtype=torch.float64).reshape(-1, 2)
            judged.append(_judged(answer, read_spans(row["truths"]), metrics))
    table = pd.DataFrame(judged, columns=list(dict.fromkeys(columns)))
    parts = {name: predictions[name] for name in (*RUN, *ANSWER) if name in predictions}
    parts |= {name: of_pair[name] for name in OF_PAIR}
    order = ("system", "kin", "kind", "pair", *OF_PAIR, "start_s", "end_s", "score", "probability", "tiou")
    frame = pd.concat([pd.DataFrame(parts), table], axis=1)
    first = [name for name in (*order, "seconds") if name in frame]
    last = [name for name in ("fold", "seed", "parameters", "train_s", "about") if name in frame]
    return frame[[*first, *(name for name in table if name not in first), *last]]


def _judged(answer: Tensor, truths: Tensor, metrics: Sequence[Metric]) -> dict[str, float]:
    tiou = best_tiou(answer, truths)
    found = {"tiou": float(tiou.sum())}
    for metric in metrics:
        if metric.threshold is not None:  # what most metrics are, in one tIoU
            found[metric.column] = float(passes(tiou, [metric.threshold]).any())
        else:
            found[metric.column] = metric.of_answers(answer, truths)
    return found


def save_table_gz(path: str | Path, frame: pd.DataFrame) -> Path:
    """A CSV, compressed; the same table gives the same bytes."""
    text = frame.to_csv(index=False, lineterminator="\n")
    with replacing(path) as unfinished:
        unfinished.write_bytes(gzip.compress(text.encode(), compresslevel=9, mtime=0))
    return Path(path)


def read_table_gz(path: str | Path) -> pd.DataFrame:
    """A table of :func:`save_table_gz`, number by number as it was; :class:`DataError` if there is none."""
    with reading(f"the table {path}"):
        content = bytearray()
        with gzip.open(path) as file:
            while block := file.read(2**20):  # block by block: a few bytes may unpack to gigabytes
                content += block
                if len(content) > MOST_BYTES:
                    raise DataError(f"The table {path} holds more than {MOST_BYTES >> 20} MiB")
        frame = pd.read_csv(io.StringIO(content.decode()), dtype=TEXT, **EXACT)
        for name in NUMBERS & set(frame):
            frame[name] = pd.to_numeric(frame[name])
    texts = [name for name in TEXT if name in frame]
    return frame.fillna(dict.fromkeys(texts, ""))
