"""Reading and writing a model folder: ``model.safetensors`` and ``config.json``."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from vreloc_pyg.errors import CheckpointError

CONFIG_NAME = "config.json"
WEIGHTS_NAME = "model.safetensors"


def save_model(folder: str | Path, module: nn.Module, config: Mapping[str, Any]) -> Path:
    """Write a module's tensors and its settings; each file appears whole or not at all.

    Args:
        folder: made if it does not exist.
        module: its ``state_dict`` is written.
        config: plain values, written as JSON.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    state = {name: tensor.detach().cpu().contiguous() for name, tensor in module.state_dict().items()}
    with tempfile.TemporaryDirectory(dir=folder, prefix=".saving-") as scratch:
        weights, settings = Path(scratch, WEIGHTS_NAME), Path(scratch, CONFIG_NAME)
        save_file(state, weights)
        settings.write_text(json.dumps(config, indent=2) + "\n")
        os.replace(weights, folder / WEIGHTS_NAME)
        os.replace(settings, folder / CONFIG_NAME)
    return folder


def read_config(folder: str | Path) -> dict[str, Any]:
    """The settings of a model folder.

    Raises:
        CheckpointError: if ``config.json`` is missing or is no JSON object.
    """
    path = Path(folder) / CONFIG_NAME
    try:
        config = json.loads(path.read_text())
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise CheckpointError(f"Cannot read the model settings {path}: {error}") from None
    if not isinstance(config, dict):
        raise CheckpointError(f"Expected a JSON object in {path} (got {type(config).__name__})")
    return config


def load_weights(folder: str | Path, module: nn.Module) -> None:
    """Fill a module with the tensors of a model folder.

    Raises:
        CheckpointError: if the file is missing or truncated, or a tensor is missing, unknown or of another
            shape; the tensors are named.
    """
    path = Path(folder) / WEIGHTS_NAME
    try:
        state: dict[str, Tensor] = load_file(path)
    except (OSError, SafetensorError) as error:
        raise CheckpointError(f"Cannot read the model weights {path}: missing or damaged ({error})") from None
    expected = module.state_dict()
    problems = [f"{name} is missing" for name in expected if name not in state]
    problems += [f"{name} is unknown" for name in state if name not in expected]
    problems += [
        f"{name} has shape {tuple(state[name].shape)}, expected {tuple(tensor.shape)}"
        for name, tensor in expected.items()
        if name in state and state[name].shape != tensor.shape
    ]
    if problems:
        more = f" and {len(problems) - 3} more" if len(problems) > 3 else ""
        raise CheckpointError(f"{path} does not fit its settings: {'; '.join(problems[:3])}{more}")
    module.load_state_dict(state)


def weights_hash(module: nn.Module) -> str:
    """SHA-256 of a module's tensors and their names, hexadecimal."""
    digest = hashlib.sha256()
    for name, tensor in sorted(module.state_dict().items()):
        digest.update(name.encode())
        digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()
