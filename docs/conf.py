"""The site: `make docs` builds it from the Markdown, the docstrings and the parsers of the commands."""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "docs")]  # the checkout's package, and site_pages

project = "vreloc_pyg"
author = "The vreloc_pyg authors"
project_copyright = "The vreloc_pyg authors, MIT licence"
version = release = import_module("vreloc_pyg").__version__

# The source is the repository and not docs/, so that a link leads to the same page here and there.
root_doc = "docs/index"
include_patterns = [
    *("README.md", "CONTRIBUTING.md", "CHANGELOG.md"),
    *("docs/**.md", "vreloc_pyg/models/*/README.md"),
]
# Tables without a heading, which the reports beside them show, are files to read as they are.
exclude_patterns = [".*", "build", "outputs", "**/results.md", "**/differences.md", "**/sign_flip.md"]
extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx.ext.mathjax",
    "sphinx.ext.viewcode",
    "site_pages",
]
myst_heading_anchors = 4
default_role = "code"  # of `names` in docstrings

autodoc_default_options = {"members": True, "show-inheritance": True}
autodoc_inherit_docstrings = False
autodoc_member_order = "bysource"
autodoc_preserve_defaults = True
autodoc_typehints = "description"
autodoc_typehints_description_target = "documented"
napoleon_numpy_docstring = False
napoleon_custom_sections = ["Shape", "Shapes"]

html_theme = "furo"
html_title = f"vreloc_pyg {release}"
html_copy_source = False
