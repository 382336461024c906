"""What the site has beside its pages: every command from its parser, and ways to other projects' pages."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from docutils import nodes
from docutils.nodes import make_id
from pygments.lexers.special import TextLexer
from sphinx.addnodes import pending_xref
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.util.docutils import SphinxDirective

from vreloc_pyg import cli
from vreloc_pyg.commands.listing import filled
from vreloc_pyg.commands.parser import MISSING, Option, described, type_name

TORCH = "https://docs.pytorch.org/docs/stable"
PYG = "https://pytorch-geometric.readthedocs.io/en/stable/generated"
#: Pages of what our signatures name. Other projects' inventories would have to be fetched in every build.
ELSEWHERE = {
    "torch.Tensor": f"{TORCH}/tensors.html",
    "torch.nn.Module": f"{TORCH}/generated/torch.nn.Module.html",
    "torch_geometric.data.Data": f"{PYG}/torch_geometric.data.Data.html",
    "torch_geometric.data.Batch": f"{PYG}/torch_geometric.data.Batch.html",
    "torch_geometric.nn.conv.MessagePassing": f"{PYG}/torch_geometric.nn.conv.MessagePassing.html",
    "torch_geometric.transforms.BaseTransform": f"{PYG}/torch_geometric.transforms.BaseTransform.html",
}
#: Other names of the same, as signatures and bases spell them.
SAME = {
    "Tensor": "torch.Tensor",
    "Module": "torch.nn.Module",
    "torch.nn.modules.module.Module": "torch.nn.Module",
    "Data": "torch_geometric.data.Data",
    "torch_geometric.data.data.Data": "torch_geometric.data.Data",
    "MessagePassing": "torch_geometric.nn.conv.MessagePassing",
    "torch_geometric.nn.conv.message_passing.MessagePassing": "torch_geometric.nn.conv.MessagePassing",
    "BaseTransform": "torch_geometric.transforms.BaseTransform",
    "torch_geometric.transforms.base_transform.BaseTransform": "torch_geometric.transforms.BaseTransform",
}
FIRST_PAGE = (
    '<!doctype html><meta charset="utf-8"><title>vreloc_pyg</title>'
    '<meta http-equiv="refresh" content="0; url={0}">'
)


class VrelocCommands(SphinxDirective):
    """``{vreloc-commands}``: a section for every command, made from its parser."""

    def run(self) -> list[nodes.Node]:
        """The sections, in the order of `vreloc --help`."""
        self.env.note_dependency(cli.__file__)
        return [self.section(name) for name in cli.COMMANDS]

    def section(self, name: str) -> nodes.section:
        """What a command does, its arguments and settings, and an example."""
        parser = cli.make_parser(name)
        about, example = described(parser.command)
        identity = make_id(f"vreloc-{name}")
        section = nodes.section(ids=[identity], names=[f"vreloc {name}"])
        section += nodes.title(text=f"vreloc {name}")
        section += [self.paragraph(filled(part)) for part in about]
        section += self.code(example, "sh")
        arguments = nodes.definition_list()
        for one in parser.options.values():
            arguments += self.argument(one)
        section += arguments
        for text in getattr(sys.modules[parser.command.__module__], "further_help", list)():
            section += self.code(text, "text")
        self.state.document.note_explicit_target(section)
        return section

    def argument(self, one: Option) -> nodes.definition_list_item:
        """An argument: how it is spelled, its type and default, and what it means."""
        notes = [type_name(one.hint)]
        if one.default is not MISSING and one.default is not None:
            notes.append(f"default {one.default}")
        elif one.default is MISSING and not one.positional:
            notes.append("must be given")
        term = nodes.term("", "", nodes.literal(text=one.spelled), nodes.Text(f" ({', '.join(notes)})"))
        return nodes.definition_list_item("", term, nodes.definition("", self.paragraph(filled(one.text))))

    def paragraph(self, text: str) -> nodes.paragraph:
        """A paragraph in which what stands in `backticks` is code."""
        parts = text.split("`")
        return nodes.paragraph(
            "",
            "",
            *[nodes.literal(text=part) if at % 2 else nodes.Text(part) for at, part in enumerate(parts)],
        )

    def code(self, text: str, language: str) -> nodes.literal_block:
        """A block of code."""
        return nodes.literal_block(text, text, language=language)


def refer_elsewhere(
    app: Sphinx, env: BuildEnvironment, node: pending_xref, shown: nodes.TextElement
) -> nodes.reference | None:
    """A link for a name that another project documents."""
    target = str(node.get("reftarget"))
    page = ELSEWHERE.get(SAME.get(target, target))
    return None if page is None else nodes.reference("", "", shown, internal=False, refuri=page)


def write_first_page(app: Sphinx, problem: Exception | None) -> None:
    """``index.html`` where a browser looks for it: the root page lies in a folder, as its source does."""
    if problem is None and app.builder.format == "html":
        start = app.builder.get_target_uri(app.config.root_doc)
        Path(app.outdir, "index.html").write_text(FIRST_PAGE.format(start), encoding="utf-8")


def setup(app: Sphinx) -> dict[str, Any]:
    """Called by Sphinx."""
    app.add_directive("vreloc-commands", VrelocCommands)
    app.add_lexer("csv", TextLexer)
    app.connect("missing-reference", refer_elsewhere)
    app.connect("build-finished", write_first_page)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
