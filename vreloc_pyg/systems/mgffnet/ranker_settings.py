"""One settings object for MGFFNet's network, its pairs and its answers."""

from __future__ import annotations

from dataclasses import dataclass

from vreloc_pyg.errors import SettingsError
from vreloc_pyg.graphs.pairing import Pairing
from vreloc_pyg.nn.mgff_settings import MGFFSettings
from vreloc_pyg.settings import settings_of


@dataclass(frozen=True)
class RankerSettings(Pairing, MGFFSettings):
    """Everything that decides the answers of a trained MGFFNet. The defaults are the paper's.

    The fields of :class:`~vreloc_pyg.nn.MGFFSettings` (the network) and of
    :class:`~vreloc_pyg.graphs.Pairing` (how clips become graphs) stand side by side; ``context`` and
    ``pair_features``, which both need to know, are one. ``in_channels`` follows from the features.

    Args:
        refine: move windows by their predicted offsets (paper section 4.8.2).
    """

    refine: bool = True

    def __post_init__(self) -> None:
        super().__post_init__()
        if (self.conv != "sum") != (self.nodes == "match"):
            raise SettingsError(
                "conv='match' or 'gatv2', and nodes='match', need each other "
                f"(got {self.conv!r} and {self.nodes!r})"
            )

    def network(self, num_features: int) -> MGFFSettings:
        """The network's own, for features of a width; ``in_channels`` of another is refused."""
        width = self.node_channels(num_features)
        if self.in_channels not in (MGFFSettings.in_channels, width):
            raise SettingsError(
                f"Expected in_channels = {width}, as the features say (got {self.in_channels})"
            )
        return settings_of(MGFFSettings, self, {"in_channels": width})
