"""Time and memory of five ways to compute A_k X on query/proposal pair graphs, and of what is built on it.

    python benchmarks/graph_conv.py --output docs/results

prints Markdown tables and writes ``graph_conv.md``, ``graph_conv.csv`` and ``graph_conv.png``: of the sums,
and of convolution, layer and network of the paper's graph and of the one that matches. The ways take turns in
one process, so that whatever else the machine does meets all of them alike; times are medians of processor
time. Results and gradients are first checked against those of one way.
"""

from __future__ import annotations

import argparse
import csv
import json
import math
import platform
import statistics
import tempfile
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import torch
from graph_parts import PARTS, parts
from torch import Tensor
from torch.profiler import ProfilerActivity, profile
from torch_geometric.nn import SimpleConv

from vreloc_pyg.graphs import multi_scale_edge_index, multi_scale_sums, to_dense_adjacency

Aggregation = Callable[[Tensor], Sequence[Tensor]]

WAYS = {
    "gather-scatter": "PyG message passing over `edge_index`",
    "CSR": "PyG message passing over a `torch.sparse_csr` matrix",
    "dense": "`torch.bmm(A_k.expand(B, N, N), X)` for every scale",
    "stacked": "dense, with the matrices of all scales stacked into one product",
    "closed form": "`multi_scale_sums`, without edges or a matrix",
}
#: What a way may take at most; beyond it is left out.
MAX_MESSAGES = 2**25  # numbers that gather-scatter keeps: one row per edge
MAX_EDGES = 2**20  # of a CSR matrix
MAX_PRODUCTS = 5 * 10**9  # multiplications of the dense way, forward
#: Side of the matrices whose product says how fast the machine is.
SIDE = 512


@dataclass(frozen=True)
class Measurement:
    """One way at T steps per clip and B graphs: milliseconds, MiB beyond the inputs, speed over another way.

    ``part`` is ``sums`` or one of :data:`graph_parts.PARTS`; sums are compared with dense products, parts
    with the first of their ways.
    """

    part: str
    num_steps: int
    scales: str
    batch_size: int
    way: str
    median_ms: float
    fastest_ms: float
    peak_mib: float
    times_faster: float


def aggregations(
    num_steps: int, scales: Sequence[int], batch_size: int, channels: int
) -> dict[str, Aggregation]:
    """Functions from ``x [B, 2T, d]`` to :math:`A_k x` of all scales; their graphs are built here."""
    num_nodes = 2 * num_steps
    matrices = [to_dense_adjacency(num_steps, num_steps, k) for k in scales]
    stacked = torch.cat(matrices)  # [K * 2T, 2T]
    num_edges = batch_size * sum(int(matrix.count_nonzero()) for matrix in matrices)
    conv = SimpleConv(aggr="sum")

    def message_passing(graphs: list[Tensor]) -> Aggregation:
        return lambda x: [conv(x.flatten(0, 1), graph).view_as(x) for graph in graphs]

    ways: dict[str, Aggregation] = {
        "closed form": lambda x: multi_scale_sums(x, num_steps, num_steps, scales),
        "dense": lambda x: [torch.bmm(matrix.expand(len(x), -1, -1), x) for matrix in matrices],
    }
    if len(scales) > 1:
        ways["stacked"] = lambda x: torch.bmm(stacked.expand(len(x), -1, -1), x).split(num_nodes, dim=1)
    if num_edges <= MAX_EDGES:
        ways["CSR"] = message_passing([block_csr(matrix, batch_size) for matrix in matrices])
    if num_edges * channels <= MAX_MESSAGES:
        shift = num_nodes * torch.arange(batch_size).view(-1, 1, 1)
        edges = [multi_scale_edge_index(num_steps, num_steps, k) + shift for k in scales]  # [B, 2, E]
        ways["gather-scatter"] = message_passing([edge.transpose(0, 1).flatten(1) for edge in edges])
    return ways


def block_csr(matrix: Tensor, count: int) -> Tensor:
    """``count`` copies of a matrix along the diagonal of a sparse one."""
    one, size = matrix.to_sparse_csr(), len(matrix)
    copy = torch.arange(count).unsqueeze(1)
    starts = one.crow_indices()[:-1] + copy * len(one.values())  # [B, 2T]
    starts = torch.cat([starts.flatten(), torch.tensor([count * len(one.values())])])
    columns = (one.col_indices() + copy * size).flatten()
    values, shape = one.values().repeat(count), (count * size,) * 2
    return torch.sparse_csr_tensor(starts, columns, values, shape, check_invariants=True)


