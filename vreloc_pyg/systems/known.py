"""Every learned system by name: MGFFNet, its variants, and the rivals."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from vreloc_pyg.datasets.tasks import Benchmark
from vreloc_pyg.errors import SettingsError
from vreloc_pyg.settings import settings_from_dict
from vreloc_pyg.systems.catalog import RIVALS
from vreloc_pyg.systems.mgffnet.presets import Preset, make_preset
from vreloc_pyg.systems.spec import Rival, RivalTraining


@dataclass(frozen=True)
class Variant:
    """MGFFNet with some settings replaced.

    Args:
        row: its row in a table.
        preset: what the settings are replaced in.
        model: settings of the network.
    """

    row: str
    preset: str = "recommended"
    model: Mapping[str, Any] = field(default_factory=dict)


#: MGFFNet and its ablations by name; the paper's graph types (section 4.4) and PyG's own convolutions.
VARIANTS = {
    "mgffnet": Variant("MGFFNet (recommended)"),
    "mgffnet-cnn": Variant("MGFFNet (CNN)", model={"aggregate": False}),
    "mgffnet-binary": Variant("MGFFNet (binary)", model={"weight": "binary"}),
    "mgffnet-exponential": Variant("MGFFNet (exponential)", model={"weight": "exponential"}),
    "mgffnet-laplacian": Variant("MGFFNet (laplacian)", model={"weight": "laplacian"}),
    "mgffnet-gat": Variant("MGFFNet (GAT)", model={"conv": "gat", "weight": "binary"}),
    "mgffnet-sage": Variant("MGFFNet (SAGE)", model={"conv": "sage", "weight": "binary"}),
    "mgffnet-paper": Variant("MGFFNet (paper)", preset="paper"),
}


def learned_systems() -> tuple[str, ...]:
    """Names of all systems that are trained: MGFFNet, its variants, the rivals."""
    return (*VARIANTS, *RIVALS)


def variant_preset(
    name: str,
    benchmark: Benchmark,
    preset: str | None = None,
    model: Mapping[str, Any] | None = None,
    pairing: Mapping[str, Any] | None = None,
    training: Mapping[str, Any] | None = None,
) -> Preset:
    """Everything that decides a variant of MGFFNet on a benchmark.

    Args:
        name: one of ``VARIANTS``.
        benchmark: gives the width of features, windows and skeleton.
        preset: in place of the variant's own.
        model, pairing, training: settings to replace, see :func:`~vreloc_pyg.training.make_preset`.

    Raises:
        SettingsError: if a name or setting is unknown or impossible.
    """
    variant = VARIANTS[check_system(name, VARIANTS)]
    return make_preset(
        variant.preset if preset is None else preset,
        benchmark.splits["train"].num_features,
        benchmark.proposals,
        benchmark.skeleton,
        {**variant.model, **(model or {})},
        pairing,
        training,
        benchmark.shortest,
    )


def rival_settings(
    rival: Rival,
    benchmark: Benchmark,
    model: Mapping[str, Any] | None = None,
    training: Mapping[str, Any] | None = None,
) -> tuple[dict[str, Any], RivalTraining]:
    """Settings of a rival's network and of its run on a benchmark.

    A network that caps the length of its answers considers what the benchmark does (:attr:`.Rival.suit`).

    Args:
        rival: which.
        benchmark: gives the greatest length and the mirror image.
        model, training: settings to replace.

    Raises:
        SettingsError: if a setting is unknown or impossible.
    """
    chosen = settings_from_dict(RivalTraining, {**vars(rival.training), **(training or {})})
    mirror = None if benchmark.skeleton is None else benchmark.skeleton.mirror_features()
    return {**rival.suit(benchmark.longest, mirror), **(model or {})}, chosen


def check_system(name: str, known: Mapping[str, object] | None = None) -> str:
    """Return ``name`` unchanged, or raise :class:`SettingsError` that lists the systems there are."""
    names = learned_systems() if known is None else tuple(known)
    if name not in names:
        raise SettingsError(f"Unknown system {name!r}; known are {', '.join(names)}")
    return name
