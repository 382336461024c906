"""The square of an image that a pose network sees: where it lies, and its pixels."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import affine_grid, grid_sample

from vreloc_pyg.video.decoding import Frame

Points = NDArray[np.float64]

#: Side of the square, over the distance from the hips to the point above the head.
SIDE = 2.5
#: Images darker on average, of 255, are brightened to this.
DARKEST = 90.0
#: Least exponent of the brightening: noise in what is nearly black shall not become a picture.
LEAST_GAMMA = 0.35


@dataclass(frozen=True)
class Crop:
    """A turned square of an image; pixel k of a row covers ``[k, k + 1]``.

    Args:
        x, y: its centre in pixels.
        side: its side in pixels.
        angle: in radians, by which it is turned clockwise as one sees it.
    """

    x: float
    y: float
    side: float
    angle: float = 0.0

    @classmethod
    def around(cls, hips: Points, top: Points) -> Crop:
        """The square that shows a whole person upright.

        Args:
            hips: the middle of the hips, which is the square's centre, ``[2]``.
            top: a point beyond the head whose distance from the hips is the person's size, ``[2]``.
        """
        dx, dy = float(top[0] - hips[0]), float(top[1] - hips[1])
        return cls(
            float(hips[0]), float(hips[1]), SIDE * math.hypot(dx, dy), math.atan2(dy, dx) + math.pi / 2
        )

    @classmethod
    def whole(cls, width: int, height: int) -> Crop:
        """The smallest upright square around an image."""
        return cls(width / 2, height / 2, float(max(width, height)))

    @property
    def _turn(self) -> Points:
        cosine, sine = math.cos(self.angle), math.sin(self.angle)
        return np.array([[cosine, -sine], [sine, cosine]])

    def to_image(self, points: Points) -> Points:
        """Pixels of the image for points ``[..., 2]`` of the square, from (0, 0) to (1, 1)."""
        return np.array([self.x, self.y]) + self.side * (points - 0.5) @ self._turn.T

    def from_image(self, points: Points) -> Points:
        """Points of the square for pixels ``[..., 2]`` of the image."""
        return (points - np.array([self.x, self.y])) @ self._turn / self.side + 0.5

    def cut(self, image: Tensor, size: int) -> Tensor:
        """Its pixels ``[size, size, 3]``, of a float image ``[3, H, W]`` whose borders go on outside it."""
        height, width = image.shape[1:]
        turned = self.side * self._turn / np.array([[width], [height]])
        shift = 2 * np.array([[self.x / width], [self.y / height]]) - 1
        theta = torch.from_numpy(np.hstack([turned, shift])).to(image.dtype)[None]
        grid = affine_grid(theta, [1, 3, size, size], align_corners=False)
        return grid_sample(image[None], grid, padding_mode="border", align_corners=False)[0].permute(1, 2, 0)

    def distance(self, point: Points) -> float:
        """How far a pixel ``[2]`` of the image is from a person in the crop, in sides of it.

        The person is taken for a line from the point above the head through the hips to the feet.
        """
        across, down = self.from_image(point) - 0.5
        return math.hypot(float(across), max(0.0, abs(float(down)) - 1 / SIDE))


def brightened(frame: Frame) -> Tensor:
    """A frame ``[H, W, 3]`` as float ``[3, H, W]`` from 0 to 255; a dark one is brightened.

    The exponent of the brightening is that which brings the mean to :data:`DARKEST`.
    """
    image = torch.from_numpy(frame).permute(2, 0, 1).float()
    mean = float(image[:, ::4, ::4].mean())
    if mean >= DARKEST:
        return image
    gamma = max(LEAST_GAMMA, math.log(DARKEST / 255) / math.log(max(mean, 1.0) / 255))
    return image.div_(255).pow_(gamma).mul_(255)
