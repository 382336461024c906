import json
import os

import matplotlib.image
import numpy as np
import pandas as pd
import pytest
import torch

from vreloc_pyg.answers.files import clock, localize_files
from vreloc_pyg.datasets import Synthetic
from vreloc_pyg.datasets.penn_action import PennAction
from vreloc_pyg.datasets.tasks import Benchmark
from vreloc_pyg.errors import DataError, FeatureError, SettingsError
from vreloc_pyg.experiments.candidates import write_proposals
from vreloc_pyg.experiments.compare import benchmark_rules, candidate_recall, evaluate_benchmark, print_table
from vreloc_pyg.experiments.demo import run_demo
from vreloc_pyg.features.store.directory import read_features
from vreloc_pyg.localization import Localizer
from vreloc_pyg.proposals.sliding_window import SlidingWindows
from vreloc_pyg.segments import Segments
from vreloc_pyg.systems.catalog import STRONGEST_RULE, WholeReference, WindowRule
from vreloc_pyg.training import make_preset

WINDOWS = SlidingWindows(shortest=5, longest=40, ratio=2.0, overlap=0.5)
SMALL = {"epochs": 2, "steps_per_epoch": 2, "batch_size": 3}


@pytest.fixture(scope="module")
def benchmark():
    task = Synthetic(4, 2, 2, num_train=12, num_validation=4, num_test=4, num_features=8)
    return Benchmark("synthetic", task.splits(), WINDOWS)


def small_preset(benchmark):
    return make_preset("recommended", 8, benchmark.proposals, model={"hidden_channels": 8}, training=SMALL)


@pytest.fixture(scope="module")
def demo(benchmark, tmp_path_factory):
    """The folder and the table of a small demo."""
    mode = torch.get_deterministic_debug_mode()
    folder = tmp_path_factory.mktemp("demo") / "new"
    table = run_demo(benchmark, small_preset(benchmark), folder, pictures=2)
    torch.set_deterministic_debug_mode(mode)
    return folder, table


def test_the_demo_writes_every_file_its_docstring_names(demo):
    folder, _ = demo
    documented = "results.md/.csv differences.md/.csv per_query.csv metrics.csv curves.png recall.png"
    for name in documented.split():
        assert name in " ".join(run_demo.__doc__.split())
    files = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    tables = {f"{name}.{kind}" for name in ("results", "differences") for kind in ("md", "csv")}
    pictures = {"curves.png", "recall.png", "timelines/00.png", "timelines/01.png"}
    model = {"model/config.json", "model/model.safetensors"}
    checkpoints = {"checkpoints/best.ckpt", "checkpoints/last.ckpt"}
    expected = tables | pictures | model | checkpoints | {"per_query.csv", "metrics.csv"}
    assert files - {name for name in files if name.startswith("curves/")} == expected
    for name in pictures:
        picture = matplotlib.image.imread(folder / name)
        assert min(picture.shape[:2]) > 100
        assert picture[..., :3].std() > 0.01


def test_the_demo_compares_the_model_with_every_rule(demo, benchmark):
    folder, table = demo
    names = [system.name for system in benchmark_rules(benchmark)] + ["MGFFNet (recommended)"]
    assert table["system"].tolist() == names
    frame = pd.read_csv(folder / "per_query.csv")
    assert frame.groupby("system")["pair"].nunique().tolist() == [4] * len(names)
    written = pd.read_csv(folder / "results.csv")
    assert written["system"].tolist() == names
    np.testing.assert_allclose(written["mean tIoU"], table["mean tIoU"])
    own = frame[frame["system"] == names[-1]]
    assert table["mean tIoU"].iloc[-1] == pytest.approx(100 * own["tiou"].mean())
    differences = pd.read_csv(folder / "differences.csv")["system"].tolist()
    assert differences == [f"{name} − {STRONGEST_RULE}" for name in names if name != STRONGEST_RULE]


def test_the_saved_model_gives_the_answers_of_the_table(demo, benchmark):
    folder, _ = demo
    localizer = Localizer.from_pretrained(folder / "model")
    assert localizer.name == "MGFFNet (recommended)"
    assert localizer.proposals == WINDOWS
    frame = pd.read_csv(folder / "per_query.csv")
    rows = frame[frame["system"] == localizer.name]
    for pair, row in enumerate(rows.itertuples()):
        found = localizer.localize(*benchmark.splits["test"][pair])
        assert found.bounds[0].tolist() == pytest.approx([row.start_s, row.end_s])
        assert found.scores[0].item() == pytest.approx(row.score)


