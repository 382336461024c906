import pytest
import torch

from tests.proposals.conftest import classifier, video
from vreloc_pyg.errors import SettingsError
from vreloc_pyg.proposals.actionness_proposals import ActionnessProposals
from vreloc_pyg.proposals.tag import TAGSettings, temporal_actionness_grouping


def test_shapes_and_the_hand_written_network():
    """One layer of three steps: normalise, convolve, rectify, convolve."""
    model = classifier().eval()
    model.normalize_by([torch.randn(30, 5) * 3 + 1, torch.randn(7, 5)])
    features = torch.randn(2, 9, 5)
    logits = model(features)
    assert logits.shape == (2, 9, 2)
    conv, last = model.layers[0], model.layers[-1]
    padded = torch.nn.functional.pad((features - model.mean) / model.std, (0, 0, 1, 1))
    hidden = torch.stack(
        [
            torch.einsum("bkf,hfk->bh", padded[:, step : step + 3], conv.weight) + conv.bias
            for step in range(9)
        ],
        dim=1,
    ).relu()
    expected = hidden @ last.weight.squeeze(2).T + last.bias
    torch.testing.assert_close(logits, expected, atol=1e-5, rtol=1e-4)
    curve = model.actionness(features[0])
    torch.testing.assert_close(curve, expected[0].softmax(1)[:, 1], atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("settings", [{}, {"num_layers": 3}, {"kernel_size": 5, "num_layers": 2}])
def test_chunks_do_not_change_the_answer(settings):
    model = classifier(**settings)
    features = torch.randn(50, 5)
    whole = model.actionness(features)
    for chunk in (1, 7, 49, 50):
        torch.testing.assert_close(model.actionness(features, chunk), whole, atol=1e-6, rtol=1e-5)
    moved = features.clone()
    moved[20] += 10
    changed = (model.actionness(moved) - whole).abs() > 0
    reached = changed.nonzero().flatten()
    assert reached.min() >= 20 - model.context
    assert reached.max() <= 20 + model.context


@pytest.mark.parametrize("settings", [{}, {"num_layers": 3}, {"kernel_size": 5, "num_layers": 2}])
def test_an_answer_depends_on_all_of_its_context(settings):
    model = classifier(**settings).eval()
    for values in model.parameters():
        values.data.abs_()  # so that nothing is lost on the way
    features = torch.rand(1, 50, 5, requires_grad=True)
    model(features)[0, 20].sum().backward()
    reached = features.grad[0].abs().sum(1).nonzero().flatten()
    assert (reached.min(), reached.max()) == (20 - model.context, 20 + model.context)


def test_asking_leaves_the_model_as_it_is():
    model = classifier().train()
    first, second = model.actionness(torch.ones(6, 5)), model.actionness(torch.ones(6, 5))
    assert torch.equal(first, second)  # no dropout
    assert model.training
    assert ((first >= 0) & (first <= 1)).all()


def test_normalisation_is_that_of_all_steps():
    parts = [torch.randn(8, 5) + 2, torch.randn(3, 5), torch.zeros(1, 5)]
    model = classifier()
    model.normalize_by(parts)
    together = torch.cat(parts)
    torch.testing.assert_close(model.mean, together.mean(0))
    torch.testing.assert_close(model.std, together.std(0, correction=0))
    model.normalize_by([torch.ones(4, 5)])
    assert torch.isfinite(model.actionness(torch.randn(3, 5))).all()


def test_proposals_are_the_groups_of_the_curve():
    model, one = classifier(), video(40)
    grouping = TAGSettings(smoothing=0.0)
    expected = temporal_actionness_grouping(model.actionness(one.features), grouping).bounds.long()
    assert torch.equal(ActionnessProposals(model, grouping).propose(one), expected)
    few = ActionnessProposals(model, grouping, max_proposals=3).propose(one)
    assert torch.equal(few, expected[:3])
    assert few.dtype == torch.int64
    for smoothing in (1e-320, 1e9):
        with pytest.raises(SettingsError, match="smoothing"):
            TAGSettings(smoothing=smoothing)
    for count in (0, 2.5):
        with pytest.raises(SettingsError, match="max_proposals >= 1"):
            ActionnessProposals(model, max_proposals=count)
    never = TAGSettings(thresholds=(1.0,))  # no group: the whole video
    assert ActionnessProposals(classifier(), never).propose(video(7)).tolist() == [[0, 7]]
