import json
from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch_geometric.data import Batch

from vreloc_pyg.datasets import PennAction, Query, Reference, Synthetic
from vreloc_pyg.errors import CheckpointError, FeatureError, SettingsError
from vreloc_pyg.evaluation import evaluate, result_table
from vreloc_pyg.features.metadata import FeatureMetadata
from vreloc_pyg.graphs.pairing import Pairing
from vreloc_pyg.localization import Localizer
from vreloc_pyg.localization.localizer import surroundings
from vreloc_pyg.nn import MGFFNet
from vreloc_pyg.nn.actionness_classifier import ActionnessClassifier, ActionnessSettings
from vreloc_pyg.nn.ranking import rank_windows
from vreloc_pyg.nn.sst_network import SSTNetwork, SSTSettings
from vreloc_pyg.proposals.actionness_proposals import ActionnessProposals
from vreloc_pyg.proposals.cache import CachedProposals
from vreloc_pyg.proposals.sliding_window import SlidingWindows
from vreloc_pyg.proposals.sst_proposals import SSTProposals
from vreloc_pyg.proposals.tag import TAGSettings
from vreloc_pyg.segments import temporal_iou
from vreloc_pyg.systems.catalog import standard_rules
from vreloc_pyg.training import make_preset

SKELETON = PennAction.skeleton
POSE = SKELETON.num_features
WINDOWS = SlidingWindows(shortest=4, longest=30, ratio=2.5, overlap=0.4)


class Fixed:
    """The same candidates for every video."""

    def __init__(self, windows):
        self.windows = windows

    def propose(self, video):
        return self.windows

    def fingerprint(self):
        return f"fixed {self.windows.tolist()}"


