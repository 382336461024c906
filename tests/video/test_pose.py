"""Poses from pixels: geometry, decoding, smoothing, following, features, weights."""

import math
import zipfile

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.videos import REAL, counting, write_video
from vreloc_pyg.cli import main
from vreloc_pyg.errors import VideoError, WeightsError
from vreloc_pyg.sequences.pose import PENN_SKELETON
from vreloc_pyg.video.camera_motion import background_shift
from vreloc_pyg.video.decoding import FrameGrid, read_frames
from vreloc_pyg.video.extraction import extract_video
from vreloc_pyg.video.extractors import load_extractor
from vreloc_pyg.video.feature_cache import FeatureCache
from vreloc_pyg.video.one_euro import OneEuro
from vreloc_pyg.video.place import Place
from vreloc_pyg.video.pose import PENN_LANDMARKS, features_of, hip_path, person_seen
from vreloc_pyg.video.pose_crop import Crop, brightened
from vreloc_pyg.video.pose_network import HEATMAP, Landmarks, anchors, decode_boxes, merge_overlapping, refine
from vreloc_pyg.video.pose_track import PersonTracker, Poses, appearances, track_poses
from vreloc_pyg.video.pose_weights import FILES, POSE_WEIGHTS

NUMBERS = st.floats(-500, 500)


