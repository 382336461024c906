"""What answers for a video: moments of a model, of the curve, and of any rule."""

import inspect
import json
from importlib import import_module
from pathlib import Path

import pytest
import torch

from tests.videos import Levels, grey, write_video
from vreloc_pyg.cli import main
from vreloc_pyg.commands.locate import locate as locate_command
from vreloc_pyg.datasets.splits import Query, Reference
from vreloc_pyg.errors import SettingsError
from vreloc_pyg.localization import Calibration, locate, training_free
from vreloc_pyg.localization import finders as module
from vreloc_pyg.localization.finders import AT_HAND, CALIBRATIONS, at_hand, usual_system

STEP_S = 0.5
RULES = [name for name in AT_HAND if name != "mgffnet"]


def steps(*parts: tuple[int, int]) -> torch.Tensor:
    """So many steps of the first thing, then so many of the second, ..., with a little noise."""
    shown = torch.cat([torch.eye(6)[thing].expand(count, 6) for thing, count in parts])
    return shown + 0.05 * torch.randn(shown.shape, generator=torch.manual_seed(0))


REFERENCE = Reference(steps((1, 20), (0, 10), (2, 25), (0, 10), (3, 15)), STEP_S, torch.empty(0, 2), (), "r")
SHOWN = [(10.0, 15.0), (27.5, 32.5)]


def clip(thing: int) -> Query:
    return Query(steps((thing, 10)), STEP_S, "", f"q{thing}")


@pytest.mark.parametrize("system", RULES)
def test_every_system_finds_both_occurrences_first(system):
    found = at_hand(system).find([clip(0)], REFERENCE, 4)
    assert len(found.curve) == REFERENCE.num_steps
    assert found.curve[20:30].mean() > found.curve[:20].mean() + 0.05
    overlaps = [max(min(end, b) - max(start, a) for a, b in SHOWN) for start, end in found.segments]
    assert all(overlap > 2 for overlap in overlaps[:2])
    assert (found.segments.scores.diff() <= 0).all()
    for index, (start, end) in enumerate(found.segments):
        for a, b in list(found.segments)[:index]:
            assert min(end, b) - max(start, a) <= 0.5 * min(end - start, b - a) + 1e-9


def test_the_network_that_comes_with_the_package_takes_poses_and_other_features():
    finder = at_hand("mgffnet")
    poses = torch.randn(40, 52, generator=torch.manual_seed(0))
    found = finder.find(
        [Query(poses[10:22], STEP_S, "", "q")], Reference(poses, STEP_S, torch.empty(0, 2), (), "r"), 2
    )
    start, end = next(iter(found.segments))
    assert (start, end) == pytest.approx((5, 11), abs=1.5)
    found = finder.find([clip(0)], REFERENCE, 2)
    overlaps = [max(min(end, b) - max(start, a) for a, b in SHOWN) for start, end in found.segments]
    assert all(overlap > 2 for overlap in overlaps)
    assert finder.localizer.num_features == 52


@pytest.mark.parametrize("system", RULES)
def test_several_queries_find_what_each_shows(system):
    found = at_hand(system).find([clip(0), clip(3)], REFERENCE, 6)
    assert len(found.segments) >= 1
    assert len(found.curve) == REFERENCE.num_steps


@pytest.mark.parametrize("system", RULES)
def test_a_moment_that_two_queries_find_is_one_answer(system):
    found = list(at_hand(system).find([clip(0), clip(0)], REFERENCE, 2).segments)
    assert len(found) == 2
    (a, b), (start, end) = found
    assert min(b, end) - max(a, start) <= 0.5 * min(b - a, end - start) + 1e-9


def test_an_answer_refined_into_a_better_one_stands_as_it_was():
    finder = at_hand("window-rule")
    found = finder.find([clip(2)], REFERENCE, 3)
    assert len(found.segments) == 3
    start, end = next(iter(found.segments))
    assert 15 <= start < end <= 27.5


