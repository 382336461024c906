"""Draws the stages of the package, and who imports whom: `make house`.

Stages and their order are those that import-linter keeps (pyproject.toml); arrows are imports. Dark ones lead
to the nearest stages, light ones to stages that a dark way reaches too. The picture carries its arrows as
text, so that a test can tell whether it is of the code as it is.
"""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import grimp
from importlinter.application import use_cases
from importlinter.configuration import configure

ROOT = Path(__file__).resolve().parents[1]


def stages() -> list[str]:
    """Names of the stages, those that import first."""
    configure()
    options = use_cases.read_user_options(str(ROOT / "pyproject.toml"))
    layers: list[str] = next(one for one in options.contracts_options if one["type"] == "layers")["layers"]
    return [layer.partition(".")[2] for layer in layers]


def arrows() -> list[tuple[str, str]]:
    """Pairs of stages of which the first imports the second."""
    graph = grimp.build_graph("vreloc_pyg", cache_dir=None)
    names = stages()
    for name in names:
        if not graph.is_module_squashed(f"vreloc_pyg.{name}"):
            graph.squash_module(f"vreloc_pyg.{name}")
    return [
        (importer, imported)
        for importer in names
        for imported in names
        if graph.direct_import_exists(importer=f"vreloc_pyg.{importer}", imported=f"vreloc_pyg.{imported}")
    ]


def as_text(pairs: list[tuple[str, str]]) -> str:
    """The arrows, a line each."""
    return "\n".join(f"{importer} -> {imported}" for importer, imported in pairs)


def purpose(name: str) -> str:
    """The first sentence of a stage's own docstring."""
    path = ROOT / "vreloc_pyg" / name
    path = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    text = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    return text.splitlines()[0].replace("`", "").replace(":mod:", "").rstrip(".:") if text else ""


def draw(path: Path) -> None:
    """Write the picture."""
    from matplotlib.figure import Figure
    from matplotlib.patches import FancyArrowPatch

    names, pairs = stages(), arrows()
    below: dict[str, set[str]] = {}
    for name in reversed(names):
        own = {imported for importer, imported in pairs if importer == name}
        below[name] = own.union(*(below[other] for other in own))
    figure = Figure(figsize=(8.6, 6.6), layout="constrained")
    axes = figure.add_subplot()
    rows = {name: len(names) - 1 - row for row, name in enumerate(names)}
    for name, y in rows.items():
        axes.text(0, y, name, ha="right", va="center", family="monospace", weight="bold", fontsize=9)
        axes.text(-3.2, y, purpose(name), ha="right", va="center", fontsize=7.5, color="0.25")
    for importer, imported in pairs:
        between = (below[other] for one, other in pairs if one == importer and other != imported)
        light = any(imported in reached for reached in between)
        height = rows[importer] - rows[imported]
        arrow = FancyArrowPatch(
            (0.15, rows[importer] - 0.1),
            (0.15, rows[imported] + 0.1),
            connectionstyle=f"arc3,rad={-0.9 / (1 + 0.04 * height):.3f}",
            arrowstyle="-|>",
            mutation_scale=7,
            color="0.85" if light else f"C{rows[importer] % 10}",
            linewidth=0.7 if light else 1.4,
            zorder=1 if light else 2,
        )
        axes.add_patch(arrow)
    axes.set(xlim=(-15.6, 5.4), ylim=(-1, len(names)))
    axes.axis("off")
    figure.savefig(path, dpi=90, metadata={"Description": as_text(pairs), "Software": None})


if __name__ == "__main__":
    draw(Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "docs" / "house.png")
