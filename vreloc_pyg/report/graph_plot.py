"""A picture of the pair graph of one scale: its nodes and edges, and its adjacency matrix."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from vreloc_pyg.errors import DataError, SettingsError
from vreloc_pyg.graphs import multi_scale_edge_index
from vreloc_pyg.report.plots import COLOURS, INK, TRUTH, new_figure, save

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

#: Colour of an edge, as the paper has them: within the query, within the proposal, between the two.
EDGES = {"within the query": COLOURS[0], "within the proposal": COLOURS[1], "between the clips": TRUTH}
#: Suffixes a picture can be written with.
SUFFIXES = (".png", ".svg", ".pdf")
#: Steps of a clip that can still be told apart.
MOST_STEPS = 120
FAINT = 0.13
#: How far the control points of a node's loop to itself lie from it, in steps.
LOOP = 1.15


def graph_picture(
    num_query: int, num_proposal: int, k: int, path: str | Path, node: int | None = None
) -> Path:
    """Write :func:`draw_graph` to a file, .png, .svg or .pdf; :class:`DataError` if it cannot be written."""
    if Path(path).suffix.lower() not in SUFFIXES:
        raise SettingsError(f"Expected a picture with one of the suffixes {SUFFIXES} (got '{path}')")
    figure = draw_graph(num_query, num_proposal, k, node)
    try:
        return save(figure, path, dpi=105)  # many slanted lines, a large file
    except OSError as error:
        raise DataError(f"Cannot write the picture {path}: {error.strerror or error}") from None


def draw_graph(num_query: int, num_proposal: int, k: int, node: int | None = None) -> Figure:
    """Draw the edges of :func:`~vreloc_pyg.graphs.multi_scale_edge_index` (the paper's Figures 5 and 6).

    On the left the query's steps lie above the proposal's; an edge is drawn once for its two directions. On
    the right is the adjacency matrix, row = destination, column = source.

    Args:
        num_query, num_proposal: steps of both clips, 1 to 120.
        k: scale in steps, 1 or more.
        node: draw the edges of all other nodes faintly; ``0 .. num_query - 1`` are the query's nodes, the
            next ``num_proposal`` the proposal's. (default: no such node)
    """
    if max(num_query, num_proposal) > MOST_STEPS:
        raise SettingsError(
            f"Expected clips of at most {MOST_STEPS} steps to draw (got {num_query} and {num_proposal})"
        )
    edge_index = multi_scale_edge_index(num_query, num_proposal, k)
    num_nodes = num_query + num_proposal
    if node is not None and not 0 <= node < num_nodes:
        raise SettingsError(f"Expected a node from 0 to {num_nodes - 1} (got {node})")
    figure = new_figure(9.6, 4.7)
    from matplotlib.lines import Line2D  # new_figure says what to install where it is missing

    nodes, matrix = figure.subplots(1, 2, width_ratios=[1.35, 1])
    _draw_nodes(nodes, edge_index, num_query, num_proposal, node)
    _draw_matrix(matrix, edge_index, num_query, num_proposal, node)
    stressed = ""
    if node is not None:
        clip, step = ("query", node) if node < num_query else ("proposal", node - num_query)
        stressed = f", edges of step {step} of the {clip}"
    nodes.set_title(f"Graph of scale k = {k}{stressed}", loc="left", fontsize=11, color=INK)
    matrix.set_title(f"Adjacency matrix $A_{{{k}}}$", loc="left", fontsize=11, color=INK)
    figure.set_layout_engine("constrained", h_pad=0.08)  # the square matrix leaves the legend little room
    lines = [Line2D([], [], color=colour, linewidth=2.5) for colour in EDGES.values()]
    figure.legend(lines, list(EDGES), loc="outside lower center", ncols=3, frameon=False, fontsize=10)
    return figure


def edge_kinds(edge_index: Tensor, num_query: int) -> Tensor:
    """Place in ``EDGES`` of every edge, ``[E]`` int64."""
    source, destination = edge_index >= num_query
    return torch.where(source != destination, 2, source.long())


def _draw_nodes(axes: Axes, edge_index: Tensor, num_query: int, num_proposal: int, node: int | None) -> None:
    from matplotlib.collections import PathCollection

    longest = max(num_query, num_proposal)
    height = 0.36 * longest + 0.6  # of the query's row above the proposal's
    clips = [(i, height) for i in range(num_query)] + [(j, 0.0) for j in range(num_proposal)]
    once = edge_index[:, edge_index[0] <= edge_index[1]]  # both directions are one line
    kinds = edge_kinds(once, num_query)
    apart = (once[0] - once[1]).abs()[kinds < 2]
    rise = min(0.75, 0.8 * height / int(apart.max().clamp(min=1)))  # of an arc per step it spans
    stressed = torch.ones_like(kinds, dtype=torch.bool) if node is None else (once == node).any(0)
    width = 1.4 if longest <= 20 else 0.7
    faint = FAINT * min(1.0, 20 / longest)  # many faint lines add up
    for kind, colour in enumerate(EDGES.values()):
        for strong in (False, True):
            chosen = once[:, (kinds == kind) & (stressed == strong)].t().tolist()
            paths = [_edge_path(clips[a], clips[b], rise, upwards=b < num_query) for a, b in chosen]
            look: dict[str, Any] = {"edgecolors": colour, "facecolors": "none", "linewidths": width}
            alpha = (0.75 if kind < 2 else 0.6) if strong else faint
            axes.add_collection(PathCollection(paths, alpha=alpha, zorder=1 + strong, **look))
    # Nodes are some 330 points / longest apart on the page: their circles stay clear of each other.
    size = min(18.0, 0.6 * 330 / (longest + 1))
    for name, first, last, colour in (
        ("query", 0, num_query, COLOURS[0]),
        ("proposal", num_query, num_query + num_proposal, COLOURS[1]),
    ):
        across, up = zip(*clips[first:last], strict=True)
        edges = [INK if place == node else "white" for place in range(first, last)]
        axes.scatter(across, up, s=size**2, c=colour, edgecolors=edges, linewidths=1.5, zorder=4)
        aside: dict[str, Any] = {"xytext": (-0.5 * size - 10, 0), "textcoords": "offset points"}
        axes.annotate(name, (0, up[0]), color=colour, ha="right", va="center", fontsize=11, **aside)
        if longest <= 20:
            for step, (x, y) in enumerate(zip(across, up, strict=True)):
                look = {"ha": "center", "va": "center", "color": "white", "zorder": 5}
                axes.text(x, y, str(step), fontsize=min(9.5, 0.5 * size), **look)
    room = max(0.62 * rise * int(apart.max()), 0.75 * LOOP) + 0.35
    axes.set_xlim(-0.5, longest - 0.5)
    axes.set_ylim(-room, height + room)
    axes.set_yticks([])
    axes.set_xticks([] if longest <= 20 else range(0, longest, 5 if longest <= 60 else 10))
    if longest > 20:
        axes.set_xlabel("step")
    for side in axes.spines.values():
        side.set_visible(False)


def _edge_path(start: tuple[float, float], end: tuple[float, float], rise: float, upwards: bool) -> Any:
    """A line between the clips, an arc outside of a clip's row, or a node's loop to itself."""
    from matplotlib.path import Path as Curve

    (x, y), (x_end, y_end) = start, end
    if y != y_end:
        return Curve([start, end])
    sign = 1 if upwards else -1
    if x == x_end:
        loop = [start, (x - 0.5, y + sign * LOOP), (x + 0.5, y + sign * LOOP), start]
        return Curve(loop, [Curve.MOVETO, Curve.CURVE4, Curve.CURVE4, Curve.CURVE4])
    top = y + sign * (0.3 + rise * abs(x_end - x))
    return Curve([start, ((x + x_end) / 2, top), end], [Curve.MOVETO, Curve.CURVE3, Curve.CURVE3])


def _draw_matrix(axes: Axes, edge_index: Tensor, num_query: int, num_proposal: int, node: int | None) -> None:
    from matplotlib.colors import to_rgb

    num_nodes = num_query + num_proposal
    image = np.ones((num_nodes, num_nodes, 3))
    colours = np.array([to_rgb(colour) for colour in EDGES.values()])
    source, destination = edge_index.numpy()
    strength = np.full((len(source), 1), 0.85)
    if node is not None:
        strength[(source != node) & (destination != node)] = FAINT + 0.05
    image[destination, source] = 1 - strength * (1 - colours[edge_kinds(edge_index, num_query).numpy()])
    axes.imshow(image, interpolation="nearest")
    axes.set_anchor("N")  # both titles at one height
    if num_nodes <= 60:
        for line in range(1, num_nodes):
            axes.axhline(line - 0.5, color="white", linewidth=0.8)
            axes.axvline(line - 0.5, color="white", linewidth=0.8)
    for draw in (axes.axhline, axes.axvline):
        draw(num_query - 0.5, color=INK, linewidth=1.1)
    every = next(step for step in (1, 2, 5, 10, 20) if num_nodes / step <= 24)
    steps = [range(0, length, every) for length in (num_query, num_proposal)]
    places = [*steps[0], *(num_query + step for step in steps[1])]
    names = [str(step) for clip in steps for step in clip]
    axes.set_xticks(places, names, fontsize=8.5)
    axes.set_yticks(places, names, fontsize=8.5)
    for label, place in zip((*axes.get_xticklabels(), *axes.get_yticklabels()), places * 2, strict=True):
        label.set_color(COLOURS[0] if place < num_query else COLOURS[1])
    axes.tick_params(length=0)
    axes.set_xlabel("source: step of the query, then of the proposal", color=INK)
    axes.set_ylabel("destination", color=INK)
    for side in axes.spines.values():
        side.set_color(INK)
