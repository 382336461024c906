import json
import subprocess
import sys

import pytest
import torch

from vreloc_pyg.errors import DataError, SettingsError
from vreloc_pyg.evaluation import RelocalizationRecall, mean_tiou, recall_at_1


def queries(count, seed=0):
    generator = torch.Generator().manual_seed(seed)
    start = torch.rand(count, 1, generator=generator)
    answers = torch.cat([start, start + 1], dim=1)
    sizes = torch.randint(1, 4, (count,), generator=generator).tolist()
    shifts = [torch.rand(size, 1, generator=generator) for size in sizes]
    return answers, [torch.cat([shift, shift + 1], dim=1) for shift in shifts]


def test_batches_of_unequal_size_give_the_result_over_all():
    answers, truths = queries(23)
    metric = RelocalizationRecall((0.5, 0.7))
    for batch in (slice(0, 3), slice(3, 4), slice(4, 23)):
        metric.update(answers[batch], truths[batch])
    result = metric.compute()
    assert list(result) == ["R@1(0.5)", "R@1(0.7)", "mean tIoU"]
    expected = [*recall_at_1(answers, truths, (0.5, 0.7)).tolist(), float(mean_tiou(answers, truths))]
    assert [float(value) for value in result.values()] == pytest.approx(expected)
    assert 0 < expected[1] < expected[0] < 1


def test_reset_forgets():
    metric = RelocalizationRecall((0.5,))
    metric.update(torch.tensor([[0.0, 1.0]]), [torch.tensor([[5.0, 6.0]])])
    metric.reset()
    metric.update(torch.tensor([[0.0, 1.0]]), [torch.tensor([[0.0, 1.0]])])
    assert float(metric.compute()["R@1(0.5)"]) == 1.0


def test_merged_states_of_unequal_sizes_give_the_result_over_all():
    answers, truths = queries(11)
    parts = [RelocalizationRecall(), RelocalizationRecall()]
    parts[0].update(answers[:9], truths[:9])
    parts[1].update(answers[9:], truths[9:])
    parts[0].merge_state(parts[1])
    assert list(map(float, parts[0].compute().values()))[:-1] == pytest.approx(
        recall_at_1(answers, truths).tolist()
    )


PROCESS = """
import json, sys, warnings
warnings.simplefilter("ignore")
import torch
from torch import distributed
from vreloc_pyg.evaluation import RelocalizationRecall
rank, store = int(sys.argv[1]), sys.argv[2]
torch.set_num_threads(1)
distributed.init_process_group("gloo", init_method=f"file://{store}", rank=rank, world_size=2)
bounds = torch.tensor(json.loads(sys.argv[3]))
metric = RelocalizationRecall((0.5, 0.7))
metric.update(bounds[:, :2], list(bounds[:, None, 2:]))
print(json.dumps({name: float(value) for name, value in metric.compute().items()}))
distributed.destroy_process_group()
"""


@pytest.mark.slow
def test_two_processes_with_unequal_numbers_of_queries_reduce_to_the_result_over_all(tmp_path):
    answers, truths = queries(7)
    truths = [own[:1] for own in truths]
    rows = torch.cat([answers, torch.cat(truths)], dim=1).tolist()
    running = [
        subprocess.Popen(
            [sys.executable, "-c", PROCESS, str(rank), str(tmp_path / "store"), json.dumps(part)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank, part in enumerate([rows[:5], rows[5:]])
    ]
    expected = [*recall_at_1(answers, truths, (0.5, 0.7)).tolist(), float(mean_tiou(answers, truths))]
    for process in running:
        output, errors = process.communicate(timeout=120)
        assert process.returncode == 0, errors
        assert list(json.loads(output).values()) == pytest.approx(expected)


@pytest.mark.parametrize("thresholds", [(), (1.0,), (-0.1, 0.5)])
def test_refuses_impossible_thresholds(thresholds):
    with pytest.raises(SettingsError, match=r"thresholds in \[0, 1\)"):
        RelocalizationRecall(thresholds)


def test_refuses_a_batch_that_does_not_fit():
    with pytest.raises(DataError, match=r"\(got 1 and 0\)"):
        RelocalizationRecall().update(torch.tensor([[0.0, 1.0]]), [])