def test_no_more_pictures_than_pairs(demo, benchmark, tmp_path, monkeypatch):
    folder, _ = demo
    localizer = Localizer.from_pretrained(folder / "model")
    (tmp_path / "metrics.csv").write_bytes((folder / "metrics.csv").read_bytes())
    monkeypatch.setattr("vreloc_pyg.experiments.demo.train_localizer", lambda *_: localizer)
    run_demo(benchmark, small_preset(benchmark), tmp_path, pictures=100)
    names = sorted(path.name for path in (tmp_path / "timelines").iterdir())
    assert names == ["00.png", "01.png", "02.png", "03.png"]


def test_evaluation_of_a_split_at_thresholds(benchmark, tmp_path, capsys):
    systems = [WholeReference()]
    systems[0].name = "mine"
    table = evaluate_benchmark(benchmark, systems, tmp_path / "out", "validation", (0.3, 0.5), progress=False)
    assert table["system"].iloc[-1] == "mine"
    assert {"R@1(0.3)", "R@1(0.5)"} <= set(table)
    assert "R@1(0.7)" not in table
    frame = pd.read_csv(tmp_path / "out" / "per_query.csv")
    assert set(frame["query_id"]) == {query.video_id for query in benchmark.splits["validation"].queries}
    recall = candidate_recall(benchmark.splits["validation"], benchmark.proposals, (0.3, 0.5))
    printed = capsys.readouterr().out
    assert f"{recall['0.3']:.1f} at 0.3, {recall['0.5']:.1f} at 0.5" in printed


def test_systems_of_one_name_are_refused(benchmark, tmp_path):
    with pytest.raises(SettingsError, match="window rule"):
        evaluate_benchmark(benchmark, [WindowRule(WINDOWS)], tmp_path, progress=False)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("skeleton", [None, PennAction.skeleton])
def test_rules_mind_mirror_images_where_there_are_any(benchmark, skeleton):
    rules = benchmark_rules(Benchmark("pose", benchmark.splits, WINDOWS, skeleton))
    (strongest,) = (rule for rule in rules if rule.name == STRONGEST_RULE)
    assert strongest.mirror == (None if skeleton is None else skeleton.mirror_features())


def test_candidate_recall_is_the_loop_over_windows(benchmark):
    split, thresholds = benchmark.splits["test"], (0.3, 0.5, 0.7, 0.75, 0.9)
    best = []
    for query, reference in (split[index] for index in range(len(split))):
        step, overlaps = reference.seconds_per_step, []
        for start, end in WINDOWS(reference.num_steps).tolist():
            for low, high in reference.segments_of(query.label).tolist():
                shared = max(0.0, min(end * step, high) - max(start * step, low))
                overlaps.append(shared / ((end - start) * step + high - low - shared))
        best.append(max(overlaps))
    recall = candidate_recall(split, benchmark.proposals, thresholds)
    assert list(recall) == ["0.3", "0.5", "0.7", "0.75", "0.9"]
    for threshold in thresholds:
        assert recall[f"{threshold:g}"] == pytest.approx(100 * sum(b > threshold for b in best) / len(best))
    assert len(set(recall.values())) > 1


def test_a_window_at_the_threshold_does_not_count(benchmark):
    """Steps of a third of a second: half of an answer is exactly half of it, rounding or not."""
    from vreloc_pyg.datasets import Query, Reference, RelocalizationSplit

    step_s = 1 / 3
    query = Query(torch.zeros(4, 2), step_s, "run", "q")
    truth = torch.tensor([[1 * step_s, 11 * step_s]], dtype=torch.float64)
    reference = Reference(torch.zeros(13, 2), step_s, truth, ("run",), "r")
    split = RelocalizationSplit("test", [query], [reference], [(0, 0)])
    halves = SlidingWindows(shortest=5, longest=5, overlap=0.9)
    for threshold, expected in ((0.499, 100.0), (0.5, 0.0)):
        assert candidate_recall(split, halves, (threshold,)) == {f"{threshold:g}": expected}


def test_tables_are_printed_as_markdown(capsys):
    table = pd.DataFrame(
        {"system": ["a"], "R@1(0.5)": [50.0], "R@1(0.5) low": [40.0], "R@1(0.5) high": [60.0], "N": [4]}
    )
    print_table(table)
    assert capsys.readouterr().out.splitlines() == [
        "| system | R@1(0.5) | N |",
        "| --- | --- | ---: |",
        "| a | 50.0 [40.0, 60.0] | 4 |",
    ]
    print_table(table, ("N",))
    assert capsys.readouterr().out.splitlines()[0] == "| system | N |"