def trained_like(model, seed=0):
    """A model in eval mode whose weights and running statistics are not those of a fresh one."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += 0.1 * torch.randn(parameter.shape, generator=generator)
        for name, buffer in model.named_buffers():
            if name.endswith("running_mean"):
                buffer += 0.1 * torch.randn(buffer.shape, generator=generator)
            elif name.endswith("running_var"):
                buffer *= 1 + torch.rand(buffer.shape, generator=generator)
    return model.eval()


def make_localizer(name, width=8, skeleton=None, model=None, pairing=None, **options):
    preset = make_preset(
        name, width, WINDOWS, skeleton, model={"hidden_channels": 8, **(model or {})}, pairing=pairing
    )
    torch.manual_seed(0)
    network = trained_like(MGFFNet(**preset.model.to_dict()))
    options = {"refine": preset.refine, **options}
    return Localizer(network, preset.pairing, preset.proposals, **options)


def make_pair(query_steps=12, reference_steps=60, width=8, step_s=0.25, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return (
        Query(torch.randn(query_steps, width, generator=generator), step_s, "", "q"),
        Reference(
            torch.randn(reference_steps, width, generator=generator), step_s, torch.empty(0, 2), (), "r"
        ),
    )


def every_window(localizer, query, reference):
    """Windows, scores and offsets, one pair graph at a time."""
    windows = localizer.proposals.propose(reference)
    scores, offsets = [], []
    with torch.no_grad():
        for window in windows:
            pairs = localizer.pairing.pair(query.features, reference.features, window[None])
            (graph,) = pairs.graphs()
            relevance = localizer.model(Batch.from_data_list([graph]))
            scores.append(relevance.score)
            offsets.append(relevance.offsets)
    return windows, torch.cat(scores), torch.cat(offsets)


def by_hand(localizer, query, reference, top_n):
    """The answers in plain Python: refine, clip, then keep what overlaps no better answer too much."""
    windows, scores, offsets = every_window(localizer, query, reference)
    answers = []
    for (start, end), score, (shift, stretch) in zip(
        windows.tolist(), scores.double().tolist(), offsets.double(), strict=True
    ):
        low, high = float(start), float(end)
        if localizer.refine:
            length = (end - start) * torch.exp(-stretch).item()
            centre = (start + end) / 2 - shift.item() * length
            low, high = centre - length / 2, centre + length / 2
            low, high = (min(max(bound, 0.0), reference.num_steps) for bound in (low, high))
            if high - low < 1:
                middle = min(max((low + high) / 2, 0.5), reference.num_steps - 0.5)
                low, high = middle - 0.5, middle + 0.5
        answers.append((score, low * reference.seconds_per_step, high * reference.seconds_per_step))
    answers.sort(key=lambda answer: -answer[0])
    kept = []
    for score, low, high in answers:
        overlaps = [
            max(0, min(high, other[2]) - max(low, other[1])) / (max(high, other[2]) - min(low, other[1]))
            for other in kept
        ]
        if all(overlap <= localizer.nms_threshold for overlap in overlaps):
            kept.append((score, low, high))
    return kept[:top_n]


CASES = {
    "paper": {},
    "recommended": {},
    "paper without refinement": {"refine": False},
    "recommended with refinement": {"refine": True},
    "paper, masked": {"model": {"mask_padding": True}},
    "paper, ragged": {"pairing": {"num_steps": None}},
    "recommended, mirror images": {"width": POSE, "skeleton": SKELETON},
    "recommended without graphs": {"model": {"aggregate": False}},
    "recommended, attention": {"model": {"conv": "gat", "weight": "binary"}},
    "recommended, means": {"model": {"conv": "sage", "weight": "binary"}},
}


@pytest.fixture(params=CASES)
def localizer(request):
    return make_localizer(request.param.split(",")[0].split()[0], **CASES[request.param])


def pair_for(localizer, *steps):
    return make_pair(*steps, width=localizer.num_features)


@pytest.mark.parametrize("steps", [(12, 60), (50, 33)])
def test_answers_are_those_of_a_loop_over_windows(localizer, steps):
    query, reference = pair_for(localizer, *steps)
    found = localizer.localize(query, reference, 3)
    expected = by_hand(localizer, query, reference, 3)
    assert len(found) == len(expected) >= 2
    assert found.scores.tolist() == pytest.approx([answer[0] for answer in expected], abs=1e-5)
    for segment, (_, low, high) in zip(found, expected, strict=True):
        assert segment == pytest.approx((low, high), abs=1e-3)


def test_window_scores_are_those_of_the_pair_graphs(localizer):
    query, reference = pair_for(localizer, 12, 60)
    windows, scores, offsets = every_window(localizer, query, reference)
    with torch.no_grad():
        relevance = rank_windows(
            localizer.model, localizer.pairing, query.features, reference.features, windows
        )
    assert len(windows) > 15
    assert scores.std() > 1e-4
    torch.testing.assert_close(relevance.score, scores, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(relevance.offsets, offsets, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("chunk", [1, 2, 7])
def test_chunks_do_not_change_what_is_ranked(localizer, chunk):
    query, reference = pair_for(localizer, 12, 40)
    windows = localizer.proposals.propose(reference)
    arguments = localizer.model, localizer.pairing, query.features, reference.features, windows
    with torch.no_grad():
        whole, parts = rank_windows(*arguments), rank_windows(*arguments, chunk=chunk)
    torch.testing.assert_close(parts.score, whole.score, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(parts.offsets, whole.offsets, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("num_windows", [1, 2, 3])
def test_few_windows_of_mirrored_and_padded_clips(num_windows):
    """As many windows as versions of the query, which is a case of its own for relative nodes only."""
    index, sign = SKELETON.mirror_features()
    model = trained_like(MGFFNet(in_channels=POSE, hidden_channels=8, mask_padding=True))
    windows = torch.tensor([[0, 9], [3, 30], [20, 34]])[:num_windows]
    localizer = Localizer(model, Pairing(mirror_index=index, mirror_sign=sign), Fixed(windows))
    query, reference = make_pair(12, 40, POSE)
    windows, scores, offsets = every_window(localizer, query, reference)
    with torch.no_grad():
        relevance = rank_windows(
            localizer.model, localizer.pairing, query.features, reference.features, windows
        )
    torch.testing.assert_close(relevance.score, scores, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(relevance.offsets, offsets, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("name", ["paper", "recommended"])
@pytest.mark.parametrize("steps", [(1, 60), (12, 1), (1, 1), (60, 12), (2, 2), (12, 3)])
def test_clips_of_one_step_and_queries_longer_than_the_reference(name, steps):
    localizer = make_localizer(name, refine=True)
    query, reference = make_pair(*steps)
    found = localizer.localize(query, reference, top_n=2)
    expected = by_hand(localizer, query, reference, 2)
    assert len(found) == len(expected) >= 1
    assert found.scores.tolist() == pytest.approx([answer[0] for answer in expected], abs=1e-5)
    assert (found.bounds[:, 0] >= 0).all()
    assert (found.bounds[:, 1] <= reference.duration_s + 1e-9).all()
    assert found.scores.abs().max() <= 1


def with_offsets(localizer, shift, stretch):
    """The model's offsets replaced by the same for every window."""
    head = localizer.model.regression_head.mlp[-1]
    with torch.no_grad():
        head.weight.zero_()
        head.bias.copy_(torch.tensor([shift, stretch]))
    return localizer


