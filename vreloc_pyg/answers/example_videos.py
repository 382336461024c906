"""A pair of drawn videos to try the package with."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from vreloc_pyg.files import replacing
from vreloc_pyg.video.decoding import Frame

WIDTH, HEIGHT, RATE = 320, 240, 25
Path2D = Callable[[float], tuple[float, float]]


def _circle(turns: float) -> tuple[float, float]:
    return 0.5 + 0.3 * math.cos(2 * math.pi * turns), 0.5 + 0.3 * math.sin(2 * math.pi * turns)


def _swing(turns: float) -> tuple[float, float]:
    return 0.5 + 0.38 * math.sin(2 * math.pi * turns), 0.3


def _hop(turns: float) -> tuple[float, float]:
    return 0.25, 0.8 - 0.55 * abs(math.sin(math.pi * turns))


#: Movements of a disc in a room: its path by turns, the grey level of the room, the colour of the disc.
MOVEMENTS: dict[str, tuple[Path2D, int, tuple[int, int, int]]] = {
    "circle": (_circle, 200, (200, 40, 40)),
    "swing": (_swing, 60, (240, 220, 60)),
    "hop": (_hop, 130, (40, 90, 200)),
}


def draw_example(folder: str | Path) -> tuple[Path, Path]:
    """Write and return ``example_query.mp4``, a disc that circles, and ``example_reference.mp4``.

    The reference lasts 9 seconds, and shows the action from second 3 to second 6.
    """
    folder = Path(folder)
    query = _write(folder / "example_query.mp4", [("circle", 2.4)])
    return query, _write(folder / "example_reference.mp4", [("swing", 3.0), ("circle", 3.0), ("hop", 3.0)])


def _draw(movement: str, lasting_s: float) -> Iterator[Frame]:
    path, room, colour = MOVEMENTS[movement]
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    for number in range(round(lasting_s * RATE)):
        x, y = path(number / RATE)  # a turn each second
        image = np.full((HEIGHT, WIDTH, 3), room, dtype=np.uint8)
        image[(columns - x * WIDTH) ** 2 + (rows - y * HEIGHT) ** 2 < 26**2] = colour
        yield image


def _write(path: Path, parts: list[tuple[str, float]]) -> Path:
    import av

    with replacing(path) as unfinished, av.open(str(unfinished), "w") as sink:
        stream = sink.add_stream("libx264", rate=RATE, options={"crf": "20", "g": str(RATE)})
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        for part in parts:
            for image in _draw(*part):
                sink.mux(stream.encode(av.VideoFrame.from_ndarray(image, "rgb24")))
        sink.mux(stream.encode(None))
    return path