def test_what_is_more_like_the_unwanted_is_left_out():
    """Two clips of one action, in a kitchen and in a garden; the garden is not wanted."""
    action, kitchen, garden, other = torch.eye(4)
    both = [action + kitchen] * 10 + [other] * 12 + [action + garden] * 10
    reference = Reference(torch.stack(both), STEP_S, torch.empty(0, 2), (), "r")
    finder = at_hand("similarity-curve")
    wanted = finder.find([Query(action.expand(8, 4), STEP_S, "", "q")], reference, 5)
    assert len(wanted.segments) == 2
    other_said = finder.find([Query((garden + 0.2 * action).expand(8, 4), STEP_S, "", "n")], reference, 5)
    assert list(module.unlike(wanted, other_said, STEP_S)) == [(0, 5)]


def test_what_answers_by_default_depends_on_the_features():
    systems = [usual_system(one) for one in ("i3d", "look", "pose", None)]
    assert systems == ["similarity-curve", "similarity-curve", "mgffnet", "alignment"]


def test_only_systems_at_hand_answer_without_a_model():
    with pytest.raises(SettingsError, match="'cgbm' needs training: give --checkpoint"):
        at_hand("cgbm")
    with pytest.raises(SettingsError, match="not both"):
        locate("a.mp4", "b.mp4", training_free(), system="alignment")
    text = inspect.getdoc(locate_command)
    assert all(name in text for name in RULES)


@pytest.fixture
def videos(tmp_path, monkeypatch):
    """Grey of one level in the query, thrice in the reference, and of others."""
    monkeypatch.setenv("VRELOC_CACHE", str(tmp_path / "cache"))
    place = import_module("vreloc_pyg.localization.locate")
    monkeypatch.setattr(place, "load_extractor", lambda *_, **__: Levels())
    known = Calibration(slope=40.0, intercept=-30.0, num_present=8, num_absent=12)
    monkeypatch.setattr(module, "CALIBRATIONS", {("similarity-curve", "levels"): known})
    levels = {"query": [200], "also": [190], "night": [90], "reference": [20, 200, 90, 195, 30, 200, 120]}
    return {
        name: str(write_video(tmp_path / f"{name}.mp4", [grey(one) for one in shown for _ in range(20)]))
        for name, shown in levels.items()
    }


def test_every_match_is_listed_with_its_verdict(videos, tmp_path, capsys):
    found = str(tmp_path / "found.json")
    assert main(["locate", videos["query"], videos["reference"], "--all", "--json", found]) == 0
    printed = capsys.readouterr().out
    assert printed.startswith("Sure: reference.mp4 shows the action of query.mp4.")
    answer = json.loads(Path(found).read_text())
    assert (answer["match"], answer["verdict"], answer["calibration_pairs"]) == (True, "sure", 20)
    assert sorted(round(one["start_s"]) for one in answer["segments"]) == [2, 6, 10]
    assert {one["verdict"] for one in answer["segments"]} == {"sure"}
    assert main(["locate", videos["query"], videos["night"]]) == 0
    assert capsys.readouterr().out.startswith("Not found: nothing in night.mp4 is like query.mp4.")
    assert main(["locate", videos["query"], videos["night"], "--all", "--json", found]) == 0
    assert json.loads(Path(found).read_text())["segments"] == []


def test_all_needs_to_know_what_a_match_is(videos, capsys):
    arguments = ["locate", videos["query"], videos["reference"], "--all", "--system", "alignment"]
    assert main(arguments) == 2
    assert "Nobody knows which scores" in capsys.readouterr().err


def test_further_clips_and_unwanted_ones_are_taken(videos, tmp_path):
    found = str(tmp_path / "found.json")
    asked = [videos["query"], videos["reference"], "--json", found]
    assert main(["locate", *asked, "--also", f"[{videos['also']}]", "--unlike", f"[{videos['night']}]"]) == 0
    answer = json.loads(Path(found).read_text())
    assert round(answer["segments"][0]["start_s"]) in (2, 6, 10)
    assert answer["settings"]["also"] == [videos["also"]]
    assert main(["locate", *asked, "--unlike", f"[{videos['query']}]", "--also", f"[{videos['night']}]"]) == 0
    kept = json.loads(Path(found).read_text())["segments"]
    assert all(round(one["start_s"]) not in (2, 6, 10) for one in kept)
    assert main(["locate", *asked, "--also", "[nothing.mp4]"]) == 2


def test_every_calibration_at_hand_says_on_how_many_answers_it_rests():
    for (system, _), calibration in CALIBRATIONS.items():
        assert system in AT_HAND
        assert min(calibration.num_present, calibration.num_absent) > 10