@pytest.mark.parametrize(("shift", "stretch"), [(0.0, 0.0), (0.5, 0.0), (-0.25, 0.6931), (0.1, -0.4)])
def test_refinement_moves_windows_as_decoded_by_hand(shift, stretch):
    plain = make_localizer("paper", refine=False, nms_threshold=1.0)
    refined = with_offsets(make_localizer("paper", nms_threshold=1.0), shift, stretch)
    query, reference = make_pair()
    before, after = (one.localize(query, reference, 500) for one in (plain, refined))
    assert before.scores.tolist() == after.scores.tolist()
    inside = 0
    for (start, end), (low, high) in zip(before, after, strict=True):
        length = (end - start) * torch.exp(torch.tensor(-stretch, dtype=torch.float64)).item()
        centre = (start + end) / 2 - shift * length
        expected = (max(0.0, centre - length / 2), min(reference.duration_s, centre + length / 2))
        inside += expected == (centre - length / 2, centre + length / 2)
        if expected[1] - expected[0] > 0.25:
            assert (low, high) == pytest.approx(expected, abs=1e-5)
    assert inside > 0


@pytest.mark.parametrize("shift", [-1e6, -3.0, 3.0, 1e6])
@pytest.mark.parametrize("stretch", [-1000.0, -5.0, 0.0, 5.0, 1000.0])
def test_wild_offsets_still_give_segments_inside_the_video(shift, stretch):
    localizer = with_offsets(make_localizer("paper"), shift, stretch)
    query, reference = make_pair()
    found = localizer.localize(query, reference, 5)
    assert (found.bounds >= 0).all()
    assert (found.bounds <= reference.duration_s + 1e-9).all()
    lengths = found.bounds[:, 1] - found.bounds[:, 0]
    assert (lengths >= reference.seconds_per_step - 1e-9).all()


def test_answers_do_not_overlap_more_than_the_threshold():
    query, reference = make_pair()
    for threshold in (0.0, 0.3, 1.0):
        localizer = make_localizer("paper", refine=False, nms_threshold=threshold)
        found = localizer.localize(query, reference, 500)
        overlap = temporal_iou(found.bounds, found.bounds)
        overlap.fill_diagonal_(0)
        assert overlap.max() <= threshold
        assert (found.scores.diff() <= 0).all()
        if threshold == 1.0:
            assert len(found) == len(WINDOWS(reference.num_steps))


def test_the_best_answer_does_not_depend_on_how_many_are_asked_for():
    localizer = make_localizer("recommended")
    query, reference = make_pair()
    best, *_ = localizer.localize(query, reference, 1)
    for top_n in (2, 5, 1000):
        found = localizer.localize(query, reference, top_n)
        assert next(iter(found)) == best
        assert len(found) <= top_n


def test_labels_do_not_matter_and_nothing_is_changed():
    localizer = make_localizer("recommended")
    query, reference = make_pair()
    copies = query.features.clone(), reference.features.clone()
    first = localizer.localize(query, reference)
    second = localizer.localize(replace(query, label="jump"), replace(reference, video_id="other"))
    assert first.bounds.tolist() == second.bounds.tolist()
    assert torch.equal(query.features, copies[0])
    assert torch.equal(reference.features, copies[1])
    assert not first.scores.requires_grad


def test_the_model_is_put_into_eval_mode():
    network = MGFFNet(in_channels=8, hidden_channels=8)
    assert network.training
    assert not Localizer(network, Pairing()).model.training


def test_sliding_windows_are_the_default():
    localizer = Localizer(MGFFNet(in_channels=8, hidden_channels=8), Pairing())
    assert localizer.proposals == SlidingWindows()
    assert localizer.name == "MGFFNet"


