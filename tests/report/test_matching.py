from dataclasses import replace

import numpy as np
import pandas as pd
from scipy.stats import t

from tests.results import frame_of
from vreloc_pyg.evaluation import result_table
from vreloc_pyg.report.matching import matching_table
from vreloc_pyg.report.statements import Benchmark
from vreloc_pyg.systems.mgffnet.presets import MATCHING, MATCHING_APART, MATCHING_CNN


def benchmark(name, tious):
    parts = [
        frame_of(row, own, fold, kin="ablation")
        for row, folds in tious.items()
        for fold, own in enumerate(folds)
    ]
    frame = pd.concat(parts, ignore_index=True)
    return Benchmark(name, frame, result_table(frame))


def test_folds_of_all_sets_weigh_the_same_and_a_row_that_a_set_lacks_is_left_out_of_it():
    """Five folds of two queries each: at .5 the lead is 0, .5 and 1 on x, 0 and .5 on y."""
    ours = [[0.6, 0.6]] * 3
    x = {MATCHING.row: ours, MATCHING_CNN.row: [[0.6, 0.6], [0.6, 0.1], [0.1, 0.1]]}
    y = {MATCHING.row: ours[:2], MATCHING_CNN.row: [[0.6, 0.6], [0.1, 0.6]]}
    y[MATCHING_APART.row] = ours[:2]
    leads = 100 * np.array([0, 0.5, 1, 0, 0.5])
    half = t.ppf(0.975, 4) * leads.std(ddof=1) / 5**0.5
    pooled = f"{leads.mean():+.1f} [{leads.mean() - half:+.1f}, {leads.mean() + half:+.1f}] (not told apart)"
    lines = matching_table([benchmark("x", x), benchmark("y", y)]).splitlines()
    assert lines[0] == "| minus | tIoU | *x* | *y* | all folds |"
    assert lines[2].startswith("| no graph | .5 | +50.0 [")
    assert lines[2].endswith(f" | {pooled} |")
    equal = "+0.0 [+0.0, +0.0] (not told apart)"
    assert lines[3] == f"| no graph | .7 | {equal} | {equal} | {equal} |"
    assert lines[4] == f"| no edges between clips | .5 | – | {equal} | {equal} |"
    assert len(lines) == 6


def test_nothing_is_said_where_nobody_matches():
    one = benchmark("x", {MATCHING_CNN.row: [[0.6]]})
    assert matching_table([replace(one, name="y")]) == ""
