"""The graph of a pair, which has several sets of edges."""

from __future__ import annotations

from torch_geometric.data import Data
from torch_geometric.utils import contains_self_loops, is_undirected


class PairData(Data):
    """``Data`` with a set of edges ``edge_index_k1 ...`` for every scale.

    What PyTorch Geometric says of edges holds for all of them together.
    """

    @property
    def scales(self) -> tuple[int, ...]:
        """The values of k whose edges it holds, ascending."""
        prefix = "edge_index_k"
        return tuple(sorted(int(key[len(prefix) :]) for key in self.keys() if key.startswith(prefix)))

    @property
    def num_edges(self) -> int:
        """Number of the edges of all scales."""
        return sum(self[f"edge_index_k{k}"].size(1) for k in self.scales)

    def is_undirected(self) -> bool:
        """Whether every edge of every scale has one back, of the same weight and attributes."""
        return all(
            is_undirected(
                self[f"edge_index_k{k}"],
                [self[name] for name in (f"edge_weight_k{k}", f"edge_attr_k{k}") if name in self],
                num_nodes=self.num_nodes,
            )
            for k in self.scales
        )

    def has_self_loops(self) -> bool:
        """Whether any node has an edge to itself."""
        return any(contains_self_loops(self[f"edge_index_k{k}"]) for k in self.scales)
