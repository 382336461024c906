"""``vreloc proposals``."""

from __future__ import annotations

from typing import Literal

from vreloc_pyg.commands.options import TaskOptions


def proposals(
    task: TaskOptions, *, output: str, split: Literal["all", "train", "validation", "test"] = "all"
) -> None:
    """Write candidate windows as a proposal list, and print their recall on the test classes.

    Args:
        task: the data.
        output: list to write, .txt in the layout of SSN's lists.
        split: whose references; of one split, the recall printed is its own.

    Example:
        vreloc proposals --proposals outputs/actionness --output outputs/proposals.txt
    """
    from vreloc_pyg.experiments.candidates import write_proposals
    from vreloc_pyg.experiments.compare import print_table

    print_table(write_proposals(task.load(), output, split))
    print(f"\nRecall in % of instances and of videos. Written to {output}")
