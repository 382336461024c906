"""Reading and writing a model folder: ``model.safetensors`` and ``config.json``."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn.modules.module import register_module_parameter_registration_hook

from vreloc_pyg.errors import CheckpointError, DataError, reading
from vreloc_pyg.files import file_digest, read_json, replacing

CONFIG_NAME = "config.json"
WEIGHTS_NAME = "model.safetensors"
#: SHA-256 of the file of tensors, among the settings; models of earlier versions have none.
DIGEST_KEY = "weights_sha256"


def save_model(folder: str | Path, module: nn.Module, config: Mapping[str, Any]) -> Path:
    """Write a module's tensors and its settings into a folder.

    Each file is written whole or not at all, the settings last: they hold the digest of the tensors, so that
    files of two savings, of which the second was killed, are told apart. Tensors that are not finite are a
    :class:`CheckpointError`, and nothing is written.
    """
    folder = Path(folder)
    state = {name: tensor.detach().cpu().contiguous() for name, tensor in module.state_dict().items()}
    wrong = first_not_finite(state)
    if wrong:
        raise CheckpointError(f"A model with {wrong} that is not finite is not saved in {folder}")
    with replacing(folder / CONFIG_NAME) as settings, replacing(folder / WEIGHTS_NAME) as weights:
        save_file(state, weights)
        settings.write_text(json.dumps({**config, DIGEST_KEY: file_digest(weights)}, indent=2) + "\n")
    return folder


def is_whole(folder: str | Path) -> bool:
    """Whether a folder holds a model of one saving."""
    try:
        _check_digest(Path(folder))
    except CheckpointError:
        return False
    return True


def _check_digest(folder: Path) -> None:
    path, expected = folder / WEIGHTS_NAME, read_config(folder).get(DIGEST_KEY)
    try:
        found = file_digest(path)
    except OSError as error:
        raise CheckpointError(f"Cannot read the model weights {path}: missing or damaged ({error})") from None
    if expected is not None and found != expected:
        raise CheckpointError(
            f"{path} and {CONFIG_NAME} are not of one saving: a run was killed while it saved, or a file was "
            "replaced; train again with resume"
        )


def read_config(folder: str | Path) -> dict[str, Any]:
    """The settings of a model folder; :class:`CheckpointError` if ``config.json`` holds none."""
    path = Path(folder) / CONFIG_NAME
    try:
        config = read_json(path)
    except DataError as error:
        raise CheckpointError(f"Cannot read the model settings {path}: {error}") from None
    if not isinstance(config, dict):
        raise CheckpointError(f"Expected a JSON object in {path} (got {type(config).__name__})")
    return config


def check_network(folder: str | Path, make: Callable[[], nn.Module]) -> None:
    """Raise :class:`CheckpointError` unless a folder has the tensors for a network, before it is built.

    Settings from elsewhere may ask for any size: here it is built without memory.

    Args:
        folder: that of :func:`save_model`.
        make: builds the network, as settings say; what it raises is raised.
    """
    path, ours, count = Path(folder) / WEIGHTS_NAME, threading.get_ident(), 0
    with (
        reading(f"the model weights {path}: missing or damaged", CheckpointError),
        safe_open(path, "pt") as file,
    ):
        held = {name: file.get_slice(name).get_shape() for name in file.keys()}  # noqa: SIM118 (no mapping)

    def counted(*_: object) -> None:
        nonlocal count
        count += threading.get_ident() == ours
        if count > 10 * len(held) + 100:
            raise CheckpointError(
                f"{path} does not fit its settings: they ask for more than its {len(held)} tensors"
            )

    hook = register_module_parameter_registration_hook(counted)
    try:
        with torch.device("meta"):
            claimed = make().state_dict()
    finally:
        hook.remove()
    problems = state_problems(
        claimed, {name: torch.empty(shape, device="meta") for name, shape in held.items()}
    )
    if problems:
        raise CheckpointError(f"{path} does not fit its settings: {problems}")


def load_weights(folder: str | Path, module: nn.Module) -> None:
    """Fill a module with the tensors of a model folder.

    Raises:
        CheckpointError: if the file is damaged, or tensors, which are named, do not fit the module.
    """
    path = Path(folder) / WEIGHTS_NAME
    try:
        state: dict[str, Tensor] = load_file(path)
    except (OSError, SafetensorError) as error:
        raise CheckpointError(f"Cannot read the model weights {path}: missing or damaged ({error})") from None
    problems = state_problems(module.state_dict(), state)
    if problems:
        raise CheckpointError(f"{path} does not fit its settings: {problems}")
    wrong = first_not_finite(state)
    if wrong:
        raise CheckpointError(f"{path} holds {wrong} that is not finite: its training has failed")
    _check_digest(Path(folder))
    module.load_state_dict(state)


def first_not_finite(state: Mapping[str, Tensor]) -> str:
    """Name of the first tensor that holds NaN or infinite values; empty if there is none."""
    return next((name for name, tensor in state.items() if not torch.isfinite(tensor).all()), "")


def state_problems(expected: Mapping[str, Tensor], state: Mapping[str, Tensor]) -> str:
    """Why a state is not of the names and shapes expected, in words; empty where it is."""
    problems = [f"{name} is missing" for name in expected if name not in state]
    problems += [f"{name} is unknown" for name in state if name not in expected]
    problems += [
        f"{name} has shape {tuple(state[name].shape)}, expected {tuple(tensor.shape)}"
        for name, tensor in expected.items()
        if name in state and state[name].shape != tensor.shape
    ]
    more = f" and {len(problems) - 3} more" if len(problems) > 3 else ""
    return "; ".join(problems[:3]) + more


def weights_hash(module: nn.Module) -> str:
    """SHA-256 of a module's tensors, but for counts of batches, as float32 and their names, hexadecimal."""
    digest = hashlib.sha256()
    for name, tensor in sorted(module.state_dict().items()):
        if not name.endswith("num_batches_tracked"):
            digest.update(name.encode())
            digest.update(tensor.detach().cpu().float().contiguous().numpy().tobytes())
    return digest.hexdigest()
