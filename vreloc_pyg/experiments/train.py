"""Training any learned system by name, into a folder from which it can be read again."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

import torch

from vreloc_pyg.datasets.tasks import Benchmark
from vreloc_pyg.errors import SettingsError
from vreloc_pyg.localization.base import RankingLocalizer
from vreloc_pyg.localization.calibration import calibrate
from vreloc_pyg.localization.localizer import Localizer
from vreloc_pyg.localization.rival import RivalLocalizer
from vreloc_pyg.systems.catalog import RIVALS, Rival
from vreloc_pyg.systems.known import VARIANTS, check_system, rival_settings, variant_preset
from vreloc_pyg.systems.mgffnet.presets import Preset, make_preset
from vreloc_pyg.training.rivals import RivalData, train_rival
from vreloc_pyg.training.run import train

LocalizerKind = TypeVar("LocalizerKind", bound=RankingLocalizer)


def train_localizer(
    benchmark: Benchmark,
    preset: Preset,
    output: str | Path,
    name: str | None = None,
    calibrated: bool = True,
    **options: Any,
) -> Localizer:
    """Train a preset on a benchmark and save the best localizer into ``output/model``.

    Args:
        benchmark: its training split is trained on, its validation split chooses.
        preset: see :func:`vreloc_pyg.training.make_preset`.
        output: folder for the model, checkpoints and curves.
        name: its row in tables. (default: MGFFNet and the preset's name)
        calibrated: fit the probability that a reference shows the action at all, on the validation split.
        **options: of :func:`vreloc_pyg.training.train`.
    """
    model = train(preset, benchmark.splits["train"], benchmark.splits["validation"], output, **options)
    localizer = Localizer(
        model,
        preset.pairing,
        preset.proposals,
        preset.refine,
        search=preset.search,
        name=f"MGFFNet ({preset.name})" if name is None else name,
        features=benchmark.features,
    )
    return _saved(localizer, benchmark, output, calibrated)


def train_rival_localizer(
    benchmark: Benchmark,
    rival: Rival,
    output: str | Path,
    model: Mapping[str, Any] | None = None,
    training: Mapping[str, Any] | None = None,
    num_workers: int = 0,
    calibrated: bool = True,
    **options: Any,
) -> RivalLocalizer:
    """Train a rival on a benchmark and save it, as it did best, into ``output/model``.

    Args:
        benchmark: its training split is trained on, its validation split chooses.
        rival: which.
        output: folder for the model, checkpoints and curves.
        model, training: settings to replace, see :func:`vreloc_pyg.systems.known.rival_settings`.
        num_workers: processes that prepare examples.
        calibrated: see :func:`train_localizer`.
        **options: of :func:`vreloc_pyg.training.run.fit`.
    """
    settings, chosen = rival_settings(rival, benchmark, model, training)
    train_split = benchmark.splits["train"]
    torch.manual_seed(chosen.seed)
    network = rival.build(train_split.num_features, settings)
    augmentation = make_preset(
        "recommended", train_split.num_features, benchmark.proposals, benchmark.skeleton
    ).augmentation
    validation, proposals = benchmark.splits["validation"], benchmark.proposals
    data = RivalData(rival, chosen, train_split, validation, proposals, augmentation, num_workers)
    train_rival(rival, network, data, output, **options)
    localizer = RivalLocalizer(rival, network, benchmark.proposals, features=benchmark.features)
    return _saved(localizer, benchmark, output, calibrated)


def train_system(
    name: str,
    benchmark: Benchmark,
    output: str | Path,
    preset: str | None = None,
    model: Mapping[str, Any] | None = None,
    pairing: Mapping[str, Any] | None = None,
    training: Mapping[str, Any] | None = None,
    edges: bool = False,
    **options: Any,
) -> RankingLocalizer:
    """Train any learned system by name and save it into ``output/model``.

    Args:
        name: one of :func:`vreloc_pyg.systems.known.learned_systems`.
        benchmark: its training split is trained on, its validation split chooses.
        output: folder for the model, checkpoints and curves.
        preset, pairing, edges: of MGFFNet and its variants only.
        model, training: settings to replace.
        **options: of :func:`train_localizer` or :func:`train_rival_localizer`.

    Raises:
        SettingsError: if the name or a setting is unknown, or does not go with the system.
    """
    if name in RIVALS:
        if preset is not None or pairing or edges:
            raise SettingsError(f"The settings preset, pairing and edges are MGFFNet's, not those of {name}")
        return train_rival_localizer(benchmark, RIVALS[name], output, model, training, **options)
    chosen = variant_preset(check_system(name), benchmark, preset, model, pairing, training)
    row = VARIANTS[name].row if preset is None else None
    return train_localizer(benchmark, chosen, output, row, edges=edges, **options)


def _saved(
    localizer: LocalizerKind, benchmark: Benchmark, output: str | Path, calibrated: bool
) -> LocalizerKind:
    if calibrated:
        localizer.calibration = calibrate(localizer, benchmark.splits["validation"])
    localizer.save_pretrained(Path(output) / "model")
    return localizer