def test_the_score_curve_is_the_best_of_the_windows_over_each_step():
    localizer = make_localizer("recommended")
    query, reference = make_pair(12, 40)
    windows, scores, _ = every_window(localizer, query, reference)
    curve = localizer.score_curve(query, reference)
    assert curve.shape == (40,)
    for step in range(40):
        covering = [
            score
            for (start, end), score in zip(windows.tolist(), scores.tolist(), strict=True)
            if start <= step < end
        ]
        assert curve[step].item() == pytest.approx(max(covering), abs=1e-5)


def test_steps_that_no_window_covers_have_the_least_score():
    localizer = make_localizer("paper")
    localizer.proposals = Fixed(torch.tensor([[3, 6]]))
    curve = localizer.score_curve(*make_pair(5, 10))
    assert (curve[[0, 1, 2, 6, 7, 8, 9]] == -1).all()
    assert (curve[3:6] > -1).all()


@pytest.mark.parametrize(
    ("name", "width", "skeleton"),
    [("paper", 8, None), ("recommended", 8, None), ("recommended", POSE, SKELETON)],
)
def test_the_width_it_expects(name, width, skeleton):
    localizer = make_localizer(name, width, skeleton)
    assert localizer.num_features == width
    query, reference = make_pair(width=width)
    narrow = replace(query, features=query.features[:, 1:])
    with pytest.raises(FeatureError, match=rf"query 'q' with F = {width} \(got F = {width - 1}\)"):
        localizer.localize(narrow, reference)
    narrow = replace(reference, features=reference.features[:, 1:])
    with pytest.raises(FeatureError, match=rf"reference 'r' with F = {width} \(got F = {width - 1}\)"):
        localizer.localize(query, narrow)


@pytest.mark.parametrize("top_n", [0, -1])
def test_at_least_one_answer_must_be_asked_for(top_n):
    with pytest.raises(SettingsError, match=rf"^Expected top_n >= 1 \(got {top_n}\)$"):
        make_localizer("paper").localize(*make_pair(), top_n)


@pytest.mark.parametrize("threshold", [-0.1, 1.1, float("nan")])
def test_impossible_nms_thresholds_are_refused(threshold):
    with pytest.raises(SettingsError, match=rf"^Expected nms_threshold in \[0, 1\] \(got {threshold}\)$"):
        make_localizer("paper", nms_threshold=threshold)


@pytest.mark.parametrize("of_model", [False, True])
def test_model_and_pairing_must_agree_on_pair_features(of_model):
    model = MGFFNet(in_channels=8, hidden_channels=8, pair_features=of_model)
    with pytest.raises(SettingsError, match=rf"pair_features .* \(got {of_model} and {not of_model}\)"):
        Localizer(model, Pairing(pair_features=not of_model))


def test_model_and_pairing_must_agree_on_context_where_boundaries_are_read():
    settings = {"in_channels": 8, "hidden_channels": 8, "mask_padding": True, "context": 0.2}
    Localizer(MGFFNet(**settings), Pairing())
    model = MGFFNet(**settings, regression="boundaries")
    Localizer(model, Pairing(context=0.2))
    with pytest.raises(SettingsError, match=r"context .* \(got 0.2 and 0.0\)"):
        Localizer(model, Pairing())


# Saving and loading


def test_a_saved_localizer_gives_identical_answers(localizer, tmp_path):
    localizer.name, localizer.nms_threshold = "mine", 0.3
    folder = localizer.save_pretrained(tmp_path / "deep" / "model")
    assert sorted(path.name for path in folder.iterdir()) == ["config.json", "model.safetensors"]
    loaded = Localizer.from_pretrained(folder)
    for name in ("pairing", "proposals", "refine", "nms_threshold", "name"):
        assert getattr(loaded, name) == getattr(localizer, name)
    assert loaded.model.settings == localizer.model.settings
    query, reference = pair_for(localizer, 12, 60)
    one, other = (system.localize(query, reference, 3) for system in (localizer, loaded))
    assert torch.equal(one.bounds, other.bounds)
    assert torch.equal(one.scores, other.scores)


def test_the_files_are_json_and_safetensors(tmp_path):
    folder = make_localizer("recommended").save_pretrained(tmp_path)
    config = json.loads((folder / "config.json").read_text())
    assert set(config) == {"model", "pairing", "proposals", "localizer", "calibration", "features"}
    windows = {"shortest": 4, "longest": 30, "ratio": 2.5, "overlap": 0.4}
    assert config["proposals"] == {"sliding_windows": windows}
    assert config["features"] is None
    content = (folder / "model.safetensors").read_bytes()
    header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
    assert "score_head.mlp.0.weight" in header


