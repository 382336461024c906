"""Settings and names of tables for a help, read from the package's source: importing it takes seconds."""

from __future__ import annotations

import ast
import re
import textwrap
from collections.abc import Mapping
from functools import cache
from pathlib import Path

import vreloc_pyg
from vreloc_pyg.errors import SettingsError
from vreloc_pyg.systems.catalog import SYSTEMS
from vreloc_pyg.video.extractors import EXTRACTORS

ROOT = Path(vreloc_pyg.__file__).parent
WIDTH, INDENT = 100, 26


def entry(name: str, text: str) -> str:
    """A name and what it means, in two columns."""
    lines = textwrap.wrap(text, WIDTH - INDENT, break_on_hyphens=False)
    if len(name) + 3 > INDENT:
        lines.insert(0, "")
    return f"  {name}".ljust(INDENT) + f"\n{' ' * INDENT}".join(lines)


def documented(docstring: str | None) -> dict[str, str]:
    """What a docstring says of each argument, without markup."""
    _, _, text = (docstring or "").partition("Args:\n")
    found: dict[str, str] = {}
    for names, meaning in re.findall(r"^ {4}([\w, ]+): (.*(?:\n {8}.*)*)", text, re.MULTILINE):
        plain = re.sub(r":\w+:`[~.]*(?:\w+\.)*(\w+)`", r"\1", " ".join(meaning.split())).replace("``", "")
        found.update(dict.fromkeys(names.split(", "), plain))
    return found


def system_settings(name: str) -> list[str]:
    """The settings of a system's network and of its run, a text each.

    Raises:
        SettingsError: if there is no learned system of that name.
    """
    if name not in learned_systems():
        raise SettingsError(f"Unknown system {name!r}; known are {', '.join(learned_systems())}")
    module, made = _system(name)
    if "settings" not in made:
        return []
    own = {key: ast.unparse(value) for key, value in made.items()}
    chosen = made.get("chosen")
    if isinstance(chosen, ast.Dict):
        pairs = zip(chosen.keys, chosen.values, strict=True)
        own = {ast.unparse(key).strip("'"): ast.unparse(value) for key, value in pairs if key} | own
    run = made.get("training")
    if not isinstance(run, ast.Call):
        return [
            settings_text("model", module, own["settings"], own),
            settings_text("training", "settings", "RunSettings"),
        ]
    given = {one.arg or "": ast.unparse(one.value) for one in run.keywords}
    training = settings_text("training", module, ast.unparse(run.func), given)
    return [settings_text("model", module, own["settings"], own), training]


def settings_text(option: str, module: str, name: str, replaced: Mapping[str, str] | None = None) -> str:
    """The settings that an option takes, with types, defaults and meanings.

    Args:
        option: its name.
        module, name: of their dataclass.
        replaced: defaults in place of the dataclass's own.
    """
    found = settings_of(module, name)
    lines = [f"Settings of --{option}, such as --{option}.{next(iter(found), 'NAME')} VALUE:"]
    for name, (kind, default, text) in found.items():
        default = (replaced or {}).get(name, default)
        lines.append(entry(name, f"{kind}{default and ' = '}{default}; {text}".rstrip("; ")))
    return "\n".join(lines)


def settings_of(module: str, name: str) -> dict[str, tuple[str, str, str]]:
    """Type, default and meaning of each field of a dataclass, those of its bases first."""
    found: dict[str, tuple[str, str, str]] = {}
    module, node = _definition(module, name)
    if isinstance(node, ast.ClassDef):
        for base in reversed(node.bases):
            found |= settings_of(module, ast.unparse(base))
        texts = documented(ast.get_docstring(node))
        for field in node.body:
            if isinstance(field, ast.AnnAssign):
                key = ast.unparse(field.target)
                default = "" if field.value is None else ast.unparse(field.value)
                found[key] = (
                    _type(module, field.annotation),
                    default,
                    texts.get(key) or found.get(key, ("", "", ""))[2],
                )
    return found


def learned_systems() -> list[str]:
    """Names of the systems that are trained."""
    return [
        name
        for name, place in SYSTEMS.items()
        if not isinstance(place, str) or "settings" in _system(name)[1]
    ]


