"""What features were made with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from vreloc_pyg.errors import FeatureError
from vreloc_pyg.settings import settings_from_dict


@dataclass(frozen=True)
class FeatureMetadata:
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
    dim: int | None = None
    frames_per_step: float | None = None
    frame_rate: float | None = None
    pca: str | None = None
    package_version: str | None = None
    weights: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON; what is unknown is left out."""
        return {key: value for key, value in asdict(self).items() if value is not None}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> FeatureMetadata:
        """The opposite of :meth:`to_dict`.

        Raises:
            SettingsError: for an unknown key or a value of another type.
        """
        return settings_from_dict(cls, values)


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
    """Refuse features that were made in another way than those a model was trained on.

    What either side does not know agrees with anything.

    Args:
        expected: of the model.
        found: of the features at hand.
        where: the features at hand, for the message.

    Raises:
        FeatureError: naming every difference.
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
