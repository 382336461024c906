"""What a benchmark took, and what rules chose on validation classes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from vreloc_pyg.evaluation import to_markdown

RUN = ["system", "kin", "fold", "seed"]
#: Kins of rows that are never trained.
UNTRAINED = ("rule", "audit")


def time_table(frame: pd.DataFrame) -> pd.DataFrame:
    """Seconds of every run: ``system``, ``kin``, ``fold``, ``seed``, ``train_s`` and ``answer_s``.

    Args:
        frame: predictions; ``train_s`` are processor seconds of a training or of the fit of a rule.
    """
    runs = frame.groupby(RUN, sort=False)
    return runs.agg(train_s=("train_s", "first"), answer_s=("seconds", "sum")).reset_index()


def time_sentence(frames: Sequence[pd.DataFrame]) -> str:
    """How long all rows of some benchmarks took together, and how long those without training."""
    times = pd.concat([time_table(frame) for frame in frames], ignore_index=True)
    untrained = times[times["kin"].isin(UNTRAINED)]
    rules_s = float(untrained["train_s"].sum() + untrained["answer_s"].sum())
    trained = f"Rules and audit rows took {_clock(rules_s)} in all: to fit, in processor time, and to answer"
    rest = times[~times["kin"].isin(UNTRAINED)]
    if rest.empty:
        return f"{trained}."
    return (
        f"{trained}. Everything else was trained for {_clock(float(rest['train_s'].sum()))} of processor "
        f"time and answered for {_clock(float(rest['answer_s'].sum()))}."
    )


def _clock(seconds: float) -> str:
    for unit, name in ((3600, "hours"), (60, "minutes")):
        if seconds >= unit:
            return f"{seconds / unit:.1f} {name}"
    return f"{seconds:.1f} seconds"


def choice_table(frame: pd.DataFrame) -> pd.DataFrame:
    """What every rule chose on the validation classes of each fold; no rows where none chose anything."""
    if "about" not in frame:
        return pd.DataFrame()
    runs = frame[frame["kin"] == "rule"].drop_duplicates(["system", "fold"])
    runs = runs[runs["system"].isin(runs.loc[runs["about"] != "", "system"])]
    table = runs.pivot(index="system", columns="fold", values="about").replace("", "as by default")
    table = table.reindex(runs["system"].unique())
    return table.rename(columns=lambda fold: f"fold {fold}").rename_axis(columns=None).reset_index()


def cost_sections(frame: pd.DataFrame, budgets: Mapping[str, Any] | None = None) -> list[str]:
    """The sections of a report; ``budgets`` as in :func:`.write_report`."""
    choices = choice_table(frame)
    parts = ["## What it took", time_sentence([frame])]
    if budgets is not None:
        paces = pd.DataFrame.from_dict(budgets["systems"], orient="index").rename_axis("system").reset_index()
        shown = paces[["system", "steps_per_epoch", "epochs", "batch_size", "num_pairs"]].rename(
            columns={
                "steps_per_epoch": "steps between validations",
                "epochs": "validations",
                "batch_size": "examples of a step",
                "num_pairs": "pairs of a validation",
            }
        )
        parts += [
            f"Every learned system is trained for {budgets['budget_s']:g} processor seconds, validations "
            "included, by the pace that was measured once:",
            to_markdown(shown),
        ]
    if len(choices):
        parts += ["## What rules chose on validation classes", to_markdown(choices)]
    return parts
