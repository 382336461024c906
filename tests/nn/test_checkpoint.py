import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

import vreloc_pyg.checkpoint as checkpoint
from tests.nn.small_models import make_model
from vreloc_pyg.checkpoint import CONFIG_NAME, WEIGHTS_NAME, is_whole, load_weights, read_config, save_model
from vreloc_pyg.errors import CheckpointError
from vreloc_pyg.graphs import pair_data
from vreloc_pyg.nn import MGFFNet


@pytest.fixture
def model():
    return make_model(input_norm=True, pair_features=True, pool="separate", weight="row")


@pytest.fixture
def folder(model, tmp_path):
    return model.save_pretrained(tmp_path / "some" / "model", made_with={"features": "pose"})


def rewrite_config(folder, change):
    config = json.loads((folder / CONFIG_NAME).read_text())
    change(config)
    (folder / CONFIG_NAME).write_text(json.dumps(config))


def test_a_saved_model_comes_back_bit_for_bit(model, folder):
    again = MGFFNet.from_pretrained(folder)
    assert again.settings == model.settings
    assert not again.training
    expected = model.state_dict()
    assert list(again.state_dict()) == list(expected)
    for name, tensor in again.state_dict().items():
        assert torch.equal(tensor, expected[name]), name
        assert tensor.dtype == expected[name].dtype
    graph = pair_data(torch.randn(6, 5), torch.randn(9, 5))
    graph.pair_features = torch.randn(1, 6)
    for one, other in zip(again(graph), model(graph), strict=True):
        assert torch.equal(one, other)


def test_the_folder_holds_two_files_that_others_can_read(model, folder):
    assert sorted(path.name for path in folder.iterdir()) == [CONFIG_NAME, WEIGHTS_NAME]
    text = (folder / CONFIG_NAME).read_text()
    assert text.endswith("}\n")
    config = json.loads(text)
    assert config == read_config(folder)
    assert config["made_with"] == {"features": "pose"}
    assert config["model"] == json.loads(json.dumps(model.settings.to_dict()))
    assert set(load_file(folder / WEIGHTS_NAME)) == set(model.state_dict())


def test_training_goes_on_where_it_was_saved_over(model, folder):
    with torch.no_grad():
        model.layers[0].fuse.bias.fill_(3.0)
    model.train().save_pretrained(folder)
    assert model.training
    again = MGFFNet.from_pretrained(str(folder))
    assert (again.layers[0].fuse.bias == 3).all()
    assert "made_with" not in read_config(folder)


def test_settings_of_the_caller_do_not_replace_the_models(model, tmp_path):
    model.save_pretrained(tmp_path, model="mine")
    assert MGFFNet.from_pretrained(tmp_path).settings == model.settings


def test_tensors_that_share_memory_or_are_not_contiguous_are_saved(tmp_path):
    module = nn.Linear(3, 2)
    module.weight.data = torch.randn(3, 2).t()
    save_model(tmp_path, module, {})
    again = nn.Linear(3, 2)
    load_weights(tmp_path, again)
    assert torch.equal(again.weight, module.weight)


def contents(folder):
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def test_a_save_that_fails_leaves_the_old_files(model, folder, monkeypatch):
    before = contents(folder)
    with torch.no_grad():
        model.layers[0].fuse.bias.fill_(3.0)
    with pytest.raises(TypeError, match="not JSON serializable"):
        model.save_pretrained(folder, made_with=object())
    assert contents(folder) == before

    def full_disk(state, path):
        path.write_bytes(b"half of it")
        raise OSError("No space left on device")

    monkeypatch.setattr(checkpoint, "save_file", full_disk)
    with pytest.raises(OSError, match="No space left"):
        model.save_pretrained(folder)
    assert contents(folder) == before


def test_files_of_two_savings_are_told_apart(model, folder):
    """A process that is killed between both files leaves new tensors with old settings."""
    assert is_whole(folder)
    settings = (folder / CONFIG_NAME).read_text()
    with torch.no_grad():
        model.layers[0].fuse.bias.fill_(3.0)
    model.save_pretrained(folder)
    assert is_whole(folder)
    (folder / CONFIG_NAME).write_text(settings)
    assert not is_whole(folder)
    with pytest.raises(CheckpointError, match="are not of one saving"):
        MGFFNet.from_pretrained(folder)
    (folder / WEIGHTS_NAME).unlink()
    assert not is_whole(folder)


def test_files_are_renamed_within_the_folder(model, folder, monkeypatch):
    """Only there is renaming atomic: a temporary folder may lie on another disk."""
    rename, renamed = Path.replace, []

    def spy(source, target):
        renamed.append((source.parent, target))
        return rename(source, target)

    monkeypatch.setattr(Path, "replace", spy)
    model.save_pretrained(folder)
    assert renamed == [(folder, folder / WEIGHTS_NAME), (folder, folder / CONFIG_NAME)]


@pytest.mark.parametrize(
    ("name", "content", "problem"),
    [
        *((name, None, "Cannot read the model") for name in (CONFIG_NAME, WEIGHTS_NAME)),
        *((WEIGHTS_NAME, keep, "weights .*: missing or damaged") for keep in (0, 7, 200, -1)),
        *((CONFIG_NAME, keep, "Cannot read the model settings") for keep in (0, 1, 10, -3)),
        *(
            (CONFIG_NAME, text, "Cannot read the model settings")
            for text in (b"\x00", b"nonsense", b"\xff\xfe")
        ),
        *((CONFIG_NAME, text, "Expected a JSON object in") for text in (b"[]", b"3", b'"text"', b"null")),
    ],
)
def test_missing_and_damaged_files_are_named(folder, name, content, problem):
    """Also those of which only the first bytes are left, and those that hold something else."""
    path = folder / name
    if content is None:
        path.unlink()
    else:
        path.write_bytes(path.read_bytes()[:content] if isinstance(content, int) else content)
    with pytest.raises(CheckpointError, match=problem) as caught:
        MGFFNet.from_pretrained(folder)
    assert name in str(caught.value)


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda config: config.pop("model"), "model"),
        (lambda config: config.update(model=3), "int"),
        (lambda config: config["model"].update(pool="max"), "pool"),
        (lambda config: config["model"].update(depth=3), "depth"),
        (lambda config: config["model"].update(hidden_channels="8"), "hidden_channels"),
    ],
)
def test_unusable_settings_are_named(folder, change, problem):
    rewrite_config(folder, change)
    with pytest.raises(
        CheckpointError, match=rf"settings 'model' in .*{CONFIG_NAME} are unusable: .*{problem}"
    ):
        MGFFNet.from_pretrained(folder)


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda state: state.pop("layers.1.fuse.bias"), r"its settings: layers\.1\.fuse\.bias is missing"),
        (lambda state: state.update(extra=torch.zeros(2)), "extra is unknown"),
        (
            lambda state: state.update({"layers.0.fuse.bias": torch.zeros(3)}),
            r"layers\.0\.fuse\.bias has shape \(3,\), expected \(6,\)",
        ),
    ],
)
def test_tensors_that_do_not_fit_are_named(folder, change, problem):
    state = load_file(folder / WEIGHTS_NAME)
    change(state)
    save_file(state, folder / WEIGHTS_NAME)
    with pytest.raises(CheckpointError, match=problem):
        MGFFNet.from_pretrained(folder)


def test_of_many_problems_three_are_named(folder):
    rewrite_config(folder, lambda config: config["model"].update(hidden_channels=9))
    with pytest.raises(CheckpointError, match=r"(has shape.*){3} and \d+ more$"):
        MGFFNet.from_pretrained(folder)
