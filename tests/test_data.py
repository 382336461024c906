"""Every command and Python block of docs/data.md, and every config, runs on small files in official layouts.

Annotations are real where the data is at hand, else made up; features are random.
"""

import json
import re
import shlex
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch

from vreloc_pyg import cli
from vreloc_pyg.proposals.actionness_proposals import ActionnessProposals
from vreloc_pyg.systems.known import learned_systems

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


def activitynet(folder, real):
    """Six classes of four videos; the HDF5 holds two rows more, so that no test leans on exact lengths."""
    database = {}
    if real is not None:
        everything = json.loads((real / "activitynet/anet_anno_action.json").read_text())
        by_label = {}
        for key, value in everything.items():
            labels = {one["label"] for one in value["annotations"]}
            if len(labels) == 1 and value["duration_second"] < 90:
                by_label.setdefault(labels.pop(), []).append((key.removeprefix("v_"), value))
        for label in sorted(by_label)[:6]:
            for video_id, value in by_label[label][:4]:
                database[video_id] = {
                    "duration": value["duration_second"],
                    "subset": "training",
                    "annotations": value["annotations"],
                }
    else:
        for number in range(24):
            segment = [3.0 + number % 5, 13.0 + number % 7]
            annotation = {"label": f"class {number % 6}", "segment": segment}
            database[f"video{number:07d}"] = {
                "duration": 30.0 + number,
                "subset": "training",
                "annotations": [annotation],
            }
    classes = sorted({one["label"] for value in database.values() for one in value["annotations"]})
    taxonomy = [{"nodeId": 0, "nodeName": "Root", "parentId": None, "parentName": None}]
    taxonomy += [
        {"nodeId": 10 + i, "nodeName": name, "parentId": 0, "parentName": "Root"}
        for i, name in enumerate(classes)
    ]
    values = {"version": "VERSION 1.3", "taxonomy": taxonomy, "database": database}
    (folder / "activity_net.v1-3.min.json").write_text(json.dumps(values))
    lengths = {video_id: round(value["duration"] * 25 / 16) for video_id, value in database.items()}
    add_c3d(folder / Path(HDF5).name, lengths)


def video_reloc(folder, store, real):
    """Three classes of the published training items, one of the others."""
    splits = {}
    lengths = {}
    if real is not None:
        source = real / "video_reloc"
        published = json.loads((source / "length.json").read_text())
        for name, count in (("train", 3), ("val", 2), ("test", 2)):
            items = json.loads((source / f"{name}.json").read_text())
            labels = sorted({item["label"] for item in items})[:count]
            splits[name] = [item for item in items if item["label"] in labels]
            lengths.update({item["id"]: published[item["id"]] for item in splits[name]})
    else:
        for name, first in (("train", 0), ("val", 3), ("test", 5)):
            splits[name] = [
                {
                    "id": f"{name}{i}",
                    "label": first + i % 2,
                    "location": [i, 30 + 2 * i],
                    "groundtruth": [4, 10 + i],
                }
                for i in range(8)
            ]
            lengths.update({f"{name}{i}": {"n_feat": 60, "n_frames": 970} for i in range(8)})
    for name, items in splits.items():
        (folder / f"{name}.json").write_text(json.dumps(items))
    (folder / "length.json").write_text(json.dumps(lengths))
    add_c3d(store, {video_id: value["n_feat"] for video_id, value in lengths.items()})


