"""Training sees training classes, and is judged by validation classes."""

from dataclasses import replace

from tests.small_runs import WithoutTest
from vreloc_pyg.datasets.tasks import load_task
from vreloc_pyg.experiments.train import train_system


def test_a_model_is_trained_and_chosen_without_test_classes(tmp_path):
    data = load_task("synthetic")
    unseen = replace(data, splits=WithoutTest(data.splits))
    few = {"epochs": 1, "steps_per_epoch": 2, "validation_pairs": 4}
    localizer = train_system("mgffnet", unseen, tmp_path / "run", training=few, progress=False)
    query, reference = data.splits["test"][0]
    assert len(localizer.localize(query.unlabelled(), reference.unannotated())) == 1
