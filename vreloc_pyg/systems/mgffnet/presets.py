"""MGFFNet as rows of the tables: the literal paper, what did best on validation classes, its ablations."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from vreloc_pyg.datasets.sampling import EpisodeSampler, GradedSampler, TripletSampler
from vreloc_pyg.datasets.splits import another_class
from vreloc_pyg.datasets.tasks import TaskData
from vreloc_pyg.settings import RunSettings
from vreloc_pyg.systems.mgffnet.episodes import collate_episodes, draw_episode
from vreloc_pyg.systems.mgffnet.other_features import describe_others
from vreloc_pyg.systems.mgffnet.ranker import MGFFRanker
from vreloc_pyg.systems.mgffnet.ranker_loss import ranker_loss
from vreloc_pyg.systems.mgffnet.ranker_settings import RankerSettings
from vreloc_pyg.systems.mgffnet.ranker_training import RankerTraining
from vreloc_pyg.systems.spec import Control, LearnedSystem, Traits, describe_features
from vreloc_pyg.training.recipe import Recipe

SOURCE = "Zhou et al., Graph Neural Network for Video Relocalization, 2022"


@dataclass(frozen=True, kw_only=True)
class MGFFSystem(LearnedSystem[MGFFRanker]):
    """MGFFNet: its episodes and its loss depend on the settings of network and run."""

    def recipe(self, network: MGFFRanker, training: RunSettings, data: TaskData) -> Recipe:
        assert isinstance(training, RankerTraining)
        draw = partial(draw_episode, sampler=make_sampler(training, data), pairing=network.settings)
        bound = replace(self, draw=draw, loss=partial(ranker_loss, training=training))
        return LearnedSystem.recipe(bound, network, training, data)

    def suit_others(self, network: MGFFRanker, traits: Traits) -> Mapping[str, Any]:
        return describe_others(network.settings, self.suit(traits), traits)


def make_sampler(training: RankerTraining, data: TaskData) -> EpisodeSampler:
    """The sampler of training episodes on a task."""
    if training.sampler == "triplet":
        return TripletSampler(data.proposals)
    return GradedSampler(training.num_candidates, shortest=data.shortest, own_parts=training.own_parts)


#: The literal reading of the paper. It learns from, and ranks, the candidate windows of its task: with
#: ``--proposals`` of ``vreloc train-actionness``, groups of actionness (TAG) as in the paper; sliding windows
#: without.
PAPER = MGFFSystem(
    name="mgffnet-paper",
    row="MGFFNet (paper)",
    kin="own",
    source=SOURCE,
    published="MGFFNet",
    in_all=False,  # takes hours of a CPU
    network=MGFFRanker,
    settings=RankerSettings,
    loss=ranker_loss,
    draw=draw_episode,
    collate=collate_episodes,
    training=RankerTraining(),
)

#: The literal paper without its graph (section 5.4.3): every adjacency is the identity.
PAPER_CNN = replace(
    PAPER,
    name="mgffnet-paper-cnn",
    row="MGFFNet (paper, CNN)",
    kin="ablation",
    published="MGFFNet (CNN)",
    chosen={"aggregate": False},
)

#: What did best on validation classes.
RECOMMENDED = replace(
    PAPER,
    name="mgffnet",
    row="MGFFNet (recommended)",
    in_all=True,
    chosen={
        "hidden_channels": 32,
        "weight": "row",
        "mask_padding": True,
        "dropout": 0.2,
        "head_channels": (64, 32),
        "input_norm": True,
        "residual": True,
        "pool": "separate",
        "score_gain": 0.1,
        "num_steps": 16,
        "fit": "resample",
        "nodes": "relative",
        "pair_features": True,
        "context": 0.2,
        "refine": False,
    },
    suit=describe_features,
    pools=True,
    training=RankerTraining(
        loss="listwise",
        l2_weight=0.0,
        learning_rate=2e-3,
        regression_learning_rate=1e-3,
        weight_decay=1e-2,
        schedule="decay",
        regression_overlap=0.4,
        sampler="graded",
        augment=True,
        batch_size=16,
        epochs=10,
        steps_per_epoch=50,
        gradient_clip=2.0,
        ema_decay=0.998,
    ),
)


def ablation(name: str, row: str, **settings: Any) -> MGFFSystem:
    """The recommended system with some settings of its network replaced."""
    chosen = {**RECOMMENDED.chosen, **settings}
    return replace(
        RECOMMENDED, name=name, row=row, kin="ablation", published=None, in_all=False, chosen=chosen
    )


#: The paper's "CNN" (section 5.4.3): every adjacency is the identity.
CNN = replace(
    ablation("mgffnet-cnn", "MGFFNet (CNN)", aggregate=False), published="MGFFNet (CNN)", in_all=True
)
#: The paper's graph types (section 4.4).
BINARY = ablation("mgffnet-binary", "MGFFNet (binary)", weight="binary")
EXPONENTIAL = ablation("mgffnet-exponential", "MGFFNet (exponential)", weight="exponential")
LAPLACIAN = ablation("mgffnet-laplacian", "MGFFNet (laplacian)", weight="laplacian")

#: Its edges carry the comparison of both clips, and its score starts from that of an alignment.
MATCHING = replace(
    ablation(
        "mgffnet-match",
        "MGFFNet (matching)",
        nodes="match",
        conv="match",
        heads=("rigid", "uniform", "path"),
        hidden_channels=24,
    ),
    kin="own",
)


def matching_control(name: str, row: str, **settings: Any) -> MGFFSystem:
    """The matching system with something of its edges taken away."""
    return replace(
        MATCHING,
        name=name,
        row=f"{MATCHING.row}, {row}",
        kin="ablation",
        in_readme=False,
        chosen={**MATCHING.chosen, **settings},
    )


#: The same comparisons in its nodes, but no graph: what the graph itself is worth.
MATCHING_CNN = matching_control("mgffnet-match-cnn", "no graph", aggregate=False)
MATCHING_PERMUTED = matching_control("mgffnet-match-permuted", "edges permuted", permuted_edges=True)
MATCHING_APART = matching_control("mgffnet-match-apart", "no edges between clips", heads=())
MATCHING_GATV2 = matching_control("mgffnet-match-gatv2", "weights of edges learned (GATv2)", conv="gatv2")
MATCHING_NO_PATH = matching_control("mgffnet-match-no-path", "no path edges", heads=("rigid", "uniform"))

#: The recommended system, trained on the pose data sets that it is not asked about.
ELSEWHERE = replace(
    ablation("mgffnet-elsewhere", "MGFFNet (trained on other sets)"),
    suite=("penn_action", "jhmdb", "utkinect"),
)

#: The recommended model asked with a query of another class: what it finds without knowing the action.
WRONG_QUERY = Control(
    name="wrong-query",
    row=f"{RECOMMENDED.row}, query of another class",
    of=RECOMMENDED.name,
    ask=lambda pairs, data: another_class(pairs),
)
