"""What every trained system's localizer keeps to, whichever the system."""

import json
from dataclasses import replace
from functools import partial

import pytest
import torch

from vreloc_pyg.datasets import Query, Reference, Synthetic, TaskData
from vreloc_pyg.errors import CheckpointError, FeatureError, SettingsError
from vreloc_pyg.evaluation import evaluate, result_table
from vreloc_pyg.features.metadata import FeatureMetadata
from vreloc_pyg.localization import Calibration, Localizer
from vreloc_pyg.nn import MGFFNet
from vreloc_pyg.nn.actionness_classifier import ActionnessClassifier, ActionnessSettings
from vreloc_pyg.nn.sst_network import SSTNetwork, SSTSettings
from vreloc_pyg.proposals.actionness_proposals import ActionnessProposals
from vreloc_pyg.proposals.cache import CachedProposals
from vreloc_pyg.proposals.sliding_window import SlidingWindows
from vreloc_pyg.proposals.sst_proposals import SSTProposals
from vreloc_pyg.proposals.tag import TAGSettings
from vreloc_pyg.segments import temporal_iou
from vreloc_pyg.systems.catalog import every_system, find_learned, fitted_rules
from vreloc_pyg.systems.spec import LearnedSystem, Traits

WINDOWS = SlidingWindows(shortest=4, longest=30, ratio=2.5, overlap=0.4)
LEARNED = [system.name for system in every_system() if isinstance(system, LearnedSystem)]
#: One of every kind of network.
SYSTEMS = [name for name in LEARNED if find_learned(name).kin != "ablation"]
each_system = pytest.mark.parametrize("name", SYSTEMS)


class Fixed:
    """The same candidates for every video."""

    def __init__(self, windows):
        self.windows = windows

    def propose(self, video):
        return self.windows

    def fingerprint(self):
        return f"fixed {self.windows.tolist()}"


def make_localizer(name="mgffnet", proposals=WINDOWS, width=8, settings=None, **options):
    system = find_learned(name)
    torch.manual_seed(0)
    if system.kin in ("own", "ablation"):
        settings = {"hidden_channels": 8, **(settings or {})}
    network = system.build(Traits(width, longest=40), settings)
    return Localizer(system, network, proposals, **options)


def make_pair(query_steps=12, reference_steps=60, width=8, step_s=0.25, seed=0):
    noise = partial(torch.randn, generator=torch.Generator().manual_seed(seed))
    query = Query(noise(query_steps, width), step_s, "", "q")
    return query, Reference(noise(reference_steps, width), step_s, torch.empty(0, 2), (), "r")


@each_system
def test_answers_do_not_overlap_more_than_the_threshold(name):
    query, reference = make_pair()
    for threshold in (0.0, 0.3, 1.0):
        localizer = make_localizer(name, nms_threshold=threshold)
        found = localizer.localize(query, reference, 500)
        overlap = temporal_iou(found.bounds, found.bounds)
        overlap.fill_diagonal_(0)
        assert overlap.max() <= threshold
        assert (found.scores.diff() <= 0).all()
    assert len(found) == min(500, len(localizer.rank(query, reference).windows))


@each_system
def test_the_best_answer_does_not_depend_on_how_many_are_asked_for(name):
    localizer = make_localizer(name)
    query, reference = make_pair()
    best, *_ = localizer.localize(query, reference, 1)
    for top_n in (2, 5, 1000):
        found = localizer.localize(query, reference, top_n)
        assert next(iter(found)) == best
        assert len(found) <= top_n


@each_system
def test_labels_do_not_matter_and_nothing_is_changed(name):
    localizer = make_localizer(name)
    query, reference = make_pair()
    copies = query.features.clone(), reference.features.clone()
    first = localizer.localize(query, reference)
    second = localizer.localize(replace(query, label="jump"), replace(reference, video_id="other"))
    assert first.bounds.tolist() == second.bounds.tolist()
    assert torch.equal(query.features, copies[0])
    assert torch.equal(reference.features, copies[1])
    assert not first.scores.requires_grad


