"""Every block of code on every page is one that could be run: its commands, options, files and names exist.

What a block does is tested where it is run: README and examples in `test_examples.py`, CONTRIBUTING.md in
`test_contributing.py`, docs/data.md in `test_data.py`, docs/own_videos.md in `test_own_videos.py`, and
docs/tutorial.md in `test_tutorial.py` beside this.
"""

import ast
import builtins
import configparser
import importlib
import importlib.util
import json
import re
import shlex

import pytest

from tests.docs.pages import PAGES, ROOT, blocks, lines, name
from vreloc_pyg import cli
from vreloc_pyg.commands.listing import learned_systems, system_settings
from vreloc_pyg.errors import SettingsError
from vreloc_pyg.systems.catalog import SYSTEMS

#: What stands for the reader's own data on a page: names that its blocks do not make.
GIVEN = {
    "README.md": {"query", "proposal", "reference"},
    "docs/library.md": {"features", "seconds_per_step", "query", "localizer"},
}
LANGUAGES = {"sh", "python", "text", "csv", "json", "yaml", "{toctree}", "{eval-rst}", "{vreloc-commands}"}
EVERYWHERE = {"--config", "--help", "--version"}
#: What may stand after a dot: settings of any system, and systems.
NESTED = {*SYSTEMS, "all"}.union(
    *(
        re.findall(r"^  (\w+) ", text, re.MULTILINE)
        for name in learned_systems()
        for text in system_settings(name)
    )
)
SETUP = configparser.ConfigParser()
SETUP.read(ROOT / "setup.cfg")
TARGETS = set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), flags=re.MULTILINE))

every_page = pytest.mark.parametrize("page", PAGES, ids=name)


def check_vreloc(words):
    """A whole command is what its parser reads, and names settings that some system has."""
    cli.make_parser(cli.find_command(words)).read(words[1:])
    for key in re.findall(r"^--[\w-]+\.([\w-]+)", "\n".join(words), re.MULTILINE):
        assert {key, key.replace("-", "_")} & NESTED, key


def check_line(line):
    """A line of a shell block: nothing is done."""
    program, *words = shlex.split(line, comments=True)
    if program == "vreloc":
        check_vreloc(words)
    elif program == "torchrun":
        assert words[words.index("-m") + 1] == "vreloc_pyg", line
        check_vreloc(words[words.index("-m") + 2 :])
    elif program == "make":
        assert set(words) <= TARGETS, line
    elif program == "python":
        script = (ROOT / words[0]).read_text(encoding="utf-8")
        for option in (word for word in words if word.startswith("--")):
            assert re.search(rf'"{option}"', script), option
    else:
        assert program == "pip", f"nobody checks lines like {line!r}"


@every_page
def test_commands_are_read_by_the_real_parsers(page, monkeypatch):
    monkeypatch.chdir(ROOT)  # `--config configs/...` is read
    for line in lines(page):
        try:
            check_line(line)
        except SettingsError as error:
            pytest.fail(f"{line}: {error}")


@pytest.mark.parametrize(
    "line",
    [
        "vreloc trian --data synthetic --output x",
        "vreloc train --daat synthetic --output x",
        "vreloc train --training.epoch 3 --output x",
        "vreloc benchmark --training.nobody '{epochs: 3}' --output x",
        "vreloc evaluate --output x",
        "make nothing",
        "python benchmarks/extract.py --nothing",
        "curl anything",
    ],
)
def test_what_is_not_there_is_found(line):
    with pytest.raises((AssertionError, SettingsError)):
        check_line(line)


@every_page
def test_commands_within_sentences_have_these_options(page):
    text = re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)
    for code in re.findall(r"`vreloc ([^`]*)`", text):
        words = code.split()
        if words[0] not in {"COMMAND", *EVERYWHERE}:
            options = {one.spelled for one in cli.make_parser(words[0]).options.values()} | EVERYWHERE
            named = {word.partition("=")[0].partition(".")[0] for word in words if word.startswith("--")}
            assert named <= options, code
    for extras in re.findall(r"(?:vreloc_pyg|['\"`]\.)\[([\w,]+)\]", page.read_text(encoding="utf-8")):
        assert set(extras.split(",")) <= set(SETUP["options.extras_require"]), extras


@every_page
def test_python_and_data_are_whole(page):
    """Python compiles, and every name in it is made on the page, imported from where it is, or given."""
    known = set(dir(builtins)) | GIVEN.get(name(page), set())
    for language, text in blocks(page):
        assert language in LANGUAGES, f"nobody checks blocks of {language!r}"
        if language == "json":
            json.loads(text)
        elif language == "python":
            tree = ast.parse(text)
            known |= made(tree)
            used = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
            assert used <= known, used - known


def made(tree):
    """Names that a block makes; what it imports is there."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            module = importlib.import_module(node.module)
            assert all(hasattr(module, one.name) for one in node.names), ast.unparse(node)
        elif isinstance(node, ast.Import):
            assert all(importlib.util.find_spec(one.name) for one in node.names), ast.unparse(node)
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            found |= {one.asname or one.name.partition(".")[0] for one in node.names}
        elif isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            found.add(node.name)
        elif isinstance(node, ast.arg):
            found.add(node.arg)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            found.add(node.id)
    return found