# Feature files


@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.float16, np.int64, np.uint8])
@pytest.mark.parametrize("order", ["C", "F"])
def test_features_of_any_number_type_are_read(tmp_path, dtype, order):
    array = np.asarray(np.arange(12).reshape(4, 3), dtype=dtype, order=order)
    np.save(tmp_path / "a.npy", array)
    features = read_features(tmp_path / "a.npy")
    assert features.dtype == torch.float32
    assert features.tolist() == array.tolist()


@pytest.mark.parametrize(
    "array",
    [
        np.zeros(5),
        np.zeros((2, 3, 4)),
        np.float64(3),
        np.array([["a", "b"]]),
        np.zeros((2, 2), dtype=bool),
        np.ones((2, 2), dtype=complex),
        np.zeros((2, 2), dtype=[("x", "f4")]),
        np.zeros((2, 2), dtype="datetime64[s]"),
    ],
)
def test_arrays_that_are_no_matrix_of_numbers_are_refused(tmp_path, array):
    np.save(tmp_path / "a.npy", array)
    with pytest.raises(DataError, match=r"^Expected a matrix \[num_steps, F\] of numbers in .*a\.npy$"):
        read_features(tmp_path / "a.npy")


class Bomb:
    def __reduce__(self):
        return (os.mkdir, ("exploded",))


def test_pickles_are_never_loaded(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    np.save(tmp_path / "a.npy", np.array([Bomb(), 1], dtype=object), allow_pickle=True)
    with pytest.raises(DataError, match=r"^Cannot read the features .*a\.npy: .*pickle"):
        read_features(tmp_path / "a.npy")
    assert not (tmp_path / "exploded").exists()


@pytest.mark.parametrize("content", [b"", b"\x93NUMPY", b"text\n", b"PK\x03\x04"])
def test_files_that_are_no_arrays_are_refused(tmp_path, content):
    (tmp_path / "a.npy").write_bytes(content)
    with pytest.raises(DataError, match=r"^Cannot read the features .*a\.npy: "):
        read_features(tmp_path / "a.npy")


def test_truncated_arrays_are_refused(tmp_path):
    np.save(tmp_path / "a.npy", np.ones((20, 3)))
    content = (tmp_path / "a.npy").read_bytes()
    (tmp_path / "a.npy").write_bytes(content[:-8])
    with pytest.raises(DataError, match=r"^Cannot read the features .*a\.npy: "):
        read_features(tmp_path / "a.npy")


def test_archives_of_several_arrays_are_refused(tmp_path):
    np.savez(tmp_path / "a.npz", x=np.ones((2, 2)))
    with pytest.raises(DataError, match=r"^Expected a matrix .*a\.npz$"):
        read_features(tmp_path / "a.npz")


@pytest.mark.parametrize("name", ["missing.npy", "."])
def test_missing_files_and_folders_are_refused(tmp_path, name):
    with pytest.raises(DataError, match=r"^Cannot read the features "):
        read_features(tmp_path / name)


@pytest.fixture
def files(benchmark, tmp_path):
    """A query and a reference as files."""
    query, reference = benchmark.splits["test"][0]
    np.save(tmp_path / "query.npy", query.features.numpy())
    np.save(tmp_path / "reference.npy", reference.features.numpy())
    return tmp_path / "query.npy", tmp_path / "reference.npy"


def test_localizing_files_is_localizing_their_features(benchmark, files):
    system = WindowRule(WINDOWS)
    query, reference = benchmark.splits["test"][0]
    found, answer = localize_files(system, *files, reference.seconds_per_step, top_n=3)
    expected = system.localize(query, reference, top_n=3)
    assert torch.equal(found.bounds, expected.bounds)
    assert torch.equal(found.scores, expected.scores)
    segments = answer.pop("segments")
    assert answer == {
        "query": str(files[0]),
        "reference": str(files[1]),
        "system": "window rule",
        "seconds_per_step": 0.5,
    }
    assert [segment["rank"] for segment in segments] == [1, 2, 3]
    for segment, (start, end), score in zip(segments, expected, expected.scores.tolist(), strict=True):
        assert (segment["start_s"], segment["end_s"], segment["score"]) == (start, end, score)
    json.dumps(answer)


def test_answers_scale_with_the_duration_of_a_step(files):
    bounds = [
        localize_files(WindowRule(WINDOWS), *files, seconds_per_step)[0].bounds
        for seconds_per_step in (0.5, 2.0)
    ]
    torch.testing.assert_close(4 * bounds[0], bounds[1])


def test_systems_without_scores_or_answers(files):
    class Silent:
        name = "silent"
        found = Segments(torch.zeros(0, 2))

        def localize(self, query, reference, top_n=1):
            assert (query.label, reference.labels) == ("", ())
            assert (query.video_id, reference.video_id) == ("query", "reference")
            return self.found

    assert localize_files(Silent(), *files, 0.5)[1]["segments"] == []
    Silent.found = Segments([[0.0, 1.0]])
    (segment,) = localize_files(Silent(), *files, 0.5)[1]["segments"]
    assert segment == {"rank": 1, "start_s": 0.0, "end_s": 1.0, "score": None}


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("which", [0, 1])
def test_values_that_are_not_finite_are_refused(files, value, which):
    array = np.load(files[which])
    array[3, 1] = value
    np.save(files[which], array)
    what = ("query", "reference")[which]
    with pytest.raises(FeatureError, match=rf"{what} '{what}' hold NaN or infinite values, first at step 3$"):
        localize_files(WindowRule(WINDOWS), *files, 0.5)


@pytest.mark.parametrize("which", [0, 1])
def test_empty_features_are_refused(files, which):
    np.save(files[which], np.zeros((0, 8)))
    with pytest.raises(FeatureError, match="at least one step"):
        localize_files(WindowRule(WINDOWS), *files, 0.5)


@pytest.mark.parametrize("seconds_per_step", [0.0, -1.0, float("nan"), float("inf")])
def test_impossible_step_durations_are_refused(files, seconds_per_step):
    with pytest.raises(DataError, match="seconds_per_step"):
        localize_files(WindowRule(WINDOWS), *files, seconds_per_step)


# Small things


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (0, "0:00:00.000"),
        (3725.5, "1:02:05.500"),
        (0.0004, "0:00:00.000"),
        (0.0006, "0:00:00.001"),
        (59.9996, "0:01:00.000"),
        (3599.9999, "1:00:00.000"),
        (36_000, "10:00:00.000"),
        (61.001, "0:01:01.001"),
    ],
)
def test_clock(seconds, shown):
    assert clock(seconds) == shown


