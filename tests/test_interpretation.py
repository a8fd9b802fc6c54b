"""Every Python block of docs/interpretation.md runs, and prints what the page shows below it."""

import re
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from typing import NamedTuple

import pytest

from spanmatch.measures import MEASURES

REPOSITORY = Path(__file__).parent.parent
PAGE = REPOSITORY / "docs/interpretation.md"
BLOCK = re.compile(r"```python\n(?P<code>.*?)```\n(?:\n```text\n(?P<shown>.*?)```\n)?", re.DOTALL)
LINK = re.compile(r"\]\((?P<page>[^)#:]*)(?:#(?P<anchor>[^)]+))?\)")


class Section(NamedTuple):
    title: str
    blocks: list[re.Match[str]]


def sections() -> list[Section]:
    """Sections of the page in order; the part before the first heading is the first."""
    parts = re.split(r"^## ", PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return [Section(part.partition("\n")[0].lstrip("# "), list(BLOCK.finditer(part))) for part in parts]


def run(block: re.Match[str], names: dict[str, object]) -> str:
    printed = StringIO()
    with redirect_stdout(printed):
        exec(compile(block["code"], str(PAGE), "exec"), names)
    return printed.getvalue()


INTRODUCTION, *SECTIONS = sections()


@pytest.mark.parametrize("section", SECTIONS, ids=[section.title for section in SECTIONS])
def test_every_claim_is_shown_by_what_its_example_prints(section):
    assert section.blocks, "a claim needs an example"
    names: dict[str, object] = {}
    for block in (*INTRODUCTION.blocks, *section.blocks):
        assert run(block, names) == (block["shown"] or "")


def test_every_block_is_of_python_or_of_what_it_prints():
    text = PAGE.read_text(encoding="utf-8")
    blocks = [block for section in sections() for block in section.blocks]
    fences = len(re.findall(r"^```", text, re.MULTILINE))
    assert fences == sum(2 if block["shown"] is None else 4 for block in blocks)


def test_every_measure_has_its_question_and_what_it_is_blind_to():
    table = [row.split("|")[1:-1] for row in PAGE.read_text(encoding="utf-8").splitlines() if "| `" in row]
    names = [name for _, measure, _ in table for name in re.findall(r"`([a-z0-9-]+)`", measure)]
    assert names == list(MEASURES)
    assert all(cell.strip() for row in table for cell in row)


def slug(heading: str) -> str:
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def test_links_to_the_page_and_from_it_lead_somewhere():
    found = []
    for source in (REPOSITORY / "README.md", *PAGE.parent.glob("*.md")):
        for link in LINK.finditer(source.read_text(encoding="utf-8")):
            target = (source.parent / link["page"]).resolve() if link["page"] else source
            if PAGE in (source, target):
                headings = re.findall(r"^#+ (.+)$", target.read_text(encoding="utf-8"), re.MULTILINE)
                assert link["anchor"] is None or link["anchor"] in map(slug, headings), link[0]
                found.append(source.name)
    assert {"README.md", "study.md", "measures.md"} <= set(found)