def task_names() -> list[str]:
    """Names of the data sets: each module of them that makes one says it."""
    found = []
    for path in sorted((ROOT / "datasets").glob("*.py")):
        module = f"datasets.{path.stem}"
        _, call = _definition(module, "TASK")
        if isinstance(call, ast.Call):
            found.append(_constant(module, call.args[0] if call.args else call.keywords[0].value))
    return found


#: Names that a help fills in where it says {so}.
LISTS = {"tasks": task_names, "learned": learned_systems, "extractors": lambda: list(EXTRACTORS)}


def filled(text: str) -> str:
    """A text with the names of tables in their places."""
    return re.sub(r"\{(\w+)\}", lambda m: ", ".join(LISTS[m[1]]()) if m[1] in LISTS else m[0], text)


@cache
def _tree(module: str) -> ast.Module:
    path = ROOT.joinpath(*module.split("."))
    path = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    return ast.parse(path.read_text(encoding="utf-8"))


def _definition(module: str, name: str) -> tuple[str, ast.AST | None]:
    """Where a name of a module is defined, and what it is there."""
    for node in _tree(module).body:
        if isinstance(node, (ast.ClassDef, ast.FunctionDef)) and node.name == name:
            return module, node
        if isinstance(node, (ast.Assign, ast.AnnAssign)) and re.match(rf"{name}\b", ast.unparse(node)):
            return module, node.value
        if isinstance(node, ast.ImportFrom) and name in [one.name for one in node.names]:
            source = node.module or ""
            if source.startswith("vreloc_pyg."):
                return _definition(source.removeprefix("vreloc_pyg."), name)
    return module, None


def _type(module: str, annotation: ast.expr) -> str:
    """A type as people write it: what an alias stands for, and choices one after the other."""

    def plain(name: re.Match[str]) -> str:
        where, alias = _definition(module, name[0])
        text = name[0] if alias is None else ast.unparse(alias)
        if table := re.search(r"OneOf\((\w+)\)", text):
            keys = getattr(_definition(where, table[1])[1], "keys", [])
            return ", ".join(str(ast.literal_eval(key)) for key in keys)
        return re.sub(r"Annotated\[(\w+), .*", r"\1", text)

    text = re.sub(r"Annotated\[(\w+), \w+\(.*?\)\]", r"\1", ast.unparse(annotation))
    text = re.sub(r"\b[A-Z]\w+", plain, text)
    return re.sub(r"Literal\[(.*?)\]", lambda choices: choices[1].replace("'", ""), text)


def _constant(module: str, node: ast.AST | None) -> str:
    """A text that a module names: as it is, by a variable, or by an attribute of a class."""
    if isinstance(node, ast.Attribute):
        module, owner = _definition(module, ast.unparse(node.value))
        body = {ast.unparse(one).split(" =")[0]: one for one in getattr(owner, "body", [])}
        node = getattr(body.get(node.attr), "value", None)
    if isinstance(node, ast.Name):
        module, node = _definition(module, node.id)
    return str(node.value) if isinstance(node, ast.Constant) else ""


def _system(name: str) -> tuple[str, dict[str, ast.expr]]:
    """The module of a system's spec, and what that is made with."""
    module, _, attribute = str(SYSTEMS[name]).partition(":")
    return "systems" + module, _made_with("systems" + module, ast.Name(attribute))


def _made_with(module: str, node: ast.AST | None) -> dict[str, ast.expr]:
    """The keywords of a call; those of the original too, of a copy or a function that makes one."""
    if isinstance(node, ast.Name):
        module, node = _definition(module, node.id)
    if not isinstance(node, ast.Call):
        return {}
    own = {one.arg: one.value for one in node.keywords if one.arg}
    if ast.unparse(node.func) == "replace":
        return {**_made_with(module, node.args[0]), **own}
    _, maker = _definition(module, ast.unparse(node.func))
    if isinstance(maker, ast.FunctionDef) and isinstance(maker.body[-1], ast.Return):
        copied = maker.body[-1].value
        original = copied.args[0] if isinstance(copied, ast.Call) and copied.args else None
        return {**_made_with(module, original), **own}
    return own
