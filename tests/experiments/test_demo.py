import matplotlib.image
import numpy as np
import pandas as pd
import pytest
import torch

from tests.experiments.conftest import WINDOWS
from vreloc_pyg.datasets import Synthetic, TaskData
from vreloc_pyg.experiments.demo import run_demo
from vreloc_pyg.localization import Localizer
from vreloc_pyg.systems.catalog import find_system, fitted_rules
from vreloc_pyg.systems.rules.strongest_rule import STRONGEST_RULE

SMALL = {"epochs": 2, "steps_per_epoch": 2, "batch_size": 3}
OURS = find_system("mgffnet").row


@pytest.fixture(scope="module")
def data():
    task = Synthetic(4, 2, 2, num_train=12, num_validation=4, num_test=4, num_features=8)
    return TaskData("synthetic", task.splits(), WINDOWS)


@pytest.fixture(scope="module")
def demo(data, tmp_path_factory):
    """The folder and the table of a small demo."""
    mode = torch.get_deterministic_debug_mode()
    folder = tmp_path_factory.mktemp("demo") / "new"
    table = run_demo(data, folder, SMALL, pictures=100)
    torch.set_deterministic_debug_mode(mode)
    return folder, table


def test_the_demo_writes_every_file_its_docstring_names(demo):
    folder, _ = demo
    documented = "results.md/.csv differences.md/.csv per_query.csv metrics.csv curves.png recall.png"
    for name in documented.split():
        assert name in " ".join(run_demo.__doc__.replace("``", "").replace(",", "").split())
    files = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    tables = {f"{name}.{kind}" for name in ("results", "differences") for kind in ("md", "csv")}
    pictures = {"curves.png", "recall.png", *(f"timelines/{pair:02d}.png" for pair in range(4))}
    model = {"model/config.json", "model/model.safetensors"}
    checkpoints = {"checkpoints/best.ckpt", "checkpoints/last.ckpt"}
    expected = tables | pictures | model | checkpoints | {"per_query.csv", "metrics.csv", "run.json"}
    assert files - {name for name in files if name.startswith("curves/")} == expected
    for name in pictures:
        picture = matplotlib.image.imread(folder / name)
        assert min(picture.shape[:2]) > 100
        assert picture[..., :3].std() > 0.01


def test_the_demo_compares_the_model_with_every_rule(demo, data):
    folder, table = demo
    names = [*(system.name for system in fitted_rules(data)), OURS]
    assert table["system"].tolist() == names
    frame = pd.read_csv(folder / "per_query.csv")
    assert frame.groupby("system")["pair"].nunique().tolist() == [4] * len(names)
    written = pd.read_csv(folder / "results.csv")
    assert written["system"].tolist() == names
    np.testing.assert_allclose(written["mean tIoU"], table["mean tIoU"])
    own = frame[frame["system"] == OURS]
    assert table["mean tIoU"].iloc[-1] == pytest.approx(100 * own["tiou"].mean())
    differences = pd.read_csv(folder / "differences.csv")["system"].tolist()
    strongest = STRONGEST_RULE.row
    assert differences == [f"{name} − {strongest}" for name in names if name != strongest]


def test_the_saved_model_gives_the_answers_of_the_table(demo, data):
    folder, _ = demo
    localizer = Localizer.from_pretrained(folder / "model")
    assert (localizer.name, localizer.proposals) == (OURS, WINDOWS)
    frame = pd.read_csv(folder / "per_query.csv")
    for pair, row in enumerate(frame[frame["system"] == OURS].itertuples()):
        found = localizer.localize(*data.splits["test"][pair])
        assert found.bounds[0].tolist() == pytest.approx([row.start_s, row.end_s])
        assert found.scores[0].item() == pytest.approx(row.score)
