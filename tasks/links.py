"""Where people find a root's report: what to type, and its address where somebody serves folder or bucket.

A page of the Prefect UI links to neither: browsers open no ``file:`` from a page of a server, nor ``s3:``;
an address that is signed for a while is a secret, which no server must keep.
"""

import os
import re
import shlex
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import quote

from spanmatch.errors import InputValueError
from storage.result_files import REPORT
from storage.root import Root, is_url

REPORTS = "SPANMATCH_REPORTS"

# neither a user with a password, nor a query with a signature, nor what ends a link in Markdown
_ADDRESS = re.compile(r"""https?://[^\s/@?#()<>\[\]"'\\]+(/[^\s@?#()<>\[\]"'\\]*)?""")


def report_link(root: Root, environment: Mapping[str, str] = os.environ) -> str | None:
    """Return the address of a root's report, if the environment says where roots like it are served.

    Parameters
    ----------
    root
        The report's.
    environment
        Its ``SPANMATCH_REPORTS`` is ``PREFIX=ADDRESS``: what lies below the prefix, a folder or a URL, is
        shown below the address.

    Returns
    -------
    str or None
        None where nothing is said, or the root does not lie below the prefix.

    Raises
    ------
    ValueError
        If what is said has another form.
    """
    said = environment.get(REPORTS, "")
    if not said:
        return None
    prefix, _, address = said.rpartition("=")
    if not prefix or not _ADDRESS.fullmatch(address):
        raise InputValueError(
            f"`{REPORTS}` must be PREFIX=ADDRESS, a folder or URL of roots and where http or https shows it, "
            "without user, query or brackets, got another form; such as /data/runs=https://reports.example"
        )
    above = prefix.rstrip("/") if is_url(prefix) else str(Path(prefix).expanduser().resolve())
    place = root.where().rstrip("/")
    if place != above and not place.startswith(f"{above.rstrip('/')}/"):
        return None
    below = place.removeprefix(above).strip("/")
    return "/".join([address.rstrip("/"), *([quote(below)] if below else []), REPORT])


def report_sentence(root: Root) -> str:
    """Return what to type to see the whole report."""
    where = shlex.quote(root.where())
    return f"The whole report, to explore: spanmatch view {where}, typed where this root can be read."
