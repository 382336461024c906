"""Files whose clock, order or seeking is not what it should be, and files that are more than themselves."""

import shutil
from fractions import Fraction

import av
import numpy as np
import pytest

from tests.videos import counting, grey, write_video
from vreloc_pyg.answers.clip import cut_clip
from vreloc_pyg.answers.playable import is_playable, playable_copy
from vreloc_pyg.errors import VideoError
from vreloc_pyg.video.container import BYTES_A_SECOND, LONGEST_S, MOST_SAID, open_at, open_video
from vreloc_pyg.video.decoding import FrameGrid, read_frames, thumbnail, video_duration

GRID = FrameGrid(10, 48, 48)


def shown(path, start_s=0.0, end_s=None, problems=None):
    """Numbers of the frames of :func:`counting` that are seen, one for each tenth of a second."""
    return [round(float(image.mean()) / 4) for image in read_frames(path, GRID, start_s, end_s, problems)]


@pytest.fixture(params=["12", "50"])
def stream(request, tmp_path):
    """A transport stream of six seconds, with a keyframe every so many frames."""
    return write_video(tmp_path / "a.ts", counting(60), options={"g": request.param, "bf": "2"})


@pytest.mark.parametrize("start_s", [0.0, 0.3, 2.0, 3.7, 5.8])
def test_a_transport_stream_shows_what_is_seen_at_every_second(stream, start_s):
    first = round(10 * start_s)
    assert shown(stream, start_s) == list(range(first, 60))
    with open_at(stream, start_s)[0] as container:
        frame = next(container.decode(video=0))
        assert frame.time - container.start_time / 1e6 <= start_s + 1e-6


def test_copies_and_clips_of_a_transport_stream_are_whole(stream, tmp_path):
    assert shown(playable_copy(stream, tmp_path / "copy.mp4")) == list(range(60))
    cut_clip(stream, 2.0, 4.0, tmp_path / "clip.mp4")
    assert shown(tmp_path / "clip.mp4") == list(range(20, 40))


def test_a_clock_that_falls_back_goes_on(tmp_path):
    """Two recordings, one behind the other, each with a clock of its own."""
    one = write_video(tmp_path / "one.ts", counting(30))
    two = tmp_path / "two.ts"
    two.write_bytes(2 * one.read_bytes())
    problems = []
    assert shown(two, problems=problems) == 2 * list(range(30))
    assert len(problems) == 1
    assert "falls back by 2.9 s at second 2.9" in problems[0]
    assert shown(two, 4.0, 5.0) == list(range(10, 20))
    assert video_duration(two) is None
    cut_clip(two, 4.0, 5.0, tmp_path / "clip.mp4")
    assert shown(tmp_path / "clip.mp4") == list(range(10, 20))


def test_frames_without_times_of_presentation_keep_their_order(tmp_path):
    path = write_video(tmp_path / "a.avi", counting(60), options={"bf": "8", "b_strategy": "0"})
    found = shown(path)
    assert found[:50] == list(range(50))
    assert shown(path, 2.0)[:20] == list(range(20, 40))
    cut_clip(path, 2.0, 3.0, tmp_path / "clip.mp4")
    assert shown(tmp_path / "clip.mp4") == list(range(20, 30))


def test_a_frame_far_in_the_future_does_not_fill_the_time_until_then(tmp_path):
    path = write_video(tmp_path / "a.mkv", counting(4), times=[0, 0.1, 0.2, 1e6])
    problems = []
    found = shown(path, problems=problems)
    assert len(found) <= 10 * (LONGEST_S + 2)
    assert found[:2] == [0, 1]
    assert found[-1] == 3
    assert "leaps ahead" in problems[0]


def test_what_is_shown_grows_with_the_bytes_of_a_file(tmp_path):
    """Twelve frames, ten minutes apart: two hours of a few kilobytes."""
    path = write_video(tmp_path / "a.mkv", counting(12), times=[600.0 * number for number in range(12)])
    size = path.stat().st_size
    assert size < 20_000
    problems = []
    found = shown(path, problems=problems)
    assert 6000 <= len(found) <= 10 * (2 * LONGEST_S + 12 + size / BYTES_A_SECOND)
    assert sorted(set(found)) == list(range(12))
    assert 1 <= len(problems) <= MOST_SAID + 1
    with path.open("ab") as file:  # slides of 50 KB each
        file.write(bytes(600_000))
    assert len(shown(path)) >= 10 * 11 * 600


