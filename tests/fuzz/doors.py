"""Every parser: its seeds, and what is done with what it reads."""

from __future__ import annotations

import json
import math
from contextlib import suppress
from functools import cache
from pathlib import Path

import pandas as pd
import torch
from safetensors.torch import save as safetensors_bytes

import vreloc_pyg.localization.localizer
import vreloc_pyg.training.run  # noqa: F401 (what is imported here is not imported in every worker)
from tests.fuzz import exchanged, seeds
from tests.fuzz.campaign import Door
from tests.fuzz.mutate import Files
from tests.fuzz.packing import LAYERS
from tests.videos import Levels
from vreloc_pyg.answers.encode import encode_part  # noqa: F401
from vreloc_pyg.answers.playable import is_playable, playable_copy
from vreloc_pyg.checkpoint import DIGEST_KEY
from vreloc_pyg.cli import make_parser
from vreloc_pyg.clock import clock, parse_time
from vreloc_pyg.datasets import ActivityNet, ClassFold, Folder, Thumos14, validate_folder
from vreloc_pyg.datasets.jhmdb import JHMDB
from vreloc_pyg.datasets.penn_action import PennAction
from vreloc_pyg.datasets.splits import Query, Reference
from vreloc_pyg.datasets.utkinect import UTKinect
from vreloc_pyg.datasets.video_reloc import VideoReloc
from vreloc_pyg.errors import VrelocError
from vreloc_pyg.experiments.results import KeptBenchmark
from vreloc_pyg.features.pca import PCA, load_activitynet_pca
from vreloc_pyg.features.store import open_store
from vreloc_pyg.features.store.directory import read_features
from vreloc_pyg.localization.localizer import Localizer
from vreloc_pyg.moments import load_moments
from vreloc_pyg.proposals.actionness_proposals import ActionnessProposals
from vreloc_pyg.proposals.cache import CachedProposals
from vreloc_pyg.proposals.listed import load_proposals
from vreloc_pyg.proposals.sliding_window import SlidingWindows
from vreloc_pyg.systems.catalog import find_learned
from vreloc_pyg.systems.spec import Traits
from vreloc_pyg.training.run import check_resumable
from vreloc_pyg.video.decoding import FrameGrid, read_frames, thumbnail, video_duration
from vreloc_pyg.video.extraction import extract_video
from vreloc_pyg.video.feature_cache import FeatureCache
from vreloc_pyg.video.network_weights import PublishedNetwork

pd.Series(["a"], dtype=str)  # pandas reserves a gigabyte of addresses for its first text
SMALL_GRID = FrameGrid(10.0, 32, 32)
REFERENCE = Reference(torch.randn(60, 8), 0.5, torch.empty(0, 2), (), "second", ("second",))
QUERY = Query(torch.randn(9, 8), 0.5, "x", "first")


def only(folder: Path) -> Path:
    """The one file of a folder."""
    [path] = folder.iterdir()
    return path


def read_own_set(folder: Path) -> None:
    validate_folder(folder)
    data = Folder(folder)
    if (folder / "features").is_dir():
        for split in data.splits(open_store(folder / "features")).values():
            for query in split.queries[:2]:
                assert torch.isfinite(query.features).all()


def read_store(path: Path) -> None:
    store = open_store(path)
    for video in store.ids()[:5]:
        store.frame_rate(video)
        found = store.read(video)
        assert found.shape == (store.num_steps(video), store.num_features)
        assert torch.isfinite(found).all()
        getattr(store, "content", str)(video)


def read_arrays(folder: Path) -> None:
    for path in folder.glob("*.npy"):
        with suppress(VrelocError):
            assert read_features(path).dim() == 2
    read_store(folder)


def read_pca(folder: Path) -> None:
    path = only(folder)
    basis = load_activitynet_pca(path, 4) if path.suffix == ".h5" else PCA.load(path)
    assert basis.apply(torch.zeros(2, len(basis.mean))).shape == (2, basis.basis.size(1))


def read_settings(folder: Path) -> None:
    for command in ("train", "locate", "benchmark"):
        with suppress(VrelocError):
            make_parser(command).read(["--config", str(folder / "settings.yaml")])


def read_proposals(folder: Path) -> None:
    source = load_proposals(folder / "list.txt", {"second": 30.0})
    windows = source.propose(REFERENCE)
    assert ((windows[:, 0] >= 0) & (windows[:, 0] < windows[:, 1]) & (windows[:, 1] <= 60)).all()


def read_time(folder: Path) -> None:
    text = (folder / "time.txt").read_bytes().decode(errors="replace")
    seconds = parse_time(text)
    assert 0 <= seconds < math.inf
    clock(seconds)


def proposal_cache(folder: Path) -> list[Files]:
    CachedProposals(SlidingWindows(), folder).propose(REFERENCE)
    return [seeds.files_of(folder)]


def read_proposal_cache(folder: Path) -> None:
    windows = CachedProposals(SlidingWindows(), folder).propose(REFERENCE)
    assert ((windows[:, 0] >= 0) & (windows[:, 0] < windows[:, 1]) & (windows[:, 1] <= 60)).all()


def feature_cache(folder: Path) -> list[Files]:
    about = {"seconds_per_step": 0.2, "duration_s": 1.0, "problems": ["damaged"]}
    made = safetensors_bytes({"features": torch.randn(5, 16)}, {"about": json.dumps(about)})
    return [{"kept.safetensors": made}]


