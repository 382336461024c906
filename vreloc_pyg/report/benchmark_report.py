"""All that is said of a benchmark, from one frame of predictions: tables, tests, pictures, a report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from vreloc_pyg.errors import MissingExtraError
from vreloc_pyg.evaluation.comparison import (
    best_rival,
    check_curves,
    choose_ours,
    rivals,
    without_audits,
)
from vreloc_pyg.evaluation.hits import recall_column
from vreloc_pyg.evaluation.metrics import recall, shown_metrics, thresholds_of, with_curve
from vreloc_pyg.evaluation.published import PREFIX, with_published
from vreloc_pyg.evaluation.sign_flip import format_sign_flip, sign_flip_table
from vreloc_pyg.evaluation.tables import (
    difference_table,
    fold_table,
    format_intervals,
    result_table,
    save_table,
    settled,
    to_markdown,
)
from vreloc_pyg.files import write_text
from vreloc_pyg.report.cost import cost_sections
from vreloc_pyg.report.plots import recall_curves
from vreloc_pyg.report.qualitative import choose_queries, qualitative_figure
from vreloc_pyg.report.standing import standing

#: Queries in the picture of answers, and the most systems it has room for.
NUM_QUERIES, NUM_SYSTEMS = 5, 12
FOLDS = (
    "In brackets 95 % t-intervals over the {folds} folds, each of other classes and trained anew: they hold "
    "for other classes too."
)
CLASSES = (
    "In brackets 95 % t-intervals over the classes of the one fold: they hold for other classes, but for "
    "this one training."
)
TEST = (
    "Classes on which the system is ahead : classes on which *{rival}* is; p of the two-sided sign-flip test "
    "over classes, in brackets corrected over the systems of the column (Holm)."
)
AUROC = (
    "*AUROC* is how often, in %, the best score of a reference with the action is above that of one without "
    "it (50 is chance), *calibration error* how far in % a calibrated probability is from how often the "
    "action is there."
)
AUDITS = (
    "These look at the annotation or at how references were put together. They are no systems: they show "
    "what the set gives away."
)
ERRORS = "Errors are of the first answer, measured to the true instance of the best tIoU. "
CHANCE = "Chance is the exact expectation, ± the standard deviation of a single run."


def write_report(
    frame: pd.DataFrame,
    output: str | Path,
    *,
    name: str,
    command: str,
    parameters: Mapping[str, int],
    processor_s: Mapping[str, float] | None = None,
    budgets: Mapping[str, Any] | None = None,
    published: Mapping[str, str] | None = None,
    candidate_recall: Mapping[str, float] | None = None,
    notes: Sequence[str] = (),
    pairs: pd.DataFrame | None = None,
) -> Path:
    """Write tables, pictures and a report that joins them, each file whole or not at all.

    ``results.csv/.md/.tex``, ``differences.csv/.md`` (where there are other systems),
    ``sign_flip.csv/.md`` (where ours has a rival and .5 is among the thresholds), ``curves.png``,
    ``qualitative.png`` (where pairs are given) and ``report.md``. Without matplotlib, the report says that
    there are no pictures.

    Args:
        frame: results of :func:`~vreloc_pyg.evaluation.evaluate` for all systems, with a column ``fold``.
        output: folder; it is made.
        name: of the data set; decides which published numbers are comparable.
        command: the command line that made the predictions.
        parameters: number of learned parameters by system, where it has any.
        processor_s: processor seconds of a training run by system, or of the fit of a rule.
        budgets: what :mod:`vreloc_pyg.experiments.budget` kept, its systems by their rows.
        published: by system, the published row that it re-implements, where there is one.
        candidate_recall: share in percent of queries whose candidates hold a right answer, by threshold.
        notes: a paragraph each.
        pairs: those that were evaluated, see :func:`.qualitative_figure`; for the picture of answers.

    Raises:
        DataError: if systems did not answer the same pairs, or a curve rises with the threshold.
    """
    folder = Path(output)
    num_folds = frame["fold"].nunique()
    every = settled(result_table(frame))
    every["parameters"] = pd.array([parameters.get(name) for name in every["system"]], dtype="Int64")
    if processor_s:
        every["processor s"] = [processor_s.get(name) for name in every["system"]]
    audits = every[every["kin"] == "audit"]
    results = without_audits(every)
    present = without_audits(frame[frame["kind"] != "absent"])
    num_pairs = present[["fold", "pair"]].drop_duplicates().shape[0]
    several_seeds = "seed" in frame and frame["seed"].nunique() > 1
    ours = choose_ours(results)  # is compared with every other
    metrics = shown_metrics(results)
    thresholds = thresholds_of(list(metrics.values()))
    several = len(results) > 1
    ahead = settled(difference_table(present, ours, turned=True)) if several else pd.DataFrame()
    grid = [metric for metric in with_curve(list(metrics.values())) if metric.column in frame]
    curves = result_table(present, grid)
    check_curves(curves, thresholds_of(grid))

    everything = with_published(every, name, published or {})
    save_table(everything, folder / "results", latex=True, bold=True)
    place: list[str] = []
    differences: list[str] = []
    if several:
        save_table(ahead, folder / "differences")
        place = [f"## Where {ours} stands", *standing(results, ahead, ours, thresholds)]
        differences = [
            f"## {ours} minus every other system",
            "Percentage points on the same queries, paired intervals; one that holds 0 shows no difference.",
            to_markdown(format_intervals(ahead)),
        ]
    parts = [
        f"# Results on {name}",
        f"R@1 in % at strict tIoU: the share of {results['N'].iloc[0]} queries, asked in {num_pairs} pairs, "
        "whose first answer overlaps a true instance by more than the threshold; *avg* is the mean over .5, "
        ".6, .7, .8, .9. The pairs of a query count as one, and the folds alike. "
        + ERRORS * any(metric.unit == "s" for metric in metrics.values())
        + (FOLDS.format(folds=num_folds) if num_folds > 1 else CLASSES)
        + " The seeds of a fold are averaged first." * several_seeds
        + f" {AUROC}" * ("AUROC" in results)
        + f" {CHANCE}" * bool((frame["kind"] == "expected").any()),
        *notes,
        "Made by",
        f"```sh\n{command}\n```",
        *place,
        "## All thresholds",
        to_markdown(format_intervals(results, bold=True)),
        *_audits(audits),
        *_published(without_audits(everything)),
        *differences,
    ]
    if _has_rival(results, ours):
        rival = best_rival(results, ours)
        tests = settled(sign_flip_table(present, rival, thresholds))
        write_text(folder / "sign_flip.csv", tests.to_csv(index=False, lineterminator="\n"))
        shown = to_markdown(format_sign_flip(tests))
        write_text(folder / "sign_flip.md", shown)
        parts += [f"## Class by class against {rival}, the best rival", TEST.format(rival=rival), shown]
    if num_folds > 1:
        metric = recall(0.5 if 0.5 in thresholds else thresholds[0])
        by_fold = to_markdown(settled(fold_table(present, metric)))
        parts += [f"## R@1 at tIoU > {metric.threshold:g} in each fold", by_fold]
    if candidate_recall is not None:
        heads = [f"tIoU > {threshold}" for threshold in candidate_recall]
        shown = to_markdown(pd.DataFrame([[float(x) for x in candidate_recall.values()]], columns=heads))
        parts += ["## Recall of the candidate windows", "The best any choice among them can do, in %.", shown]
    if {"train_s", "seed"} <= set(frame):
        parts += cost_sections(frame, budgets)
    # Of several seeds, the first is drawn.
    present = present.drop_duplicates(["system", "fold", "pair"])
    parts += _pictures(present, folder, results, curves, ours, pairs)
    text = "\n\n".join(part.rstrip() for part in parts) + "\n"
    return write_text(folder / "report.md", text)


def _has_rival(results: pd.DataFrame, ours: str) -> bool:
    """Whether there is a :func:`best_rival` of ours."""
    return recall_column(0.5) in results and bool(rivals(results, ours))


def _published(everything: pd.DataFrame) -> list[str]:
    """The section that puts published numbers under our own, where there are any."""
    names = [name for name in map(str, everything) if name.startswith(PREFIX)]
    if not names:
        return []
    sources = list(dict.fromkeys(name.partition(", ")[2] for name in names))
    columns = [name for name in map(str, everything) if any(n.startswith(f"{PREFIX}{name}, ") for n in names)]
    rows = []
    for _, line in everything[everything[names].notna().any(axis=1)].iterrows():
        rows.append({"system": line["system"], "numbers": "here", **{name: line[name] for name in columns}})
        for source in sources:
            own = {name: line.get(f"{PREFIX}{name}, {source}", float("nan")) for name in columns}
            if not all(pd.isna(value) for value in own.values()):
                rows.append({"system": line["system"], "numbers": f"*published*, {source}", **own})
    return [
        "## Beside published numbers",
        "Rows marked *published* are what others printed for their own implementation; features and training "
        "may differ from those used here.",
        to_markdown(pd.DataFrame(rows)),
    ]


def _audits(audits: pd.DataFrame) -> list[str]:
    """The section of audit rows, where there are any."""
    return ["## Audit rows", AUDITS, to_markdown(format_intervals(audits))] if len(audits) else []


def _pictures(
    frame: pd.DataFrame,
    folder: Path,
    results: pd.DataFrame,
    curves: pd.DataFrame,
    ours: str,
    pairs: pd.DataFrame | None,
) -> list[str]:
    """Draw the pictures and return the sections that show them."""
    first = next(iter(shown_metrics(results)))
    ranked = results.sort_values(first, ascending=False, kind="stable")["system"].tolist()
    ranked = [ours, *(name for name in ranked if name != ours)]
    strong = [ours, best_rival(results, ours)] if _has_rival(results, ours) else [ours]
    try:
        recall_curves(curves, folder / "curves.png", strong)
        parts = ["## R@1 over the threshold", "![R@1 over the tIoU threshold](curves.png)"]
        if pairs is not None:
            expected = set(frame.loc[frame["kind"] == "expected", "system"])
            shown = [name for name in ranked if name not in expected][:NUM_SYSTEMS]
            queries = choose_queries(frame, NUM_QUERIES, ours)
            qualitative_figure(frame, pairs, queries, folder / "qualitative.png", shown)
            chosen = ", ".join(f"pair {pair} of fold {fold}" for fold, pair in queries)
            parts += [
                "## Answers",
                f"Queries at evenly spaced quantiles of {ours}'s tIoU, from the worst to the best, not "
                f"picked by hand: {chosen}.",
                "![The truth and every system's answer](qualitative.png)",
            ]
    except MissingExtraError as error:
        return ["## Pictures", str(error)]
    return parts
