"""The report as one HTML page that answers: the static one, and before it the explorer.

Without scripts, what is left is the static page.
"""

import base64
import hashlib
import json
from importlib.resources import files
from typing import Any

from spanmatch.reporting.drawn import Drawn
from spanmatch.reporting.explorer.explored import explored
from spanmatch.reporting.explorer.packed import Arrays
from spanmatch.reporting.explorer.sprite import add_exemplars
from spanmatch.reporting.page import page_around
from spanmatch.reporting.results import StudyResults

__all__ = ["explorer_page"]

_PREFIX = "explorer"
_SCRIPTS = (
    *("study", "markup", "view", "words", "along", "curve", "columns", "list", "opened", "heat"),
    *("download", "controls", "main"),
)


def explorer_page(results: StudyResults, drawn: Drawn | None = None) -> str:
    """Write the report of a study as one HTML page with an explorer.

    Parameters
    ----------
    results
        The study's.
    drawn
        Their figures, where some are drawn already.

    Returns
    -------
    str
        A page that opens from disk and asks for nothing; `report_page` is what it is without scripts. Equal
        results give an equal page, byte for byte.
    """
    arrays = Arrays()
    document = explored(results, arrays) | add_exemplars(results, arrays)
    script = _script()
    policy = (
        f"default-src 'none'; script-src 'sha256-{_digest(script)}'; style-src 'unsafe-inline'; "
        "img-src data:; base-uri 'none'; form-action 'none'"
    )
    return page_around(
        results,
        drawn or Drawn(results),
        head=[
            f'<meta http-equiv="Content-Security-Policy" content="{policy}">',
            f"<style>\n{_sprite_rule(document)}{_read('explorer.css')}</style>",
        ],
        first=[f'<section id="{_PREFIX}" aria-label="Explorer" hidden></section>'],
        last=[
            _document_markup(document | {"arrays": arrays.types}),
            *arrays.markup(_PREFIX),
            f"<script>{script}</script>",
        ],
    )


def _read(name: str) -> str:
    return files("spanmatch.reporting.explorer").joinpath(name).read_text(encoding="utf-8")


def _script() -> str:
    """Return the scripts as one, in a scope of its own."""
    parts = "\n".join(_read(f"{name}.js") for name in _SCRIPTS)
    return f'\n(() => {{\n"use strict";\n{parts}}})();\n'


def _digest(script: str) -> str:
    return base64.b64encode(hashlib.sha256(script.encode()).digest()).decode("ascii")


def _sprite_rule(document: dict[str, Any]) -> str:
    """Take the sprite from the document, and write the rule that shows it: once, however many tiles."""
    sprite = document["sprite"]
    if sprite is None:
        return ""
    return f".tile {{ background: url({sprite.pop('image')}) 0 0 / {100 * sprite['columns']}% auto; }}\n"


def _document_markup(document: dict[str, Any]) -> str:
    """Write the document so that no name in it can end the element it stands in."""
    text = json.dumps(document, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    safe = text.replace("<", "\\u003c")
    return f'<script type="application/json" id="{_PREFIX}-document">{safe}</script>'
