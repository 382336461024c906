import pytest
import torch

from vreloc_pyg.datasets.splits import Query, Reference, RelocalizationSplit
from vreloc_pyg.segments import temporal_iou
from vreloc_pyg.systems.examples import Example


def make_query(num_steps=6, seed=0, seconds_per_step=0.5, width=3, label="run", video_id="q"):
    features = torch.randn(num_steps, width, generator=torch.Generator().manual_seed(seed))
    return Query(features, seconds_per_step, label, video_id)


def make_reference(num_steps=40, seed=1, seconds_per_step=0.5, width=3, steps=((10, 18),), video_id="r"):
    """A reference of noise, with an instance of "run" at each of the step intervals ``steps``."""
    features = torch.randn(num_steps, width, generator=torch.Generator().manual_seed(seed))
    segments = torch.tensor(steps, dtype=torch.float64).reshape(-1, 2) * seconds_per_step
    return Reference(features, seconds_per_step, segments, ("run",) * len(steps), video_id)


def make_split(answers=((0, 5), (2, 9), (4, 9)), num_steps=20):
    """A training split whose right answers are the step intervals ``answers``, one pair each."""
    references = [
        make_reference(num_steps, seed=i, steps=(steps,), video_id=f"r{i}") for i, steps in enumerate(answers)
    ]
    queries = [make_query(seed=100 + i, video_id=f"q{i}") for i in range(len(answers))]
    return RelocalizationSplit("train", queries, references, [(i, i) for i in range(len(answers))])


@pytest.fixture(name="make_query")
def make_query_fixture():
    return make_query


@pytest.fixture(name="make_reference")
def make_reference_fixture():
    return make_reference


@pytest.fixture(name="make_split")
def make_split_fixture():
    return make_split


@pytest.fixture(scope="session")
def eight_pairs(small_splits):
    """Eight training examples cut down to one instance each, which lies at another place in each."""
    examples = []
    for number in range(8):
        query, reference = small_splits["train"][number]
        answer = reference.steps_of(query.label)[:1]
        low, high = max(0, int(answer[0, 0]) - 4 - 3 * number), int(answer[0, 1]) + 25 - 3 * number
        clip = reference.features[low:high]
        examples.append(Example(query.features, clip, answer - low, answer - low))
    return examples


@pytest.fixture
def steps_until_learned():
    """Function that trains on examples until their best windows have a mean tIoU above .75 with the answers.

    The mean, since single windows come and go between steps: seeds need 20 to 60 steps until then, while
    the last window to come above .7 took up to 300.
    """

    def overlap(network, one):
        ranked = network.rank(one.query, one.reference, torch.empty(0, 2, dtype=torch.long))
        best = ranked.windows[ranked.scores.argmax()]
        return float(temporal_iou(best[None].double(), one.answers.double()).max())

    def train(system, network, examples, batch, learning_rate, most=400):
        optimiser = torch.optim.Adam(network.parameters(), learning_rate)
        for step in range(1, most + 1):
            optimiser.zero_grad()
            system.loss(network.train(), batch()).backward()
            torch.nn.utils.clip_grad_norm_(network.parameters(), 5.0)
            optimiser.step()
            if step % 20 == 0:
                with torch.no_grad():
                    network.eval()
                    if sum(overlap(network, one) for one in examples) > 0.75 * len(examples):
                        return step
        return None

    return train
