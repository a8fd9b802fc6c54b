"""Links from a name in a docstring, an annotation or a page to where the reference describes it."""

import re

from docutils import nodes
from sphinx.addnodes import pending_xref
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.transforms.post_transforms import SphinxPostTransform
from sphinx.util.nodes import make_refnode

_OURS = ("spanmatch.", "storage.", "tasks.", "flows.")
_KINDS = ("class", "exception", "function", "data")
# Of code on a page, what can be nothing but a name of ours: other words are keys, columns, arguments.
_NAME = re.compile(r"(spanmatch\.)?(?P<name>[A-Z]\w+(\.\w+)?|(?<=\.)[\w.]+)(\(.*\))?")

_FILE = re.compile(r"(docs/)?(?P<page>\w+)\.md")


def setup(app: Sphinx) -> dict[str, bool]:
    """Have names looked up that Sphinx finds nowhere."""
    app.connect("missing-reference", _described)
    app.add_post_transform(_NamesOnPages)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def _described(
    app: Sphinx, env: BuildEnvironment, node: pending_xref, shown: nodes.TextElement
) -> nodes.Element | None:
    """Find `spanmatch.matching.gram.GramMatrix`, or `GramMatrix`, as `spanmatch.GramMatrix`.

    What stands in backticks and is described nowhere is code. A type of ours that is described nowhere is not
    found, and Sphinx says so.
    """
    if node.get("refdomain") != "py":
        return None
    path, _, name = node["reftarget"].rpartition(".")
    if not path or f"{path}.".startswith(_OURS):
        known = env.domains.python_domain.objects.items()
        found = [
            (full, entry)
            for full, entry in known
            if full.rpartition(".")[2] == name and entry.objtype in _KINDS and not entry.aliased
        ]
        if len(found) == 1:
            ((full, entry),) = found
            return make_refnode(app.builder, node["refdoc"], entry.docname, entry.node_id, shown, full)
    return shown if node["reftype"] == "obj" else None


class _NamesOnPages(SphinxPostTransform):
    """Links `spanmatch.compare`, written as code, to the reference, and calls `theory.md` by its title."""

    default_priority = 500

    def run(self, **_: object) -> None:
        for link in self.document.findall(nodes.reference):
            file = _FILE.fullmatch(link.astext())
            if file and link.get("internal") and (title := self.env.titles.get(f"docs/{file['page']}")):
                link.children = [nodes.Text(title.astext())]
        known = self.env.domains.python_domain.objects
        for code in list(self.document.findall(nodes.literal)):
            name = _NAME.fullmatch(code.astext())
            if name is None or isinstance(code.parent, nodes.reference | nodes.title):
                continue
            for full in (f"spanmatch.{name['name']}", f"flows.opened.stored_study.{name['name']}"):
                if full in known:
                    entry = known[full]
                    here, shown = self.env.docname, code.deepcopy()
                    link = make_refnode(self.app.builder, here, entry.docname, entry.node_id, shown, full)
                    code.replace_self(link)
                    break
