"""Predictions of systems, as frames."""

import numpy as np
import pandas as pd

from vreloc_pyg.evaluation import THRESHOLDS


def frame_of(
    system, tious, fold=0, kind="answer", kin="rival", thresholds=THRESHOLDS, labels=None, queries=None
):
    """What evaluate() returns for answers of given overlaps; by default each query is of its own class."""
    frame = pd.DataFrame(
        {"system": system, "kin": kin, "kind": kind, "pair": range(len(tious)), "fold": fold}
    )
    frame["query"] = frame["pair"] if queries is None else queries
    frame["query_id"] = [f"q{query}" for query in frame["query"]]
    frame["reference_id"] = [f"r{fold}{pair}" for pair in frame["pair"]]
    frame["label"] = [f"c{fold}{query}" for query in frame["query"]] if labels is None else labels
    frame["start_s"], frame["end_s"] = np.nan if kind == "expected" else 4.0, 6.0
    frame["tiou"], frame["seconds"] = np.asarray(tious, dtype=float), 0.002
    for threshold in thresholds:
        frame[f"R@1({threshold:g})"] = (frame["tiou"] > threshold).astype(float)
    names = [f"R@1({threshold:g})" for threshold in (0.5, 0.6, 0.7, 0.8, 0.9)]
    return frame.assign(**{"R@1 avg": frame[names].mean(axis=1)}) if set(names) <= set(frame) else frame
