"""Moments as the package's own JSON, which :func:`vreloc_pyg.moments.load_moments` reads."""

from __future__ import annotations

import json
from dataclasses import asdict

from vreloc_pyg.answers.exports.content import Content, ExportFormat


def write(content: Content) -> str:
    """Every field of every moment."""
    values = {"about": dict(content.about), "moments": [asdict(one) for one in content.moments]}
    return json.dumps(values, indent=2) + "\n"


JSON = ExportFormat(write)
