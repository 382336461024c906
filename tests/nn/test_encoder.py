import pytest
import torch

from vreloc_pyg.nn.encoder import ClipEncoder


def lstm_by_hand(encoder, clip):
    """The states of one clip by the equations of an LSTM."""
    lstm = encoder.lstm
    hidden = cell = torch.zeros(lstm.hidden_size)
    states = []
    for x in clip:
        gates = lstm.weight_ih_l0 @ x + lstm.bias_ih_l0 + lstm.weight_hh_l0 @ hidden + lstm.bias_hh_l0
        take, forget, candidate, out = gates.chunk(4)
        cell = torch.sigmoid(forget) * cell + torch.sigmoid(take) * torch.tanh(candidate)
        hidden = torch.sigmoid(out) * torch.tanh(cell)
        states.append(hidden)
    return torch.stack(states)


@pytest.mark.parametrize("num_steps", [1, 6])
def test_states_are_those_of_a_one_way_lstm(num_steps):
    encoder = ClipEncoder(3, 4)
    clips = torch.randn(2, num_steps, 3)
    states = encoder(clips)
    assert states.shape == (2, num_steps, 4)
    torch.testing.assert_close(states, torch.stack([lstm_by_hand(encoder, clip) for clip in clips]))


def test_padding_behind_a_clip_does_not_change_its_states():
    encoder = ClipEncoder(3, 4)
    clip = torch.randn(1, 5, 3)
    padded = torch.cat([clip, torch.full((1, 4, 3), 9.0)], dim=1)
    torch.testing.assert_close(encoder(padded)[:, :5], encoder(clip))


def test_dropout_is_on_the_states_and_in_training_only():
    encoder = ClipEncoder(3, 50, dropout=0.4)
    clips = torch.randn(8, 20, 3)
    dropped = encoder(clips)
    encoder.eval()
    states = encoder(clips)
    torch.testing.assert_close(states, ClipEncoder.forward(encoder, clips))
    gone = dropped == 0
    assert 0.35 < gone.float().mean() < 0.45
    torch.testing.assert_close(dropped[~gone], states[~gone] / 0.6)


def test_parameters_are_drawn_anew():
    encoder = ClipEncoder(3, 4)
    before = encoder.lstm.weight_ih_l0.clone()
    encoder.reset_parameters()
    assert not torch.equal(encoder.lstm.weight_ih_l0, before)
    assert encoder.lstm.weight_ih_l0.abs().max() <= 0.5  # 1 / sqrt(4)
