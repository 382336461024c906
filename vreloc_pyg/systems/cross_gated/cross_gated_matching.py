"""Cross-gated bilinear matching of a reference with a query, forward and backward in time."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class CrossGatedMatching(nn.Module):
    r"""Recurrent matching of every reference step with the query (Feng et al., ECCV 2018, section 3.2).

    From the states :math:`h^q_i` of the query and :math:`h_t` of the reference, and the recurrent state
    :math:`h'_{t-1}`:

    .. math::
        e_i &= w^\top \tanh(W_q h^q_i + W_r [h_t; h'_{t-1}] + b) + c, \qquad
        a_t = \sum_i \mathrm{softmax}_i(e) \, h^q_i \\
        \tilde a_t &= \sigma(W_a h_t + b_a) \odot a_t, \qquad
        \tilde h_t = \sigma(W_b a_t + b_b) \odot h_t \\
        t_j &= \sum_{f=1}^k F(\tilde h_t)_{jf} \, F(\tilde a_t)_{jf}, \qquad
        h'_t = \mathrm{LSTM}(t, h'_{t-1})

    The two directions have a cell each and share everything else; the backward one runs over the reversed
    steps of each reference. Both advance in one loop. ``channels`` are l, ``num_factors`` k.

    Shapes:
        - query: ``[B, q, l]``, query_mask: ``[B, q]`` bool
        - reference: ``[B, r, l]``, lengths: ``[B]`` int64, in steps
        - output: forward and backward states, ``[B, r, 2 l]``; behind a short reference they mean nothing
    """

    def __init__(self, channels: int, num_factors: int) -> None:
        super().__init__()
        self.channels = channels
        self.num_factors = num_factors
        self.query_key = nn.Linear(channels, channels, bias=False)
        self.reference_key = nn.Linear(2 * channels, channels)
        self.relevance = nn.Linear(channels, 1)
        self.query_gate = nn.Linear(channels, channels)
        self.reference_gate = nn.Linear(channels, channels)
        self.factors = nn.Linear(channels, channels * num_factors)
        self.forward_cell = nn.LSTMCell(channels, channels)
        self.backward_cell = nn.LSTMCell(channels, channels)

    def forward(self, query: Tensor, query_mask: Tensor, reference: Tensor, lengths: Tensor) -> Tensor:
        own_weight, state_weight = self.reference_key.weight.split(self.channels, dim=1)
        known = torch.cat(
            [
                reference,
                nn.functional.linear(reference, own_weight, self.reference_key.bias),
                self.query_gate(reference).sigmoid(),
            ],
            dim=-1,
        )  # [B, r, 3 l]: all that does not wait for the recurrence
        order = _reversed_steps(lengths, reference.size(1))
        both = torch.stack([known, _pick(known, order)])  # [2, B, r, 3 l]
        query_keys = self.query_key(query)
        hidden = reference.new_zeros(2, *reference[:, 0].shape)  # [2, B, l]
        cell = torch.zeros_like(hidden)
        absent = torch.zeros_like(query[..., 0]).masked_fill(~query_mask, -torch.inf)  # [B, q]
        weight, bias = self._cells()
        outputs = []
        for step in both.unbind(2):  # backward of unbind is one stack; of indexing, a tensor of zeros a step
            own, own_key, query_gate = step.chunk(3, dim=-1)  # [2, B, l] each
            key = own_key + nn.functional.linear(hidden, state_weight)
            attended = self._attend(query, query_keys, key, absent)
            gated = torch.stack([own * self.reference_gate(attended).sigmoid(), attended * query_gate])
            ours, theirs = self.factors(gated).unbind()  # [2, B, l k] each
            matched = (ours * theirs).unflatten(-1, (-1, self.num_factors)).sum(-1)  # [2, B, l]
            gates = torch.baddbmm(bias, torch.cat([matched, hidden], dim=-1), weight)  # [2, B, 4 l]
            taken, kept, new, shown = gates.chunk(4, dim=-1)
            cell = torch.addcmul(kept.sigmoid() * cell, taken.sigmoid(), new.tanh())
            hidden = shown.sigmoid() * cell.tanh()
            outputs.append(hidden)
        forward, backward = torch.stack(outputs, dim=2).unbind()  # [B, r, l] each
        return torch.cat([forward, _pick(backward, order)], dim=-1)

    def _attend(self, query: Tensor, query_keys: Tensor, key: Tensor, absent: Tensor) -> Tensor:
        """Means of the query's states ``[B, q, l]``, weighted for the keys of a step, ``[2, B, l]``."""
        activations = (query_keys + key.unsqueeze(2)).tanh_()  # [2, B, q, l]
        energies = self.relevance(activations).squeeze(-1) + absent  # [2, B, q]
        weights = energies.softmax(dim=-1).transpose(0, 1)  # [B, 2, q]
        return torch.bmm(weights, query).transpose(0, 1)

    def _cells(self) -> tuple[Tensor, Tensor]:
        """Weights ``[2, 2 l, 4 l]`` and biases ``[2, 1, 4 l]`` of both cells, for input and state in one."""
        cells = (self.forward_cell, self.backward_cell)
        weight = torch.stack([torch.cat([cell.weight_ih, cell.weight_hh], dim=1).t() for cell in cells])
        bias = torch.stack([cell.bias_ih + cell.bias_hh for cell in cells])
        return weight.contiguous(), bias.unsqueeze(1)


def _reversed_steps(lengths: Tensor, num_steps: int) -> Tensor:
    """For each clip its steps in reverse, then the padding as it is, ``[B, num_steps]``; its own inverse."""
    steps = torch.arange(num_steps, device=lengths.device).expand(len(lengths), -1)
    return torch.where(steps < lengths.unsqueeze(1), lengths.unsqueeze(1) - 1 - steps, steps)


def _pick(states: Tensor, order: Tensor) -> Tensor:
    """States ``[B, T, c]`` at the steps ``order [B, T]``."""
    return states.gather(1, order.unsqueeze(-1).expand_as(states))
