import errno
import json
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.videos import Levels, counting, grey, write_video
from vreloc_pyg.answers.clip import cut_clip
from vreloc_pyg.answers.page import write_page
from vreloc_pyg.answers.subtitles import subtitles
from vreloc_pyg.cli import main
from vreloc_pyg.datasets.splits import Query, Reference
from vreloc_pyg.errors import DataError, FeatureError, SettingsError, VideoError
from vreloc_pyg.features.store import HDF5Store
from vreloc_pyg.localization import locate, training_free
from vreloc_pyg.localization.calibration import Calibration, fit_calibration
from vreloc_pyg.systems.rules.similarity_curve import SimilarityCurve
from vreloc_pyg.video import extraction, feature_cache
from vreloc_pyg.video.decoding import FrameGrid, read_frames
from vreloc_pyg.video.extraction import extract_files, extract_video, gather, merge_stores
from vreloc_pyg.video.feature_cache import FeatureCache
from vreloc_pyg.video.video_files import video_files


def movie(*levels: int, each: int = 20) -> list[np.ndarray]:
    return [grey(level) for level in levels for _ in range(each)]


@pytest.fixture
def videos(tmp_path) -> tuple[Path, Path]:
    query = write_video(tmp_path / "query.mp4", movie(200))
    return query, write_video(tmp_path / "reference.mp4", movie(20, 90, 200, 20, 120))


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("VRELOC_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def levels_extractor(monkeypatch):
    """The command line's extractor, without weights."""
    for name in ("vreloc_pyg.localization.locate", "vreloc_pyg.video.shards"):
        monkeypatch.setattr(import_module(name), "load_extractor", lambda *_, **__: Levels())


def test_the_answer_is_where_the_action_is(videos):
    answer = locate(*videos, extractor=Levels())
    start, end = next(iter(answer.segments))
    assert start == pytest.approx(4, abs=0.2)
    assert end == pytest.approx(6, abs=0.2)
    assert answer.duration_s == pytest.approx(10)
    assert len(answer.curve) == 50
    assert answer.curve.argmax() in range(20, 30)
    assert answer.found
    assert answer.verdict is None  # nothing is known of these features
    assert answer.system == SimilarityCurve().name
    none = locate(*videos, extractor=Levels(), min_score=1.1)
    assert (len(none.segments), none.found) == (0, False)
    wide = locate(*videos, system="window-rule", extractor=Levels())
    assert next(iter(wide.segments)) == pytest.approx((4, 6), abs=0.2)
    assert 5 < len(wide.proposals) <= 100
    assert answer.proposals.scores is not None
    assert (answer.proposals.scores.diff() <= 0).all()
    assert 0 <= answer.proposals.bounds.min() < answer.proposals.bounds.max() <= answer.duration_s + 1e-6


def test_a_part_of_a_longer_video_is_a_query(videos):
    _, reference = videos
    answer = locate(reference, reference, extractor=Levels(), start_s=2, end_s=4)
    assert next(iter(answer.segments)) == pytest.approx((2, 4), abs=0.2)
    assert answer.query_range == pytest.approx((2, 4))


def test_features_are_read_once(videos, tmp_path, monkeypatch):
    first = locate(*videos, extractor=Levels(), cache=tmp_path / "kept")
    assert len(list((tmp_path / "kept").iterdir())) == 2
    with monkeypatch.context() as patch:
        patch.setattr(extraction, "read_frames", None)
        second = locate(*videos, extractor=Levels(), cache=tmp_path / "kept")
    assert first.to_dict() == second.to_dict()
    for file in (tmp_path / "kept").iterdir():
        file.write_bytes(b"damaged")
    assert locate(*videos, extractor=Levels(), cache=tmp_path / "kept").to_dict() == first.to_dict()


def test_other_settings_and_other_content_are_other_features(videos, tmp_path):
    cache = FeatureCache(tmp_path / "kept")
    query, reference = videos
    for path, extractor, part in [
        (query, Levels(), ()),
        (query, Levels(5), ()),
        (query, Levels(), (0.5, 1.5)),
    ]:
        assert not extract_video(path, extractor, *part, cache=cache).cached
        assert extract_video(path, extractor, *part, cache=cache).cached
    query.write_bytes(reference.read_bytes())
    assert not extract_video(query, Levels(), cache=cache).cached


@pytest.mark.parametrize("lengths", [[1], [3, 4096, 2], [5000], [7] * 1500])
def test_parts_are_gathered_as_they_came(lengths):
    parts = [torch.randn(length, 3) for length in lengths]
    found = gather(iter(parts))
    assert torch.equal(found, torch.cat(parts))
    assert found.untyped_storage().nbytes() == found.numel() * 4  # nothing of the buffer is kept


def test_a_cache_that_cannot_be_written_is_a_note(videos, tmp_path):
    (tmp_path / "file").touch()
    answer = locate(*videos, extractor=Levels(), cache=tmp_path / "file")
    assert "could not be kept" in answer.notes[0]
    assert answer.found


def test_what_cannot_be_answered_is_refused_in_words(videos, tmp_path):
    query, reference = videos
    single = write_video(tmp_path / "single.mp4", movie(9, each=1))
    slow = write_video(tmp_path / "slow.mp4", movie(9, each=1), rate=1)  # seen ten times on the grid
    for arguments, options, kind, words in [
        ((reference, query), {}, VideoError, "cannot be longer"),
        ((single, reference), {}, VideoError, "single frame"),
        ((slow, reference), {}, VideoError, "single frame"),
        (videos, {"start_s": 5.0}, VideoError, "there is no second 5"),
        (videos, {"top_n": 0}, SettingsError, "top_n"),
        ((tmp_path / "none.mp4", reference), {}, VideoError, "There is no video file"),
    ]:
        with pytest.raises(kind, match=words):
            locate(*arguments, extractor=Levels(), **options)


def test_a_reference_that_cannot_be_searched_is_found_before_features_are_made(videos, tmp_path):
    query, reference = videos
    (tmp_path / "text.mp4").write_text("no video")
    read: list[tuple[str, int, int | None]] = []
    with pytest.raises(VideoError, match=r"text\.mp4"):
        locate(query, tmp_path / "text.mp4", extractor=Levels(), progress=lambda *told: read.append(told))
    assert read == []
    with pytest.raises(VideoError, match="cannot be longer"):
        locate(reference, query, extractor=Levels(), progress=lambda *told: read.append(told))
    assert {(name, total) for name, _, total in read} == {("reference.mp4", 100)}
    frames = sum(count for _, count, _ in read)
    with pytest.raises(VideoError, match="cannot be longer"):
        locate(
            reference,
            query,
            extractor=Levels(),
            cache=tmp_path / "other",
            progress=lambda *told: read.append(told),
        )
    assert sum(count for _, count, _ in read) - frames == len(
        list(read_frames(reference, Levels().grid))
    )  # of the query alone


def test_the_commands_answer_and_write_all_they_were_asked_for(videos, tmp_path, levels_extractor, capsys):
    query, reference = map(str, videos)
    outputs = {kind: tmp_path / f"out.{kind}" for kind in ("json", "srt", "html")} | {
        "clip": tmp_path / "out.mp4"
    }
    flags = [part for kind, path in outputs.items() for part in (f"--{kind}", str(path))]
    assert main(["locate", query, reference, "--system", "window-rule", "--top", "2", *flags]) == 0
    printed = capsys.readouterr().out
    assert "0:00:04" in printed
    answer = json.loads(outputs["json"].read_text())
    assert answer["match"]
    assert [segment["rank"] for segment in answer["segments"]] == [1, 2]
    assert answer["segments"][0]["start_s"] == pytest.approx(4, abs=0.2)
    assert outputs["srt"].read_text().count("-->") == 2
    found = [frame.mean() for frame in read_frames(outputs["clip"], FrameGrid(10, 48, 48))]
    assert np.mean(found) == pytest.approx(200, abs=12)
    page = outputs["html"].read_text()
    assert page.count("data:video/mp4;base64,") == 2
    assert page.count("data:image/jpeg;base64,") == 2
    assert not list(tmp_path.glob(".out*"))


def test_the_command_refuses_without_leaving_anything(
    videos, tmp_path, levels_extractor, capsys, monkeypatch
):
    query, reference = map(str, videos)
    other = str(tmp_path / "other.mp4")
    assert main(["locate", query, reference, "--json", reference]) == 2
    assert "one of the files that are read" in capsys.readouterr().err
    assert main(["locate", query, reference, "--unlike", f"[{other}]", "--srt", other]) == 2
    assert "one of the files that are read" in capsys.readouterr().err

    def full(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device", "out.json")

    monkeypatch.setattr(Path, "write_text", full)
    assert main(["locate", query, reference, "--json", str(tmp_path / "o.json")]) == 2
    assert "No space left" in capsys.readouterr().err
    assert not list(tmp_path.glob("*o.json*"))


def test_missing_weights_say_how_to_get_them(videos, capsys):
    assert main(["locate", *map(str, videos)]) == 2
    assert "vreloc weights import-i3d" in capsys.readouterr().err


def test_many_videos_become_a_store_and_bad_ones_are_counted(tmp_path, levels_extractor, capsys):
    folder, output = tmp_path / "videos", tmp_path / "features.h5"
    for name in "abc":
        write_video(folder / f"{name}.mp4", counting(30, ord(name) % 5 + 1))
    (folder / "bad.mp4").write_text("no video")
    (folder / "notes.txt").write_text("ignored")
    assert main(["features", str(folder), "--output", str(output)]) == 3
    assert "3 done, 0 were there, 1 could not be read" in capsys.readouterr().out
    store = HDF5Store(output)
    assert store.ids() == ["a", "b", "c"]
    assert store.metadata.extractor == "levels"
    assert store.num_steps("a") == 15
    assert not (tmp_path / "features.h5.parts").exists()
    write_video(folder / "d.mp4", counting(20))
    write_video(folder / "a.mp4", counting(40))
    (folder / "bad.mp4").unlink()
    assert main(["features", str(folder), "--output", str(output)]) == 0
    assert "2 done, 2 were there" in capsys.readouterr().out
    assert HDF5Store(output).num_steps("a") == 20


def test_a_run_that_was_killed_goes_on(tmp_path, monkeypatch):
    folder, output = tmp_path / "videos", tmp_path / "features.h5"
    for name in "abc":
        write_video(folder / f"{name}.mp4", counting(30, ord(name) % 5 + 1))
    real = extraction.extract_video

    def killed(path, *arguments):
        if path.stem == "c":
            raise KeyboardInterrupt
        return real(path, *arguments)

    with monkeypatch.context() as patch:
        patch.setattr(extraction, "extract_video", killed)
        with pytest.raises(KeyboardInterrupt):
            extract_files(video_files(folder), Levels(), output, progress=False)
    assert not output.exists()
    found = extract_files(video_files(folder), Levels(), output, progress=False)
    assert (found.done, found.kept) == (("c",), ("a", "b"))
    with pytest.raises(FeatureError, match="frame rate"):
        extract_files(video_files(folder), Levels(5), output, progress=False)


def test_a_video_is_looked_for_in_stored_features(videos, tmp_path, levels_extractor, capsys):
    query, reference = map(str, videos)
    store = str(tmp_path / "features.h5")
    assert main(["features", reference, "--output", store]) == 0
    capsys.readouterr()
    assert main(["locate", query, reference]) == 0
    expected = capsys.readouterr().out
    assert main(["locate", query, "reference", "--features", store]) == 0
    assert capsys.readouterr().out == expected


def test_a_disk_that_is_full_stops_the_run_and_keeps_what_was_there(
    tmp_path, monkeypatch, capsys, levels_extractor
):
    folder, output = tmp_path / "videos", tmp_path / "features.h5"
    write_video(folder / "a.mp4", counting(30))
    assert main(["features", str(folder), "--output", str(output)]) == 0
    before = output.read_bytes()
    write_video(folder / "b.mp4", counting(20))

    def full(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device", "parts")

    monkeypatch.setattr(feature_cache, "save_file", full)
    assert main(["features", str(folder), "--output", str(output)]) == 2
    assert "No space left" in capsys.readouterr().err
    assert output.read_bytes() == before


def test_shards_share_the_work_and_are_merged(tmp_path, levels_extractor, capsys, monkeypatch):
    folder, output = tmp_path / "videos", tmp_path / "features[1].h5"  # no pattern of names
    for name in "abc":
        write_video(folder / f"{name}.mp4", counting(30, ord(name) % 5 + 1))
    (tmp_path / "features[1].0-of-x.h5").touch()
    assert main(["features", str(folder), "--output", str(output), "--shard", "0/2"]) == 0
    assert main(["merge", "--output", str(output)]) == 2
    assert "Found 1 of 2 shards" in capsys.readouterr().err
    monkeypatch.setenv("RANK", "1")
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert main(["features", str(folder), "--output", str(output)]) == 0
    assert main(["merge", "--output", str(output)]) == 0
    assert HDF5Store(output).ids() == ["a", "b", "c"]
    assert main(["features", str(folder), "--output", str(output), "--shard", "2/2"]) == 2
    for wrong in ("\u00b2/3", "1/\u0663", "1", "1/2/3", f"0/{'9' * 5000}"):
        assert main(["features", str(folder), "--output", str(output), "--shard", wrong]) == 2
    monkeypatch.setenv("RANK", "x")
    assert main(["features", str(folder), "--output", str(output)]) == 2
    with pytest.raises(DataError, match="no shards"):
        merge_stores(tmp_path / "x.h5", [])


def test_folders_without_videos_are_refused(tmp_path):
    (tmp_path / "a").mkdir()
    with pytest.raises(DataError, match="no video"):
        video_files(tmp_path / "a")
    with pytest.raises(DataError, match="no file or folder"):
        video_files(tmp_path / "b")
    for name in ("a/x.mp4", "a/y/x.avi"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    with pytest.raises(DataError, match="Two videos have the id 'x'"):
        video_files(tmp_path / "a")


@pytest.mark.parametrize(("start", "copied"), [(2.0, True), (2.3, False)])
def test_a_clip_is_copied_from_a_keyframe_and_encoded_from_elsewhere(tmp_path, start, copied):
    options = {"g": "10", "keyint_min": "10", "sc_threshold": "0", "bf": "0"}
    video = write_video(tmp_path / "a.mp4", counting(60), options=options)
    assert cut_clip(video, start, start + 1.5, tmp_path / "cut.mp4") is copied
    found = [frame.mean() for frame in read_frames(tmp_path / "cut.mp4", FrameGrid(10, 48, 48))]
    np.testing.assert_allclose(found, 4 * (round(10 * start) + np.arange(15)), atol=3)


def test_a_clip_in_no_known_format_is_refused(videos, tmp_path):
    with pytest.raises(VideoError, match="Cannot cut"):
        cut_clip(videos[0], 0, 1, tmp_path / "cut.txt")
    assert not (tmp_path / "cut.txt").exists()


def test_large_videos_are_linked_and_subtitles_in_order_of_time(videos, tmp_path):
    answer = locate(*videos, extractor=Levels())
    text = subtitles(answer)
    times = [line.split(" --> ")[0] for line in text.splitlines() if "-->" in line]
    assert times == sorted(times)
    assert text.startswith("1\n00:00:0")
    page = write_page(tmp_path / "pages" / "a.html", answer, embed_bytes=0).read_text()
    assert 'src="../query.mp4"' in page
    assert "base64" not in page.replace("data:image/jpeg;base64", "")


def test_calibration_balances_both_kinds_and_rises():
    rng = np.random.default_rng(0)
    found = fit_calibration(rng.normal(1, 0.3, 200).tolist(), rng.normal(0, 0.3, 50).tolist())
    assert found.probability(0.5) == pytest.approx(0.5, abs=0.1)
    assert found.probability(1.5) > 0.8 > 0.2 > found.probability(-0.5)
    assert [found.verdict(score) for score in (1.5, 0.5, -0.5)] == ["sure", "maybe", "not found"]
    assert found.num_pairs == 250
    assert Calibration(1e9, 0).probability(1) == 1
    assert Calibration(1e9, 0).probability(-1) == pytest.approx(0)
    with pytest.raises(DataError, match="with and without"):
        fit_calibration([1.0], [])


def test_the_rule_ranks_in_blocks_as_at_once(monkeypatch):
    features = torch.randn(300, 8, generator=torch.manual_seed(0))
    query = Query(features[40:60], 0.5, "", "q")
    reference = Reference(features, 0.5, torch.empty(0, 2), (), "r")
    whole = training_free().rank(query, reference)
    monkeypatch.setattr("vreloc_pyg.systems.rules.window_rule.BLOCK", 17)
    parts = training_free().rank(query, reference)
    torch.testing.assert_close(whole.segments.scores, parts.segments.scores, atol=1e-5, rtol=1e-5)
    best = training_free().localize(query, reference)
    assert next(iter(best)) == pytest.approx((20, 30), abs=1)
