"""BlazePose's two networks: people in a picture, and the landmarks of one of them.

Bazarevsky et al., BlazePose: On-device Real-time Body Pose tracking, 2020, https://arxiv.org/abs/2006.10204.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from vreloc_pyg.errors import MissingExtraError, WeightsError
from vreloc_pyg.video.native_messages import without_info
from vreloc_pyg.video.pose_crop import Crop, Points

FloatArray = NDArray[np.floating]

#: Pixels of a side that the detector and the landmark network see.
DETECTOR_SIZE, LANDMARK_SIZE = 224, 256
#: Strides of the detector's grids in pixels, and anchors at each of their places.
ANCHORS = ((8, 2), (16, 2), (32, 6))
#: Landmarks of the network: 33 of the body, two that the next crop is taken from, four that nothing uses.
NUM_LANDMARKS, NUM_ALL = 33, 39
#: Who is detected with less, or lies over another by more, is none; landmarks with less presence neither.
LEAST_SCORE, LARGEST_OVERLAP, LEAST_PRESENCE = 0.5, 0.3, 0.5
#: Side of a heatmap, of the window of it that refines a landmark, and the least peak that does.
HEATMAP, KERNEL, LEAST_PEAK = 64, 7, 0.5


class Interpreter:
    """A network in TensorFlow Lite's format, on one thread.

    Args:
        content: the file.
        name: of it, for messages.
        sizes: numbers of values of the outputs that are read, in their order.

    Raises:
        MissingExtraError: if the interpreter is not installed.
        WeightsError: if the content is no network, or one with other outputs.
    """

    def __init__(self, content: bytes, name: str, size: int, sizes: tuple[int, ...]) -> None:
        try:
            from ai_edge_litert.interpreter import Interpreter as Runner
        except ImportError:
            raise MissingExtraError(
                "Poses need ai-edge-litert, which is not installed: pip install 'vreloc_pyg[pose]'"
            ) from None
        try:
            with without_info():
                self.runner = Runner(model_content=content, num_threads=1)
                self.runner.allocate_tensors()
        except (ValueError, RuntimeError) as error:
            raise WeightsError(f"{name} is damaged: {' '.join(str(error).split())}") from None
        (given,) = self.runner.get_input_details()
        found = {int(np.prod(one["shape"])): one["index"] for one in self.runner.get_output_details()}
        if tuple(given["shape"]) != (1, size, size, 3) or not set(sizes) <= set(found):
            raise WeightsError(f"{name} is another network: its input is {given['shape'].tolist()}")
        self.input, self.outputs = given["index"], [found[one] for one in sizes]

    def __call__(self, pixels: Tensor) -> list[FloatArray]:
        """The outputs for pixels ``[size, size, 3]``."""
        self.runner.set_tensor(self.input, pixels.contiguous().numpy()[None])
        self.runner.invoke()
        return [self.runner.get_tensor(index)[0] for index in self.outputs]


def anchors() -> Points:
    """Centres of the detector's 2,254 anchors, ``[A, 2]`` from 0 to 1."""
    found = []
    for stride, number in ANCHORS:
        cells = (np.arange(DETECTOR_SIZE // stride) + 0.5) * stride / DETECTOR_SIZE
        y, x = np.meshgrid(cells, cells, indexing="ij")
        found.append(np.repeat(np.stack([x, y], -1).reshape(-1, 2), number, axis=0))
    return np.concatenate(found)


class PersonDetector:
    """Finds people in a picture.

    Args:
        content: the file of the network.
        least_score: who is detected with less is none.
    """

    def __init__(self, content: bytes, least_score: float = LEAST_SCORE) -> None:
        self.anchors, self.least_score = anchors(), least_score
        number = len(self.anchors)
        self.network = Interpreter(content, "The pose detector", DETECTOR_SIZE, (12 * number, number))

    def __call__(self, image: Tensor) -> list[Crop]:
        """Where people are in an image ``[3, H, W]``, the surest first."""
        seen = Crop.whole(image.shape[2], image.shape[1])
        # MediaPipe's bars are black; with borders that go on, more people are found (docs/results/pose.md).
        values, scores = self.network(seen.cut(image, DETECTOR_SIZE) / 127.5 - 1)
        sure = 1 / (1 + np.exp(-np.clip(scores[:, 0].astype(np.float64), -100, 100)))
        kept = sure >= self.least_score
        found = merge_overlapping(decode_boxes(values[kept], self.anchors[kept]), sure[kept])
        points = (seen.to_image(one[4:8].reshape(2, 2)) for one in found)
        return [Crop.around(hips, top) for hips, top in points]


def decode_boxes(values: FloatArray, centres: Points) -> Points:
    """Boxes ``[M, 12]`` from 0 to 1: left, top, right, bottom of the face, and four points x, y.

    Args:
        values: of the detector, ``[M, 12]``: middle, width and height of a face and the points, in pixels
            from the anchor's centre. The points are the hips, one beyond the head, and two of the upper body.
        centres: of the anchors, ``[M, 2]``.
    """
    scaled = values.astype(np.float64) / DETECTOR_SIZE
    middle, half = scaled[:, :2] + centres, scaled[:, 2:4] / 2
    points = scaled[:, 4:].reshape(-1, 4, 2) + centres[:, None]
    return np.concatenate([middle - half, middle + half, points.reshape(-1, 8)], axis=1)


def merge_overlapping(boxes: Points, scores: FloatArray) -> list[Points]:
    """One box for each group that overlaps, their mean weighted by scores; the surest group first.

    Args:
        boxes: ``[M, 12]`` of :func:`decode_boxes`.
        scores: ``[M]``.
    """
    merged, left = [], np.argsort(-scores, kind="stable")
    while len(left):
        best, others = boxes[left[0]], boxes[left]
        sides = np.minimum(best[2:4], others[:, 2:4]) - np.maximum(best[:2], others[:, :2])
        inner = np.clip(sides, 0, None).prod(1)
        areas = (others[:, 2:4] - others[:, :2]).prod(1)
        same = inner / np.maximum(areas + areas[0] - inner, 1e-12) > LARGEST_OVERLAP
        same[0] = True
        merged.append(np.average(others[same], axis=0, weights=scores[left[same]]))
        left = left[~same]
    return merged


@dataclass(frozen=True)
class Landmarks:
    """What the landmark network sees in a crop.

    Args:
        presence: how sure it is that a person is there, 0 to 1.
        points: x, y in pixels of the image, depth in pixels (less is nearer; the hips are near 0), and how
            sure a point is to be seen, 0 to 1: ``[39, 4]``.
    """

    presence: float
    points: Points

    @property
    def next_crop(self) -> Crop:
        """Where the person is looked for in the next frame."""
        return Crop.around(self.points[NUM_LANDMARKS, :2], self.points[NUM_LANDMARKS + 1, :2])


class LandmarkNetwork:
    """Finds the landmarks of the person in a crop."""

    def __init__(self, content: bytes) -> None:
        sizes = (5 * NUM_ALL, 1, HEATMAP * HEATMAP * NUM_ALL)
        self.network = Interpreter(content, "The pose landmark network", LANDMARK_SIZE, sizes)

    def __call__(self, image: Tensor, crop: Crop) -> Landmarks:
        """Landmarks in the image ``[3, H, W]`` of the person in a crop."""
        pixels = crop.cut(image, LANDMARK_SIZE) / 255
        values, presence, heatmaps = self.network(pixels)
        found = values.reshape(NUM_ALL, 5).astype(np.float64)
        places = refine(found[:, :2] / LANDMARK_SIZE, heatmaps)
        depth = found[:, 2:3] * crop.side / LANDMARK_SIZE
        visible = 1 / (1 + np.exp(-found[:, 3:4]))
        points = np.hstack([crop.to_image(places), depth, visible])
        return Landmarks(float(presence.reshape(-1)[0]), points)


def refine(points: Points, heatmaps: FloatArray) -> Points:
    """Points ``[J, 2]`` moved to the centre of mass of their heatmaps ``[64, 64, J]`` around them.

    A point stays where its heatmap has no clear peak near it, or where it lies outside.
    """
    half = KERNEL // 2
    column, row = (points * HEATMAP).astype(np.int64).T
    inside = np.logical_and.reduce((points >= 0) & (points < 1), axis=1)
    shifts = np.arange(-half, half + 1)
    rows, columns = np.broadcast_arrays(
        (row[:, None] + shifts)[:, :, None], (column[:, None] + shifts)[:, None, :]
    )  # [J, 7, 7]
    there = ((rows >= 0) & (rows < HEATMAP) & (columns >= 0) & (columns < HEATMAP)) & inside[:, None, None]
    joints = np.arange(len(points))[:, None, None]
    logits = heatmaps[rows.clip(0, HEATMAP - 1), columns.clip(0, HEATMAP - 1), joints].astype(np.float64)
    mass = np.where(there, 1 / (1 + np.exp(-np.clip(logits, -100, 100))), 0.0)
    total = mass.sum((1, 2))
    moved = np.stack([(mass * columns).sum((1, 2)), (mass * rows).sum((1, 2))], 1)
    clear = (mass.max((1, 2)) >= LEAST_PEAK) & (total > 0)
    return np.where(clear[:, None], moved / np.maximum(total, 1e-12)[:, None] / HEATMAP, points)
