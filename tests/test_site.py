"""The documentation site: what its build looks for, and that its pages are of what is there.

`make docs-fast` builds it, with warnings as errors and every link within it followed; `.ci/run` calls that.
"""

import importlib
import re
import tomllib
from pathlib import Path

import pytest
import yaml
from conftest import REPOSITORY
from test_interpretation import BLOCK, run
from test_readme import README

import flows.opened.stored_study
import spanmatch
from docs.site.check import faults
from docs.site.command_line import described
from flows.command.cli import app

DOCS = REPOSITORY / "docs"
REFERENCE = {path.stem: path.read_text(encoding="utf-8") for path in (DOCS / "reference").glob("*.md")}

GOOD = """<link rel="stylesheet" href="a.css"><script src="a.js"></script><img src="a%20b.png">
<h1 id="top">x</h1> <a href="#top"></a> <a href="sub/b.html#ä"></a> <a href="https://example.org/">elsewhere</a>"""


def site(folder: Path, page: str = GOOD, style: str = "p { background: url(a.png) }") -> list[str]:
    (folder / "sub").mkdir()
    for name, text in {
        "a.html": page,
        "sub/b.html": '<p id="ä"><a href="../a.html#top"></a>',
        "a.css": style,
    }.items():
        (folder / name).write_text(text, encoding="utf-8")
    for name in ("a.js", "a b.png"):
        (folder / name).touch()
    return faults(folder)


def test_a_site_without_faults_has_none(tmp_path: Path) -> None:
    assert site(tmp_path) == []


@pytest.mark.parametrize(
    ("page", "fault"),
    [
        ('<a href="none.html">', "none.html leads nowhere"),
        ('<a href="sub/none.html#top">', "sub/none.html#top leads nowhere"),
        ('<a href="#none">', "#none leads to no place of that page"),
        ('<a href="sub/b.html#top">', "sub/b.html#top leads to no place of that page"),
        ('<img src="none.png">', "none.png leads nowhere"),
        ('<a href="/a.html">', "/a.html leads nowhere"),
        ('<script src="https://cdn.example.org/a.js">', "https://cdn.example.org/a.js is of another host"),
        ('<link href="//example.org/a.css">', "//example.org/a.css is of another host"),
        (
            "<style>@import 'https://example.org/a.css'</style>",
            "https://example.org/a.css is of another host",
        ),
    ],
)
def test_a_fault_of_a_page_is_found(tmp_path: Path, page: str, fault: str) -> None:
    assert site(tmp_path, GOOD + page) == [f"a.html: {fault}"]


def test_a_style_sheet_that_asks_another_host_is_found(tmp_path: Path) -> None:
    asks = "@font-face { src: url('https://example.org/f.woff2') }"
    assert site(tmp_path, style=asks) == ["a.css: https://example.org/f.woff2 is of another host"]


def test_the_command_line_s_reference_has_the_help_of_each_command() -> None:
    text = described(app)
    names = [command.name or command.callback.__name__ for command in app.registered_commands]
    assert re.findall(r"^## (.*)$", text, re.MULTILINE) == names
    for section, command in zip(text.split("\n## ")[1:], app.registered_commands, strict=True):
        assert "Usage: spanmatch " in section
        assert " ".join(command.callback.__doc__.split()[:5]) in section
    assert {"--epsilon", "--scheduler", "--older-than", "--json"} <= set(re.findall(r"--[a-z-]+", text))


def referenced() -> set[str]:
    """Full names of all that the reference has a directive for."""
    names = set()
    for text in REFERENCE.values():
        for kind, name in re.findall(r"^\.\. (currentmodule|auto\w+):: ([\w.]+)", text, re.MULTILINE):
            if kind == "currentmodule":
                module = name
            else:
                names.add(f"{module}.{name}")
    return names


@pytest.mark.parametrize("package", ["matching", "measures", "statistics", "comparing"])
def test_the_reference_has_every_name(package: str) -> None:
    known = referenced()
    assert {f"spanmatch.{name}" for name in spanmatch.__all__} - known == set()
    for name in importlib.import_module(f"spanmatch.{package}").__all__:
        assert {f"spanmatch.{name}", f"spanmatch.{package}.{name}"} & known, name


def test_every_function_that_a_question_leads_to_is_there() -> None:
    page = (DOCS / "questions.md").read_text(encoding="utf-8")
    found = re.findall(r"`(spanmatch|Comparison|StoredStudy)\.([\w.]+)`", page)
    assert len(found) >= 30
    for owner, name in found:
        value = {"spanmatch": spanmatch, "Comparison": spanmatch.Comparison}.get(
            owner, flows.opened.stored_study.StoredStudy
        )
        for part in name.split("."):
            value = getattr(value, part)


def test_the_start_prints_what_it_shows() -> None:
    section, _, networks = (DOCS / "start.md").read_text(encoding="utf-8").partition("## Two networks")
    names: dict[str, object] = {}
    blocks = list(BLOCK.finditer(section))
    assert len(blocks) == 4
    for block in blocks:
        assert run(block, names) == (block["shown"] or "")
    (lines,) = BLOCK.finditer(networks)
    assert README.count("\n".join(lines["code"].splitlines()[:2])) == 1


def test_the_readme_s_first_screen_has_the_picture_the_two_commands_and_three_lines_of_compare() -> None:
    screen = README[: README.index("\n## ")].splitlines()[:25]
    text = "\n".join(screen)
    (picture,) = re.findall(r'<img src="([^"]+)" width="(\d+)" alt="\w[^"]+">', text)
    assert (REPOSITORY / picture[0]).is_file()
    assert int(picture[1]) <= 560
    (code,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    assert len([line for line in code.splitlines() if line]) == 3
    assert "spanmatch.compare(" in code
    (commands,) = re.findall(r"```\n(.*?)```", text[text.index(code) + len(code) + 3 :], re.DOTALL)
    assert re.findall(r"^make \w+", commands, re.MULTILINE) == ["make run", "make test"]


def test_the_citation_is_of_this_version() -> None:
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    cited = yaml.safe_load((REPOSITORY / "CITATION.cff").read_text(encoding="utf-8"))
    assert cited["cff-version"] == "1.2.0"
    for key in ("version", "license"):
        assert cited[key] == project[key]
    assert [each["name"] for each in cited["authors"]] == [each["name"] for each in project["authors"]]