@pytest.mark.parametrize("name", LEARNED)
def test_what_it_is_comes_from_its_system(name):
    system = find_learned(name)
    network = system.build(Traits(8))
    assert network.training
    localizer = Localizer(system, network)
    assert (localizer.name, localizer.kin) == (system.row, system.kin)
    assert localizer.proposals == SlidingWindows()
    assert not network.training
    assert localizer.num_parameters == sum(one.numel() for one in network.parameters()) > 0


@each_system
def test_the_score_curve_is_the_best_of_the_windows_over_each_step(name):
    localizer = make_localizer(name)
    query, reference = make_pair(12, 40)
    ranking = localizer.rank(query, reference)
    curve = localizer.score_curve(query, reference)
    assert curve.shape == (40,)
    scored = list(zip(ranking.windows.tolist(), ranking.segments.scores.tolist(), strict=True))
    for step in range(40):
        covering = [score for (start, end), score in scored if start <= step < end]
        if covering:
            assert curve[step].item() == pytest.approx(max(covering), abs=1e-5)


def test_unless_asked_for_more_the_best_is_one():
    localizer = make_localizer("mgffnet-paper")
    query, reference = make_pair(12, 40)
    ranking = localizer.rank(query, reference)
    best = localizer.best(ranking, query, reference)
    assert len(best) == len(localizer.localize(query, reference)) == 1
    assert list(best) == list(localizer.best(ranking, query, reference, 3))[:1]


@pytest.mark.parametrize("name", ["mgffnet-paper", "cgbm"])
def test_steps_that_no_window_covers_have_the_least_score(name):
    """The least that the system can give, where it says so, or else the least of any window."""
    localizer = make_localizer(name, Fixed(torch.tensor([[3, 6]])))
    query, reference = make_pair(5, 10)
    ranking = localizer.rank(query, reference)
    curve = localizer.score_curve(query, reference)
    covered = torch.zeros(10, dtype=torch.bool)
    for start, end in ranking.windows.tolist():
        covered[start:end] = True
    least = -1 if name == "mgffnet-paper" else ranking.segments.scores.min()
    assert (curve[~covered] == least).all()
    if name == "mgffnet-paper":
        assert covered.tolist() == 3 * [False] + 3 * [True] + 4 * [False]
        assert (curve[covered] > -1).all()


@each_system
def test_the_width_it_expects(name):
    localizer = make_localizer(name)
    assert localizer.num_features == 8
    query, reference = make_pair()
    narrow = replace(query, features=query.features[:, 1:])
    with pytest.raises(FeatureError, match=r"query 'q' with F = 8 \(got F = 7\)"):
        localizer.localize(narrow, reference)
    narrow = replace(reference, features=reference.features[:, 1:])
    with pytest.raises(FeatureError, match=r"reference 'r' with F = 8 \(got F = 7\)"):
        localizer.localize(query, narrow)


def test_impossible_questions_and_thresholds_are_refused():
    for top_n in (0, -1):
        with pytest.raises(SettingsError, match=rf"^Expected top_n >= 1 \(got {top_n}\)$"):
            make_localizer().localize(*make_pair(), top_n)
    for threshold in (-0.1, 1.1, float("nan")):
        with pytest.raises(SettingsError, match=rf"^Expected nms_threshold in \[0, 1\] \(got {threshold}\)$"):
            make_localizer(nms_threshold=threshold)


# Saving and loading


@pytest.mark.parametrize("name", LEARNED)
def test_a_saved_localizer_gives_identical_answers(name, tmp_path):
    features = FeatureMetadata("c3d", 8, 16.0, pca="abc")
    localizer = make_localizer(
        name, nms_threshold=0.3, features=features, calibration=Calibration(2.0, -1.0, 3, 4)
    )
    localizer.name = "mine"
    folder = localizer.save_pretrained(tmp_path / "deep" / "model")
    assert sorted(path.name for path in folder.iterdir()) == ["config.json", "model.safetensors"]
    loaded = Localizer.from_pretrained(folder)
    for kept in ("name", "kin", "system", "proposals", "nms_threshold", "features", "calibration"):
        assert getattr(loaded, kept) == getattr(localizer, kept)
    assert loaded.ranker.settings == localizer.ranker.settings
    query, reference = make_pair()
    one, other = (system.localize(query, reference, 3) for system in (localizer, loaded))
    assert torch.equal(one.bounds, other.bounds)
    assert torch.equal(one.scores, other.scores)


