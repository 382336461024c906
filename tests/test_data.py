"""Every command and Python block of docs/data.md, and every config, runs on small files in official layouts.

Annotations are made up, and features random.
"""

import json
import re
import shlex
import shutil
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch

from tests.datasets.conftest import KINECT_CLASSES, write_labels, write_recording, write_video_reloc
from tests.datasets.own_set import joints
from vreloc_pyg import cli
from vreloc_pyg.experiments.plan import make_plan
from vreloc_pyg.features.metadata import FeatureMetadata
from vreloc_pyg.features.store import open_store, write_store
from vreloc_pyg.proposals.actionness_proposals import ActionnessProposals
from vreloc_pyg.systems.catalog import find_learned, find_system
from vreloc_pyg.systems.spec import LearnedSystem

ROOT = Path(__file__).resolve().parents[1]
DOCS = (ROOT / "docs/data.md").read_text()
F = 16
STEPS = ["--training.epochs=1", "--training.steps_per_epoch=2", "--training.batch_size=3"]
TINY = {
    "train": [*STEPS, "--training.validation_pairs=2", "--model.hidden_channels=8"],
    "train-actionness": [*STEPS, "--network.hidden_channels=8"],
}
HDF5 = "data/activitynet/sub_activitynet_v1-3.c3d.hdf5"


def add_c3d(path, lengths):
    """Random features in ActivityNet's layout: rows 8 frames apart, for videos of so many steps of 16."""
    rng = np.random.default_rng(0)
    with h5py.File(path, "a") as file:
        for video_id, steps in lengths.items():
            if f"v_{video_id}" not in file:
                features = rng.normal(size=(2 * steps, F)).astype(np.float32)
                file.create_dataset(f"v_{video_id}/c3d_features", data=features)


def activitynet(folder):
    """Six classes of four videos, in the official layout."""
    database = {}
    for number in range(24):
        instance = {"label": f"class {number % 6}", "segment": [3.0 + number % 5, 13.0 + number % 7]}
        about = {"duration": 30.0 + number, "subset": "training", "annotations": [instance]}
        database[f"video{number:07d}"] = about
    values = {"version": "VERSION 1.3", "taxonomy": [], "database": database}
    (folder / "activity_net.v1-3.min.json").write_text(json.dumps(values))
    lengths = {video_id: round(value["duration"] * 25 / 16) for video_id, value in database.items()}
    add_c3d(folder / Path(HDF5).name, lengths)