def picture(height: int = 60, width: int = 80, seed: int = 0) -> np.ndarray:
    """Smooth random texture, uint8."""
    noise = torch.rand(1, 3, height // 4, width // 4, generator=torch.Generator().manual_seed(seed))
    large = torch.nn.functional.interpolate(noise, (height, width), mode="bicubic")[0]
    return (large.clamp(0, 1) * 255).byte().permute(1, 2, 0).numpy()


@given(NUMBERS, NUMBERS, st.floats(1, 500), st.floats(-7, 7), NUMBERS, NUMBERS)
def test_a_point_of_a_crop_goes_to_the_image_and_back(x, y, side, angle, px, py):
    crop, point = Crop(x, y, side, angle), np.array([px, py])
    np.testing.assert_allclose(crop.to_image(crop.from_image(point)), point, atol=1e-6)


@pytest.mark.parametrize("angle", [0.0, 0.5, math.pi / 2, -2.0])
def test_a_person_is_upright_in_their_crop(angle):
    hips, size = np.array([40.0, 30.0]), 8.0
    top = hips + size * np.array([math.sin(angle), -math.cos(angle)])  # turned clockwise by the angle
    crop = Crop.around(hips, top)
    assert crop.side == pytest.approx(2.5 * size)
    np.testing.assert_allclose(crop.from_image(hips), [0.5, 0.5])
    np.testing.assert_allclose(crop.from_image(top), [0.5, 0.5 - 1 / 2.5])


def test_the_pixels_of_a_crop_are_those_of_its_place():
    image = torch.from_numpy(picture()).permute(2, 0, 1).float()
    straight = Crop(32, 24, 16).cut(image, 16)
    torch.testing.assert_close(straight, image[:, 16:32, 24:40].permute(1, 2, 0), atol=1e-2, rtol=0)
    turned = Crop(32, 24, 16, math.pi / 2).cut(image, 16)
    torch.testing.assert_close(turned, straight.rot90(1), atol=1e-2, rtol=0)


def test_borders_go_on():
    image = torch.arange(20.0)[:, None].expand(3, 20, 30)
    around = Crop.whole(30, 20)
    assert around.side == 30
    rows = around.cut(image, 30)[:, 15, 0]
    torch.testing.assert_close(rows, (torch.arange(30.0) - 5).clamp(0, 19), atol=1e-3, rtol=0)


@pytest.mark.parametrize("angle", [0.0, 1.0, math.pi])
def test_a_person_is_near_from_the_head_to_the_feet(angle):
    up = np.array([math.sin(angle), -math.cos(angle)])
    crop = Crop(60.0, 40.0, 50.0, angle)
    hips, side = np.array([60.0, 40.0]), np.array([-up[1], up[0]])
    for along in (-20, -5, 0, 20):
        assert crop.distance(hips + along * up) == pytest.approx(0, abs=1e-9)
        assert crop.distance(hips + along * up + 10 * side) == pytest.approx(0.2)
    assert crop.distance(hips + 30 * up) == pytest.approx(0.2)


def test_dark_frames_are_brightened_and_others_left():
    bright, dark = picture(), picture() // 8
    torch.testing.assert_close(brightened(bright), torch.from_numpy(bright).permute(2, 0, 1).float())
    assert dark.mean() < 25
    assert brightened(dark).mean() > 2 * dark.mean()
    assert brightened(np.zeros((8, 8, 3), np.uint8)).max() == 0


def test_anchors_are_those_of_the_grids():
    found = anchors()
    expected = [
        ((column + 0.5) * stride / 224, (row + 0.5) * stride / 224)
        for stride, number in ((8, 2), (16, 2), (32, 6))
        for row in range(224 // stride)
        for column in range(224 // stride)
        for _ in range(number)
    ]
    assert len(found) == 2254
    np.testing.assert_allclose(found, expected)


def test_boxes_are_decoded_and_those_that_overlap_merged():
    values = np.zeros((3, 12))
    values[:, 2:4] = 22.4  # a tenth of the picture
    values[:, 4:] = [11.2, 0, 0, -22.4, 0, 0, 0, 0]
    boxes = decode_boxes(values, np.array([[0.5, 0.5], [0.52, 0.5], [0.2, 0.8]]))
    np.testing.assert_allclose(boxes[0, :8], [0.45, 0.45, 0.55, 0.55, 0.55, 0.5, 0.5, 0.4])
    merged = merge_overlapping(boxes, np.array([0.6, 0.9, 0.7]))
    assert len(merged) == 2
    np.testing.assert_allclose(merged[0], (0.6 * boxes[0] + 0.9 * boxes[1]) / 1.5)
    np.testing.assert_allclose(merged[1], boxes[2])


def test_refined_points_lie_at_the_heatmaps_centre_of_mass():
    heatmaps = np.full((HEATMAP, HEATMAP, 4), -20.0)
    heatmaps[30, 41, 0] = heatmaps[30, 42, 0] = 9.0
    heatmaps[30, 50, 1] = 9.0  # out of the window
    heatmaps[32, 40, 2] = -1.0  # no clear peak
    points = np.array([[40 / 64, 32 / 64]] * 3 + [[1.5, -0.2]])
    found = refine(points, heatmaps)
    np.testing.assert_allclose(found[0], [41.5 / 64, 30 / 64], atol=1e-6)
    np.testing.assert_allclose(found[1:], points[1:])


@given(st.lists(NUMBERS, min_size=1, max_size=20), st.floats(0.01, 5), st.floats(0, 80))
def test_smoothed_values_stay_among_those_seen_and_rest_stays(values, cutoff, beta):
    smooth = OneEuro(15.0, cutoff, beta)
    for number, value in enumerate(values, start=1):
        found = smooth(np.array([value]))[0]
        assert min(values[:number]) - 1e-6 <= found <= max(values[:number]) + 1e-6
    for _ in range(3):
        before, found = found, smooth(np.array([values[-1]]))[0]
        assert abs(found - values[-1]) <= abs(before - values[-1]) + 1e-6


def test_jitter_is_smoothed_and_speed_is_not():
    steps = np.arange(60)
    jitter, run = 100 + 0.5 * (-1.0) ** steps, 20.0 * steps
    rest, fast = (OneEuro(15.0, 0.05, 80.0) for _ in range(2))
    rested = np.array([rest(np.array([one]), 200.0)[0] for one in jitter])
    assert rested[30:].std() < 0.7 * jitter.std()
    ran = np.array([fast(np.array([one]), 200.0)[0] for one in run])
    assert np.abs(ran - run)[5:].max() < 2  # a tenth of a step


# Following: a made-up finder that sees a person who stands at a place in every frame.


def person(x: float, y: float = 50.0, size: float = 20.0) -> np.ndarray:
    points = np.zeros((39, 4))
    points[:, 0] = x + size * np.cos(np.arange(39))
    points[:, 1] = y + size * np.sin(np.arange(39))
    points[33, :2], points[34, :2] = (x, y), (x, y - size)
    points[:, 3] = 1
    return points


class Stage:
    """People by frame: x of each. A pixel tells the frame's number in red, and its column in green."""

    def __init__(self, people: list[list[float]]) -> None:
        self.people, self.asked = people, 0

    def frames(self):
        frames = [np.full((100, 200, 3), 100 + number, np.uint8) for number in range(len(self.people))]
        for one in frames:
            one[:, :, 1] = np.arange(200)
        return frames

    def _at(self, image):
        return self.people[round(float(image[0, 0, 0])) - 100]

    def detect(self, image):
        self.asked += 1
        left = float(image[1, 0, 0])
        return [Crop(x - left, 50, 50) for x in self._at(image) if 0 <= x - left < image.shape[2]]

    def landmarks(self, image, crop):
        near = [x for x in self._at(image) if abs(x - crop.x) < 30]
        return Landmarks(1.0 if near else 0.0, person(near[0] if near else 0.0))

    def track(self, place: Place | None = None) -> Poses:
        return track_poses(self.frames(), self.detect, self.landmarks, 15.0, person=place)


def test_the_detector_is_asked_only_when_there_is_nobody_to_follow():
    stage = Stage([[50.0 + 2 * number] for number in range(30)])
    poses = stage.track()
    assert poses.present.all()
    assert stage.asked == 1
    assert poses.appearances == ((0, 30),)
    assert np.abs(poses.landmarks[:, 0, 0] - [50 + 2 * n + 20 for n in range(30)]).max() < 2


def test_who_is_missing_is_marked_and_not_invented():
    stage = Stage(
        [[50.0]] * 10 + [[]] * 4 + [[50.0]] * 10 + [[]] * 20 + [[50.0]] * 6 + [[]] * 3 + [[150.0]] * 6
    )
    poses = stage.track()
    expected = [bool(one) for one in stage.people]
    assert poses.present.tolist() == expected
    assert np.isnan(poses.landmarks[~poses.present]).all()
    assert poses.appearances == ((0, 24), (44, 50), (53, 59))  # a short gap, a long one, somebody else
    features = features_of(poses)
    assert features.shape == (59, PENN_SKELETON.num_features)
    assert (
        person_seen(features).tolist() == [True] * 24 + [False] * 20 + [True] * 6 + [False] * 3 + [True] * 6
    )


def test_of_several_people_the_most_moving_one_is_followed():
    stage = Stage([[40.0, 150.0 + 6 * (number % 2)] for number in range(12)])
    assert (stage.track().landmarks[:, 23, 0] > 100).all()
    stage = Stage([[40.0 + 6 * (number % 2), 150.0] for number in range(12)])
    assert (stage.track().landmarks[:, 23, 0] < 100).all()


def test_who_is_at_a_place_is_followed_and_found_again_where_they_were():
    both = [[40.0 + number, 150.0 + 6 * (number % 2)] for number in range(20)]
    stage = Stage([*both, [152.0], *([[60.0, 150.0]] * 9)])  # the one who moves most is seen throughout
    poses = stage.track(Place(0.2, 0.5))
    assert poses.present.tolist() == [True] * 20 + [False] + [True] * 9
    assert (poses.landmarks[poses.present][:, 23, 0] < 100).all()
    assert (stage.track(Place(0.75, 0.5)).landmarks[:, 23, 0] > 100).all()
    assert not stage.track(Place(0.5, 0.5)).present.any()  # between them


def test_a_cut_begins_anew():
    stage = Stage([[50.0]] * 20)
    frames = stage.frames()
    frames[10:] = [frame + np.uint8([100, 0, 100]) for frame in frames[10:]]
    stage._at = lambda image: [50.0]
    poses = track_poses(frames, stage.detect, stage.landmarks, 15.0)
    assert poses.appearances == ((0, 10), (10, 20))
    assert stage.asked == 2


def test_appearances_of_nothing_and_of_a_moment():
    nobody = np.zeros(9, bool)
    assert appearances(nobody, []) == ()
    nobody[4] = True
    assert appearances(nobody, []) == ()
    assert appearances(np.ones(1, bool), []) == ((0, 1),)


def test_a_tracker_without_a_person_follows_nobody():
    tracker = PersonTracker(lambda image: [], lambda image, crop: Landmarks(0.0, person(0)), 15.0)
    assert tracker.find([torch.zeros(3, 8, 8)]) is None
    assert tracker.follow(torch.zeros(3, 8, 8)) is None


# Features.


def moving(step: float, shift: float = 0.0, number: int = 20) -> Poses:
    landmarks = np.stack([person(step * n)[:33] for n in range(number)])
    shifts = np.tile([shift, 0.0], (number, 1))
    return Poses(landmarks, np.ones(number, bool), ((0, number),), shifts)


def test_features_do_not_change_with_place_and_size_and_the_path_tells_motion():
    standing = features_of(moving(0))
    torch.testing.assert_close(features_of(moving(3)), standing, atol=1e-5, rtol=0)
    large = moving(3)
    large = Poses(large.landmarks * 5 + 7, large.present, large.appearances, large.shifts * 5)
    torch.testing.assert_close(features_of(large), standing, atol=1e-5, rtol=0)
    torch.testing.assert_close(hip_path(large, 15.0), hip_path(moving(3), 15.0), atol=1e-5, rtol=0)
    assert hip_path(moving(0), 15.0).abs().max() == 0
    assert (hip_path(moving(3), 15.0)[:, 0] > 0).all()
    assert (hip_path(moving(-3), 15.0)[:, 2] < 0).all()
    torch.testing.assert_close(hip_path(moving(3, shift=3), 15.0), torch.zeros(20, 4))  # the camera moved


@pytest.mark.parametrize("shift", [(0, 0), (6, 0), (-4, 8), (0, -10)])
def test_the_background_moves_as_the_camera_does(shift):
    large = torch.from_numpy(picture(320, 400)).permute(2, 0, 1).float()
    x, y = shift
    before, now = large[:, 40:280, 40:360], large[:, 40 - y : 280 - y, 40 - x : 360 - x]
    np.testing.assert_allclose(background_shift(before, now), shift, atol=1.2)
    assert background_shift(torch.zeros(3, 240, 320), torch.zeros(3, 240, 320)).tolist() == [0, 0]
    other = torch.from_numpy(picture(240, 320, seed=5)).permute(2, 0, 1).float()
    assert np.abs(background_shift(before, other)).tolist() == [0, 0]


def test_what_the_person_covers_does_not_count_as_background():
    large = torch.from_numpy(picture(240, 400)).permute(2, 0, 1).float()
    before = large[:, :, 20:340].clone()
    now = before.clone()
    now[:, 60:180, 60:260] = large[:, 60:180, 74:274]  # what is in the middle moves
    box = np.array([[60.0, 60.0], [260.0, 180.0]])
    np.testing.assert_allclose(background_shift(before, now, box), [0, 0], atol=0.5)


def test_whole_frames_are_read_and_never_enlarged(tmp_path):
    path = write_video(tmp_path / "a.mp4", counting(10))
    assert next(read_frames(path, FrameGrid(10, 360, None))).shape == (48, 64, 3)
    assert next(read_frames(path, FrameGrid(10, 24, None))).shape == (24, 32, 3)


# Weights.


def test_foreign_and_damaged_weights_are_refused(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("VRELOC_CACHE", str(tmp_path / "cache"))
    names = list(FILES)
    folder = tmp_path / "files"
    folder.mkdir()
    (folder / names[0]).write_bytes(b"TFL3")
    with pytest.raises(WeightsError, match=f"holds no {names[1]}|{names[0]} in .* is damaged or of another"):
        POSE_WEIGHTS.import_weights(folder)
    with zipfile.ZipFile(tmp_path / "a.whl", "w") as wheel:
        for name in names:
            wheel.writestr(f"mediapipe/modules/{name}", b"TFL3 not this one")
    assert main(["weights", "import-pose", str(tmp_path / "a.whl")]) == 2
    assert "SHA-256" in capsys.readouterr().err
    (tmp_path / "b.whl").write_bytes(b"PK no zip")
    with pytest.raises(WeightsError, match="Expected the wheel of mediapipe"):
        POSE_WEIGHTS.import_weights(tmp_path / "b.whl")
    with pytest.raises(WeightsError, match=r"pip download .* && vreloc weights import-pose mediapipe"):
        load_extractor("pose")
    assert not (tmp_path / "cache").exists()
    POSE_WEIGHTS.weights_path().parent.mkdir(parents=True)
    POSE_WEIGHTS.weights_path().write_bytes(b"no weights")
    with pytest.raises(WeightsError, match="Import the weights again"):
        load_extractor("pose")


def test_a_network_that_is_none_is_refused(extractor):
    from vreloc_pyg.video.pose_network import PersonDetector

    with pytest.raises(WeightsError, match="The pose detector is damaged"):
        PersonDetector(b"TFL3" * 100)


def test_a_video_without_a_person_says_so(extractor, tmp_path):
    path = write_video(tmp_path / "grey.mp4", counting(20))
    with pytest.raises(VideoError, match=r"No person is seen in .*grey\.mp4.*--extractor i3d"):
        extract_video(path, extractor)


def test_a_golfer_is_followed_from_beginning_to_end(extractor, tmp_path):
    path = REAL / "across" / "golf_swing_1.mp4"
    if not path.is_file():
        pytest.skip(f"There is no {path}: set VRELOC_DATA")
    poses = extractor.read(path, end_s=2.0)
    assert poses.present.all()
    nose, hips, ankles = (poses.landmarks[:, part, 1].mean() for part in ([0], [23, 24], [27, 28]))
    assert nose < hips < ankles
    dark = [(frame // 6) for frame in read_frames(path, extractor.grid, end_s=2.0)]
    assert extractor.track(dark).present.mean() > 0.9
    cache = FeatureCache(tmp_path)
    found, kept = (extract_video(path, extractor, end_s=2.0, cache=cache) for _ in range(2))
    assert found.features.shape == (30, 52)
    assert found.seconds_per_step == pytest.approx(1 / 15)
    assert not found.problems
    # For a picture of them, the joints are where the landmarks are, in shares of a picture of 320 x 374.
    joints = poses.landmarks[:, list(PENN_LANDMARKS), :2] / [320, 374]
    np.testing.assert_allclose(found.joints, joints, atol=1e-6)
    assert kept.cached
    np.testing.assert_allclose(kept.joints, joints, atol=1e-3)
    small = extract_video(path, extractor, 0.5, 1.0, FeatureCache(tmp_path / "small", joints=False))
    assert small.joints is not None
    again = extract_video(path, extractor, 0.5, 1.0, FeatureCache(tmp_path / "small", joints=False))
    assert again.cached
    assert again.joints is None
