"""The reference of the command line, from the program itself: its page ends with the help of each command."""

from copy import copy

import typer
from sphinx.application import Sphinx

from flows.command.cli import app as program

_PAGE = "docs/reference/command_line"
_WIDTH = 88


def setup(app: Sphinx) -> dict[str, bool]:
    """Have the page completed when Sphinx reads it."""
    app.connect("source-read", _complete)
    return {"parallel_read_safe": True}


def _complete(_app: Sphinx, page: str, source: list[str]) -> None:
    if page == _PAGE:
        source[0] += described(program)


def described(program: typer.Typer) -> str:
    """Return a section in Markdown for each command that is not hidden, in the program's order."""
    plain = copy(program)
    plain.rich_markup_mode = None  # text without boxes
    group = typer.main.get_group(plain)
    above = typer.Context(group, info_name="spanmatch")
    sections = []
    for name, command in group.commands.items():
        if not command.hidden:
            context = typer.Context(command, info_name=name, parent=above, terminal_width=_WIDTH)
            help_text = command.get_help(context)
            sections.append(f"\n## {name}\n\n```text\n{help_text}\n```\n")
    return "".join(sections)
