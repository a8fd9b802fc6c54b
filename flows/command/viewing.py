"""`spanmatch view`: a study's report in the browser, from its folder or by a server on loopback."""

import os
import signal
import webbrowser
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console

from flows import command
from flows.command.loopback import served
from flows.opened.refusing import nothing_in
from flows.study.file import read_study
from flows.study.kept import read_kept
from flows.study.model import Study
from spanmatch.errors import InputValueError
from storage.inventory import inventory
from storage.result_files import REPORT
from storage.root import Root, is_url
from tasks.stages import KINDS

_ENDS = (signal.SIGINT, signal.SIGTERM)
_ELSEWHERE = ("root", "scheduler", "device")  # keys of a study that change no result


def view_session(where: str, console: Console, port: int | None = None) -> None:
    """Show the report of a root; one that is served, until interrupted.

    Parameters
    ----------
    where
        The root, a folder or URL, or the YAML file of a study.
    console
        Where the report's path or address is shown, and what it does not hold.
    port
        Serve it on this port of loopback, also where it lies in a folder.

    Raises
    ------
    ValueError
        If there is none: what there is of the study has been shown.
    """
    root, study = _meant(where)
    root.check()
    _require_report(root, study, console)
    for notice in _notices(root, study):
        console.print(notice, style="yellow", markup=False, highlight=False, soft_wrap=True)
    if port is None and not is_url(root.where()):
        path = root.where(REPORT)
        console.print(f"report: {path}", markup=False, highlight=False, soft_wrap=True)
        _open(Path(path).as_uri(), console)
        return
    with served(root, port) as address, _asked_to_end() as wait:
        say = f"report: {root.where(REPORT)} at {address} until Ctrl-C"
        console.print(say, markup=False, highlight=False, soft_wrap=True)
        _open(address, console)
        wait()


def _meant(where: str) -> tuple[Root, Study | None]:
    """Return the root, and the study where its file is named."""
    path = Path(where).expanduser()
    if is_url(where) or not path.is_file():
        return Root.at(where), None
    if path.name == REPORT:
        return Root.at(path.parent), None
    study = read_study(path)
    return Root.at(study.root), study


def _require_report(root: Root, study: Study | None, console: Console) -> None:
    """See that there is a report, and the study's own; else show what there is of the study, and refuse."""
    kept = read_kept(root)
    there = REPORT in root.place.names("")
    others = kept is not None and study is not None and kept.study.name != study.name
    if there and not others:
        return
    if kept is not None and not others:
        raise InputValueError(
            f"`ROOT` must hold a report, but {root.where(REPORT)!r} is gone; `spanmatch report` of the study "
            "writes it again"
        )
    if study is not None:
        command.progress_session(study, console)
        lies = f"that of {kept.study.name!r}, which ran last" if kept and there else "no report"
        raise InputValueError(
            f"`ROOT` must hold a report of {study.name!r}, but in {root.where()!r} is {lies}; "
            "`spanmatch run` computes what is left, and writes it"
        )
    counts = Counter(item.kind.name for item in inventory(root, KINDS) for _ in item.keys)
    if listed := ", ".join(
        f"{kind.name} {counts[kind.name]}" for kind in reversed(KINDS) if counts[kind.name]
    ):
        raise InputValueError(
            f"`ROOT` must be one where a run has finished, but in {root.where()!r} is no report yet, only "
            f"what runs left on the way ({listed}); `spanmatch status` of the study says what is not there, "
            "`spanmatch run` computes it"
        )
    raise nothing_in(root, "ROOT")


def _notices(root: Root, study: Study | None) -> Iterator[str]:
    """Say what the report may lack."""
    if root.is_older:
        yield (
            "the root was written by an earlier version, and so was its report; `spanmatch report` of the "
            "study writes the page anew, `spanmatch run` computes what that version did not"
        )
    kept = read_kept(root)
    if study is None or kept is None:
        return
    keys = [key for key in Study.model_fields if key not in _ELSEWHERE]
    if other := [key for key in keys if getattr(study, key) != getattr(kept.study, key)]:
        named = ", ".join(f"`{key}`" for key in other)
        yield (
            f"the report is of the last run that has finished, with other {named} than the file has now; "
            "`spanmatch status` says what of that is not there, `spanmatch run` computes it"
        )


@contextmanager
def _asked_to_end() -> Iterator[Callable[[], object]]:
    """Yield what waits for Ctrl-C or the end of the session, whenever within the block it comes.

    As an exception it might be raised where Python passes over exceptions, and be lost.
    """
    reader, writer = os.pipe()
    before = {one: signal.signal(one, lambda *_: os.write(writer, b".")) for one in _ENDS}
    try:
        yield lambda: os.read(reader, 1)
    finally:
        for one, handler in before.items():
            signal.signal(one, handler)
        os.close(reader)
        os.close(writer)


def _open(address: str, console: Console) -> None:
    try:
        opened = webbrowser.open(address)
    except webbrowser.Error:
        opened = False
    if not opened:
        say = f"no browser could be opened here; open {address} in one"
        console.print(say, style="yellow", markup=False, highlight=False, soft_wrap=True)
