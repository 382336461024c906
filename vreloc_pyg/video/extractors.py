"""The feature networks that commands know by name; a new one is a file, and a line here."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

from vreloc_pyg.errors import SettingsError

if TYPE_CHECKING:
    from vreloc_pyg.video.extractor import ExtractorSpec, VideoExtractor
    from vreloc_pyg.video.network_weights import PublishedWeights

#: Where networks compute.
Device = Literal["cpu", "cuda"]

#: Name of each extractor, and where its spec is; a module is imported when its extractor is asked for.
EXTRACTORS = {
    "i3d": "vreloc_pyg.video.i3d:I3D_EXTRACTOR",
    "c3d": "vreloc_pyg.video.c3d:C3D_EXTRACTOR",
    "c3d-fc7": "vreloc_pyg.video.c3d:C3D_FC7_EXTRACTOR",
    "look": "vreloc_pyg.video.efficientnet_lite:LOOK_EXTRACTOR",
    "x3d": "vreloc_pyg.video.x3d:X3D_EXTRACTOR",
    "dinov2": "vreloc_pyg.video.dinov2:DINOV2_EXTRACTOR",
    "videomae": "vreloc_pyg.video.videomae:VIDEOMAE_EXTRACTOR",
    "pose": "vreloc_pyg.video.pose:POSE_EXTRACTOR",
    "pose-path": "vreloc_pyg.video.pose:POSE_PATH_EXTRACTOR",
}


def extractor_spec(name: str) -> ExtractorSpec:
    """The spec of an extractor; :class:`SettingsError` for an unknown name."""
    if name not in EXTRACTORS:
        raise SettingsError(f"Unknown extractor {name!r}; known are {', '.join(EXTRACTORS)}")
    module, _, attribute = EXTRACTORS[name].partition(":")
    spec: ExtractorSpec = getattr(import_module(module), attribute)
    return spec


def published_network(name: str) -> PublishedWeights:
    """The network of an extractor, which knows its weights; :class:`SettingsError` if it needs none."""
    network = extractor_spec(name).network
    if network is None:
        raise SettingsError(f"The extractor {name!r} needs no weights")
    return network


def check_device(device: str) -> None:
    """Raise :class:`SettingsError` unless a network can compute there."""
    import torch

    if device not in get_args(Device):
        raise SettingsError(f"Expected device to be {' or '.join(get_args(Device))} (got {device!r})")
    if device == "cuda" and not torch.cuda.is_available():
        raise SettingsError("There is no CUDA here, or this PyTorch was built without it: give device cpu")


def load_extractor(
    name: str = "i3d",
    weights: str | Path | None = None,
    frame_rate: float | None = None,
    device: Device = "cpu",
) -> VideoExtractor:
    """An extractor, with imported weights where it needs some.

    Args:
        name: of :data:`EXTRACTORS`.
        weights: safetensors file of :meth:`.PublishedWeights.import_weights`; by default where it keeps them.
        frame_rate: frames per second; by default the extractor's own.
        device: where its network computes; one without a network stays on the processor.

    Raises:
        SettingsError: for an unknown name or device, or where there is no CUDA.
        WeightsError: if the weights are missing; the message says how to get them.
    """
    spec = extractor_spec(name)
    check_device(device)
    unweighted = spec.network is None and weights is None
    network: Any = None if unweighted else published_network(name).load(weights)
    if hasattr(network, "to"):  # BlazePose's runs on the processor only
        network = network.to(device)
    made = spec.make(network, spec.frame_rate if frame_rate is None else frame_rate)
    if made.name != name:  # features are found again by what their extractor calls itself
        raise SettingsError(f"The extractor {name!r} calls itself {made.name!r}: both must be one name")
    return made
