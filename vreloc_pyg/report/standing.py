"""Whether a system is first, said from the numbers."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pandas as pd

from vreloc_pyg.evaluation import rivals, to_markdown, without_audits
from vreloc_pyg.evaluation.hits import recall_column

#: Shares of queries closer than this in percent are equal.
EQUAL = 1e-6


def standing(results: pd.DataFrame, ahead: pd.DataFrame, ours: str, thresholds: Sequence[float]) -> list[str]:
    """Where ours stands at every threshold: its rank, who comes closest, and by how much; in Markdown.

    A system that ties with another for the most is not first. An interval of the difference that holds 0
    leaves open which of the two is better, and is said to. The paragraphs are one sentence for each group of
    competitors, then a table. Audit rows are no systems, and are passed over.

    Args:
        results: of :func:`~vreloc_pyg.evaluation.result_table`.
        ahead: ours minus the others, of :func:`~vreloc_pyg.evaluation.difference_table`.
        ours: name of the system.
        thresholds: tIoU thresholds, at which both tables have columns.
    """
    results = without_audits(results)
    groups = {"all other systems": [name for name in results["system"] if name != ours]}
    outsiders = rivals(results, ours)
    # Where nothing is an ablation, the two groups are the same.
    if 0 < len(outsiders) < len(groups["all other systems"]):
        groups["systems that are not its ablations"] = outsiders
    recall = results.set_index("system")
    difference = ahead.set_index("system")
    sentences, rows = [], []
    for group, names in groups.items():
        first, clear, known = [], [], True
        for threshold in thresholds:
            column = recall_column(threshold)
            own, others = float(recall.loc[ours, column]), recall.loc[names, column].astype(float)
            best = str(others.idxmax())
            line = difference.loc[f"{ours} − {best}"]
            x, low, high = (float(line[f"{column}{side}"]) for side in ("", " low", " high"))
            if own > others.max() + EQUAL:
                first.append(threshold)
                if low > EQUAL:
                    clear.append(threshold)
            known = known and not math.isnan(low)  # as it is where one class alone was asked about
            tied = " (tied)" if abs(own - others.max()) <= EQUAL else ""
            rows.append(
                {
                    "among": group,
                    "tIoU": f"> {threshold:g}",
                    "R@1": own,
                    "rank": f"{1 + int((others > own + EQUAL).sum())} of {1 + len(names)}{tied}",
                    "best other": best,
                    "its R@1": float(others.max()),
                    "difference": f"{x:+.1f} [{low:+.1f}, {high:+.1f}]" if known else f"{x:+.1f}",
                }
            )
        sentences.append(_sentence(ours, group, first, clear if known else None, thresholds))
    table = pd.DataFrame(rows)
    if len(groups) == 1:
        table = table.drop(columns="among")
    return [*sentences, to_markdown(table)]


def _sentence(
    ours: str, group: str, first: list[float], clear: list[float] | None, thresholds: Sequence[float]
) -> str:
    if not first:
        return f"Among {group}, {ours} is first at no threshold."
    where = f"all {len(thresholds)} thresholds" if len(first) == len(thresholds) else f"tIoU > {_list(first)}"
    if clear is None:
        sure = "how far a lead holds for other classes is unknown"
    elif len(clear) == len(first):
        sure = "the interval of its lead over the next is above 0 at each of them"
    elif clear:
        sure = f"the interval of its lead over the next is above 0 at {_list(clear)}, and holds 0 elsewhere"
    else:
        sure = "but every interval of its lead over the next holds 0"
    return f"Among {group}, {ours} is **first** at {where}; {sure}."


def _list(thresholds: Sequence[float]) -> str:
    return ", ".join(f"{threshold:g}" for threshold in thresholds)
