"""Trained models that come with the package, by name."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

#: Each is named as its system; a ``README.md`` in its folder tells what it was trained on.
SHIPPED = ("mgffnet",)


def model_folder(checkpoint: str | Path) -> Path:
    """The folder of a checkpoint: its path, or, where no such folder is, that of a shipped model's name."""
    path = Path(checkpoint)
    if str(checkpoint) not in SHIPPED or path.exists():
        return path
    return Path(str(resources.files("vreloc_pyg") / "models" / str(checkpoint)))
