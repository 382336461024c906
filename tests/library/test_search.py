"""Two stages find what ranking everything finds."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from vreloc_pyg.datasets.splits import Query, Reference
from vreloc_pyg.errors import DataError, FeatureError
from vreloc_pyg.features.metadata import FeatureMetadata
from vreloc_pyg.library.descriptors import Descriptors, fit_descriptors
from vreloc_pyg.library.indexing import index_features
from vreloc_pyg.library.library import Library
from vreloc_pyg.library.neighbourhoods import neighbourhoods
from vreloc_pyg.library.search import search, windows_within
from vreloc_pyg.localization import Localizer
from vreloc_pyg.localization.training_free import training_free
from vreloc_pyg.proposals.sliding_window import SlidingWindows
from vreloc_pyg.systems.answering import AnswerSettings
from vreloc_pyg.systems.rules.window_rule import WindowRule

STEP = 0.5


def walk(seed, steps=200):
    drawn = torch.Generator().manual_seed(seed)
    acts = torch.randn(steps // 20 + 2, 12, generator=drawn).repeat_interleave(20, 0)[:steps]
    return acts + 0.3 * torch.randn(steps, 12, generator=drawn)


ACTION = walk(1000, 24)


def video(seed):
    """A video; those whose number is a multiple of 5 show the action, at two places."""
    features = walk(seed)
    if seed % 5 == 0:
        for start in (30, 130):
            noise = 0.05 * torch.randn(24, 12, generator=torch.Generator().manual_seed(start + seed))
            features[start : start + 24] = ACTION + noise
    return features


@pytest.fixture(scope="module", params=["faiss", "lance"])
def library(request, tmp_path_factory):
    found = Library(tmp_path_factory.mktemp("library"), create=True, index=request.param)
    index_features(found, ((f"v{i}", video(i), STEP) for i in range(20)), FeatureMetadata(dim=12))
    return found


def query(features=ACTION, step=STEP):
    return Query(features, step, "", "query")


def everything(asked, localizer, top_n):
    """Every video ranked whole."""
    moments = []
    for number in range(20):
        reference = Reference(video(number), STEP, torch.empty(0, 2), (), f"v{number}")
        found = localizer.localize(asked, reference, top_n)
        moments += [
            (f"v{number}", *one) for one in zip(found.bounds.tolist(), found.scores.tolist(), strict=True)
        ]
    return sorted(moments, key=lambda one: -one[2])[:top_n]


def test_finds_every_occurrence_as_ranking_everything_does(library):
    localizer = training_free(None)
    found = search(library, [query()], localizer, top_n=8)
    expected = everything(query(), localizer, 8)
    assert [one.video for one in found] == [name for name, _, _ in expected]
    for one, (_, bounds, score) in zip(found, expected, strict=True):
        assert [one.start_s, one.end_s] == pytest.approx(bounds, abs=1e-6)
        assert one.score == pytest.approx(score, abs=1e-4)
    assert {one.video for one in found} == {"v0", "v5", "v10", "v15"}
    assert {round(one.start_s / STEP, -1) for one in found} == {30, 130}


def test_moments_of_one_video_do_not_overlap_and_are_in_it(library):
    found = search(library, [query()], training_free(None), top_n=50)
    for number, one in enumerate(found):
        assert 0 <= one.start_s < one.end_s <= 100
        for other in found[:number]:
            if one.video == other.video:
                shared = min(one.end_s, other.end_s) - max(one.start_s, other.start_s)
                union = max(one.end_s, other.end_s) - min(one.start_s, other.start_s)
                assert shared / union <= 0.5 + 1e-6
    assert [one.score for one in found] == sorted((one.score for one in found), reverse=True)


def test_the_best_of_several_clips_counts(library):
    localizer = training_free(None)
    other = query(video(3)[50:80])
    both = search(library, [query(), other], localizer, top_n=9)
    assert {"v3", "v0", "v5", "v10", "v15"} <= {one.video for one in both}
    alone = search(library, [other], localizer, top_n=1)[0]
    assert alone in both


def test_parts_ranked_together_are_ranked_as_alone(library, monkeypatch):
    localizer, asked = training_free(None), []
    rank = WindowRule.rank
    monkeypatch.setattr(WindowRule, "rank", lambda *given: asked.append(1) or rank(*given))
    together = search(library, [query()], localizer, top_n=8)
    in_one_go = len(asked)
    monkeypatch.setattr(WindowRule, "local", False)
    alone = search(library, [query()], localizer, top_n=8)
    assert len(asked) - in_one_go > in_one_go
    assert [(one.video, one.start_s, one.end_s) for one in together] == [
        (one.video, one.start_s, one.end_s) for one in alone
    ]
    assert [one.score for one in together] == pytest.approx([one.score for one in alone], abs=1e-5)


def test_what_looks_beyond_a_window_is_not_ranked_together():
    localizer = training_free(None)
    assert localizer.local
    for answers in (AnswerSettings(search=3), AnswerSettings(length_weight=0.1)):
        assert not Localizer(localizer.system, localizer.ranker, answers=answers).local


def test_neighbourhoods_are_apart_inside_and_best_first(library):
    found = library.searchable()
    for count in (1, 3, 10):
        near = neighbourhoods(found, ACTION, count)
        assert len(near) <= count
        assert [one.similarity for one in near] == sorted((one.similarity for one in near), reverse=True)
        for number, one in enumerate(near):
            assert 0 <= one.start < one.stop <= 200
            others = [other for other in near[:number] if other.number == one.number]
            assert all(one.stop <= other.start or other.stop <= one.start for other in others)


def test_removed_videos_are_not_found_before_the_index_is_made_anew(tmp_path):
    library = Library(tmp_path, create=True)
    index_features(library, ((f"v{i}", video(i), STEP) for i in range(6)), FeatureMetadata(dim=12))
    library.catalog.remove([one.number for one in library.entries() if one.name == "v5"])
    assert "v5" not in {one.video for one in search(library, [query()], training_free(None))}


def test_features_that_do_not_fit(library):
    with pytest.raises(FeatureError, match="F = 12"):
        search(library, [query(torch.randn(9, 5))], training_free(None))
    with pytest.raises(FeatureError, match=r"Steps last 0.25 s in the query and 0.5 s in the library"):
        search(library, [query(step=0.25)], training_free(None))


def test_whitening_makes_what_all_windows_share_count_for_nothing():
    drawn = torch.randn(4000, 6) * torch.tensor([100.0, 10, 1, 1, 1, 1]) + 50
    fitted = fit_descriptors(drawn)
    spread = (drawn - fitted.centre) @ fitted.map.T
    assert spread.mean(0).abs().max() < 0.1
    few = fit_descriptors(drawn[:3])
    assert few.dims <= 3
    assert torch.isfinite(few.of_statistics(drawn)).all()
    one = fit_descriptors(drawn[:1])
    assert one.of_statistics(drawn[:1]).shape == (1, 1)


def test_the_background_of_what_resembles_everything_is_larger():
    usual, odd = torch.eye(4)[:1], torch.eye(4)[1:2]
    bank = torch.cat([usual.repeat(30, 1), odd])
    fitted = Descriptors(torch.zeros(4), torch.eye(4), bank)
    assert fitted.background(torch.cat([usual, odd])).tolist() == [1.0, pytest.approx(1 / 16)]


@given(
    st.integers(1, 9), st.integers(0, 60), st.sampled_from([1.2, 1.35, 2.0]),
    st.sampled_from([0.0, 0.5, 0.7, 0.93]), st.integers(1, 120), st.data(),
)  # fmt: skip
def test_sliding_windows_within_are_those_of_all(shortest, more, ratio, overlap, num_steps, data):
    windows = SlidingWindows(shortest, shortest + more, ratio, overlap)
    start = data.draw(st.integers(0, num_steps - 1))
    stop = data.draw(st.integers(start + 1, num_steps))
    within = windows.within(num_steps, start, stop)
    assert sorted(within.tolist()) == sorted(windows_within(windows(num_steps), start, stop).tolist())


def test_nothing_to_search(tmp_path):
    Library(tmp_path, create=True)
    with pytest.raises(DataError, match="is empty"):
        search(Library(tmp_path), [query()], training_free(None))
