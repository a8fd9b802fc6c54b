"""Which study of a root is opened."""

from pathlib import Path

from flows.opened.refusing import nothing_in
from flows.opened.stored_study import StoredStudy
from flows.study.file import read_study
from flows.study.kept import kept_studies, read_kept, read_looked_up
from flows.study.model import Study
from flows.study.resolve import resolve
from flows.study.resolved import Resolved
from spanmatch.errors import unknown_name
from storage.root import Root, is_url


def open_root(path: str | Path, *, study: str | None = None) -> StoredStudy:
    """Open what the runs of a study have stored; see `spanmatch.open_root`."""
    where = str(path)
    if not is_url(where) and Path(where).expanduser().is_file():
        named = read_study(Path(where))
        where, study = named.root, study or named.name
    root = Root.at(where)
    root.check()
    found, resolved = _study_of(root, study)
    return StoredStudy(root, found.model_copy(update={"root": where}), resolved)


def _study_of(root: Root, name: str | None) -> tuple[Study, Resolved]:
    last = read_kept(root)
    if last is None:
        raise nothing_in(root)
    names = list(dict.fromkeys([last.study.name, *kept_studies(root)]))
    if name is not None and name not in names:
        raise unknown_name("study", name, names, remedy="or run it first")
    name = name or last.study.name
    looked_up = read_looked_up(root, name)
    # a version that writes no more than study.json has run last
    if looked_up is None or (name == last.study.name and looked_up.kept != last):
        return last.study, resolve(last.study, root)
    return looked_up.study, looked_up.resolved or resolve(looked_up.study, root)
