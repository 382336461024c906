import io
import threading
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.videos import counting, grey, write_sound, write_video
from vreloc_pyg.errors import VideoError
from vreloc_pyg.video.decoding import FrameGrid, prefetch, read_frames, thumbnail, video_duration

SMALL = FrameGrid(10, 48, 48)


def levels(path: Path, grid: FrameGrid = SMALL, **options) -> list[float]:
    return [float(frame.mean()) for frame in read_frames(path, grid, **options)]


def test_at_its_own_rate_every_frame_comes_once(tmp_path):
    video = write_video(tmp_path / "a.mp4", counting(30))
    np.testing.assert_allclose(levels(video), 4 * np.arange(30), atol=2)
    assert video_duration(video) == pytest.approx(3.0)


@pytest.mark.parametrize(("rate", "expected"), [(5, [1, 3, 5, 7, 9]), (20, np.repeat(np.arange(10), 2))])
def test_another_rate_shows_what_is_on_the_screen_in_the_middle_of_each_interval(tmp_path, rate, expected):
    found = levels(write_video(tmp_path / "a.mp4", counting(10)), FrameGrid(rate, 48, 48))
    np.testing.assert_allclose(found, 4 * np.asarray(expected), atol=2)


@pytest.mark.parametrize("suffix", ["mkv", "mp4"])
def test_frames_of_variable_rate_come_out_where_they_are_seen(tmp_path, suffix):
    times = [0.0, 0.1, 0.9, 1.0, 1.1]  # the second frame stands still for .8 s
    found = levels(write_video(tmp_path / f"a.{suffix}", counting(5, 50), times=times))
    assert np.rint(np.array(found[:11]) / 50).tolist() == [0, *[1] * 8, 2, 3]


def test_a_part_is_the_same_frames_as_in_the_whole(tmp_path):
    path = write_video(tmp_path / "a.mp4", counting(50), options={"g": "7"})
    np.testing.assert_allclose(levels(path, start_s=1.3, end_s=2.7), levels(path)[13:27], atol=1e-9)


@pytest.mark.parametrize(("start", "end"), [(-1, 2), (2, 1), (9, 10), (0, 99), (float("nan"), None)])
def test_a_range_outside_the_video_is_refused(tmp_path, start, end):
    path = write_video(tmp_path / "a.mp4", counting(30))
    with pytest.raises(VideoError, match=r"a\.mp4"):
        levels(path, start_s=start, end_s=end)


def test_frames_are_scaled_and_cropped_in_the_middle(tmp_path):
    image = np.zeros((100, 300, 3), dtype=np.uint8)
    image[:, 100:200] = 255
    frame = next(read_frames(write_video(tmp_path / "a.mp4", [image] * 3), FrameGrid(10, 50, 40)))
    assert frame.shape == (40, 40, 3)
    assert frame.mean() > 245


def test_what_is_no_video_is_refused_in_words(tmp_path):
    text = tmp_path / "text.mp4"
    text.write_text("not a video\n" * 99)
    empty = tmp_path / "empty.mp4"
    empty.touch()
    for path, words in [
        (text, "Cannot read"),
        (empty, "it is empty"),
        (tmp_path / "none.mp4", "There is no video file"),
        (write_sound(tmp_path / "sound.m4a"), "no video stream"),
    ]:
        with pytest.raises(VideoError, match=words):
            video_duration(path)
        with pytest.raises(VideoError, match=words):
            levels(path)


def test_a_file_that_was_cut_off_gives_its_beginning(tmp_path):
    rng = np.random.default_rng(0)
    noise = [rng.integers(0, 255, (48, 64, 3), dtype=np.uint8) for _ in range(40)]
    whole = write_video(tmp_path / "a.mkv", noise)
    short = tmp_path / "short.mkv"
    short.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    assert 5 < len(levels(short)) < 30


def test_a_thumbnail_is_a_jpeg_of_that_second(tmp_path):
    path = write_video(tmp_path / "a.mp4", [*[grey(0)] * 20, *[grey(255)] * 20])
    picture = thumbnail(path, 3.0)
    assert picture.startswith(b"\xff\xd8")
    assert np.asarray(Image.open(io.BytesIO(picture))).mean() > 245
    with pytest.raises(VideoError, match="no video file"):
        thumbnail(tmp_path / "none.mp4", 0)


def test_prefetch_keeps_order_passes_errors_and_ends_its_thread():
    assert list(prefetch(iter(range(100)), 3)) == list(range(100))

    def failing():
        yield 1
        raise VideoError("broken")

    items = prefetch(failing(), 3)
    assert next(items) == 1
    with pytest.raises(VideoError, match="broken"):
        next(items)
    endless = prefetch(iter(int, 1), 2)
    next(endless)
    endless.close()
    assert not any(thread.name == "vreloc-decoding" for thread in threading.enumerate())
