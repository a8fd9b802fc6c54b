"""A root in an object store: files are built in a local folder and uploaded, the manifest last.

What has no manifest is not there: object stores have no renames. Credentials come from the environment and
are never kept or shown.
"""

import os
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import urlsplit

import obstore
from obstore.exceptions import BaseError, PermissionDeniedError, UnauthenticatedError
from obstore.store import from_url
from zarr.storage import ObjectStore

from spanmatch.errors import InputValueError
from storage.places import File, Place, UnreachableRootError, UnusableRootError

SCHEMES = ("s3", "gs", "az")

# What a group is not read without, in the order in which it is uploaded; removed in the other order.
_MARKERS = ("zarr.json", "manifest.json")
_CONNECTIONS = 8
# An endpoint that refuses is given up after a second and a half, one that does not answer after twenty.
_CLIENT: Any = {"connect_timeout": "5s", "timeout": "300s", "allow_http": True}
_RETRY: Any = {
    "max_retries": 3,
    "backoff": {
        "init_backoff": timedelta(milliseconds=200),
        "max_backoff": timedelta(seconds=2),
        "base": 2,
    },
    "retry_timeout": timedelta(seconds=60),
}


@dataclass(frozen=True)
class Bucket(Place):
    """A prefix in a bucket. Only the URL travels to other processes; each opens its own connection."""

    url: str

    def __post_init__(self) -> None:
        parts = urlsplit(self.url)
        if parts.scheme not in SCHEMES:
            known = ", ".join(f"{scheme}://" for scheme in SCHEMES)
            message = (
                f"`root` must be a folder or a URL that begins with one of {known}, got {self.url!r}; "
                "write a folder as a path"
            )
            raise InputValueError(message)
        if "@" in parts.netloc or parts.query or parts.fragment:
            raise InputValueError(
                "`root` must be a URL of bucket and prefix alone, got one with credentials or options in it; "
                "give them in the environment, such as AWS_ACCESS_KEY_ID"
            )
        if not parts.netloc:
            message = f"`root` must name a bucket, got {self.url!r}; write {parts.scheme}://bucket/prefix"
            raise InputValueError(message)

    def locate(self, name: str) -> str:
        """Return the URL of a name."""
        return f"{self.url}/{name}" if name else self.url

    def check(self) -> None:
        """List the top of the prefix: that takes credentials, a bucket and somebody who answers."""
        endpoint = os.environ.get("AWS_ENDPOINT_URL", "http://")
        if not endpoint.startswith(("http://", "https://")):
            message = (
                f"`AWS_ENDPOINT_URL` must begin with http:// or https://, got {endpoint!r}; "
                "correct it, or unset it to use Amazon's own"
            )
            raise UnusableRootError(message)
        with self._answering():
            obstore.list_with_delimiter(self._store)

    def read(self, name: str) -> bytes:
        """Download an object."""
        with self._answering():
            return obstore.get(self._store, name).bytes().to_bytes()

    def names(self, folder: str) -> set[str]:
        """List the objects right below a prefix."""
        with self._answering():
            listed = obstore.list_with_delimiter(self._store, folder)
        return {PurePosixPath(entry["path"]).name for entry in listed["objects"]}

    def folders(self, folder: str) -> set[str]:
        """List the prefixes right below a prefix."""
        with self._answering():
            listed = obstore.list_with_delimiter(self._store, folder or None)
        return {PurePosixPath(prefix).name for prefix in listed["common_prefixes"]}

    def files(self, folder: str) -> Iterator[File]:
        """List all objects below a prefix."""
        with self._answering():
            for page in obstore.list(self._store, folder):
                for entry in page:
                    yield File(entry["path"], entry["size"], entry["last_modified"].timestamp())

    def settle(self, staged: Path, name: str, *, replace: bool) -> None:
        """Upload what is staged, what it is read by last."""
        if not staged.is_dir():
            self._upload(staged, name)
            return
        if replace:
            self.remove(name)
        elif self._has(f"{name}/{_MARKERS[-1]}"):
            return
        files = {path.relative_to(staged).as_posix(): path for path in staged.rglob("*") if not path.is_dir()}
        markers = [marker for marker in _MARKERS if marker in files]
        with ThreadPoolExecutor(_CONNECTIONS) as pool:
            rest = files.keys() - set(markers)
            list(pool.map(lambda file: self._upload(files[file], f"{name}/{file}"), rest))
        for marker in markers:
            self._upload(files[marker], f"{name}/{marker}")

    def remove(self, name: str) -> None:
        """Delete the markers first, then the rest."""
        for first in (name, *(f"{name}/{marker}" for marker in reversed(_MARKERS))):
            with self._answering(), suppress(FileNotFoundError):
                obstore.delete(self._store, first)
        with self._answering():
            below = [entry["path"] for page in obstore.list(self._store, name) for entry in page]
            obstore.delete(self._store, below)

    @property
    def staging(self) -> Path:
        """A folder of this user on the local disk; TMPDIR says which disk."""
        return Path(tempfile.gettempdir()) / f"spanmatch-{os.getuid()}"

    def arrays(self) -> ObjectStore[Any]:
        """Return the prefix as a Zarr store."""
        return ObjectStore(self._store, read_only=True)

    def trouble(self, error: Exception) -> UnusableRootError | None:
        """Tell a request that failed from an object that is cut short: one has no such range (416)."""
        said = ("Error performing", "HTTP error")  # the latter where a connection breaks in an object's midst
        failed = isinstance(error, BaseError) and any(words in str(error) for words in said)
        if not failed or "416 " in _first_line(error):
            return None
        return self._explained(error)

    @property
    def _store(self) -> Any:  # noqa: ANN401 - one of obstore's stores
        return _open(self.url)

    def _has(self, name: str) -> bool:
        with self._answering():
            try:
                obstore.head(self._store, name)
            except FileNotFoundError:
                return False
        return True

    def _upload(self, path: Path, name: str) -> None:
        with self._answering():
            obstore.put(self._store, name, path)

    @contextmanager
    def _answering(self) -> Iterator[None]:
        try:
            yield
        except BaseError as error:
            raise self._explained(error) from None

    def _explained(self, error: Exception) -> UnusableRootError:
        """Say in one sentence the rule, the URL, what the store said, and what to do."""
        said, kind = _first_line(error), UnusableRootError
        if "NoSuchBucket" in str(error):
            rule, remedy = "lie in a bucket that exists", "make the bucket, or correct its name"
        elif "/latest/" in said or isinstance(error, UnauthenticatedError):  # where machines get theirs
            rule, remedy = (
                "be a URL for which there are credentials",
                (
                    "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or what your object store takes, "
                    "here and on every Dask worker"
                ),
            )
        elif isinstance(error, PermissionDeniedError):
            rule, remedy = (
                "be a URL that your credentials open",
                "ask for leave to list, read and write there",
            )
        else:
            kind = UnreachableRootError
            rule, remedy = (
                "be the URL of an object store that answers",
                ("see whether AWS_ENDPOINT_URL is right and the store is up; what is stored there is kept"),
            )
        return kind(f"`root` must {rule}, got {self.url!r} ({said}); {remedy}")


@cache
def _open(url: str) -> Any:  # noqa: ANN401 - one of obstore's stores
    return from_url(url, client_options=_CLIENT, retry_config=_RETRY)


def _first_line(error: Exception) -> str:
    """Return what happened, without the response's body and the client's own state."""
    line = str(error).partition("\n")[0]
    return line.partition(": <")[0].strip()