@pytest.mark.parametrize("split", ["all", "test"])
def test_written_proposals_are_read_as_the_same_windows(tmp_path, split):
    """Of whole videos, of parts of videos and of cropped ones: the list is by whole videos."""
    from vreloc_pyg.datasets import Query, Reference, RelocalizationSplit
    from vreloc_pyg.datasets.cropping import crop_reference
    from vreloc_pyg.proposals.listed import load_proposals
    from vreloc_pyg.segments import temporal_iou

    def reference(video_id, num_steps, sources=(), offset_s=0.0):
        truth = torch.tensor([[2.0, 5.0]]).double()
        return Reference(torch.zeros(num_steps, 2), 0.4, truth, ("run",), video_id, sources, offset_s)

    whole, part = reference("a", 50), reference("b#1", 30, ("b",), 6.0)
    later, composed = reference("b#2", 30, ("b",), 20.0), reference("c", 40, ("x", "y"))
    query = Query(torch.zeros(4, 2), 0.4, "run", "q")
    splits = {
        name: RelocalizationSplit(name, [query], found, [(0, 0)])
        for name, found in (("train", [part, later]), ("validation", [whole]), ("test", [whole, composed]))
    }
    benchmark = Benchmark("made", splits, WINDOWS)
    table = write_proposals(benchmark, tmp_path / "list.txt", split)
    assert table["per_instance"].iloc[0] > 0
    listed = load_proposals(tmp_path / "list.txt")
    for one in (whole, composed):
        assert sorted(listed.propose(one).tolist()) == sorted(WINDOWS(one.num_steps).tolist())
    if split == "test":
        return
    for one in (part, later):
        assert {tuple(w) for w in WINDOWS(30).tolist()} <= {tuple(w) for w in listed.propose(one).tolist()}
    cropped = crop_reference(part, np.random.default_rng(3), 1.0)
    windows = listed.propose(cropped)
    assert windows.max() <= cropped.num_steps
    best = temporal_iou(windows.double(), cropped.segments / 0.4).max().item()
    assert best == pytest.approx(temporal_iou(WINDOWS(30).double(), part.segments / 0.4).max().item())