def test_a_system_of_ones_own_is_read_by_its_spec(tmp_path):
    own = replace(find_learned("cgbm"), name="mine", row="Mine")
    folder = Localizer(own, own.build(Traits(8)), WINDOWS).save_pretrained(tmp_path)
    assert Localizer.from_pretrained(folder, system=own).name == "Mine"
    with pytest.raises(CheckpointError, match=r"config\.json.*Unknown system 'mine'; known are"):
        Localizer.from_pretrained(folder)


def test_the_files_are_json_and_safetensors(folder):
    config = json.loads((folder / "config.json").read_text())
    assert list(config) == [
        *("format", "system", "row", "num_features", "settings"),
        *("proposals", "nms_threshold", "features", "calibration", "answers", "weights_sha256"),
    ]
    assert (config["format"], config["system"], config["num_features"]) == (2, "mgffnet", 8)
    windows = {"shortest": 4, "longest": 30, "ratio": 2.5, "overlap": 0.4}
    assert config["proposals"] == {"sliding_windows": windows}
    assert config["features"] is config["calibration"] is None
    content = (folder / "model.safetensors").read_bytes()
    header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
    assert "model.score_head.mlp.0.weight" in header


def test_saving_over_an_old_model_replaces_it(tmp_path):
    make_localizer("mgffnet-paper").save_pretrained(tmp_path)
    localizer = make_localizer()
    localizer.save_pretrained(tmp_path)
    query, reference = make_pair()
    loaded = Localizer.from_pretrained(tmp_path).localize(query, reference)
    assert torch.equal(loaded.bounds, localizer.localize(query, reference).bounds)


def test_proposals_of_a_list_must_be_given_again(tmp_path):
    fixed = Fixed(torch.tensor([[0, 9]]))
    folder = make_localizer(proposals=fixed).save_pretrained(tmp_path)
    with pytest.raises(CheckpointError, match=r"that no checkpoint holds \(fixed .*give them again"):
        Localizer.from_pretrained(folder)
    assert Localizer.from_pretrained(folder, fixed).proposals is fixed


@pytest.mark.parametrize(
    "proposals",
    [
        ActionnessProposals(ActionnessClassifier(ActionnessSettings(8, 4)), TAGSettings.paper(), 7),
        SSTProposals(SSTNetwork(8, SSTSettings(hidden_channels=4, num_anchors=9)), 7, 0.5),
    ],
    ids=["actionness", "sst"],
)
def test_proposals_of_a_network_are_saved_with_the_localizer(tmp_path, proposals):
    localizer = make_localizer(proposals=CachedProposals(proposals, tmp_path / "cache"))
    loaded = Localizer.from_pretrained(localizer.save_pretrained(tmp_path / "model"))
    assert loaded.proposals.fingerprint() == proposals.fingerprint()
    query, reference = make_pair()
    answers = [one.localize(query, reference, 3).bounds for one in (localizer, loaded)]
    assert torch.equal(*answers)


@pytest.fixture
def folder(tmp_path):
    return make_localizer().save_pretrained(tmp_path / "model")


