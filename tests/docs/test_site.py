"""The site is built without a warning, and holds every public name and every command."""

import importlib
import pkgutil
import subprocess
import sys

import pytest

import vreloc_pyg
from tests.docs.pages import ROOT
from vreloc_pyg import cli

PACKAGES = [
    one.name for one in pkgutil.walk_packages(vreloc_pyg.__path__, "vreloc_pyg.") if one.ispkg
]  # imports packages, not their modules


def public(package: str) -> list[str]:
    return list(getattr(importlib.import_module(package), "__all__", []))


def test_every_package_with_public_names_has_its_page():
    exporting = {package.partition(".")[2] for package in PACKAGES if public(package)}
    pages = {page.stem for page in (ROOT / "docs/api").glob("*.md")}
    assert exporting - pages == set(), "add docs/api/NAME.md, like those there"
    modules = {name for name in pages - exporting if (ROOT / f"vreloc_pyg/{name}.py").is_file()}
    assert pages == exporting | modules
    for name in pages:
        assert f".. automodule:: vreloc_pyg.{name}\n" in (ROOT / f"docs/api/{name}.md").read_text()


@pytest.mark.slow
def test_the_site_is_built_without_warnings_and_is_whole(tmp_path):
    words = ["-m", "sphinx", "--fail-on-warning", "--keep-going", "--quiet", "-c", "docs", "-d"]
    done = subprocess.run(
        [sys.executable, *words, tmp_path / "doctrees", ".", tmp_path / "site"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=280,
    )
    assert (done.returncode, done.stderr) == (0, "")

    from sphinx.util.inventory import InventoryFile

    with open(tmp_path / "site/objects.inv", "rb") as file:
        inventory = InventoryFile.load(file, "", lambda base, page: page)
    known = {name for kind, names in inventory.items() if kind.startswith("py:") for name in names}
    constants = {name.rpartition(".")[2] for name in inventory["py:data"]}
    for package in PACKAGES:
        lacking = {name for name in public(package) if f"{package}.{name}" not in known} - constants
        assert not lacking, package
    commands = (tmp_path / "site/docs/commands.html").read_text(encoding="utf-8")
    for name in cli.COMMANDS:
        assert f'id="vreloc-{name}"' in commands
        for option in cli.make_parser(name).options.values():
            assert f'<span class="pre">{option.spelled}</span>' in commands, option
    assert 'class="math notranslate nohighlight"' in (tmp_path / "site/docs/api/nn.html").read_text()
    assert "docs/index.html" in (tmp_path / "site/index.html").read_text()
    assert not list((tmp_path / "site").rglob("*.gz")), "data are no pages"
