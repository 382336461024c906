"""Recall of released lists of temporal actionness grouping.

    python benchmarks/tag_recall.py --activitynet LIST --thumos LIST --thumos-root THUMOS14 \\
        --output docs/results/tag_recall

The first list is in SSN's layout and holds its own instances; the second has lines of video, start and end in
frames, and is held against the annotations of THUMOS14.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path

import pandas as pd
import torch
from average_recall import AverageRecall, average_recall
from torch import Tensor

from vreloc_pyg.datasets import Thumos14
from vreloc_pyg.evaluation import to_markdown
from vreloc_pyg.files import write_text
from vreloc_pyg.proposals.lists import read_proposal_list, read_thumos_list
from vreloc_pyg.proposals.proposal_recall import proposal_recall
from vreloc_pyg.report.plots import COLOURS, new_figure, save, tidy

Bounds = dict[str, Tensor]


def read(activitynet: Path, thumos: Path, thumos_root: Path) -> dict[str, tuple[Bounds, Bounds, int]]:
    """Proposals and instances of the videos of both lists, and the number of instances of no length."""
    listed = read_proposal_list(activitynet)
    dataset = Thumos14(thumos_root)
    frames = read_thumos_list(thumos, dataset.frame_rates | excluded_rates(thumos, dataset.frame_rates))
    instances = {
        one.video_id: torch.tensor([bounds[:2] for bounds in one.instances], dtype=torch.float64)
        for one in dataset.videos
        if one.video_id in frames
    }
    return {
        "ActivityNet v1.2, validation": (
            {key: one.bounds for key, one in listed.items()},
            {key: one.instances for key, one in listed.items()},
            sum(one.num_empty for one in listed.values()),
        ),
        "THUMOS14, test": ({key: one.seconds() for key, one in frames.items()}, instances, 0),
    }


def excluded_rates(path: Path, known: dict[str, float]) -> dict[str, float]:
    """Any rate for listed videos that the data set leaves out: nothing is asked of them."""
    listed = read_thumos_list(path)
    return dict.fromkeys(set(listed) - set(known), 1.0)


def share(found: Tensor) -> float:
    """Of true values, in percent."""
    return 100 * float(found.double().mean())


def draw(curves: Mapping[str, AverageRecall], path: Path) -> None:
    """Average recall over the average number of proposals a video, by the name of the source."""
    figure = new_figure(6, 4)
    axes = figure.subplots()
    for (name, curve), colour in zip(curves.items(), COLOURS, strict=False):
        label = f"{name} (area {curve.area:.1f} %)"
        axes.plot(curve.average_number, curve.average_recall, color=colour, label=label)
    axes.set(xlabel="proposals a video", ylabel="average recall, %", ylim=(0, 100))
    axes.grid(alpha=0.3)
    axes.legend()
    tidy(axes)
    save(figure, path)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--activitynet", type=Path, required=True)
    parser.add_argument("--thumos", type=Path, required=True)
    parser.add_argument("--thumos-root", type=Path, required=True)
    parser.add_argument("--output", type=Path, required=True, help="tables and picture, without suffix")
    chosen = parser.parse_args()
    listed = read_proposal_list(chosen.activitynet).values()
    gaps = torch.cat([(one.computed_matches()[0] - one.matches).abs()[:, 0] for one in listed])
    tables, rows, curves = [], [], {}
    found = read(chosen.activitynet, chosen.thumos, chosen.thumos_root)
    for name, (proposals, instances, num_empty) in found.items():
        table = proposal_recall(proposals, instances, num_empty=num_empty)
        tables.append(table.assign(list=name))
        number = sum(len(proposals[video]) for video in instances) / len(instances)
        count = sum(map(len, instances.values())) + num_empty
        for kind, unit in (("per_instance", f"{count} instances"), ("per_video", f"{len(instances)} videos")):
            cells = {f"tIoU > {t:g}": value for t, value in zip(table["tiou"], table[kind], strict=True)}
            rows.append({"list": name, "share of": unit, "proposals a video": number, **cells})
        curves[name] = average_recall(proposals, instances)
    parts = [
        "# Recall of released TAG lists",
        "In % of instances, and of videos with any instance found. The lists at hand are parts of those that "
        "the authors of SSN released; they are not ranked, so the average recall at a given number of "
        "proposals (drawn beside) is that of their order. Instances of no length, "
        f"{sum(empty for *_, empty in found.values())} in all, count as missed, as in the published recall.",
        "The first list prints each proposal's best tIoU too. Computed from its printed bounds, it agrees "
        f"within 0.0001 for {share(gaps <= 1.5e-4):.0f} % of {len(gaps)} proposals and within 0.001 for "
        f"{share(gaps <= 1e-3):.0f} %; the authors matched before they rounded.",
        to_markdown(pd.DataFrame(rows)),
        "```sh\npython benchmarks/tag_recall.py --activitynet LIST --thumos LIST --thumos-root THUMOS14 "
        f"--output {chosen.output.as_posix()}\n```",
    ]
    write_text(chosen.output.with_suffix(".md"), "\n\n".join(part.rstrip() for part in parts) + "\n")
    write_text(chosen.output.with_suffix(".csv"), pd.concat(tables).to_csv(index=False))
    draw(curves, chosen.output.with_suffix(".png"))


if __name__ == "__main__":
    main()