@pytest.mark.parametrize("name", ["config.json", "model.safetensors"])
def test_missing_and_damaged_files(folder, name):
    whole = (folder / name).read_bytes()
    spoilt = [b"", b"{", b"[1, 2]", b"\xff\xfe\x00", b'"text"', b"null"]
    spoilt += [whole[:kept] for kept in (7, 100, len(whole) // 2, len(whole) - 3)]
    for content in spoilt:
        (folder / name).write_bytes(content)
        with pytest.raises(CheckpointError, match=name):
            Localizer.from_pretrained(folder)
    (folder / name).unlink()
    with pytest.raises(CheckpointError, match=name):
        Localizer.from_pretrained(folder)
    with pytest.raises(CheckpointError, match="nowhere"):
        Localizer.from_pretrained(folder / "nowhere")


def test_every_part_of_the_settings_is_needed(folder):
    config = json.loads((folder / "config.json").read_text())
    for part in config.keys() - {"format", "weights_sha256"}:  # which earlier versions had not
        (folder / "config.json").write_text(json.dumps({key: config[key] for key in config.keys() - {part}}))
        with pytest.raises(CheckpointError, match=rf"config\.json are unusable: '{part}'"):
            Localizer.from_pretrained(folder)


@pytest.mark.parametrize(
    ("part", "key", "value"),
    [
        ("settings", "hidden_channels", 0),
        ("settings", "hidden_channels", "many"),
        ("settings", "hidden_channels", 4),
        ("settings", "num_layers", 3),
        ("settings", "weight", "gaussian"),
        ("settings", "scales", 3),
        ("settings", "num_steps", 0),
        ("settings", "num_steps", "x"),
        ("settings", "fit", "stretch"),
        ("settings", "pair_features", False),
        ("settings", "feature_groups", [[3, 1]]),
        ("settings", "depth", 3),
        ("proposals", "sliding_windows", {"shortest": 0}),
        ("proposals", "sliding_windows", {"ratio": "x"}),
        (None, "nms_threshold", "x"),
        (None, "nms_threshold", 2.0),
        (None, "system", "nobody"),
        (None, "system", "window-rule"),
        (None, "system", "cgbm"),
        *(
            (None, part, value)
            for part in ("settings", "proposals")
            for value in (None, [1], "text", {"depth": 3})
        ),
        *(
            (None, part, value)
            for part in ("features", "calibration")
            for value in ([1], "text", {"depth": 3})
        ),
    ],
)
def test_impossible_values_in_a_saved_model(folder, part, key, value):
    path = folder / "config.json"
    config = json.loads(path.read_text())
    (config if part is None else config[part])[key] = value
    path.write_text(json.dumps(config))
    with pytest.raises(CheckpointError):
        Localizer.from_pretrained(folder)


@pytest.mark.parametrize(
    ("config", "system"),
    [
        ({"rival": "cgbm", "num_features": 8, "settings": {}, "proposals": {}}, "cgbm"),
        ({"model": {}, "pairing": {}, "proposals": {}, "localizer": {"name": "MGFFNet"}}, "mgffnet"),
    ],
)
def test_a_model_of_version_01_says_so_and_how_to_train_it_again(tmp_path, config, system):
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(CheckpointError, match=rf"version 0\.1.*: vreloc train --system {system}$"):
        Localizer.from_pretrained(tmp_path)


def test_the_folder_of_a_network_alone_is_no_localizer(tmp_path):
    MGFFNet(in_channels=8, hidden_channels=8).save_pretrained(tmp_path)
    with pytest.raises(CheckpointError, match=r"settings of the localizer .* unusable"):
        Localizer.from_pretrained(tmp_path)
    assert MGFFNet.from_pretrained(tmp_path).settings.in_channels == 8


# In the evaluation


def test_localizers_and_rules_stand_in_one_table():
    splits = Synthetic(4, 2, 2, num_train=8, num_validation=2, num_test=4, num_features=8).splits()
    rules = fitted_rules(TaskData("synthetic", splits, WINDOWS))
    systems = [*rules, *map(make_localizer, SYSTEMS)]
    frame = evaluate(systems, splits["test"], progress=False)
    assert frame["system"].drop_duplicates().tolist() == [system.name for system in systems]
    assert len(frame) == len(systems) * 4
    assert frame["tiou"].between(0, 1).all()
    learned = frame[frame["kin"].isin(["own", "rival"])]
    assert learned["system"].nunique() == len(SYSTEMS)
    assert (learned["end_s"] > learned["start_s"]).all()
    assert frame.loc[frame["kin"] == "own", "score"].between(-1, 1).all()
    for system in systems[1:]:  # not chance, whose rows are expectations
        rows = frame[frame["system"] == system.name]
        for pair, row in enumerate(rows.itertuples()):
            query, reference = splits["test"][pair]
            found = system.localize(query, reference)
            overlap = temporal_iou(found.bounds[:1], reference.segments_of(query.label)).max().item()
            assert row.tiou == pytest.approx(overlap)
    table = result_table(frame)
    assert len(table) == len(systems)
    assert (table["N"] == 4).all()
