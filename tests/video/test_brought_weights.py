"""Networks whose weights users bring, beside plain readings of their published states."""

from __future__ import annotations

import math
from argparse import Namespace

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from vreloc_pyg.errors import WeightsError
from vreloc_pyg.video.dinov2 import DINOV2_NETWORK, DINOv2Extractor, dinov2_state
from vreloc_pyg.video.extractors import load_extractor
from vreloc_pyg.video.network_weights import PublishedNetwork
from vreloc_pyg.video.videomae import VIDEOMAE_NETWORK, VideoMAEExtractor, sine_positions, videomae_state
from vreloc_pyg.video.x3d import X3D_NETWORK, X3DExtractor, x3d_state

State = dict[str, Tensor]


def drawn(shapes: dict[str, tuple[int, ...]]) -> State:
    """Random numbers that neither die out nor grow from layer to layer."""
    torch.manual_seed(0)
    state = {}
    for name, shape in shapes.items():
        if name.endswith("running_var") or (len(shape) == 1 and name.endswith("weight")):
            state[name] = torch.rand(shape) + 0.5
        else:
            fan = math.prod(shape[1:]) if len(shape) > 1 and name.endswith("weight") else 25
            state[name] = torch.randn(shape) / fan**0.5
    return state


def norm_shapes(name: str, channels: int) -> dict[str, tuple[int, ...]]:
    return {f"{name}.{part}": (channels,) for part in ("weight", "bias", "running_mean", "running_var")}


def x3d_shapes() -> dict[str, tuple[int, ...]]:
    """Names and shapes of PyTorchVideo's ``x3d_s``."""
    shapes = {
        "blocks.0.conv.conv_t.weight": (24, 3, 1, 3, 3),
        "blocks.0.conv.conv_xy.weight": (24, 1, 5, 1, 1),
    }
    shapes |= norm_shapes("blocks.0.norm", 24)
    width = 24
    stages = [(1, 24, 54, 8, 3), (2, 48, 108, 8, 5), (3, 96, 216, 16, 11), (4, 192, 432, 32, 7)]
    for stage, channels, inside, gate, repeats in stages:
        for number in range(repeats):
            block = f"blocks.{stage}.res_blocks.{number}"
            if number == 0:
                shapes[f"{block}.branch1_conv.weight"] = (channels, width, 1, 1, 1)
                shapes |= {} if width == channels else norm_shapes(f"{block}.branch1_norm", channels)
            shapes[f"{block}.branch2.conv_a.weight"] = (inside, width, 1, 1, 1)
            shapes[f"{block}.branch2.conv_b.weight"] = (inside, 1, 3, 3, 3)
            shapes[f"{block}.branch2.conv_c.weight"] = (channels, inside, 1, 1, 1)
            if number % 2 == 0:
                squeeze, excite = f"{block}.branch2.norm_b.1.block.0", f"{block}.branch2.norm_b.1.block.2"
                shapes |= {f"{squeeze}.weight": (gate, inside, 1, 1, 1), f"{squeeze}.bias": (gate,)}
                shapes |= {f"{excite}.weight": (inside, gate, 1, 1, 1), f"{excite}.bias": (inside,)}
            for norm, size in (("norm_a", inside), ("norm_b.0", inside), ("norm_c", channels)):
                shapes |= norm_shapes(f"{block}.branch2.{norm}", size)
            width = channels
    shapes |= {
        "blocks.5.pool.pre_conv.weight": (432, 192, 1, 1, 1),
        **norm_shapes("blocks.5.pool.pre_norm", 432),
    }
    shapes["blocks.5.pool.post_conv.weight"] = (2048, 432, 1, 1, 1)
    return shapes | {"blocks.5.proj.weight": (400, 2048), "blocks.5.proj.bias": (400,)}


def vit_shapes(**others: tuple[int, ...]) -> dict[str, tuple[int, ...]]:
    shapes: dict[str, tuple[int, ...]] = {}
    for number in range(12):
        block = f"blocks.{number}"
        shapes |= {f"{block}.norm{one}.{part}": (384,) for one in (1, 2) for part in ("weight", "bias")}
        layers = (
            ("attn.qkv", 1152, 384),
            ("attn.proj", 384, 384),
            ("mlp.fc1", 1536, 384),
            ("mlp.fc2", 384, 1536),
        )
        for layer, size, width in layers:
            shapes |= {f"{block}.{layer}.weight": (size, width), f"{block}.{layer}.bias": (size,)}
        shapes |= {f"{block}.{name}": shape for name, shape in others.items()}
    return shapes


