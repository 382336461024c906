"""CONTRIBUTING.md does what it says: its five tasks are done in a copy of the package, by its own code."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from tests.videos import grey, write_video

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
TASKS = dict(re.findall(r"^### (.+?)\n(.*?)(?=^##)", PAGE, flags=re.DOTALL | re.MULTILINE))

#: Runs commands of the page in one process.
RUN = """
import shlex, sys
from vreloc_pyg.cli import main
for line in sys.argv[1:]:
    assert main(shlex.split(line)[1:]) == 0, line
"""
#: After the page's own block: all ways agree, and not with another kind of weights.
SAME = """
from vreloc_pyg.graphs import multi_scale_product, to_dense_adjacency
other = MGFFNet(in_channels=8, hidden_channels=4).eval()
other.load_state_dict(model.state_dict())
for score in scores:
    torch.testing.assert_close(score, scores[0])
    assert (score - other(graph).score).abs() > 1e-6
dense = to_dense_adjacency(9, 12, 2, "inverse") @ graph.x
torch.testing.assert_close(dense, multi_scale_product(graph.x, 9, 12, 2, "inverse"))
"""


def blocks(text: str, kind: str) -> list[tuple[str, str]]:
    """What the comment before a block names, and the block."""
    return re.findall(rf"^<!-- {kind}:? ?(.*?) -->\n```\w+\n(.*?)```", text, flags=re.DOTALL | re.MULTILINE)


def commands(task: str) -> list[str]:
    return "".join(re.findall(r"```sh\n(.*?)```", TASKS[task], re.DOTALL)).splitlines()


@pytest.fixture(scope="module")
def package(tmp_path_factory):
    """A folder with a copy of the package in which all five tasks are done."""
    place = tmp_path_factory.mktemp("contributed")
    shutil.copytree(ROOT / "vreloc_pyg", place / "vreloc_pyg", ignore=shutil.ignore_patterns("__pycache__"))
    for name, code in blocks(PAGE, "file"):
        assert not (place / name).exists()
        (place / name).write_text(code)
    for where, entry in blocks(PAGE, "line"):
        name, table = where.split()
        before, inside = re.split(rf"^(?={table}\b)", (place / name).read_text(), flags=re.MULTILINE)
        inside, after = re.split(r"^(?=[)\]}]$)", inside, maxsplit=1, flags=re.MULTILINE)
        (place / name).write_text(before + inside + entry + after)
    return place


def run(package, *arguments: str) -> str:
    environment = {**os.environ, "PYTHONPATH": f"{package}:{ROOT / 'docs'}", "OMP_NUM_THREADS": "1"}
    words = [sys.executable, *arguments]
    done = subprocess.run(words, cwd=package, env=environment, capture_output=True, text=True, timeout=280)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


def test_each_task_is_a_file_and_a_line_or_an_entry():
    assert list(TASKS) == ["A rival", "A data set with folds", "An edge weight", "A metric", "An extractor"]
    assert [len(blocks(text, "file")) for text in TASKS.values()] == [1, 1, 0, 0, 1]
    entries = [[entry.splitlines() for _, entry in blocks(text, "line")] for text in TASKS.values()]
    assert [[len(lines) for lines in entry] for entry in entries] == [[1], [1], [1], [9], [1]]
    assert entries[3][0][0] == "    Metric("


@pytest.mark.parametrize(
    ("command", "shown"),
    [
        ("systems", "nearest-mean rival; nearest mean; CONTRIBUTING.md"),
        ("systems nearest-mean", " hidden_channels int = 32; width of the map"),
        ("train --help", ", nearest-mean"),
        ("train --help", " kitchen,"),
        ("features --help", " pose-path, colours"),
    ],
)
def test_help_knows_what_was_added(package, command, shown):
    assert shown in " ".join(run(package, "-m", "vreloc_pyg", *command.split()).split())


@pytest.mark.slow
def test_the_rival_and_the_metric_have_their_rows_and_columns(package):
    run(package, "-c", RUN, *commands("A rival"), *commands("A metric"))
    results = pd.read_csv(package / "outputs/benchmark/results.csv").set_index("system")
    assert list(results.index) == ["window rule", "nearest mean"]
    assert (results["larger error"] >= results[["start error", "end error"]].max(axis=1)).all()
    latex = (package / "outputs/benchmark/results.tex").read_text()
    assert re.search(r"larger error(.*\n)+nearest mean &", latex)
    results = pd.read_csv(package / "outputs/evaluation/results.csv").set_index("system")
    assert "nearest mean" in results.index
    assert results.loc["chance (train length)", "larger error"] > 1
    header = (package / "outputs/evaluation/results.md").read_text().splitlines()[0]
    assert header.startswith("| system | R@1(0.5) | larger error | N |")


@pytest.mark.slow
def test_the_data_set_has_three_folds(package):
    kitchen, rng = package / "KITCHEN", np.random.default_rng(0)
    (kitchen / "features").mkdir(parents=True)
    rows = ["video,start_s,end_s,label"]
    for number in range(18):
        rows.append(f"v{number},{1 + number % 3},{6 + number % 4},class {number % 6}")
        np.save(kitchen / "features" / f"v{number}.npy", rng.normal(size=(40, 5)).astype(np.float32))
    (kitchen / "features/metadata.json").write_text('{"frames_per_step": 10, "frame_rate": 20}')
    (kitchen / "annotations.csv").write_text("\n".join(rows) + "\n")
    code = """
from vreloc_pyg.datasets.tasks import load_task
from vreloc_pyg.errors import SettingsError
tests = [load_task("kitchen", "KITCHEN", f, features="KITCHEN/features").splits["test"] for f in range(3)]
print(sorted(label for split in tests for label in split.classes))
try:
    load_task("kitchens")
except SettingsError as error:
    print(error)
"""
    printed = run(package, "-c", code + RUN, *commands("A data set with folds"))
    assert str([f"class {number}" for number in range(6)]) in printed
    assert re.search("Unknown data set 'kitchens'; known are .*, kitchen\n", printed)
    assert (package / "outputs/kitchen/model/model.safetensors").stat().st_size > 0


@pytest.mark.slow
def test_the_edge_weight_and_the_extractor_are_used(package):
    for number in range(2):
        write_video(package / "videos" / f"{number}.mp4", [grey(100 + number)] * 30, 10)
    ((_, block),) = blocks(TASKS["An edge weight"], "run")
    printed = run(package, "-c", block + SAME + RUN, *commands("An extractor"))
    assert "2 done, 0 were there" in printed


def test_the_picture_of_the_house_is_of_todays_imports():
    with Image.open(ROOT / "docs/house.png") as image:
        picture = image.info["Description"]
    today = run(ROOT, "-c", "import house; print(house.as_text(house.arrows()))").rstrip()
    assert picture == today, "run `make house`"
