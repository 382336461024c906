import numpy as np
import pytest
from matplotlib.collections import PathCollection
from matplotlib.colors import to_rgb

from vreloc_pyg import cli
from vreloc_pyg.errors import DataError, GraphError, SettingsError, VrelocError
from vreloc_pyg.graphs import multi_scale_edge_index, to_dense_adjacency
from vreloc_pyg.report.graph_plot import EDGES, FAINT, draw_graph, graph_picture

GRAPHS = [(8, 8, 3), (8, 8, 1), (1, 1, 2), (1, 6, 2), (9, 4, 3), (4, 9, 20), (40, 25, 2)]


def nodes_and_lines(figure, num_query):
    """Place of every node, and per drawn line its ends as node numbers, colour and alpha."""
    axes = figure.axes[0]
    # A scatter has sizes; the lines have none.
    markers = [item for item in axes.collections if len(item.get_sizes())]
    places = np.concatenate([item.get_offsets() for item in markers])
    assert len(markers[0].get_offsets()) == num_query
    number = {tuple(place): node for node, place in enumerate(np.asarray(places).tolist())}
    assert len(number) == len(places)
    lines = []
    for item in axes.collections:
        assert isinstance(item, PathCollection)
        if not len(item.get_sizes()):
            for path in item.get_paths():
                ends = (number[tuple(path.vertices[end].tolist())] for end in (0, -1))
                lines.append((*ends, to_rgb(item.get_edgecolor()[0]), item.get_alpha()))
    return places, lines


def kind_of(a, b, num_query):
    clips = {a < num_query, b < num_query}
    return 2 if len(clips) == 2 else int(a >= num_query)


@pytest.mark.parametrize(("num_query", "num_proposal", "k"), GRAPHS)
@pytest.mark.parametrize("node", [None, 1])
def test_lines_and_cells_are_the_edges(num_query, num_proposal, k, node):
    edges = set(map(tuple, multi_scale_edge_index(num_query, num_proposal, k).t().tolist()))
    figure = draw_graph(num_query, num_proposal, k, node)
    places, lines = nodes_and_lines(figure, num_query)
    assert len(places) == num_query + num_proposal
    drawn = [(a, b) for a, b, _, _ in lines]
    assert len(drawn) == len(set(drawn))
    assert {*drawn, *((b, a) for a, b in drawn)} == edges
    assert len(drawn) == (len(edges) + len(places)) / 2  # every node has a self-loop
    colours = [to_rgb(colour) for colour in EDGES.values()]
    for a, b, colour, alpha in lines:
        assert colour == colours[kind_of(a, b, num_query)]
        assert (alpha > FAINT) == (node is None or node in (a, b))
    image = np.asarray(figure.axes[1].images[0].get_array())
    cells = (image < 1).any(-1)
    assert (cells == to_dense_adjacency(num_query, num_proposal, k).numpy().astype(bool)).all()
    assert {(source, destination) for destination, source in np.argwhere(cells).tolist()} == edges


def test_cells_have_the_colour_of_their_lines():
    image = np.asarray(draw_graph(3, 3, 1).axes[1].images[0].get_array())
    for (row, column), colour in zip([(0, 0), (4, 4), (0, 4)], EDGES.values(), strict=True):
        np.testing.assert_allclose(image[row, column], 1 - 0.85 * (1 - np.array(to_rgb(colour))))


@pytest.mark.parametrize(("num_query", "num_proposal", "k"), GRAPHS)
def test_nothing_overlaps_or_is_cut_off(num_query, num_proposal, k):
    figure = draw_graph(num_query, num_proposal, k)
    figure.canvas.draw()
    renderer = figure.canvas.get_renderer()
    (legend,) = figure.legends
    boxes = [axes.get_tightbbox(renderer) for axes in figure.axes] + [legend.get_window_extent(renderer)]
    for number, box in enumerate(boxes):
        assert box.x0 >= -1
        assert box.y0 >= -1
        assert box.x1 <= figure.bbox.x1 + 1
        assert box.y1 <= figure.bbox.y1 + 1
        assert not any(box.overlaps(other) for other in boxes[:number])
    low, high = figure.axes[0].get_ylim()
    lines = [item for item in figure.axes[0].collections if not len(item.get_sizes())]
    for curve in (path for item in lines for path in item.get_paths()):
        assert low < curve.get_extents().y0
        assert curve.get_extents().y1 < high


@pytest.mark.parametrize(("suffix", "start"), [(".png", b"\x89PNG"), (".svg", b"<?xml"), (".pdf", b"%PDF")])
def test_the_suffix_decides_the_format(tmp_path, suffix, start):
    path = graph_picture(4, 4, 2, tmp_path / "new" / f"graph{suffix}")
    assert path.read_bytes().startswith(start)


def test_refuses_bad_input(tmp_path):
    path = tmp_path / "graph.png"
    with pytest.raises(GraphError, match=r"num_query >= 1 and num_proposal >= 1 \(got 0 and 8\)"):
        graph_picture(0, 8, 3, path)
    with pytest.raises(SettingsError, match=r"k >= 1 \(got 0\)"):
        graph_picture(8, 8, 0, path)
    with pytest.raises(SettingsError, match=r"at most 120 steps to draw \(got 8 and 121\)"):
        graph_picture(8, 121, 3, path)
    for node in (-1, 16):
        with pytest.raises(SettingsError, match=rf"node from 0 to 15 \(got {node}\)"):
            graph_picture(8, 8, 3, path, node)
    with pytest.raises(SettingsError, match=r"suffixes .*\.png.*graph\.txt"):
        graph_picture(8, 8, 3, tmp_path / "graph.txt")
    assert not list(tmp_path.iterdir())
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match=r"Cannot write the picture .*file/graph\.png"):
        graph_picture(8, 8, 3, tmp_path / "file" / "graph.png")
    (tmp_path / "folder.png").mkdir()
    with pytest.raises(VrelocError, match=r"Cannot write the picture .*folder\.png"):
        graph_picture(8, 8, 3, tmp_path / "folder.png")


def test_the_command_draws(tmp_path, capsys):
    path = tmp_path / "graph.png"
    assert cli.main(["plot-graph", "--steps", "5", "--scale", "2", "--output", str(path)]) == 0
    assert capsys.readouterr().out == f"Written to {path}\n"
    same = graph_picture(5, 5, 2, tmp_path / "same.png")
    assert path.read_bytes() == same.read_bytes()
    ragged = ["--steps", "5", "--proposal_steps", "7", "--scale", "2", "--node", "6", "--output", str(path)]
    assert cli.main(["plot-graph", *ragged]) == 0
    assert path.read_bytes() == graph_picture(5, 7, 2, tmp_path / "other.png", node=6).read_bytes()