def measure(
    part: str, ways: dict[str, Aggregation], num_steps: int, scales: Sequence[int], x: Tensor, repeats: int
) -> list[Measurement]:
    """Check all ways of a part on nodes ``x`` against one of them, then time them in turns."""
    base = "dense" if part == "sums" else next(iter(ways))
    outputs = [one.detach() for one in ways[base](x)]
    grads = [torch.randn(one.shape) for one in outputs]
    # Nothing flows back through the posterior.
    flows = any(one.requires_grad for one in ways[base](x))

    def run(way: str) -> list[Tensor]:
        found = ways[way](x)
        back = torch.autograd.grad(found, x, grads) if flows else ()
        return [*(one.detach() for one in found), *back]

    expected = run(base)
    for way in ways:
        for result, reference in zip(run(way), expected, strict=True):
            error = float((result - reference).abs().max() / reference.abs().max())
            if not error < 1e-5:
                raise RuntimeError(
                    f"{part}: {way} differs from {base} by {error:.1e} at T = {num_steps}, B = {len(x)}"
                )
    del expected, result, reference
    times: dict[str, list[float]] = {way: [] for way in ways}
    for _ in range(repeats):
        for way in ways:
            start = time.process_time()
            run(way)
            times[way].append(1e3 * (time.process_time() - start))
    median = {way: statistics.median(values) for way, values in times.items()}
    return [
        Measurement(
            part=part,
            num_steps=num_steps,
            scales="+".join(map(str, scales)),
            batch_size=len(x),
            way=way,
            median_ms=median[way],
            fastest_ms=min(times[way]),
            peak_mib=peak_memory(run, way),
            times_faster=median[base] / median[way],
        )
        for way in ways
    ]


def machine_rate(rounds: int = 15) -> float:
    """GFLOP/s of products of matrices, the best of some."""
    square, times = torch.randn(SIDE, SIDE), []
    for _ in range(rounds):
        start = time.process_time()
        square @ square
        times.append(time.process_time() - start)
    return 2e-9 * SIDE**3 / min(times)


def peak_memory(run: Callable[[str], list[Tensor]], way: str) -> float:
    """Largest sum of the memory that PyTorch allocates during one call and has not yet freed, in MiB."""
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiler:
        run(way)
    with tempfile.TemporaryDirectory() as folder:
        trace = Path(folder) / "trace.json"
        profiler.export_chrome_trace(str(trace))
        events = json.loads(trace.read_text())["traceEvents"]
    changes = [(event["ts"], event["args"]["Bytes"]) for event in events if event["name"] == "[memory]"]
    held = peak = 0
    for _, change in sorted(changes):
        held += change
        peak = max(peak, held)
    return peak / 2**20


def markdown(measurements: Sequence[Measurement], widths: tuple[int, int], repeats: int, rate: float) -> str:
    """The results as a Markdown page: one line per graph and batch size, one column per way."""
    sums = [one for one in measurements if one.part == "sums"]
    threads = torch.get_num_threads()
    lines = [
        "# The graph, computed in several ways",
        "",
        "Forward and backward: milliseconds of the processor (medians of",
        f"{repeats} runs, the ways in turns), times faster than another way, and MiB allocated at the peak.",
        "",
        f"{platform.machine()}, {threads} {'thread' if threads == 1 else 'threads'}, PyTorch "
        f"{torch.__version__}; a product of {SIDE} x {SIDE} ran at {rate:.0f} GFLOP/s.",
        "",
        "## Sums",
        "",
        f"A_k X for X of B x 2T x {widths[0]} float32, compared with dense products.",
        "",
        *(f"- {way}: {what}" for way, what in WAYS.items()),
        "",
        f"Left out: gather-scatter of more than {MAX_MESSAGES * 4 / 2**20:.0f} MiB of messages, CSR of more",
        f"than {MAX_EDGES:,} edges, stacking of one scale, and lines whose dense products take more than",
        f"{MAX_PRODUCTS:.0e} multiplications.",
        "",
        "| T | k | B | " + " | ".join(WAYS) + " |",
        "|--:|:--|--:|" + "--:|" * len(WAYS),
    ]
    lines_of: dict[tuple[int, str, int], dict[str, Measurement]] = {}
    for one in sums:
        lines_of.setdefault((one.num_steps, one.scales, one.batch_size), {})[one.way] = one
    for key, by_way in lines_of.items():
        lines.append("| " + " | ".join([*map(str, key), *map(_cell, map(by_way.get, WAYS))]) + " |")
    lines += [
        "",
        "## Convolution, layer, network",
        "",
        f"Of nodes of width {widths[1]}, compared with PyG's message passing over edges.",
        "",
        *(f"- {part}: {what}" for part, what in PARTS.items()),
        "",
        "| part | T | k | B | from edges | dense | closed form |",
        "|:--|--:|:--|--:|--:|--:|--:|",
    ]
    columns = ("edges", "one by one"), ("dense", "all at once"), ("closed form",)
    rows: dict[tuple[str, int, str, int], dict[str, Measurement]] = {}
    for one in measurements[len(sums) :]:
        rows.setdefault((one.part, one.num_steps, one.scales, one.batch_size), {})[one.way] = one
    for about, by_way in rows.items():
        found = [next((by_way[way] for way in ways if way in by_way), None) for ways in columns]
        lines.append("| " + " | ".join([*map(str, about), *map(_cell, found)]) + " |")
    return "\n".join(lines) + "\n"


