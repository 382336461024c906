"""A pair of drawn videos to try the package with: stick figures that exercise."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from vreloc_pyg.files import replacing
from vreloc_pyg.video.decoding import Frame

WIDTH, HEIGHT, RATE = 320, 240, 25
Point = tuple[float, float]
Colour = tuple[int, int, int]


@dataclass(frozen=True)
class Pose:
    """Angles of limbs in degrees from hanging down, outwards, and how deep the knees are bent.

    Args:
        left, right: of the arms.
        legs: of both legs.
        bend: share of the legs' length by which the hips are lower.
        rise: share of the body's height by which it is off the floor.
    """

    left: float = 10.0
    right: float = 10.0
    legs: float = 8.0
    bend: float = 0.0
    rise: float = 0.0


def _jack(turns: float) -> Pose:
    share = 0.5 - 0.5 * math.cos(2 * math.pi * turns)
    return Pose(10 + 150 * share, 10 + 150 * share, 5 + 25 * share, rise=0.08 * math.sin(math.pi * share))


def _squat(turns: float) -> Pose:
    share = 0.5 - 0.5 * math.cos(2 * math.pi * turns)
    return Pose(10 + 75 * share, 10 + 75 * share, 12, bend=0.5 * share)


def _wave(turns: float) -> Pose:
    return Pose(right=140 + 25 * math.sin(4 * math.pi * turns))


@dataclass(frozen=True)
class Person:
    """Somebody in a room: height as a share of the picture's, where they stand, colours."""

    height: float
    place: float
    room: Colour
    clothes: Colour


#: What is done, once in a second.
MOVEMENTS: dict[str, Callable[[float], Pose]] = {"jack": _jack, "squat": _squat, "wave": _wave}
SHORT = Person(0.6, 0.45, (205, 205, 200), (170, 50, 40))
TALL = Person(0.75, 0.55, (60, 70, 85), (240, 215, 90))


def draw_example(folder: str | Path) -> tuple[Path, Path]:
    """Write and return ``example_query.mp4``, jumping jacks, and ``example_reference.mp4``.

    The reference lasts 9 seconds and shows another person, elsewhere, who does the same from second 3 to 6.
    """
    folder = Path(folder)
    query = _write(folder / "example_query.mp4", SHORT, [("jack", 2.4)])
    parts = [("wave", 3.0), ("jack", 3.0), ("squat", 3.0)]
    return query, _write(folder / "example_reference.mp4", TALL, parts)


def _limbs(pose: Pose, person: Person) -> tuple[list[tuple[Point, Point]], Point, float]:
    """Ends of the limbs, and centre and radius of the head, in pixels."""
    tall = person.height * HEIGHT
    leg, trunk, arm, head = 0.45 * tall, 0.33 * tall, 0.36 * tall, 0.09 * tall
    hip_y = 0.92 * HEIGHT - leg * (1 - pose.bend) * math.cos(math.radians(pose.legs)) - pose.rise * tall
    hip, neck = (person.place * WIDTH, hip_y), (person.place * WIDTH, hip_y - trunk)
    limbs = [(hip, neck)]
    for side, raised in ((-1, pose.left), (1, pose.right)):
        angle = math.radians(raised)
        limbs.append((neck, (neck[0] + side * arm * math.sin(angle), neck[1] + arm * math.cos(angle))))
        spread = math.radians(pose.legs)
        foot = (hip[0] + side * leg * math.sin(spread), hip_y + leg * (1 - pose.bend) * math.cos(spread))
        knee = ((hip[0] + foot[0]) / 2 + side * 0.5 * pose.bend * leg, (hip_y + foot[1]) / 2)
        limbs += [(hip, knee), (knee, foot)]
    return limbs, (neck[0], neck[1] - 1.3 * head), head


def _draw(person: Person, movement: str, lasting_s: float) -> Iterator[Frame]:
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    for number in range(round(lasting_s * RATE)):
        limbs, (x, y), radius = _limbs(MOVEMENTS[movement](number / RATE), person)
        image = np.empty((HEIGHT, WIDTH, 3), dtype=np.uint8)
        image[:] = person.room
        drawn = (columns - x) ** 2 + (rows - y) ** 2 < radius**2
        for (ax, ay), (bx, by) in limbs:
            along = ((columns - ax) * (bx - ax) + (rows - ay) * (by - ay)) / ((bx - ax) ** 2 + (by - ay) ** 2)
            along = along.clip(0, 1)
            distance = np.hypot(columns - ax - along * (bx - ax), rows - ay - along * (by - ay))
            drawn |= distance < 0.035 * person.height * HEIGHT
        image[drawn] = person.clothes
        yield image


def _write(path: Path, person: Person, parts: list[tuple[str, float]]) -> Path:
    import av

    with replacing(path) as unfinished, av.open(str(unfinished), "w") as sink:
        stream = sink.add_stream("libx264", rate=RATE, options={"crf": "20", "g": str(RATE)})
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        for part in parts:
            for image in _draw(person, *part):
                sink.mux(stream.encode(av.VideoFrame.from_ndarray(image, "rgb24")))
        sink.mux(stream.encode(None))
    return path
