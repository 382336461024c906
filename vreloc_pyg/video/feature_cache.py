"""Features of videos, and a folder that keeps them by content and settings."""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import dataclass, field
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from vreloc_pyg.files import replacing
from vreloc_pyg.video.decoding import READING
from vreloc_pyg.video.extractor import VideoExtractor


@dataclass(frozen=True)
class VideoFeatures:
    """Features of a video, or of a part of it.

    Args:
        features: ``[num_steps, F]`` float32.
        seconds_per_step, duration_s: of a step, and of what was read.
        problems: what was wrong with the file, in words.
        cached: whether they were read from a cache.
        joints: of poses, what a picture of them needs: Penn Action's joints in every step, as shares of the
            picture's width and height, ``[num_steps, 13, 2]``, NaN where nobody is seen.
    """

    features: Tensor
    seconds_per_step: float
    duration_s: float
    problems: tuple[str, ...] = ()
    cached: bool = False
    joints: Tensor | None = None


@dataclass
class FeatureCache:
    """Features of videos in a folder, each in a file whose name is a digest of everything that made it.

    So nothing in it is ever out of date, and it may be deleted at any time. What cannot be kept is a line of
    ``notes``, not an error.

    Args:
        folder: where they are.
        notes: what could not be kept.
        joints: whether what a picture of poses needs is kept too.
    """

    folder: Path
    notes: list[str] = field(default_factory=list)
    joints: bool = True

    def path(self, content: str, extractor: VideoExtractor, start_s: float, end_s: float | None) -> Path:
        """The file for features of a video with this content."""
        key = json.dumps([content, extractor.fingerprint(), start_s, end_s, READING])
        return self.folder / f"{hashlib.sha256(key.encode()).hexdigest()[:32]}.safetensors"

    def get(self, path: Path) -> VideoFeatures | None:
        """What is kept, or ``None``; a damaged file counts as nothing."""
        try:
            with safe_open(path, "pt") as file:
                about = json.loads(file.metadata()["about"])
                features = file.get_tensor("features")
                step_s, duration_s = float(about["seconds_per_step"]), float(about["duration_s"])
                problems = tuple(map(str, about["problems"]))
                joints = file.get_tensor("joints").float() if "joints" in list(file.keys()) else None
        except Exception:  # of a damaged file nearly anything
            return None
        whole = features.dim() == 2 and 0 not in features.shape and features.dtype == torch.float32
        if not whole or not (0 < step_s < math.inf and 0 < duration_s < math.inf):
            return None
        if not torch.isfinite(features).all():
            return None
        if joints is not None and joints.shape != (len(features), 13, 2):
            return None
        return VideoFeatures(features, step_s, duration_s, problems, cached=True, joints=joints)

    def put(self, path: Path, found: VideoFeatures) -> None:
        """Keep features, whole or not at all."""
        about = {key: getattr(found, key) for key in ("seconds_per_step", "duration_s", "problems")}
        tensors = {"features": found.features}
        if self.joints and found.joints is not None:
            tensors["joints"] = found.joints.half()  # half a pixel of a picture 1,000 pixels wide
        try:
            with replacing(path) as unfinished:
                save_file(tensors, unfinished, {"about": json.dumps(about)})
        except (OSError, SafetensorError) as error:
            self.notes.append(f"Features could not be kept in {self.folder}: {error}")