def _cell(one: Measurement | None) -> str:
    return f"{one.median_ms:.3g} ({one.times_faster:.2g}x), {one.peak_mib:.3g}" if one else "-"


def plot(measurements: Sequence[Measurement], path: Path) -> None:
    """Time and memory over T, at the most scales and the batch size measured at the most lengths."""
    from matplotlib.figure import Figure

    measurements = [one for one in measurements if one.part == "sums"]
    scales = max((one.scales for one in measurements), key=len)
    closed = [one.batch_size for one in measurements if (one.scales, one.way) == (scales, "closed form")]
    batch_size = max(closed, key=lambda size: (closed.count(size), size))
    figure = Figure(figsize=(9, 4), layout="constrained")
    for axes, name, label in zip(
        figure.subplots(1, 2), ("median_ms", "peak_mib"), ("time (ms)", "peak memory (MiB)"), strict=True
    ):
        for way in WAYS:
            points = [
                (one.num_steps, getattr(one, name))
                for one in measurements
                if (one.scales, one.batch_size, one.way) == (scales, batch_size, way)
            ]
            if points:
                axes.loglog(*zip(*points, strict=True), marker="o", label=way)
        lengths = sorted({one.num_steps for one in measurements})
        axes.set_xticks(lengths, map(str, lengths))
        axes.set_xticks([], minor=True)
        axes.set(xlabel="T (steps per clip)", ylabel=label)
        axes.grid(alpha=0.3)
    axes.legend()
    figure.suptitle(f"A_k X forward and backward, k = {scales}, batches of {batch_size}")
    figure.savefig(path, dpi=120)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--lengths", type=int, nargs="+", default=[40, 80, 160, 320, 640], help="values of T")
    parser.add_argument("--part-lengths", type=int, nargs="+", default=[16, 40], help="T of the parts")
    parser.add_argument("--scales", type=int, nargs="+", default=[1, 2, 3], help="each alone, then together")
    parser.add_argument("--batch-sizes", type=int, nargs="+", default=[1, 8, 32, 64])
    parser.add_argument("--channels", type=int, default=512, help="d")
    parser.add_argument("--part-channels", type=int, default=32, help="d of the parts")
    parser.add_argument("--part-batch-sizes", type=int, nargs="+", default=[1, 32])
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--output", type=Path, default=Path("docs/results"), help="folder of the results")
    parser.add_argument("--quick", action="store_true", help="T = 40 and 80, B = 8 and 32 only")
    options = parser.parse_args(arguments)
    if options.quick:
        options.lengths, options.batch_sizes = [40, 80], [8, 32]
    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    warnings.filterwarnings("ignore", message="Sparse CSR tensor support is in beta")
    groups = [(k,) for k in options.scales]
    if len(options.scales) > 1:
        groups.append(tuple(options.scales))
    measurements: list[Measurement] = []
    for num_steps in options.lengths:
        for scales in groups:
            for batch_size in options.batch_sizes:
                products = math.prod([len(scales), batch_size, (2 * num_steps) ** 2, options.channels])
                if products <= MAX_PRODUCTS:
                    x = torch.randn(batch_size, 2 * num_steps, options.channels, requires_grad=True)
                    ways = aggregations(num_steps, scales, batch_size, options.channels)
                    measurements += measure("sums", ways, num_steps, scales, x, options.repeats)
    for num_steps in options.part_lengths:
        for batch_size in options.part_batch_sizes:
            x = torch.randn(batch_size, 2 * num_steps, options.part_channels, requires_grad=True)
            found = parts(num_steps, groups[-1], batch_size, options.part_channels)
            for part, ways in found.items():
                measurements += measure(part, ways, num_steps, groups[-1], x, options.repeats)
    options.output.mkdir(parents=True, exist_ok=True)
    measurements.sort(key=lambda one: ["sums", *PARTS].index(one.part))
    widths = options.channels, options.part_channels
    page = markdown(measurements, widths, options.repeats, machine_rate())
    print(page)
    (options.output / "graph_conv.md").write_text(page)
    with (options.output / "graph_conv.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, [field.name for field in fields(Measurement)])
        writer.writeheader()
        for one in measurements:
            writer.writerow({name: _short(value) for name, value in asdict(one).items()})
    plot(measurements, options.output / "graph_conv.png")


def _short(value: float | str) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


if __name__ == "__main__":
    main()
