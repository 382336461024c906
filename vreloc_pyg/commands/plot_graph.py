"""``vreloc plot-graph``."""

from __future__ import annotations


def plot_graph(
    *, output: str, steps: int = 8, proposal_steps: int | None = None, scale: int = 3, node: int | None = None
) -> None:
    """Draw the pair graph of one scale and its adjacency matrix.

    Args:
        output: picture to write, .png, .svg or .pdf.
        steps: steps of the query.
        proposal_steps: steps of the proposal; by default as many as of the query.
        scale: scale k of the graph, in steps.
        node: stress the edges of one node; the query's are 0 to STEPS - 1, then come the proposal's.

    Example:
        vreloc plot-graph --steps 8 --scale 3 --output graph.png
    """
    from vreloc_pyg.report.graph_plot import graph_picture

    length = steps if proposal_steps is None else proposal_steps
    print(f"Written to {graph_picture(steps, length, scale, output, node)}")