def thumos14(folder):
    """Twenty classes of a video in each subset, and features that last as long."""
    features = folder / "features"
    features.mkdir()
    (features / "metadata.json").write_text('{"extractor": "c3d", "frames_per_step": 16}')
    rng = np.random.default_rng(0)
    for short, subset in (("val", "validation"), ("test", "test")):
        annotations = folder / f"temporal_annotations_{subset}"
        annotations.mkdir()
        videos = [f"video_{subset}_{number:07d}" for number in range(20)]
        for number, video in enumerate(videos):
            np.save(features / f"{video}.npy", rng.normal(size=(600 // 16, F)).astype(np.float32))
            lines = f"{video}  1.0 4.0\n{video}  9.0 12.5\n"
            (annotations / f"Class{number}_{short}.txt").write_text(lines)
        lengths = "".join(f"{video} 20.0 600\n" for video in videos)
        (folder / f"thumos14_video_length_{short}.txt").write_text(lengths)


def own_videos(folder):
    """The files that the page shows, and features of four videos of 20 seconds."""
    rng = np.random.default_rng(0)
    for number in range(1, 5):
        np.save(folder / f"features/kitchen_{number}.npy", rng.normal(size=(31, F)).astype(np.float32))


def poses(folder):
    """Joints of two days and of clips, at ten steps a second."""
    clips = ("wave_1", "clap_1", "jump_1")
    lengths = {"bert_day": 150, "carl_day": 100, "anna_day": 90, "garden": 60, **dict.fromkeys(clips, 15)}
    for seed, (name, num_steps) in enumerate(lengths.items()):
        np.save(folder / f"features/{name}.npy", joints(num_steps, seed))


def utkinect(folder):
    """Three people who perform every action twice."""
    actions = [(label, 40 * i, 40 * i + 28) for i, label in enumerate(KINECT_CLASSES + KINECT_CLASSES)]
    videos = ["s01_e01", "s02_e01", "s03_e01"]
    for seed, video_id in enumerate(videos):
        write_recording(folder, video_id, list(range(0, 804, 4)), seed)
    write_labels(folder, dict.fromkeys(videos, actions))


@pytest.fixture(scope="module")
def workplace(tmp_path_factory):
    """A folder with everything that the page asks for."""
    place = tmp_path_factory.mktemp("workplace")
    for name in ("activitynet", "video_reloc", "thumos14", "folder/features", "poses/features", "utkinect"):
        (place / "data" / name).mkdir(parents=True)
    for name, text in re.findall(r"<!-- file: (\S+) -->\n```\w+\n(.*?)```", DOCS, flags=re.DOTALL):
        (place / name).write_text(text)
    activitynet(place / "data/activitynet")
    write_video_reloc(place / "data/video_reloc", count=8)
    lengths = json.loads((place / "data/video_reloc/length.json").read_text())
    add_c3d(place / HDF5, dict.fromkeys(lengths, 40))
    thumos14(place / "data/thumos14")
    own_videos(place / "data/folder")
    poses(place / "data/poses")
    utkinect(place / "data/utkinect")
    (place / "configs").symlink_to(ROOT / "configs")
    return place


@pytest.fixture(autouse=True)
def deterministic_mode():
    mode = torch.get_deterministic_debug_mode()
    yield
    torch.set_deterministic_debug_mode(mode)


def vreloc(line, *more):
    words = shlex.split(line)[1:]
    return cli.main([*words, *TINY.get(words[0], []), *more])


@pytest.mark.slow
def test_every_block_of_the_page_runs(workplace, monkeypatch, capsys):
    monkeypatch.chdir(workplace)
    blocks = re.findall(r"```(sh|python)\n(.*?)```", DOCS, flags=re.DOTALL)
    assert len(blocks) == 13
    for language, text in blocks:
        if language == "python":
            exec(text, {})
            continue
        for line in text.splitlines():
            capsys.readouterr()
            assert vreloc(line) == 0, (line, capsys.readouterr().err)
            if line.startswith("vreloc validate"):
                assert capsys.readouterr().out == "0 errors, 0 warnings\n"
    for run in ("activitynet", "video_reloc", "thumos14", "folder", "folder_tag", "poses", "python", "both"):
        assert (workplace / "outputs" / run / "model/model.safetensors").stat().st_size > 0
    classes = json.loads((workplace / "data/activitynet/classes.json").read_text())
    assert [len(classes[name]) for name in ("train", "validation", "test")] == [4, 1, 1]
    assert (workplace / "outputs/video_reloc/test/results.md").stat().st_size > 0
    config = json.loads((workplace / "outputs/video_reloc/model/config.json").read_text())
    assert config["features"] == {"extractor": "c3d", "dim": F, "frames_per_step": 16.0}
    evaluated = "folder/test", "poses_benchmark", "python/test", "both/adapted"
    for name in (*evaluated, "shipped/poses", "shipped/folder"):
        assert (workplace / "outputs" / name / "results.md").stat().st_size > 0
    assert ActionnessProposals.from_pretrained(workplace / "outputs/actionness").about["classes"]


def test_every_config_names_known_settings():
    paths = {path.stem: path for path in sorted((ROOT / "configs").glob("*.yaml"))}
    assert list(paths) == ["activitynet", "benchmark_pose", "thumos14", "video_reloc"]
    benchmark = paths.pop("benchmark_pose")
    chosen = cli.make_parser("benchmark").read(["--output", "x", "--config", str(benchmark)])
    assert chosen["systems"] == "all"
    plan = make_plan("synthetic", ["all"], ["0"], training=chosen["training"], budget_s=chosen["budget"])
    learned = [name for name in plan.systems if isinstance(find_system(name), LearnedSystem)]
    runs = [find_learned(name).training_for(plan.training_of(name, 0)) for name in learned]
    every = chosen["training"]["all"]
    assert {(run.epochs, run.validation_pairs, run.augment) for run in runs} == {
        (every["epochs"], every["validation_pairs"], True)
    }
    for name, path in paths.items():
        assert cli.make_parser("train").read(["--config", str(path)])["data"] == name


def test_a_model_refuses_features_made_in_another_way(workplace, monkeypatch, capsys):
    monkeypatch.chdir(workplace)
    data = "--data folder --root data/folder"
    assert vreloc(f"vreloc train {data} --features data/folder/features --output outputs/first") == 0
    store = open_store("data/folder/features")
    other = FeatureMetadata("i3d", F, 8.0, 12.5)
    write_store("other.h5", [(video, store.read(video)) for video in store.ids()], other)
    evaluate = f"vreloc evaluate {data} --checkpoint outputs/first/model --output outputs/first/test"
    capsys.readouterr()
    assert vreloc(f"{evaluate} --features other.h5") == 2
    message = capsys.readouterr().err
    assert "the extractor is i3d, expected c3d" in message
    assert "the frames per step is 8.0, expected 16" in message


def test_missing_features_are_counted_and_skipped_when_asked(workplace, monkeypatch, capsys):
    monkeypatch.chdir(workplace)
    shutil.copytree("data/folder/features", "few", ignore=shutil.ignore_patterns("kitchen_4.npy"))
    command = "vreloc train --data folder --root data/folder --features few --output outputs/few"
    assert vreloc(command) == 2
    assert "1 annotated videos without features in few: kitchen_4" in capsys.readouterr().err
    assert vreloc(f"{command} --skip-missing") == 0
    assert "Note: 1 annotated videos without features, left out: kitchen_4" in capsys.readouterr().out


def test_validate_lists_every_problem(workplace, monkeypatch, capsys):
    monkeypatch.chdir(workplace)
    lines = ["video,start_s,end_s,label", "kitchen_1,4,2,pour", "kitchen_9,0,1,stir", "kitchen_2,a,1,chop"]
    (workplace / "bad.csv").write_text("\n".join(lines) + "\n")
    assert vreloc("vreloc validate --annotations bad.csv --features data/folder/features") == 2
    printed = capsys.readouterr().out
    assert "bad.csv, line 2: error: the segment [4, 2] of 'kitchen_1' is reversed" in printed
    assert "bad.csv, line 3: error: 'kitchen_9' has no features in data/folder/features" in printed
    assert "bad.csv, line 4: error: has a start_s that is no number: 'a'" in printed
