"""From a folder of real videos to every occurrence of an action, corrected in a tool, to a trained model."""

import shutil
from dataclasses import replace

import pytest

from tests.videos import REAL
from vreloc_pyg import cli
from vreloc_pyg.moments import load_moments, save_moments
from vreloc_pyg.video.extractors import published_network

#: Actions of which the other video is found first, by what the features see.
FOUND = {
    "look": ("golf_swing", "soccer_juggling", "segway", "baseball_pitch"),
    "pose": ("golf_swing", "soccer_juggling"),
}
TINY = ("--model.hidden-channels=8", "--training.epochs=1", "--training.steps-per-epoch=2")


def run(*words):
    assert cli.main([str(word) for word in words]) == 0


@pytest.mark.slow
@pytest.mark.parametrize("extractor", FOUND)
def test_every_occurrence_is_found_corrected_and_learned_from(extractor, tmp_path):
    """A person who keeps what is right is played by the names of the files."""
    network = published_network(extractor)
    if not (REAL / "across").is_dir() or not network.weights_path().is_file():
        pytest.skip("The real clips or the weights are not here: set VRELOC_DATA, make weights")
    actions = FOUND[extractor]
    names = [f"{action}_{number}" for action in actions for number in (1, 2)]
    (tmp_path / "videos").mkdir()
    for name in names:
        shutil.copy(REAL / "across" / f"{name}.mp4", tmp_path / "videos")
    run("index", tmp_path / "videos", "--library", tmp_path / "lib", "--extractor", extractor)
    right = []
    for action in actions:
        query = tmp_path / "videos" / f"{action}_1.mp4"
        run("search", query, "--library", tmp_path / "lib", "--json", tmp_path / "found.json")
        found = load_moments(tmp_path / "found.json")
        own, others = ([one for one in found if (one.video == str(query)) is same] for same in (True, False))
        assert own
        assert action in others[0].video
        if extractor == "look":  # whose scores are calibrated
            matches = {one.video for one in found if one.verdict != "not found"}
            assert matches == {str(tmp_path / "videos" / f"{action}_{number}.mp4") for number in (1, 2)}
        right += [replace(one, label=action) for one in (own[0], others[0])]
    save_moments(tmp_path / "right.json", right)
    run(
        "export", tmp_path / "right.json", "--output", tmp_path / "tool/tasks.json", "--format", "labelstudio"
    )
    place = tmp_path / "own"
    place.mkdir()
    run("import-annotations", tmp_path / "tool", "--output", place / "annotations.csv", "--videos", tmp_path)
    assert len((place / "annotations.csv").read_text().splitlines()) == 1 + len(right)
    if len(actions) < 4:
        return  # fewer classes than training, validation and test need
    run("features", tmp_path / "videos", "--output", place / "features.h5", "--extractor", extractor)
    run("train", "--data=folder", "--root", place, "--features", place / "features.h5", *TINY,
        "--output", tmp_path / "run")  # fmt: skip
    assert (tmp_path / "run/model/config.json").is_file()
