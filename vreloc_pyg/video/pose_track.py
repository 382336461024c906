"""One person followed through a video: landmarks of every frame in which the person is seen."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d

from vreloc_pyg.video.decoding import Frame
from vreloc_pyg.video.one_euro import OneEuro
from vreloc_pyg.video.place import Place
from vreloc_pyg.video.pose_crop import Crop, Points, brightened
from vreloc_pyg.video.pose_network import LEAST_PRESENCE, NUM_LANDMARKS, Landmarks

#: So many of several people are looked at, if they are not smaller than this share of the largest one.
MOST_PEOPLE, LEAST_SHARE = 3, 0.5
#: Frames for which they are followed until it is decided who moves most.
AHEAD = 8
#: Landmarks of the hips.
HIPS = slice(23, 25)
#: Who is named by a place is no further from it, in sides of their crop.
REACH = 0.3
#: Mean difference of two thumbnails, of 255, that is a cut, and their sides.
CUT, THUMBNAIL = 30.0, (24, 32)
#: Frames without the person that one and the same appearance may have.
LONGEST_GAP = 8
#: Appearances of fewer frames are none.
SHORTEST = 3

Detector = Callable[[Tensor], list[Crop]]
LandmarkFinder = Callable[[Tensor, Crop], Landmarks]


@dataclass(frozen=True)
class Poses:
    """A person in a video.

    Args:
        landmarks: x, y and depth in pixels of the frames, and how sure each is to be seen, 0 to 1:
            ``[N, 33, 4]``; NaN where there is no person.
        present: ``[N]``, whether the person is seen.
        appearances: first frame and end of each stretch in which one person is seen, but for short gaps.
        shifts: how far the background moved since the frame before, x and y in pixels, ``[N, 2]``; zeros
            where it was not asked for or cannot be told.
    """

    landmarks: Points
    present: NDArray[np.bool_]
    appearances: tuple[tuple[int, int], ...]
    shifts: Points


class PersonTracker:
    """Follows a person from frame to frame; the detector is asked only when there is nobody to follow.

    Args:
        detector: people in an image, the surest first.
        finder: landmarks of the person in a crop.
        rate: frames per second.
        place: a pixel x, y ``[2]`` where the person is at first; whoever is lost is looked for where they
            were last. Without it, anybody may be followed.
    """

    def __init__(
        self, detector: Detector, finder: LandmarkFinder, rate: float, place: Points | None = None
    ) -> None:
        self.detector, self.finder, self.rate, self.place = detector, finder, rate, place
        self.lose()

    def lose(self) -> None:
        """Follow nobody."""
        self.crop: Crop | None = None

    def start(self, crop: Crop) -> None:
        """Follow who is in a crop."""
        self.crop = crop
        # What MediaPipe smooths with: points, and far more the two that the next crop is made of.
        self.body, self.frame = OneEuro(self.rate, 0.05, 80.0), OneEuro(self.rate, 0.01, 10.0)

    def follow(self, image: Tensor) -> Points | None:
        """Landmarks ``[33, 4]`` of the person in the next frame; ``None`` if there is none to follow."""
        if self.crop is None:
            return None
        found = self.finder(image, self.crop)
        if found.presence < LEAST_PRESENCE:
            self.lose()
            return None
        scale, points = self.crop.side, found.points.copy()
        points[:NUM_LANDMARKS, :3] = self.body(points[:NUM_LANDMARKS, :3], scale)
        points[NUM_LANDMARKS:, :2] = self.frame(points[NUM_LANDMARKS:, :2], scale)
        self.crop = Landmarks(found.presence, points).next_crop
        return points[:NUM_LANDMARKS]

    def find(self, images: list[Tensor]) -> Points | None:
        """Look for a person in the first of some frames, and follow.

        Of several it is the one nearest to :attr:`place`, or without one the one who moves most.
        """
        for one in self._most_moving(images) if self.place is None else self._near(images[0]):
            self.start(one)
            found = self.follow(images[0])
            if found is not None:
                return found
        return None

    def _near(self, image: Tensor) -> list[Crop]:
        """People at the place, the nearest first, seen in a square around it or else in the whole image."""
        assert self.place is not None
        size = np.array(image.shape[:0:-1])  # width, height
        side = int(size.min())
        left, top = np.clip(self.place - side / 2, 0, size - side).astype(int).tolist()
        window = image[:, top : top + side, left : left + side]
        for part, x, y in ((window, left, top), (image, 0, 0)):
            people = [replace(one, x=one.x + x, y=one.y + y) for one in self.detector(part)]
            away = {one: one.distance(self.place) for one in people}
            near = [one for one in people if away[one] <= REACH]
            if near:
                return sorted(near, key=lambda one: away[one] * one.side)
        return []

    def _most_moving(self, images: list[Tensor]) -> list[Crop]:
        """People who are not small, by falling movement."""
        people = self.detector(images[0])
        largest = max((one.side for one in people), default=0.0)
        people = [one for one in people if one.side >= LEAST_SHARE * largest][:MOST_PEOPLE]
        if len(people) > 1:
            people.sort(key=lambda one: -self._movement(one, images))
        return people

    def _movement(self, crop: Crop, images: list[Tensor]) -> float:
        """How far the landmarks of the person in a crop move from frame to frame, in sides of the crop."""
        trial = PersonTracker(self.detector, self.finder, self.rate)
        trial.start(crop)
        path = [one for one in map(trial.follow, images) if one is not None]
        if len(path) < 2:
            return 0.0
        places = np.stack(path)
        steps = np.linalg.norm(np.diff(places[:, :, :2], axis=0), axis=-1)  # [n - 1, 33]
        return float(np.average(steps, weights=places[1:, :, 3] + 1e-6)) / crop.side


def track_poses(
    frames: Iterable[Frame],
    detector: Detector,
    finder: LandmarkFinder,
    rate: float,
    shift: Callable[[Tensor, Tensor, Points | None], Points] | None = None,
    person: Place | None = None,
) -> Poses:
    """Follow one person through the frames of a video; a few frames are held at a time.

    Args:
        frames: ``[H, W, 3]`` uint8.
        detector, finder, rate: see :class:`PersonTracker`.
        shift: of the background from one image ``[3, H, W]`` to the next, ``[2]``, given where the person is
            in the second one; :func:`.background_shift`.
        person: where the person is at first; by default whoever moves most is followed.
    """
    tracker = PersonTracker(detector, finder, rate)
    found: list[Points] = []
    begins: list[int] = []  # frames that show something else than the one before
    shifts: list[Points] = []
    before: Tensor | None = None
    thumbnail: Tensor | None = None
    for images in _with_following(map(brightened, frames), AHEAD):
        image, last = images[0], thumbnail
        if person is not None and not found:
            tracker.place = np.array([person.x * image.shape[2], person.y * image.shape[1]])
        thumbnail = adaptive_avg_pool2d(image, THUMBNAIL)
        if last is not None and float((thumbnail - last).abs().mean()) > CUT:
            begins.append(len(found))
            tracker.lose()
            before = None
        points = tracker.follow(image)
        if points is None:
            points = tracker.find(images)
            if points is not None and found and not _same_person(found[-LONGEST_GAP:], points):
                begins.append(len(found))
        if person is not None and points is not None:
            tracker.place = points[HIPS, :2].mean(0)
        moved = np.zeros(2) if shift is None or before is None else shift(before, image, points)
        shifts.append(moved)
        found.append(np.full((NUM_LANDMARKS, 4), np.nan) if points is None else points)
        before = image
    landmarks = np.stack(found) if found else np.empty((0, NUM_LANDMARKS, 4))
    present = np.array([bool(np.isfinite(one).all()) for one in found], dtype=np.bool_)
    stretches = appearances(present, begins)
    kept = np.zeros_like(present)
    for first, end in stretches:
        kept[first:end] = present[first:end]
    landmarks[~kept] = np.nan
    return Poses(landmarks, kept, stretches, np.stack(shifts) if shifts else np.empty((0, 2)))


def appearances(present: NDArray[np.bool_], begins: Iterable[int]) -> tuple[tuple[int, int], ...]:
    """Stretches of frames in which one person is seen: first frame and end of each.

    Args:
        present: ``[N]``.
        begins: frames with which another stretch begins whatever was before.
    """
    stretches: list[list[int]] = []
    breaks = sorted(begins)
    for frame in np.flatnonzero(present).tolist():
        last = stretches[-1][1] if stretches else -1
        cut = any(last <= one <= frame for one in breaks)
        if stretches and frame - last <= LONGEST_GAP and not cut:
            stretches[-1][1] = frame + 1
        else:
            stretches.append([frame, frame + 1])
    least = min(SHORTEST, len(present))
    return tuple((first, end) for first, end in stretches if end - first >= least)


def _same_person(before: list[Points], now: Points) -> bool:
    """Whether a person is where the one last seen was, and as large."""
    seen = [one for one in before if not np.isnan(one).any()]
    if not seen:
        return False
    size, other = (float(np.ptp(one[:, :2], axis=0).max()) for one in (seen[-1], now))
    away = float(np.linalg.norm((seen[-1] - now)[HIPS, :2].mean(0)))
    return away < size and 0.5 < other / max(size, 1e-6) < 2


@torch.inference_mode()
def _with_following(images: Iterator[Tensor], number: int) -> Iterator[list[Tensor]]:
    """Each image, with those that follow it: at most so many in all."""
    waiting: deque[Tensor] = deque()
    for image in images:
        waiting.append(image)
        if len(waiting) == number:
            yield list(waiting)
            waiting.popleft()
    while waiting:
        yield list(waiting)
        waiting.popleft()
