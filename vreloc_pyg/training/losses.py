"""The losses of :mod:`vreloc_pyg.nn.losses`, where they are used."""

from vreloc_pyg.nn.losses import l2_penalty, listwise_loss, regression_loss, triplet_loss

__all__ = ["l2_penalty", "listwise_loss", "regression_loss", "triplet_loss"]