def thumos14(folder, real):
    """The three shortest videos of each class, and features that last as long."""
    lines = {}  # (subset, class) -> lines
    lengths = {}
    if real is not None:
        source = real / "thumos14"
        for short in ("val", "test"):
            for line in (source / f"thumos14_video_length_{short}.txt").read_text().splitlines():
                video, seconds, frames = line.split()
                lengths[video] = (float(seconds), int(frames))
        for subset, short in (("validation", "val"), ("test", "test")):
            for path in sorted((source / f"temporal_annotations_{subset}").glob("*.txt")):
                label = path.stem.removesuffix(f"_{short}")
                ours = [line for line in path.read_text().splitlines() if line.strip()]
                shortest = sorted({line.split()[0] for line in ours}, key=lambda video: lengths[video])[:2]
                lines[subset, label] = [line for line in ours if line.split()[0] in shortest]
    else:
        for number in range(20):
            for subset in ("validation", "test"):
                video = f"video_{subset}_{number:07d}"
                lines[subset, f"Class{number}"] = [f"{video}  1.0 4.0", f"{video}  9.0 12.5"]
                lengths[video] = (20.0, 600)
    used = {line.split()[0] for some in lines.values() for line in some}
    features = folder / "features"
    features.mkdir()
    (features / "metadata.json").write_text('{"extractor": "c3d", "frames_per_step": 16}')
    rng = np.random.default_rng(0)
    for video in used:
        steps = max(1, lengths[video][1] // 16)
        np.save(features / f"{video}.npy", rng.normal(size=(steps, F)).astype(np.float32))
    for (subset, label), some in lines.items():
        short = {"validation": "val", "test": "test"}[subset]
        path = folder / f"temporal_annotations_{subset}" / f"{label}_{short}.txt"
        path.parent.mkdir(exist_ok=True)
        path.write_text("\n".join(some) + "\n")
    for short, subset in (("val", "validation"), ("test", "test")):
        text = "".join(
            f"{video} {lengths[video][0]} {lengths[video][1]}\n" for video in sorted(used) if subset in video
        )
        (folder / f"thumos14_video_length_{short}.txt").write_text(text)


def own_videos(folder):
    """The files that the page shows, and features of four videos of 20 seconds."""
    rng = np.random.default_rng(0)
    for number in range(1, 5):
        np.save(folder / f"features/kitchen_{number}.npy", rng.normal(size=(31, F)).astype(np.float32))


@pytest.fixture(scope="module")
def workplace(tmp_path_factory, request):
    """A folder with everything that the page asks for."""
    import os

    real = ROOT / os.environ.get("VRELOC_DATA", "../shared/data")
    real = real if real.is_dir() else None
    place = tmp_path_factory.mktemp("workplace")
    for name in ("activitynet", "video_reloc", "thumos14", "folder/features"):
        (place / "data" / name).mkdir(parents=True)
    for name, text in re.findall(r"<!-- file: (\S+) -->\n```\w+\n(.*?)```", DOCS, flags=re.DOTALL):
        (place / name).write_text(text)
    activitynet(place / "data/activitynet", real)
    video_reloc(place / "data/video_reloc", place / HDF5, real)
    thumos14(place / "data/thumos14", real)
    own_videos(place / "data/folder")
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
    assert len(blocks) == 8
    for language, text in blocks:
        if language == "python":
            exec(text, {})
            continue
        for line in text.splitlines():
            capsys.readouterr()
            assert vreloc(line) == 0, (line, capsys.readouterr().err)
    for run in ("activitynet", "video_reloc", "thumos14", "folder", "folder_tag"):
        assert (workplace / "outputs" / run / "model/model.safetensors").stat().st_size > 0
    classes = json.loads((workplace / "data/activitynet/classes.json").read_text())
    assert [len(classes[name]) for name in ("train", "validation", "test")] == [4, 1, 1]
    assert (workplace / "outputs/video_reloc/test/results.md").stat().st_size > 0
    config = json.loads((workplace / "outputs/video_reloc/model/config.json").read_text())
    assert config["features"] == {"extractor": "c3d", "dim": F, "frames_per_step": 16.0}
    assert ActionnessProposals.from_pretrained(workplace / "outputs/actionness").about["classes"]


def test_every_config_names_known_settings():
    parser = cli.make_parser()
    paths = sorted((ROOT / "configs").glob("*.yaml"))
    assert [path.stem for path in paths] == ["activitynet", "benchmark_pose", "thumos14", "video_reloc"]
    chosen = parser.parse_args(["benchmark", "--output", "x", "--config", str(paths.pop(1))])
    assert chosen.benchmark.systems == "all"
    assert set(chosen.benchmark.training) <= set(learned_systems())
    for path in paths:
        chosen = parser.parse_args(["train", "--config", str(path)])
        assert chosen.train.data == path.stem


def test_a_model_refuses_features_made_in_another_way(workplace, monkeypatch, capsys):
    monkeypatch.chdir(workplace)
    data = "--data folder --root data/folder"
    assert vreloc(f"vreloc train {data} --features data/folder/features --output outputs/first") == 0
    from vreloc_pyg.features.metadata import FeatureMetadata
    from vreloc_pyg.features.store import open_store, write_store

    store = open_store("data/folder/features")
    other = FeatureMetadata("i3d", F, 8.0, 12.5)
    write_store("other.h5", [(video, store.read(video)) for video in store.ids()], other)
    capsys.readouterr()
    assert (
        vreloc(f"vreloc evaluate {data} --features other.h5 --checkpoint outputs/first/model --output x") == 2
    )
    message = capsys.readouterr().err
    assert "the extractor is i3d, expected c3d" in message
    assert "the frames per step is 8.0, expected 16" in message


def test_the_diagnostic_pools_can_be_evaluated(workplace, monkeypatch, capsys):
    monkeypatch.chdir(workplace)
    data = "--data folder --root data/folder --features data/folder/features"
    assert vreloc(f"vreloc train {data} --output outputs/pools") == 0
    evaluate = f"vreloc evaluate {data} --checkpoint outputs/pools/model --output outputs/pools/test"
    assert vreloc(f"{evaluate} --candidates ssn_pools") == 0


def test_missing_features_are_counted_and_skipped_when_asked(workplace, monkeypatch, capsys):
    monkeypatch.chdir(workplace)
    few = workplace / "few"
    few.mkdir()
    for path in (workplace / "data/folder/features").iterdir():
        if path.stem != "kitchen_4":
            (few / path.name).write_bytes(path.read_bytes())
    command = "vreloc train --data folder --root data/folder --features few --output outputs/few"
    assert vreloc(command) == 2
    assert "1 annotated videos without features in few: kitchen_4" in capsys.readouterr().err
    assert vreloc(f"{command} --skip_missing true") == 0
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
