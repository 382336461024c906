import numpy as np

from vreloc_pyg.proposals.proposal_recall import AverageRecall
from vreloc_pyg.report.proposal_plots import average_recall_plot


def test_a_picture_of_two_curves(tmp_path):
    numbers = np.arange(1.0, 11)
    curves = {
        "first": AverageRecall(numbers, numbers * 5, 27.5),
        "second": AverageRecall(numbers, numbers * 8, 44.0),
    }
    path = average_recall_plot(curves, tmp_path / "deep" / "ar.png")
    content = path.read_bytes()
    assert content[:8] == b"\x89PNG\r\n\x1a\n"
    assert content != average_recall_plot({"first": curves["first"]}, tmp_path / "one.png").read_bytes()
