import itertools
from dataclasses import replace

import numpy as np
import pytest
import torch

from tests.small_runs import DATA, SPLITS, small_run
from vreloc_pyg.datasets.splits import RelocalizationSplit
from vreloc_pyg.errors import DataError
from vreloc_pyg.training.data import ExampleDataset, RunData, bucketed


def assert_same(first, second):
    for one, other in zip(first, second, strict=True):
        assert torch.equal(one, other) if isinstance(one, torch.Tensor) else str(one) == str(other)


@pytest.mark.parametrize("name", ["mgffnet", "video-level"])
def test_an_example_is_a_function_of_seed_epoch_and_index(name):
    draw = small_run(name, augment=True).recipe.draw
    dataset = ExampleDataset(draw, 4, seed=3, epoch=2)
    assert len(dataset) == 4
    first = dataset[1]
    dataset[0]
    torch.rand(3)
    np.random.seed(0)  # noqa: NPY002
    assert_same(first, dataset[1])
    assert_same(first, ExampleDataset(draw, 9, seed=3, epoch=2)[1])
    others = [dataset[2], ExampleDataset(draw, 4, 3, 1)[1], ExampleDataset(draw, 4, 2, 2)[1]]
    assert len({str(example) for example in (first, *others)}) == 4


def batches_of(run, **options):
    return list(RunData(run.recipe, run.settings, **options).train_dataloader())


def test_a_split_without_an_answerable_query_is_refused():
    split, run = SPLITS["train"], small_run()
    alone = RelocalizationSplit("train", [replace(split.queries[0], label="unseen")], split.references, [])
    data = replace(DATA, splits={**SPLITS, "train": alone})
    with pytest.raises(DataError, match="No query of split 'train'"):
        run.system.recipe(run.network, run.settings, data)


def test_batches_of_like_lengths():
    drawn = small_run("cgbm").examples(12)
    batches = bucketed(drawn, 3, [0, 1])
    assert sorted(id(one) for batch in batches for one in batch) == sorted(map(id, drawn))
    spans = sorted((len(batch[0].reference), len(batch[-1].reference)) for batch in batches)
    assert all(first[1] <= second[0] for first, second in itertools.pairwise(spans))
    again = bucketed(drawn, 3, [0, 1])
    assert [list(map(id, batch)) for batch in batches] == [list(map(id, batch)) for batch in again]
    orders = {tuple(len(b[0].reference) for b in bucketed(drawn, 3, [0, e])) for e in range(6)}
    assert len(orders) > 1
    run = small_run("cgbm", buckets=True)
    examples = [example for batch in batches_of(run) for example in batch]
    assert {str(one) for one in examples} == {str(one) for one in run.examples(6)}
    lengths = [{len(one.reference) for one in batch} for batch in batches_of(run)]
    assert max(lengths[0]) <= min(lengths[1]) or max(lengths[1]) <= min(lengths[0])
