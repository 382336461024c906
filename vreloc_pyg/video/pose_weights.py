"""The published files of BlazePose's two networks: reading them, keeping ours.

They lie in the wheel of ``mediapipe``, which is never installed (Apache-2.0).
"""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from vreloc_pyg.errors import WeightsError
from vreloc_pyg.video.network_weights import PublishedWeights
from vreloc_pyg.video.pose_network import LandmarkNetwork, PersonDetector

#: The files, and the SHA-256 of each.
FILES = {
    "pose_detection.tflite": "9ba9dd3d42efaaba86b4ff0122b06f29c4122e756b329d89dca1e297fd8f866c",
    "pose_landmark_full.tflite": "e9a5c5cb17f736fafd4c2ec1da3b3d331d6edbe8a0d32395855aeb2cdfd64b9f",
}
#: Largest file that is read, in bytes.
MOST_BYTES = 2**24


class PoseNetworks:
    """The detector and the landmark network; see :class:`PoseWeights`."""

    def __init__(self, files: dict[str, bytes]) -> None:
        self.detector = PersonDetector(files["pose_detection.tflite"])
        self.landmarks = LandmarkNetwork(files["pose_landmark_full.tflite"])
        self.digest = hashlib.sha256("".join(FILES.values()).encode()).hexdigest()[:12]


class PoseWeights(PublishedWeights):
    """Where the files come from and where they are kept, in one file of the user's cache."""

    name = "pose"
    fetch = (
        "pip download --no-deps --only-binary=:all: --python-version 3.11 --platform manylinux_2_28_x86_64 "
        "mediapipe==0.10.21 && vreloc weights import-pose mediapipe-0.10.21-*.whl"
    )

    def import_weights(self, path: str | Path, output: str | Path | None = None) -> Path:
        """Read the published files and keep them, by default in :meth:`weights_path`.

        Args:
            path: the wheel as it was downloaded, another zip or a folder with the two ``.tflite`` files.

        Raises:
            WeightsError: if it cannot be read, lacks one of them, or holds another version.
        """
        files = checked(read_files(Path(path)), path)
        PoseNetworks(files)
        bytes_of = {name: torch.frombuffer(bytearray(one), dtype=torch.uint8) for name, one in files.items()}
        return self.keep(bytes_of, output)

    def filled(self, state: Mapping[str, Tensor], path: str | Path) -> PoseNetworks:
        """The networks of kept files; :class:`WeightsError` unless they are the published ones."""
        try:
            files = {name: one.numpy().tobytes() for name, one in state.items()}
        except TypeError as error:  # tensors of kinds that NumPy has not
            raise WeightsError(str(error)) from None
        return PoseNetworks(checked(files, path))


def read_files(path: Path) -> dict[str, bytes]:
    """The files of :data:`FILES` that a folder, wheel or zip holds, at any depth."""
    found: dict[str, bytes] = {}
    try:
        if path.is_dir():
            for name in FILES:
                place = next(iter(sorted(path.rglob(name))), None)
                if place is not None:
                    with place.open("rb") as file:
                        found[name] = file.read(MOST_BYTES + 1)
        else:
            with zipfile.ZipFile(path) as archive:
                for member in archive.infolist():
                    name = member.filename.rpartition("/")[2]
                    if name in FILES:
                        with archive.open(member) as inside:
                            found[name] = inside.read(MOST_BYTES + 1)
    except Exception as error:  # a damaged archive raises nearly anything
        raise WeightsError(
            f"Cannot read the weights {path}: {error}. Expected the wheel of mediapipe, or a folder or zip "
            f"with {' and '.join(FILES)}"
        ) from None
    return found


def checked(files: dict[str, bytes], path: str | Path) -> dict[str, bytes]:
    """The same files; :class:`WeightsError` unless they are the published ones to the last byte."""
    for name, digest in FILES.items():
        if name not in files:
            raise WeightsError(f"{path} holds no {name}")
        found = hashlib.sha256(files[name]).hexdigest()
        if found != digest:
            raise WeightsError(
                f"The {name} in {path} is damaged or of another version: its SHA-256 begins with "
                f"{found[:12]}, that of mediapipe 0.10.21 with {digest[:12]}"
            )
    return {name: files[name] for name in FILES}


POSE_WEIGHTS = PoseWeights()
