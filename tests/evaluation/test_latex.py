import numpy as np
import pandas as pd
import pytest

from vreloc_pyg.errors import DataError
from vreloc_pyg.evaluation import to_latex
from vreloc_pyg.evaluation.latex import escape


@pytest.fixture
def table():
    table = pd.DataFrame({"system": ["a_b & 50%", "ours"], "R@1(0.5)": [49.28, 49.31]})
    table["R@1(0.5) low"], table["R@1(0.5) high"] = [46.0, 45.0], [52.5, 53.0]
    return table.assign(
        **{"R@1(0.95)": [9.92, np.nan], "published R@1(0.5), Feng et al. 2018": 99.0, "N": 10}
    )


def test_shape_of_the_papers_tables(table):
    assert to_latex(table, digits=2) == "\n".join(
        [
            r"\begin{tabular}{lrr}",
            r"\toprule",
            r"Method \textbackslash{} tIoU & 0.5 & 0.95 \\",
            r"\midrule",
            r"a\_b \& 50\% & 49.28 & \textbf{9.92} \\",
            r"ours & \textbf{49.31} & -- \\",
            r"\bottomrule",
            r"\end{tabular}",
            "",
        ]
    )


def test_all_that_show_the_best_digits_are_bold(table):
    assert to_latex(table, digits=1).count(r"\textbf{49.3}") == 2


def test_intervals_stand_in_a_line_below(table):
    lines = to_latex(table, intervals=True).splitlines()
    assert lines[5] == r" & {\scriptsize [46.0, 52.5]} &  \\"
    assert len(lines) == len(to_latex(table).splitlines()) + 2


def test_characters_that_latex_reads_as_commands():
    assert escape("a\\b {x} 5 − 3 #$^~") == (
        r"a\textbackslash{}b \{x\} 5 $-$ 3 \#\$\textasciicircum{}\textasciitilde{}"
    )


def test_refuses_a_table_without_recall():
    with pytest.raises(DataError, match=r"columns 'system' and of metrics \(got \['system', 'N'\]\)"):
        to_latex(pd.DataFrame({"system": ["a"], "N": [1]}))
