"""The table of licences names what setup.cfg asks for, and what the installed packages say."""

import re
import subprocess
import sys
from importlib.metadata import distributions

import pytest
from packaging.utils import canonicalize_name

from tests.docs.pages import ROOT

CODE = """
import sys
sys.path.insert(0, "docs")
import licences
for name, extra in licences.direct().items():
    print(f"| {name} | {f'`{extra}`' if extra else 'everything'} | {licences.licence(name)} |")
"""


def test_every_requirement_has_its_licence():
    here = {canonicalize_name(one.metadata["Name"]): one.version for one in distributions()}
    pins = re.findall(r"^(\S+)==([^\s;]+)", (ROOT / "constraints.txt").read_text(), flags=re.MULTILINE)
    if any(here.get(canonicalize_name(name), pin).partition("+")[0] != pin for name, pin in pins):
        pytest.skip("the table is of the releases of constraints.txt for Python 3.11")
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", CODE], cwd=ROOT, capture_output=True, text=True, check=True
    )
    table = (ROOT / "docs/installing.md").read_text(encoding="utf-8").partition("<!-- generated: licences")[2]
    rows = re.findall(r"^\| \S+ \| .*\|$", table, flags=re.MULTILINE)[2:]
    assert rows == done.stdout.splitlines(), "run `make licences`"
    assert not [row for row in rows if "see the package" in row]