def test_saving_over_an_old_model_replaces_it(tmp_path):
    make_localizer("paper").save_pretrained(tmp_path)
    localizer = make_localizer("recommended")
    localizer.save_pretrained(tmp_path)
    query, reference = make_pair()
    loaded = Localizer.from_pretrained(tmp_path).localize(query, reference)
    assert torch.equal(loaded.bounds, localizer.localize(query, reference).bounds)


def test_proposals_of_a_list_must_be_given_again(tmp_path):
    model, fixed = MGFFNet(in_channels=8, hidden_channels=8), Fixed(torch.tensor([[0, 9]]))
    folder = Localizer(model, Pairing(), fixed).save_pretrained(tmp_path)
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
    cached = CachedProposals(proposals, tmp_path / "cache")
    localizer = Localizer(MGFFNet(in_channels=8, hidden_channels=8), Pairing(), cached)
    loaded = Localizer.from_pretrained(localizer.save_pretrained(tmp_path / "model"))
    assert loaded.proposals.fingerprint() == proposals.fingerprint()
    query, reference = make_pair()
    answers = [one.localize(query, reference, 3).bounds for one in (localizer, loaded)]
    assert torch.equal(*answers)


def test_a_localizer_remembers_what_its_features_were_made_with(tmp_path):
    metadata = FeatureMetadata("c3d", 8, 16.0, pca="abc")
    model = MGFFNet(in_channels=8, hidden_channels=8)
    folder = Localizer(model, Pairing(), features=metadata).save_pretrained(tmp_path)
    assert Localizer.from_pretrained(folder).features == metadata


@pytest.fixture
def folder(tmp_path):
    return make_localizer("recommended").save_pretrained(tmp_path / "model")


def rewrite(folder, change):
    path = folder / "config.json"
    config = json.loads(path.read_text())
    change(config)
    path.write_text(json.dumps(config))


@pytest.mark.parametrize("missing", ["config.json", "model.safetensors"])
def test_missing_files(folder, missing):
    (folder / missing).unlink()
    with pytest.raises(CheckpointError, match=missing):
        Localizer.from_pretrained(folder)


def test_a_missing_folder(tmp_path):
    with pytest.raises(CheckpointError, match="nowhere"):
        Localizer.from_pretrained(tmp_path / "nowhere")


@pytest.mark.parametrize("content", [b"", b"{", b"[1, 2]", b"\xff\xfe\x00", b'"text"', b"null"])
def test_damaged_settings(folder, content):
    (folder / "config.json").write_bytes(content)
    with pytest.raises(CheckpointError, match=r"config\.json"):
        Localizer.from_pretrained(folder)


@pytest.mark.parametrize("kept", [0, 7, 100, 0.5, 0.999])
def test_truncated_weights(folder, kept):
    path = folder / "model.safetensors"
    content = path.read_bytes()
    path.write_bytes(content[: kept if isinstance(kept, int) else int(kept * len(content))])
    with pytest.raises(CheckpointError, match=r"model\.safetensors"):
        Localizer.from_pretrained(folder)


@pytest.mark.parametrize("part", ["model", "pairing", "proposals", "localizer"])
def test_settings_with_unknown_missing_or_impossible_parts(folder, part):
    original = (folder / "config.json").read_text()
    for change in (
        lambda config: config.pop(part),
        lambda config: config.update({part: None}),
        lambda config: config.update({part: [1]}),
        lambda config: config.update({part: "text"}),
        lambda config: config[part].update(depth=3),
    ):
        (folder / "config.json").write_text(original)
        rewrite(folder, change)
        with pytest.raises(CheckpointError, match=rf"{part}|depth|settings"):
            Localizer.from_pretrained(folder)


