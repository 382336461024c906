"""How well a detector that is trained to find joins finds them in composed references.

    python benchmarks/learned_joins.py --root DATA --output docs/results/learned_joins

The audit rows of ``vreloc audit`` look at one channel each, by rules. Here gradient boosting sees eight
steps on each side of a place in all channels, and is taught the true joins of the training classes. What it
finds in references of test classes is a bound on what a network could learn of the seams: its AUC (steps
beside a join against all others), and R@1 of the window rule between the places it holds for joins, of which
it is told the number. A few minutes of one core for five folds of both composed sets.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import roc_auc_score

from vreloc_pyg.datasets.splits import Reference
from vreloc_pyg.datasets.tasks import TaskData, load_task
from vreloc_pyg.evaluation import evaluate, recall, to_markdown
from vreloc_pyg.files import write_text
from vreloc_pyg.sequences.pose import Skeleton
from vreloc_pyg.systems.rules.audit import (
    KnownJoins,
    jerk_channel,
    join_strength,
    joins_of,
    look_channel,
    positions,
    speed_channel,
    strongest,
)
from vreloc_pyg.systems.rules.window_rule import best_rule

SETS, FOLDS = ("penn_action", "jhmdb"), range(5)
#: Steps on each side that are seen, and references that are learned from.
REACH, LEARNED = 8, 150
ROW = "joins by a trained detector + rule"


def channels(reference: Reference, skeleton: Skeleton | None) -> NDArray[np.float32]:
    """What is seen about every step, ``[N, C]``."""
    x = reference.features
    looks = join_strength(look_channel(skeleton)(x), "change")[:-1, None].float()
    size = positions(x, skeleton).flatten(1).norm(dim=1, keepdim=True)
    seen = torch.cat([speed_channel(skeleton)(x), jerk_channel(skeleton)(x), size, looks], dim=1)
    padded = torch.nn.functional.pad(seen.T[None], (REACH, REACH), mode="replicate")[0].T
    return padded.unfold(0, 2 * REACH + 1, 1).flatten(1).numpy()


def beside_joins(reference: Reference) -> NDArray[np.bool_]:
    """The steps just before and after a join, ``[N]``."""
    beside = np.zeros(reference.num_steps, dtype=bool)
    joins = joins_of(reference).numpy()
    beside[np.clip(np.concatenate([joins - 1, joins]), 0, len(beside) - 1)] = True
    return beside


def audit_fold(data: TaskData, learned: int = LEARNED) -> dict[str, float]:
    """AUC of the detector on test classes, and R@1 in percent of what is made of it and of the rule."""
    known = data.splits["train"].references[:learned]
    seen = np.concatenate([channels(one, data.skeleton) for one in known])
    taught = np.concatenate([beside_joins(one) for one in known])
    detector = HistGradientBoostingClassifier(max_iter=120, max_leaf_nodes=15, random_state=0).fit(
        seen, taught
    )
    test = data.splits["test"]
    probable = [detector.predict_proba(channels(one, data.skeleton))[:, 1] for one in test.references]
    auc = roc_auc_score(
        np.concatenate([beside_joins(one) for one in test.references]), np.concatenate(probable)
    )
    rule = best_rule(data)
    found = {
        one.video_id: strongest(torch.from_numpy(chance), len(joins_of(one)))
        for one, chance in zip(test.references, probable, strict=True)
    }
    frame = evaluate(
        [rule, KnownJoins(found, rule, data.longest, ROW)],
        test,
        [recall(0.7), recall(0.9)],
        progress=False,
    )
    hits = 100 * frame[frame["kind"] == "answer"].groupby("system")[["R@1(0.7)", "R@1(0.9)"]].mean()
    numbers = {"AUC of the detector": 100 * float(auc)}
    for name, label in ((ROW, "trained detector + rule"), (rule.name, "window rule")):
        numbers |= {f"{label}, {column}": float(hits.loc[name, column]) for column in hits}
    return numbers


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--root", type=Path, required=True, help="folder of the data sets, each by its name")
    parser.add_argument("--output", type=Path, required=True, help="stem of the table's files")
    chosen = parser.parse_args(arguments)
    rows = []
    for name in SETS:
        for fold in FOLDS:
            rows.append({"set": name, "fold": fold, **audit_fold(load_task(name, chosen.root / name, fold))})
            print(rows[-1], flush=True)
    table = pd.DataFrame(rows)
    mean = table.drop(columns="fold").groupby("set", sort=False).mean().reset_index()
    write_text(chosen.output.with_suffix(".csv"), table.to_csv(index=False, lineterminator="\n"))
    command = "python benchmarks/learned_joins.py --root DATA --output docs/results/learned_joins"
    text = (
        "# A detector that is trained to find joins\n\nMeans over the test classes of five folds, in %. "
        f"Made by\n\n```sh\n{command}\n```\n\n"
    )
    write_text(chosen.output.with_suffix(".md"), text + to_markdown(mean))


if __name__ == "__main__":
    main()