def read_feature_cache(folder: Path) -> None:
    found = FeatureCache(folder).get(folder / "kept.safetensors")
    if found is not None:
        assert found.features.dim() == 2
        assert found.features.dtype == torch.float32
        assert torch.isfinite(found.features).all()
        assert 0 < found.seconds_per_step < math.inf
        assert 0 < found.duration_s < math.inf
        assert all(isinstance(one, str) for one in found.problems)


def localizers(folder: Path) -> list[Files]:
    """Models of every kind of network, half of them without the digest that keeps changed weights out."""
    found = []
    for name in (
        "mgffnet",
        "mgffnet-match",
        "similarity-net",
        "aft-srm",
        "cgbm",
        "matching-transformer",
        "video-level",
    ):
        system = find_learned(name)
        known = system.settings.__dataclass_fields__
        small = {key: 8 for key in ("hidden_channels",) if key in known}
        Localizer(system, system.build(Traits(8), small)).save_pretrained(folder / name)
        files = seeds.files_of(folder / name)
        config = json.loads(files["config.json"])
        found += [
            files,
            {
                **files,
                "config.json": json.dumps({k: v for k, v in config.items() if k != DIGEST_KEY}).encode(),
            },
        ]
    return found


def read_localizer(folder: Path) -> None:
    localizer = Localizer.from_pretrained(folder)
    if localizer.num_features in (8, None):
        found = localizer.localize(QUERY, REFERENCE, 3)
        assert torch.isfinite(found.bounds).all()


def proposal_networks(folder: Path) -> list[Files]:
    from vreloc_pyg.nn.actionness_classifier import ActionnessClassifier, ActionnessSettings

    ActionnessProposals(ActionnessClassifier(ActionnessSettings(8))).save_pretrained(folder)
    return [seeds.files_of(folder)]


def read_proposal_network(folder: Path) -> None:
    windows = load_proposals(folder).propose(REFERENCE)
    assert ((windows[:, 0] >= 0) & (windows[:, 0] < windows[:, 1]) & (windows[:, 1] <= 60)).all()


def resumable(folder: Path) -> list[Files]:
    from tests.small_runs import small_run

    small_run("mgffnet", epochs=1, steps_per_epoch=1).train(folder)
    return [{"last.ckpt": (folder / "checkpoints" / "last.ckpt").read_bytes()}]


@cache
def _module() -> object:
    from tests.small_runs import Bench, small_run

    return Bench(small_run("mgffnet")).module


def read_resumable(folder: Path) -> None:
    check_resumable(folder / "last.ckpt", _module())  # type: ignore[arg-type]


TINY = PublishedNetwork(
    "tiny",
    lambda classes: torch.nn.Linear(3, classes),
    "bias",
    lambda published: {name: torch.as_tensor(one) for name, one in published.items()},
    "nothing",
)


def read_weights(folder: Path) -> None:
    path = only(folder)
    TINY.import_weights(path, folder / "kept.safetensors")
    TINY.load(folder / "kept.safetensors")


def read_video(folder: Path) -> None:
    """Everything that is done with a video; what refuses it says so each time."""
    path = only(folder)
    copy = folder / "copy.mp4"
    for read in (
        lambda: video_duration(path),
        lambda: sum(1 for _ in read_frames(path, SMALL_GRID)),
        lambda: sum(1 for _ in read_frames(path, SMALL_GRID, 0.2, 0.4)),
        lambda: thumbnail(path, 0.2, 16),
        lambda: is_playable(path),
        lambda: extract_video(path, Levels(), 0.1),
        lambda: playable_copy(path, copy),
    ):
        with suppress(VrelocError):
            read()


DOORS = (
    Door("own-set", seeds.own_set, read_own_set),
    Door("own-set-features", seeds.own_set_with_features, read_own_set, share=0.3),
    Door("activitynet", seeds.activitynet, lambda folder: ActivityNet(folder).references()),
    Door("thumos14", seeds.thumos, lambda folder: Thumos14(folder).references()),
    Door("video-reloc", seeds.video_reloc, lambda folder: VideoReloc(folder).splits()),
    Door("utkinect", seeds.utkinect, lambda folder: UTKinect(folder)),
    Door("penn-action", seeds.penn, lambda folder: PennAction(folder)),
    Door("jhmdb", seeds.jhmdb, lambda folder: JHMDB(folder), LAYERS),
    Door("class-split", seeds.class_split, lambda folder: ClassFold.load(folder / "classes.json")),
    Door("settings", seeds.settings, read_settings, share=0.3),
    Door("hdf5", seeds.hdf5, lambda folder: read_store(only(folder)), share=2),
    Door("arrays", seeds.arrays, read_arrays, LAYERS, share=2),
    Door("pca", seeds.pca, read_pca, LAYERS),
    Door("proposal-lists", seeds.proposals, read_proposals),
    Door("proposal-cache", proposal_cache, read_proposal_cache, share=0.5),
    Door("proposal-network", proposal_networks, read_proposal_network, LAYERS),
    Door("feature-cache", feature_cache, read_feature_cache, LAYERS),
    Door("localizer", localizers, read_localizer, LAYERS, share=0.7),
    Door("resuming", resumable, read_resumable, LAYERS, share=0.3),
    Door("weights", seeds.weights, read_weights, LAYERS, share=2),
    Door("times", seeds.clip_times, read_time),
    Door("predictions", seeds.predictions, lambda folder: KeptBenchmark.read(folder), LAYERS, share=0.5),
    Door("moments", seeds.moments, lambda folder: load_moments(folder / "moments.json")),
    *exchanged.DOORS,
    Door("videos", seeds.videos, read_video, share=1.5),
)  # fmt: skip
