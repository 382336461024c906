"""Extractors by name, and how frames are cut into clips."""

import pytest
import torch
from safetensors.torch import save_file

from tests.videos import Levels, grey, write_video
from vreloc_pyg.cli import main
from vreloc_pyg.errors import FeatureError, SettingsError
from vreloc_pyg.features.store import open_store
from vreloc_pyg.video.efficientnet_lite import EfficientNetLite
from vreloc_pyg.video.extractor import VideoExtractor
from vreloc_pyg.video.extractors import EXTRACTORS, extractor_spec, load_extractor, published_network
from vreloc_pyg.video.i3d import choose_precision
from vreloc_pyg.video.shards import extract_features


@pytest.mark.parametrize("name", EXTRACTORS)
def test_every_line_of_the_table_has_a_spec(name):
    spec = extractor_spec(name)
    rates = {"look": 5, "x3d": 5, "dinov2": 5, "videomae": 6.25, "pose": 15, "pose-path": 15}
    assert spec.frame_rate == rates.get(name, 25)
    if spec.network is not None:
        assert spec.network is published_network(name)
        assert "vreloc weights import-" in spec.network.fetch


def test_a_new_extractor_is_a_file_and_a_line(tmp_path, monkeypatch):
    monkeypatch.setitem(EXTRACTORS, "levels", "tests.videos:LEVELS")
    write_video(tmp_path / "a.mp4", [grey(level) for level in (0, 255) for _ in range(10)])
    path, found = extract_features(tmp_path / "a.mp4", tmp_path / "features.h5", "levels")
    assert found.done == ("a",)
    store = open_store(path)
    assert store.metadata == Levels().metadata
    assert store.read("a").argmax(1).tolist() == [0] * 5 + [15] * 5
    assert load_extractor("levels", frame_rate=5.0).frame_rate == 5
    with pytest.raises(SettingsError, match=r"Unknown extractor 'vgg'; known are i3d, .*, levels$"):
        load_extractor("vgg")
    with pytest.raises(SettingsError, match="'levels' needs no weights"):
        load_extractor("levels", weights=tmp_path / "a.safetensors")
    monkeypatch.setitem(EXTRACTORS, "greys", "tests.videos:LEVELS")
    with pytest.raises(SettingsError, match="'greys' calls itself 'levels'"):
        load_extractor("greys")


@pytest.fixture
def look(tmp_path):
    """Weights of the look, at random."""
    torch.manual_seed(0)
    return save_model(EfficientNetLite(), tmp_path / "look.safetensors")


def save_model(network, path):
    save_file({k: v for k, v in network.state_dict().items() if "num_batches" not in k}, path)
    return path


def test_devices_that_are_not_there_are_refused(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    for device, message in (("cuda", "no CUDA here"), ("tpu", "cpu or cuda .got 'tpu'")):
        with pytest.raises(SettingsError, match=message):
            load_extractor("look", tmp_path / "absent.safetensors", device=device)
    video = str(write_video(tmp_path / "a.mp4", [grey(level) for level in range(20)]))
    for words in (["features", video, "--output", str(tmp_path / "a.h5")], ["locate", video, video]):
        assert main([*words, "--device", "cuda", "--extractor", "look"]) == 2
        assert "no CUDA here" in capsys.readouterr().err
    assert not (tmp_path / "a.h5").exists()


def test_the_processor_is_the_device_unless_another_is_named(look):
    frames = torch.randint(0, 255, (2, 224, 224, 3), dtype=torch.uint8)
    found = load_extractor("look", look)(frames)
    assert torch.equal(load_extractor("look", look, device="cpu")(frames), found)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA here")
def test_features_are_nearly_the_same_on_cuda(look):
    frames = torch.randint(0, 255, (2, 224, 224, 3), dtype=torch.uint8)
    found = load_extractor("look", look, device="cuda")(frames)
    assert found.device.type == "cpu"
    expected = load_extractor("look", look)(frames)
    assert torch.cosine_similarity(found, expected, dim=1).min() > 0.99


class Means(VideoExtractor):
    """Steps are means of their frames, so that one sees which frames a step was made of."""

    name, dim, frames_per_step = "means", 1, 8
    darkest = 0.0

    def __init__(self, clip_steps: int, context_steps: int, frame_rate: float = 25.0) -> None:
        super().__init__(frame_rate, 32, 24, clip_steps, context_steps)
        self.seen: list[int] = []

    def _compute(self, frames):
        self.seen.append(len(frames))
        return frames.float().mean(dim=(1, 2, 3)).view(-1, self.frames_per_step).mean(1, keepdim=True)


def test_dark_frames_are_brightened_wherever_clips_are_cut():
    extractors = Means(1, 0), Means(3, 2)
    for extractor in extractors:
        extractor.darkest = 64.0
    frames = torch.full((24, 24, 24, 3), 30, dtype=torch.uint8)
    frames[8:] = 90
    for extractor in extractors:
        torch.testing.assert_close(extractor(frames)[:, 0], torch.tensor([64.0, 90.0, 90.0]))


@pytest.mark.parametrize("number", [1, 3, 4, 7, 8, 12, 32, 41, 100, 200])
@pytest.mark.parametrize(("clip", "context"), [(1, 0), (2, 1), (3, 2), (12, 2)])
def test_steps_do_not_depend_on_how_frames_are_cut_into_clips(number, clip, context):
    frames = torch.arange(number, dtype=torch.uint8)[:, None, None, None].expand(-1, 24, 24, 3)
    extractor = Means(clip, context)
    found = extractor(frames.contiguous())[:, 0]
    steps = max(1, int(number / 8 + 0.5))
    padded = torch.cat([torch.arange(number), torch.full((8,), number - 1)]).float()
    torch.testing.assert_close(found, padded[: 8 * steps].view(-1, 8).mean(1))
    assert max(extractor.seen) <= 8 * (clip + 2 * context)


def test_what_decides_the_features_is_in_the_fingerprint():
    made = [Means(1, 0), Means(2, 0), Means(1, 1), Means(1, 0, 12.5), Levels()]
    assert len({extractor.fingerprint() for extractor in made}) == 5
    assert Means(1, 0).fingerprint() == made[0].fingerprint()


def test_what_is_impossible_is_refused():
    with pytest.raises(FeatureError, match="uint8"):
        Means(1, 0)(torch.zeros(8, 10, 10, 3))
    with pytest.raises(FeatureError, match="at least one frame"):
        list(Means(1, 0).stream([]))
    for wrong in ((0, 0), (1, -1), (1, 0, 0.0), (1, 0, float("inf"))):
        with pytest.raises(SettingsError, match="clip_steps"):
            Means(*wrong)
    with pytest.raises(SettingsError, match="precision"):
        choose_precision("half")
