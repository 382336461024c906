"""``vreloc systems``."""

from __future__ import annotations

from vreloc_pyg.commands.listing import entry, system_settings


def systems(name: str | None = None) -> None:
    """List every system with its kin, its row in tables and its source, or the settings of one.

    Args:
        name: of a system that is trained.

    Example:
        vreloc systems cgbm
    """
    from vreloc_pyg.systems.catalog import every_system

    if name is not None:
        print("\n\n".join(system_settings(name)))
        return
    for system in every_system():
        print(entry(system.name, "; ".join(filter(None, (system.kin, system.row, system.source)))))
