import gzip

import pandas as pd
import pytest
import torch

from vreloc_pyg.datasets.splits import Query, Reference, RelocalizationSplit
from vreloc_pyg.errors import DataError
from vreloc_pyg.evaluation import evaluate, metric_named
from vreloc_pyg.evaluation.metrics import with_curve
from vreloc_pyg.experiments.predictions import (
    pairs_table,
    predictions_table,
    read_table_gz,
    recompute,
    rounded,
    save_table_gz,
)
from vreloc_pyg.segments import Segments
from vreloc_pyg.systems.rules.chance import CHANCE
from vreloc_pyg.systems.rules.window_rule import WindowRule


class Silent:
    name, kin = "silent", "rule"

    def localize(self, query, reference, top_n=1):
        return Segments(reference.segments[:0])


@pytest.fixture
def evaluated(small_task):
    """Answers of two folds, with expectations and missing answers."""
    splits = {0: small_task.splits["test"], 1: small_task.splits["validation"]}
    systems = [CHANCE.fit(small_task), WindowRule(small_task.proposals), Silent()]
    parts = [
        evaluate(systems, split, with_curve(), progress=False).assign(fold=fold, seed=0)
        for fold, split in splits.items()
    ]
    frame = pd.concat(parts, ignore_index=True).assign(parameters=0, train_s=0.1)
    return rounded(frame), splits


def test_everything_is_computed_again_from_two_files(evaluated, tmp_path):
    frame, splits = evaluated
    save_table_gz(tmp_path / "predictions.csv.gz", predictions_table(frame))
    save_table_gz(tmp_path / "pairs.csv.gz", pairs_table(splits))
    files = (tmp_path / "predictions.csv.gz", tmp_path / "pairs.csv.gz")
    found = recompute(*map(read_table_gz, files))
    # Not a digit differs, and no metric was stored of an answer.
    pd.testing.assert_frame_equal(found[list(frame)], frame, check_exact=True)
    kept = read_table_gz(files[0])
    assert kept.loc[kept["kind"] == "answer", "R@1(0.5)"].isna().all()
    before = [path.read_bytes() for path in files]
    save_table_gz(files[0], predictions_table(found))
    save_table_gz(files[1], pairs_table(splits))
    assert [path.read_bytes() for path in files] == before


def test_pairs_without_the_action_have_no_metric(evaluated):
    frame, splits = evaluated
    query, reference = splits[0][0]
    elsewhere = Reference(reference.features, 0.5, torch.tensor([[0.0, 1.0]]), ("nothing",), "elsewhere")
    split = RelocalizationSplit("t", [query], [reference, elsewhere], [(0, 0)], [(0, 1)])
    pairs = pairs_table({0: split})
    assert pairs["kind"].tolist() == ["present", "absent"]
    assert pairs["truths"].tolist()[1] == ""
    assert pairs["others"].tolist()[1] == "0.0:1.0"
    row = frame[(frame["kind"] == "answer") & (frame["fold"] == 0) & (frame["pair"] == 0)].iloc[:1]
    absent = row.assign(kind="absent", pair=1)
    found = recompute(predictions_table(pd.concat([row, absent])), pairs)
    assert found["tiou"].isna().tolist() == [False, True]
    assert found["R@1(0.5)"].isna().tolist() == [False, True]
    assert found["reference_id"].tolist() == [reference.video_id, "elsewhere"]


def test_scores_and_times_keep_the_digits_that_mean_something(evaluated):
    frame, _ = evaluated
    odd = frame.assign(score=1234.5678, seconds=0.123456789)
    assert rounded(odd)["score"].unique() == [1234.6]
    assert rounded(odd)["seconds"].unique() == [0.12346]
    assert odd["score"].unique() == [1234.5678]


def test_what_cannot_be_computed_is_said(evaluated, tmp_path):
    frame, splits = evaluated
    kept = predictions_table(frame)
    with pytest.raises(DataError, match="Pair 0 of fold 1 was answered, but is not among the pairs"):
        recompute(kept, pairs_table({0: splits[0]}))
    with pytest.raises(DataError, match=r"no expectation of R@1\(0\.33\)"):
        recompute(kept, pairs_table(splits), [metric_named("R@1(0.33)")])
    (tmp_path / "broken.csv.gz").write_bytes(gzip.compress(b"a,b\n1,2\n")[:-9])
    for name in ("broken.csv.gz", "absent.csv.gz"):
        with pytest.raises(DataError, match=f"Cannot read the table .*{name}"):
            read_table_gz(tmp_path / name)


def test_ids_that_look_like_numbers_stay_text(tmp_path):
    query = Query(torch.zeros(1, 1), 0.5, "007", "010")
    reference = Reference(torch.zeros(2, 1), 0.5, torch.tensor([[0.0, 0.5]]), ("007",), "1e3")
    split = RelocalizationSplit("t", [query], [reference], [(0, 0)])
    path = save_table_gz(tmp_path / "pairs.csv.gz", pairs_table({0: split}))
    row = read_table_gz(path).iloc[0]
    assert (row["query_id"], row["reference_id"], row["label"]) == ("010", "1e3", "007")
    assert (row["query_s"], row["duration_s"], row["truths"], row["others"]) == (0.5, 1.0, "0.0:0.5", "")