def dinov2_shapes() -> dict[str, tuple[int, ...]]:
    """Names and shapes of ``dinov2_vits14``."""
    shapes = {"cls_token": (1, 1, 384), "pos_embed": (1, 1370, 384), "mask_token": (1, 384)}
    shapes |= {"patch_embed.proj.weight": (384, 3, 14, 14), "patch_embed.proj.bias": (384,)}
    shapes |= vit_shapes(**{"ls1.gamma": (384,), "ls2.gamma": (384,)})
    return shapes | {"norm.weight": (384,), "norm.bias": (384,)}


def videomae_shapes() -> dict[str, tuple[int, ...]]:
    """Names and shapes of VideoMAE's ``vit_small_patch16_224``, trained for 174 classes."""
    shapes = {"patch_embed.proj.weight": (384, 3, 2, 16, 16), "patch_embed.proj.bias": (384,)}
    shapes |= vit_shapes(**{"attn.q_bias": (384,), "attn.v_bias": (384,)})
    shapes = {name: shape for name, shape in shapes.items() if not name.endswith("qkv.bias")}
    shapes |= {"fc_norm.weight": (384,), "fc_norm.bias": (384,)}
    return shapes | {"head.weight": (174, 384), "head.bias": (174,)}


def plain_x3d(state: State, x: Tensor) -> Tensor:
    def norm(x, name):
        mean, variance, scale, shift = (
            state[f"{name}.{part}"].view(-1, 1, 1, 1)
            for part in ("running_mean", "running_var", "weight", "bias")
        )
        return (x - mean) / (variance + 1e-5).sqrt() * scale + shift

    def conv(x, name, stride=1, groups=1):
        weight = state[f"{name}.weight"]
        padding = [size // 2 for size in weight.shape[2:]]
        return functional.conv3d(
            x, weight, state.get(f"{name}.bias"), (1, stride, stride), padding, 1, groups
        )

    x = conv(conv(x, "blocks.0.conv.conv_t", 2), "blocks.0.conv.conv_xy", groups=24)
    x = norm(x, "blocks.0.norm").relu()
    for stage, repeats in ((1, 3), (2, 5), (3, 11), (4, 7)):
        for number in range(repeats):
            block, stride, before = f"blocks.{stage}.res_blocks.{number}", 1 if number else 2, x
            x = norm(conv(x, f"{block}.branch2.conv_a"), f"{block}.branch2.norm_a").relu()
            x = norm(conv(x, f"{block}.branch2.conv_b", stride, x.size(1)), f"{block}.branch2.norm_b.0")
            if number % 2 == 0:
                gate = conv(x.mean((2, 3, 4), True), f"{block}.branch2.norm_b.1.block.0").relu()
                x = x * conv(gate, f"{block}.branch2.norm_b.1.block.2").sigmoid()
            x = norm(conv(x * x.sigmoid(), f"{block}.branch2.conv_c"), f"{block}.branch2.norm_c")
            if number == 0:
                before = conv(before, f"{block}.branch1_conv", stride)
                before = norm(before, f"{block}.branch1_norm") if stage > 1 else before
            x = (x + before).relu()
    x = norm(conv(x, "blocks.5.pool.pre_conv"), "blocks.5.pool.pre_norm").relu()
    x = conv(x.mean((2, 3, 4), True), "blocks.5.pool.post_conv").relu().flatten(1)
    return functional.linear(x, state["blocks.5.proj.weight"], state["blocks.5.proj.bias"])


def plain_blocks(state: State, x: Tensor) -> Tensor:
    """Blocks of a vision transformer, one head after the other, on tokens ``[N, 384]``."""

    def norm(x, name):
        x = (x - x.mean(1, True)) / (x.var(1, correction=0, keepdim=True) + 1e-6).sqrt()
        return x * state[f"{name}.weight"] + state[f"{name}.bias"]

    def linear(x, name):
        return functional.linear(x, state[f"{name}.weight"], state.get(f"{name}.bias"))

    for number in range(12):
        block = f"blocks.{number}"
        query, key, value = linear(norm(x, f"{block}.norm1"), f"{block}.attn.qkv").chunk(3, dim=1)
        query = query + state.get(f"{block}.attn.q_bias", 0)
        value = value + state.get(f"{block}.attn.v_bias", 0)
        heads = []
        for one in range(6):
            part = slice(64 * one, 64 * one + 64)
            heads.append((query[:, part] @ key[:, part].T / 8).softmax(1) @ value[:, part])
        x = x + state.get(f"{block}.ls1.gamma", 1) * linear(torch.cat(heads, dim=1), f"{block}.attn.proj")
        inside = linear(norm(x, f"{block}.norm2"), f"{block}.mlp.fc1")
        inside = inside * (1 + torch.erf(inside / 2**0.5)) / 2
        x = x + state.get(f"{block}.ls2.gamma", 1) * linear(inside, f"{block}.mlp.fc2")
    return x


def plain_dinov2(state: State, images: Tensor) -> Tensor:
    """The features of square images of 518 pixels."""
    weight, bias = state["patch_embed.proj.weight"], state["patch_embed.proj.bias"]
    patches = functional.conv2d(images, weight, bias, stride=14).flatten(2).mT
    found = []
    for one in patches:
        x = plain_blocks(state, torch.cat([state["cls_token"][0], one]) + state["pos_embed"][0])
        found.append(functional.layer_norm(x[0], (384,), state["norm.weight"], state["norm.bias"], 1e-6))
    return torch.stack(found)


def plain_videomae(state: State, clip: Tensor) -> Tensor:
    """Scores ``[174]`` of one clip ``[3, 16, 224, 224]``."""
    tokens = []
    for time in range(8):
        for row in range(14):
            for column in range(14):
                tube = clip[
                    :, 2 * time : 2 * time + 2, 16 * row : 16 * row + 16, 16 * column : 16 * column + 16
                ]
                tokens.append(tube.flatten())
    x = torch.stack(tokens) @ state["patch_embed.proj.weight"].flatten(1).T + state["patch_embed.proj.bias"]
    position, channel = torch.arange(1568, dtype=torch.float64)[:, None], torch.arange(384)
    angles = position / 10000 ** (2 * (channel // 2) / 384)
    x = x + torch.where(channel % 2 == 0, angles.sin(), angles.cos()).float()
    pooled = plain_blocks(state, x).mean(0)
    pooled = functional.layer_norm(pooled, (384,), state["fc_norm.weight"], state["fc_norm.bias"], 1e-6)
    return state["head.weight"] @ pooled + state["head.bias"]


@pytest.fixture(scope="module")
def x3d() -> State:
    return drawn(x3d_shapes())


@pytest.fixture(scope="module")
def dinov2() -> State:
    return drawn(dinov2_shapes())


@pytest.fixture(scope="module")
def videomae() -> State:
    return drawn(videomae_shapes())


@torch.no_grad()
def test_x3d_is_the_published_network(x3d):
    network = X3D_NETWORK.filled(x3d_state(x3d), "here")
    assert sum(parameter.numel() for parameter in network.parameters()) == 3_794_274
    clips = torch.randn(2, 3, 5, 64, 70)
    expected = plain_x3d(x3d, clips)
    assert expected.std(0).mean() > 1e-3 * expected.abs().max()  # the clips are told apart
    torch.testing.assert_close(network(clips) / expected.abs().max(), expected / expected.abs().max())


@pytest.mark.slow
@torch.no_grad()
def test_dinov2_is_the_published_network(dinov2):
    network = DINOV2_NETWORK.filled(dinov2_state(dinov2), "here")
    images = torch.randn(1, 3, 518, 518)
    torch.testing.assert_close(network.features(images), plain_dinov2(dinov2, images), atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize(("sides", "axis"), [((16, 20), 0), ((16, 20), 1)])
def test_positions_of_dinov2_are_scaled_as_published(dinov2, sides, axis):
    network = DINOV2_NETWORK.filled(dinov2_state(dinov2), "here").requires_grad_(False)
    ramp = torch.arange(37.0).expand(384, 37, 37)  # along a row
    network.pos_embed[0, 1:] = (ramp.mT if axis == 0 else ramp).flatten(1).mT
    small = network.positions(*sides).unflatten(1, sides)[0].movedim(axis, 0)[:, 7, 0]
    count = sides[axis]
    places = (torch.arange(count) + 0.5) * 37 / (count + 0.1) - 0.5
    # Bicubic weights of -0.75 bend a ramp by 0.05; without the 0.1 it would be off by 0.2.
    torch.testing.assert_close(small[2:-2], places[2:-2], atol=0.06, rtol=0)


@pytest.mark.slow
@torch.no_grad()
def test_videomae_is_the_published_network(videomae):
    network = VIDEOMAE_NETWORK.filled(videomae_state(videomae), "here")
    clip = torch.randn(3, 16, 224, 224)
    torch.testing.assert_close(network(clip[None])[0], plain_videomae(videomae, clip), atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(network.positions, sine_positions(1568, 384))


def test_gammas_and_biases_that_do_not_fit_are_refused(videomae):
    half = {name: one for name, one in videomae.items() if name != "blocks.3.attn.v_bias"}
    with pytest.raises(ValueError, match="without a bias of the values"):
        videomae_state(half)
    hidden = {f"encoder.{name}": one for name, one in videomae.items()}
    with pytest.raises(WeightsError, match="holds no weights of videomae"):
        VIDEOMAE_NETWORK.filled(videomae_state(hidden), "a.pth")


@pytest.mark.parametrize(
    ("network", "state", "held"),
    [
        (X3D_NETWORK, "x3d", {"model_state": None, "epoch": 3, "cfg": "TRAIN:\n"}),
        (DINOV2_NETWORK, "dinov2", None),
        (VIDEOMAE_NETWORK, "videomae", {"model": None, "args": Namespace(lr=0.1), "epoch": 3}),
        (VIDEOMAE_NETWORK, "videomae", {"module": None, "epoch": 3}),
    ],
    ids=["x3d", "dinov2", "videomae", "videomae, DeepSpeed"],
)
def test_checkpoints_are_imported_as_they_were_saved(
    network: PublishedNetwork, state, held, request, tmp_path, monkeypatch
):
    monkeypatch.setenv("VRELOC_CACHE", str(tmp_path / "cache"))
    with pytest.raises(WeightsError, match=f"vreloc weights import-{network.name}"):
        load_extractor(network.name)
    published = request.getfixturevalue(state)
    if held is not None:
        published = {key: published if value is None else value for key, value in held.items()}
    torch.save(published, tmp_path / "a.pth")
    network.import_weights(tmp_path / "a.pth")
    extractor = load_extractor(network.name)
    assert extractor.name == network.name
    assert extractor.weights != "none"


@torch.no_grad()
def test_a_step_of_x3d_is_the_clip_around_its_frames(x3d):
    network = X3D_NETWORK.filled(x3d_state(x3d), "here")
    frames = torch.randint(0, 255, (15, 160, 160, 3), dtype=torch.uint8)
    found = X3DExtractor(network)(frames)
    assert found.shape == (5, 2048)
    around = torch.cat([frames[:1].expand(6, -1, -1, -1), frames, frames[-1:].expand(6, -1, -1, -1)])
    for step in (0, 2, 4):
        clip = around[3 * step + 1 : 3 * step + 14].permute(3, 0, 1, 2)[None].float() / 255
        expected = network.features((clip - 0.45) / 0.225)[0]
        torch.testing.assert_close(found[step], expected, atol=1e-3 * float(expected.max()), rtol=1e-3)


@torch.no_grad()
def test_steps_of_dinov2_are_frames(dinov2):
    network = DINOV2_NETWORK.filled(dinov2_state(dinov2), "here")
    frames = torch.randint(0, 255, (3, 224, 224, 3), dtype=torch.uint8)
    found = DINOv2Extractor(network)(frames)
    image = frames[1].permute(2, 0, 1) / 255
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    expected = network.features(((image - mean[:, None, None]) / std[:, None, None])[None])
    torch.testing.assert_close(found[1:2], expected, atol=1e-4, rtol=1e-4)


@pytest.mark.slow
@torch.no_grad()
def test_steps_of_videomae_are_pairs_of_tubes_in_the_middle(videomae):
    network = VIDEOMAE_NETWORK.filled(videomae_state(videomae), "here")
    frames = torch.randint(0, 255, (12, 224, 224, 3), dtype=torch.uint8)
    extractor = VideoMAEExtractor(network)
    found = extractor(frames)
    assert found.shape == (3, 384)
    still = [frames[:1].expand(4, -1, -1, -1), frames, frames[-1:].expand(8, -1, -1, -1)]
    around = torch.cat(still)  # from 4 frames before the first
    whole = extractor._compute(around[8:])  # the last step, which begins at frame 8, after 4 others
    torch.testing.assert_close(found[2], whole[1], atol=1e-4, rtol=1e-4)


TINY = PublishedNetwork(
    "tiny", lambda classes: torch.nn.Linear(3, classes), "bias", lambda state: dict(state), "nothing"
)


@pytest.mark.parametrize(
    ("state", "said"),
    [
        ({"bias": torch.zeros(1).expand(10**11)}, "claim more numbers than it holds"),
        ({"bias": torch.zeros(4), "weight": torch.zeros(1).expand(10**11, 3)}, "claim more numbers"),
        ({"bias": torch.zeros(4), "weight": torch.zeros(4, 3).to_sparse()}, "of a kind that no"),
        ({"bias": torch.zeros(10**6)}, "holds no weights of tiny: weight is missing"),
        ({"bias": torch.tensor(3.0), "weight": torch.zeros(1, 3)}, "bias has shape"),
    ],
)
def test_weights_claim_no_more_than_they_hold(tmp_path, state, said):
    torch.save(state, tmp_path / "a.pth")
    with pytest.raises(WeightsError, match=said):
        TINY.import_weights(tmp_path / "a.pth", tmp_path / "kept.safetensors")
    assert not (tmp_path / "kept.safetensors").exists()