def test_a_file_that_ends_before_its_time_is_said_to_be_cut_off(tmp_path):
    whole = write_video(tmp_path / "a.mp4", counting(60), options={"movflags": "faststart", "g": "5"})
    options = {"movflags": "faststart"}
    with av.open(str(whole)) as source, av.open(str(tmp_path / "fast.mp4"), "w", options=options) as sink:
        copy = sink.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.dts is not None:
                packet.stream = copy
                sink.mux(packet)
    content = (tmp_path / "fast.mp4").read_bytes()
    cut = tmp_path / "cut.mp4"
    cut.write_bytes(content[: int(0.7 * len(content))])
    problems = []
    found = shown(cut, problems=problems)
    assert 5 < len(found) < 50
    assert any("of the 6.0 s that it tells" in problem for problem in problems)
    problems = []
    shown(whole, problems=problems)
    assert problems == []


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("list.m3u8", "#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:6.0,\n{name}\n#EXT-X-ENDLIST\n"),
        ("list.mp4", "#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:6.0,\n{name}\n#EXT-X-ENDLIST\n"),
        ("list.ffconcat", "ffconcat version 1.0\nfile {name}\n"),
        ("list.sdp", "v=0\no=- 0 0 IN IP4 127.0.0.1\nc=IN IP4 127.0.0.1\nt=0 0\nm=video 5004 RTP/AVP 96\n"),
    ],
)
def test_a_file_that_names_others_is_no_video(tmp_path, name, text):
    write_video(tmp_path / "secret.ts", counting(10))
    path = tmp_path / name
    path.write_text(text.format(name="secret.ts"))
    for read in (open_video, video_duration, is_playable, lambda path: thumbnail(path, 0)):
        with pytest.raises(VideoError, match="Cannot read"):
            read(path)
    with pytest.raises(VideoError, match="Cannot read"):
        playable_copy(path, tmp_path / "copy.mp4")
    assert not (tmp_path / "copy.mp4").exists()


def test_a_colon_in_a_name_is_no_protocol(tmp_path):
    path = tmp_path / "12:30 crypto:concat|a.mp4"
    shutil.copy(write_video(tmp_path / "a.mp4", counting(10)), path)
    assert shown(path) == list(range(10))
    cut_clip(path, 0.0, 0.5, tmp_path / "clip.mp4")
    assert shown(tmp_path / "clip.mp4") == list(range(5))


def test_pixels_that_are_no_squares_are_seen_as_they_are_shown(tmp_path):
    """A bright left half of 64 x 48 pixels that are shown twice as wide."""
    image = np.concatenate([grey(255, 32), grey(0, 32)], axis=1)
    with av.open(str(tmp_path / "a.mp4"), "w") as sink:
        stream = sink.add_stream("libx264", rate=10, options={"crf": "5"})
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        stream.codec_context.sample_aspect_ratio = Fraction(2, 1)
        for _ in range(5):
            sink.mux(stream.encode(av.VideoFrame.from_ndarray(image, "rgb24")))
        sink.mux(stream.encode(None))
    wide = next(read_frames(tmp_path / "a.mp4", FrameGrid(10, 48, 48)))
    edge = np.abs(np.diff(wide.mean((0, 2)))).argmax()
    assert edge in (23, 24)
    # Of 128 x 48 the middle 48 columns: 12 pixels of the file on each side of the edge.
    assert (wide.mean((0, 2)) > 127).sum() == 24
    cut_clip(tmp_path / "a.mp4", 0.1, 0.4, tmp_path / "clip.mp4")
    with av.open(str(tmp_path / "clip.mp4")) as clip:
        frame = clip.streams.video[0]
        shape = frame.width * (frame.sample_aspect_ratio or 1) / frame.height
        assert shape == pytest.approx(128 / 48, rel=0.05)
