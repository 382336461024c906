"""Cut and copied videos: sound, rotation and what browsers play."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest
import torch

from tests.videos import REAL, counting, grey, write_video
from vreloc_pyg.answers.clip import cut_clip
from vreloc_pyg.answers.page import write_page
from vreloc_pyg.answers.playable import is_playable, playable_copy
from vreloc_pyg.errors import VideoError
from vreloc_pyg.localization.locate import VideoAnswer
from vreloc_pyg.segments import Segments
from vreloc_pyg.video.decoding import FrameGrid, read_frames, video_duration

RATE = 16000
KEYFRAMES = {"g": "10", "keyint_min": "10", "sc_threshold": "0", "bf": "0"}


def write_both(path: Path, seconds: int, codec: str = "libx264", sound: str = "aac") -> Path:
    """Ten frames a second of rising grey; silence but for a tone in [2, 3) seconds."""
    with av.open(str(path), "w") as sink:
        options = {"crf": "5", **KEYFRAMES} if codec == "libx264" else {}
        video = sink.add_stream(codec, rate=10, options=options)
        video.width, video.height, video.pix_fmt = 64, 48, "yuv420p"
        voice = sink.add_stream(sound, rate=RATE)
        voice.layout = "mono"
        times = np.arange(seconds * RATE) / RATE
        tone = np.where((times >= 2) & (times < 3), 0.5 * np.sin(2 * np.pi * 440 * times), 0)
        for second in range(seconds):
            for tenth in range(10):
                frame = av.VideoFrame.from_ndarray(grey(4 * (10 * second + tenth)), "rgb24")
                sink.mux(video.encode(frame))
            part = tone[second * RATE : (second + 1) * RATE].astype(np.float32)[None]
            samples = av.AudioFrame.from_ndarray(part, "fltp", "mono")
            samples.sample_rate, samples.pts = RATE, second * RATE
            sink.mux(voice.encode(samples))
        sink.mux(video.encode(None))
        sink.mux(voice.encode(None))
    return path


def loud_from_to(path: Path) -> tuple[float, float]:
    """First and last second at which a file is loud."""
    loud = []
    with av.open(str(path)) as source:
        origin = (source.start_time or 0) / 1e6
        for frame in source.decode(audio=0):
            values = np.abs(frame.to_ndarray()).reshape(-1)
            at = np.flatnonzero(values > 0.25 * (1 if values.dtype.kind == "f" else 2**15))
            if len(at):
                begin = frame.time - origin
                loud += [begin + at[0] / frame.sample_rate, begin + at[-1] / frame.sample_rate]
    return min(loud), max(loud)


@pytest.mark.parametrize(("start", "copied"), [(1.0, True), (1.3, False)])
def test_a_clip_keeps_its_sound_in_time(tmp_path, start, copied):
    video = write_both(tmp_path / "a.mp4", 5)
    assert cut_clip(video, start, start + 2.5, tmp_path / "cut.mp4") is copied
    assert loud_from_to(tmp_path / "cut.mp4") == pytest.approx((2 - start, 3 - start), abs=0.08)
    found = [frame.mean() for frame in read_frames(tmp_path / "cut.mp4", FrameGrid(10, 48, 48))]
    np.testing.assert_allclose(found[:24], 4 * (round(10 * start) + np.arange(24)), atol=4)


def test_sound_that_ends_before_the_clip_is_left_out(tmp_path):
    video = write_video(tmp_path / "silent.mp4", counting(40), options=KEYFRAMES)
    assert not cut_clip(video, 1.3, 2.3, tmp_path / "cut.mp4")
    with av.open(str(tmp_path / "cut.mp4")) as cut:
        assert len(cut.streams.audio) == 0


def test_a_copy_is_small_and_plays(tmp_path):
    frames = [np.full((720, 1280, 3), 20 * i, np.uint8) for i in range(10)]
    video = write_video(tmp_path / "a.avi", frames, codec="mpeg4", options={"crf": "0"})
    assert not is_playable(video)
    copy = playable_copy(video, tmp_path / "copy.mp4")
    assert is_playable(copy)
    with av.open(str(copy)) as source:
        about = source.streams.video[0].codec_context
        assert (about.name, about.width, about.height) == ("h264", 640, 360)
    found = [frame.mean() for frame in read_frames(copy, FrameGrid(10, 48, 48))]
    np.testing.assert_allclose(found, 20 * np.arange(10), atol=4)


def test_a_copy_keeps_sound(tmp_path):
    video = write_both(tmp_path / "a.avi", 4, codec="mpeg4", sound="mp3")
    copy = playable_copy(video, tmp_path / "copy.mp4")
    assert loud_from_to(copy) == pytest.approx((2, 3), abs=0.1)


@pytest.mark.skipif(not REAL.is_dir(), reason="the real clips are not here: set VRELOC_DATA")
def test_a_real_clip_whose_sound_has_a_coarse_clock(tmp_path):
    """MP3 in AVI, counted in frames of 1152 samples."""
    copy = playable_copy(REAL / "test.avi", tmp_path / "copy.mp4")
    assert video_duration(copy) == pytest.approx(video_duration(REAL / "test.avi"), abs=0.1)
    lengths = []
    for path in (REAL / "test.avi", copy):
        with av.open(str(path)) as source:
            lengths.append(sum(frame.samples / frame.sample_rate for frame in source.decode(audio=0)))
    assert lengths[1] == pytest.approx(lengths[0], abs=0.2)


@pytest.mark.parametrize(
    ("name", "codec", "playable"),
    [
        ("a.mp4", "libx264", True),
        ("a.webm", "libvpx", True),
        ("a.mp4", "mpeg4", False),
        ("a.mkv", "libx264", False),
    ],
)
def test_what_browsers_play(tmp_path, name, codec, playable):
    assert is_playable(write_video(tmp_path / name, counting(5), codec=codec)) is playable


def test_what_is_no_video_is_refused(tmp_path):
    (tmp_path / "a.mp4").write_text("no video")
    with pytest.raises(VideoError, match="Cannot read"):
        is_playable(tmp_path / "a.mp4")
    with pytest.raises(VideoError, match="Cannot make a copy"):
        playable_copy(tmp_path / "a.mp4", tmp_path / "b.mp4")
    assert [path.name for path in tmp_path.iterdir()] == ["a.mp4"]


@pytest.fixture
def answer(tmp_path):
    query = write_video(tmp_path / "query.mp4", counting(20))
    reference = write_video(tmp_path / "reference.avi", counting(40), codec="mpeg4")
    bounds = Segments(torch.tensor([[1.0, 2.0]]), torch.tensor([1.0]))
    return VideoAnswer(query, reference, (0.0, 2.0), "a", bounds, None, torch.ones(20), 0.2, 4.0, {})


def test_a_page_embeds_a_copy_of_what_no_browser_plays(tmp_path, answer):
    page = write_page(tmp_path / "pages" / "a.html", answer).read_text()
    assert page.count("data:video/mp4;base64,") == 2
    assert [path.name for path in (tmp_path / "pages").iterdir()] == ["a.html"]


def test_a_large_copy_lies_beside_the_page(tmp_path, answer):
    page = write_page(tmp_path / "pages" / "a b.html", answer, embed_bytes=0).read_text()
    assert 'src="../query.mp4"' in page
    assert 'src="a%20b.reference.mp4"' in page
    assert sorted(path.name for path in (tmp_path / "pages").iterdir()) == ["a b.html", "a b.reference.mp4"]
    assert is_playable(tmp_path / "pages" / "a b.reference.mp4")