@pytest.mark.parametrize(
    ("part", "key", "value"),
    [
        ("model", "hidden_channels", 0),
        ("model", "hidden_channels", "many"),
        ("model", "hidden_channels", 4),
        ("model", "num_layers", 3),
        ("model", "weight", "gaussian"),
        ("model", "scales", 3),
        ("pairing", "num_steps", 0),
        ("pairing", "num_steps", "x"),
        ("pairing", "fit", "stretch"),
        ("pairing", "pair_features", False),
        ("pairing", "feature_groups", [[3, 1]]),
        ("proposals", "sliding_windows", {"shortest": 0}),
        ("proposals", "sliding_windows", {"ratio": "x"}),
        ("localizer", "nms_threshold", "x"),
        ("localizer", "nms_threshold", 2.0),
    ],
)
def test_impossible_values_in_a_saved_model(folder, part, key, value):
    rewrite(folder, lambda config: config[part].update({key: value}))
    with pytest.raises(CheckpointError):
        Localizer.from_pretrained(folder)


def test_the_model_folder_alone_is_no_localizer(tmp_path):
    MGFFNet(in_channels=8, hidden_channels=8).save_pretrained(tmp_path)
    with pytest.raises(CheckpointError, match=r"settings of the localizer .* unusable: 'pairing'"):
        Localizer.from_pretrained(tmp_path)
    assert MGFFNet.from_pretrained(tmp_path).settings.in_channels == 8


# In the evaluation


def test_localizers_and_rules_stand_in_one_table():
    splits = Synthetic(4, 2, 2, num_train=8, num_validation=2, num_test=4, num_features=8).splits()
    systems = [*standard_rules(splits["train"], WINDOWS)]
    for name in ("paper", "recommended"):
        systems.append(make_localizer(name))
        systems[-1].name = name
    frame = evaluate(systems, splits["test"], progress=False)
    assert frame["system"].drop_duplicates().tolist() == [system.name for system in systems]
    assert len(frame) == len(systems) * 4
    assert frame["tiou"].between(0, 1).all()
    learned = frame[frame["system"].isin(["paper", "recommended"])]
    assert learned["score"].between(-1, 1).all()
    assert (learned["end_s"] > learned["start_s"]).all()
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


@given(
    start=st.integers(0, 60),
    length=st.integers(1, 40),
    rest=st.integers(0, 30),
    share=st.sampled_from([0.04, 0.1, 0.5]),
)
def test_surroundings_are_windows_of_the_video_near_the_given_one(start, length, rest, share):
    num_steps = start + length + rest
    window = torch.tensor([[start, start + length]])
    found = surroundings(window, share, num_steps)
    assert window.tolist()[0] in found.tolist()
    assert len(torch.unique(found, dim=0)) == len(found) <= 25
    assert (found[:, 0] >= 0).all()
    assert (found[:, 1] <= num_steps).all()
    assert (2 * (found[:, 1] - found[:, 0]) >= length).all()
    assert ((found - window).abs() <= 2 * max(1, round(share * length))).all()


def test_surroundings_by_hand():
    found = surroundings(torch.tensor([[1, 11]]), 0.1, 12)
    # Starts -1 (cut to 0), 0, 1, 2, 3 and ends 9, 10, 11, 12, 13 (cut to 12).
    expected = [[start, end] for start in (0, 1, 2, 3) for end in (9, 10, 11, 12)]
    assert found.tolist() == expected


def test_a_search_only_adds_windows_and_never_lowers_the_best_score(small_splits):
    torch.manual_seed(0)
    model = MGFFNet(in_channels=8, hidden_channels=8)
    plain, searching = Localizer(model, Pairing(), WINDOWS), Localizer(model, Pairing(), WINDOWS, search=2)
    for query, reference in map(small_splits["test"].__getitem__, range(3)):
        first, second = plain.rank(query, reference), searching.rank(query, reference)
        assert torch.equal(second.windows[: len(first.windows)], first.windows)
        assert len(second.windows) > len(first.windows)
        assert second.segments.scores.max() >= first.segments.scores.max()
        scores = rank_windows(
            searching.model, searching.pairing, query.features, reference.features, second.windows
        ).score
        assert torch.allclose(second.segments.scores.float(), scores, atol=1e-6)


def test_search_is_saved_and_checked(tmp_path):
    Localizer(MGFFNet(in_channels=8, hidden_channels=8), Pairing(), search=3).save_pretrained(tmp_path)
    assert Localizer.from_pretrained(tmp_path).search == 3
    with pytest.raises(SettingsError, match="search >= 0"):
        Localizer(MGFFNet(in_channels=8, hidden_channels=8), Pairing(), search=-1)
