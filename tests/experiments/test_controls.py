"""The query of another class, on features of a store, which are read anew each time."""

import json

import numpy as np
import pytest

from tests.experiments.conftest import TINY
from vreloc_pyg import cli
from vreloc_pyg.experiments.predictions import PAIRS_NAME, PREDICTIONS_NAME, read_table_gz, recompute
from vreloc_pyg.systems.catalog import find_system


@pytest.fixture
def write_folder(tmp_path):
    """Function that writes annotations and stored features of classes; returns the options that name them."""

    def write(num_classes):
        rng = np.random.default_rng(0)
        actions = rng.normal(size=(num_classes, 8))
        rows = ["video,start_s,end_s,label"]
        (tmp_path / "features").mkdir()
        for number in range(2 * num_classes):
            features = rng.normal(size=(60, 8))
            for place, label in enumerate((number % num_classes, (number + 1) % num_classes)):
                first = 10 + 25 * place + number % 5
                features[first : first + 12] = 2 * actions[label] + 0.3 * rng.normal(size=(12, 8))
                rows.append(f"v{number},{first / 2},{first / 2 + 6},class {label}")
            np.save(tmp_path / "features" / f"v{number}.npy", features.astype(np.float32))
        made_with = {"extractor": "levels", "frames_per_step": 5, "frame_rate": 10}
        (tmp_path / "features" / "metadata.json").write_text(json.dumps(made_with))
        (tmp_path / "annotations.csv").write_text("\n".join(rows) + "\n")
        root, features = str(tmp_path / "annotations.csv"), str(tmp_path / "features")
        systems = ["--systems", "[mgffnet,wrong-query]", "--training.all", json.dumps(TINY)]
        return ["--data", "folder", "--root", root, "--features", features, *systems, "--max-pairs", "4"]

    return write


def test_stored_queries_are_exchanged(write_folder, tmp_path):
    output = tmp_path / "results"
    assert cli.main(["benchmark", *write_folder(10), "--output", str(output)]) == 0
    files = (output / name for name in (PREDICTIONS_NAME, PAIRS_NAME))
    frame = recompute(*map(read_table_gz, files))
    control, own = find_system("wrong-query"), find_system("mgffnet")
    assert frame.groupby("system", sort=False)["kin"].first().to_dict() == {
        own.row: "own",
        control.row: "control",
    }
    asked = {kin: rows.reset_index(drop=True) for kin, rows in frame.groupby("kin")}
    assert asked["own"]["label"].nunique() == 2
    assert asked["own"]["query_id"].equals(asked["control"]["query_id"])
    assert not asked["own"]["score"].equals(asked["control"]["score"])
    assert control.row in (output / "report.md").read_text()


def test_one_test_class_is_noticed_before_anything_is_trained(write_folder, tmp_path, capsys):
    output = tmp_path / "results"
    assert cli.main(["benchmark", *write_folder(3), "--output", str(output)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("vreloc benchmark: Split 'folder-test' holds one class only, 'class ")
    assert line.endswith("there is no query of another class")
    assert not output.exists()
