"""What features were made with."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import Any

from vreloc_pyg.errors import FeatureError
from vreloc_pyg.settings import CheckedSettings, Count, Positive


@dataclass(frozen=True)
class FeatureMetadata(CheckedSettings):
    """What features were made with; ``None`` where nobody knows.

    Args:
        extractor: the network, such as ``"c3d"``.
        dim: F, numbers a step.
        frames_per_step: frames from one step to the next.
        frame_rate: frames per second the extractor saw, where it is the same for all videos.
        pca: identifier of the basis that reduced them (:attr:`vreloc_pyg.features.pca.PCA.id`).
        package_version: of this package, when it wrote them.
        weights: first digits of the SHA-256 of the network's weights.
    """

    extractor: str | None = None
    dim: Count | None = None
    frames_per_step: Positive | None = None
    frame_rate: Positive | None = None
    pca: str | None = None
    package_version: str | None = None
    weights: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON; what is unknown is left out."""
        return {key: value for key, value in asdict(self).items() if value is not None}


#: In words, for messages; the package version never matters.
WORDS = {
    "extractor": "the extractor",
    "dim": "the width",
    "frames_per_step": "the frames per step",
    "frame_rate": "the frame rate",
    "weights": "the digest of the weights",
    "pca": "the PCA basis",
}


def check_metadata(expected: FeatureMetadata, found: FeatureMetadata, where: str) -> None:
    """Raise :class:`FeatureError` where features were made in another way than those a model was trained on.

    What either side does not know agrees with anything; every difference is named.

    Args:
        expected, found: of the model, and of the features at hand.
        where: the features at hand, for the message.
    """
    wrong = []
    for field in fields(FeatureMetadata):
        one, other = getattr(expected, field.name), getattr(found, field.name)
        if field.name in WORDS and None not in (one, other) and one != other:
            wrong.append(f"{WORDS[field.name]} is {other}, expected {one}")
    if wrong:
        raise FeatureError(
            f"{where[:1].upper() + where[1:]} do not fit the model: {'; '.join(wrong)}. "
            "Extract them as the model's were, or train on these"
        )
