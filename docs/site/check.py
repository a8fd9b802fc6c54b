"""What holds of the built site: every link within it leads somewhere, and no page asks another host.

A build of which it does not hold ends with an error. What scripts would ask for, no text of theirs tells.
"""

import re
from collections.abc import Iterator, Mapping
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

from sphinx.application import Sphinx
from sphinx.errors import ExtensionError

_LOADED = {"script": "src", "img": "src", "iframe": "src", "source": "src", "link": "href", "object": "data"}
_CSS_URL = re.compile(r"""(?:url\(|@import)\s*["']?((?:https?:)?//[^"')\s]+)""")


class _Page(HTMLParser):
    """The ids of a page, what it links to, and what is loaded with it."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.ids: set[str] = set()
        self.links: set[str] = set()
        self.loaded: set[str] = set(_CSS_URL.findall(text))
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = {name: value or "" for name, value in attrs}
        self.ids |= {found[name] for name in ("id", "name") if name in found}
        if tag == "a" and "href" in found:
            self.links.add(found["href"])
        if source := found.get(_LOADED.get(tag, ""), ""):
            self.loaded.add(source)


def faults(folder: Path) -> list[str]:
    """Return what is wrong with the pages and style sheets of a folder, a sentence each, in order."""
    pages = {path: _Page(path.read_text(encoding="utf-8")) for path in sorted(folder.rglob("*.html"))}
    found = [f"{path.relative_to(folder)}: {fault}" for path in pages for fault in _of_page(path, pages)]
    for path in sorted(folder.rglob("*.css")):
        urls = _CSS_URL.findall(path.read_text(encoding="utf-8"))
        found += [f"{path.relative_to(folder)}: {url} is of another host" for url in urls]
    return found


def _of_page(path: Path, pages: Mapping[Path, _Page]) -> Iterator[str]:
    page = pages[path]
    for url in sorted(page.loaded):
        if urlsplit(url).netloc:
            yield f"{url} is of another host"
    for url in sorted(page.links | page.loaded):
        parts = urlsplit(url)
        if parts.scheme or parts.netloc:
            continue
        target = path if not parts.path else (path.parent / unquote(parts.path)).resolve()
        if not target.is_file():
            yield f"{url} leads nowhere"
        elif parts.fragment and target in pages and unquote(parts.fragment) not in pages[target].ids:
            yield f"{url} leads to no place of that page"


def _check(app: Sphinx, exception: Exception | None) -> None:
    if exception is None and app.builder.format == "html" and (found := faults(Path(app.outdir))):
        raise ExtensionError("the site has faults:\n" + "\n".join(found))


def setup(app: Sphinx) -> dict[str, bool]:
    """Have the site looked through when it is written."""
    app.connect("build-finished", _check)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
