"""One vector a window: where its mean and deviation lie among those of all windows."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from safetensors.torch import load, save
from torch import Tensor

from vreloc_pyg.errors import DataError
from vreloc_pyg.sequences.statistics import window_statistics

#: Width of the vectors that an index holds, at most.
MOST_DIMS = 64
#: Windows in the background bank, and how many of them nearest to a query make its background.
BANK, NEAREST = 1024, 16
#: Share of the mean variance that is added to every direction's, so that those of noise are not blown up.
SHRINKAGE = 0.05


@dataclass(frozen=True)
class Descriptors:
    """Maps windows to vectors of length 1 whose inner product says how alike they are.

    Mean and deviation of a window, ``x [2 F]``, are whitened over the windows of the library,

    .. math:: v = \\frac{W (x - \\mu)}{\\lVert W (x - \\mu) \\rVert}

    so that what all videos of a library share does not count; the directions of most variance are kept.

    Args:
        centre: :math:`\\mu`, ``[2 F]``.
        map: :math:`W`, ``[D, 2 F]``.
        bank: vectors of windows drawn from the library, ``[B, D]``.
    """

    centre: Tensor
    map: Tensor
    bank: Tensor

    @property
    def dims(self) -> int:
        """D."""
        return len(self.map)

    def vectors(self, features: Tensor, windows: Tensor) -> Tensor:
        """Of windows ``[M, 2]`` of a video ``[num_steps, F]``: ``[M, D]`` float32."""
        return self.of_statistics(window_statistics(features, windows))

    def of_clip(self, features: Tensor) -> Tensor:
        """Of a whole clip, ``[1, D]``."""
        return self.vectors(features, torch.tensor([[0, len(features)]]))

    def of_statistics(self, statistics: Tensor) -> Tensor:
        """Of means and deviations ``[M, 2 F]``."""
        return torch.nn.functional.normalize((statistics - self.centre) @ self.map.T, dim=1)

    def background(self, vectors: Tensor) -> Tensor:
        """How alike vectors ``[Q, D]`` are to what is nearest in the bank, on average, ``[Q]``.

        Subtracted from similarities, it makes those of a query that resembles everything comparable with
        those of one that resembles little (score normalisation, Douze et al., "The 2021 image similarity
        dataset and challenge", section 5.2).
        """
        found = vectors @ self.bank.T
        return found.topk(min(NEAREST, found.size(1)), dim=1).values.mean(1)

    def to_bytes(self) -> bytes:
        """For a file."""
        return save({name: value.contiguous() for name, value in vars(self).items()})

    @classmethod
    def from_bytes(cls, content: bytes, where: str) -> Descriptors:
        """What :meth:`to_bytes` made; :class:`DataError` if ``where`` holds something else."""
        try:
            made = cls(**load(content))
            dims, width = made.map.shape
            sound = made.centre.shape == (width,) and made.bank.shape[1:] == (dims,) and len(made.bank) > 0
            if not sound or any(one.dtype != torch.float32 for one in vars(made).values()):
                raise DataError("their shapes do not fit each other")
        except Exception as error:  # safetensors has several of its own
            raise DataError(f"Cannot read the descriptors of {where}: {error}") from None
        return made


def fit_descriptors(statistics: Tensor) -> Descriptors:
    """Whitening by the principal directions of windows' means and deviations ``[M, 2 F]``.

    Of fewer windows than directions the variances are drawn to their mean, so that one video is enough.
    """
    sample = statistics.double()
    centre = sample.mean(0)
    centred = sample - centre
    count, width = centred.shape
    if count < width:  # the same directions from the smaller matrix
        variances, left = torch.linalg.eigh(centred @ centred.T / count)
        directions = centred.T @ left / (count * variances.clamp(min=1e-12)).sqrt()
    else:
        variances, directions = torch.linalg.eigh(centred.T @ centred / count)
    variances, directions = variances.flip(0)[:MOST_DIMS], directions.flip(1)[:, :MOST_DIMS]
    kept = variances > 1e-9 * variances.max().clamp(min=1e-12)
    variances, directions = variances[kept], directions[:, kept]
    if not len(variances):  # all windows are equal: one direction, in which they do not differ
        variances, directions = torch.ones(1, dtype=sample.dtype), torch.eye(width, 1, dtype=sample.dtype)
    share = SHRINKAGE + (1 - SHRINKAGE) * width / (width + count)
    scale = ((1 - share) * variances + share * variances.mean()).rsqrt()
    mapping = (directions * scale).T.float()
    fitted = Descriptors(centre.float(), mapping, torch.empty(0, len(mapping)))
    drawn = torch.randperm(count, generator=torch.Generator().manual_seed(0))[:BANK]
    return Descriptors(fitted.centre, mapping, fitted.of_statistics(statistics[drawn].float()))
