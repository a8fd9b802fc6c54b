"""Errors of other packages that a user can mend, each turned into one sentence; any other is a bug.

Imports nothing heavy: classes of packages that may not be loaded are recognised by name.
"""

import errno
import sysconfig
import traceback
from pathlib import Path

from spanmatch.errors import OwnCodeError, SpanmatchError
from storage.places import is_full

# Refusals of the system that somebody can lift; all others are ours to foresee.
_REFUSALS = {errno.EACCES, errno.EPERM, errno.EROFS, errno.EMFILE, errno.ENFILE, errno.EIO, errno.ESTALE}
_OURS = Path(__file__).resolve().parent.parent
_OUR_PACKAGES = tuple(_OURS / name for name in ("spanmatch", "storage", "tasks", "flows"))
_INSTALLED = tuple(Path(sysconfig.get_path(name)).resolve() for name in ("stdlib", "platstdlib"))
_PACKAGES = {"site-packages", "dist-packages"}


def explained(error: Exception) -> SpanmatchError | None:
    """Return what to tell the user in place of an error, or None where it is a bug."""
    if isinstance(error, SpanmatchError):
        return error
    if _is_out_of_memory(error):
        return SpanmatchError(
            f"a piece of work must fit into memory, but there was none left ({_first_line(error)}); lower "
            "`segment_images`, compare fewer layers or positions, or take a machine with more memory"
        )
    if (frames := _own_frames(error)) is not None:
        return _of_own_code(error, frames)
    if is_full(error):
        return SpanmatchError(
            f"the disk must have room for what is written, but it is full ({_first_line(error)}); free some "
            "space, and the same command goes on from here"
        )
    if isinstance(error, OSError) and error.errno in _REFUSALS:
        return SpanmatchError(
            f"a file must be one that can be read and written, got {error.filename!r} ({error.strerror}); "
            "see to its permissions, its disk, or the limits of this process"
        )
    package = type(error).__module__.partition(".")[0]
    if package in ("httpx", "httpcore") or type(error).__name__ == "PrefectHTTPStatusError":
        return SpanmatchError(
            "`PREFECT_API_URL` must be the address of a Prefect server that goes on answering, but it failed "
            f"({type(error).__name__}: {_first_line(error)}); see to the server, and run this again"
        )
    if type(error).__name__ == "ValidationError" and "Settings" in str(getattr(error, "title", "")):
        return SpanmatchError(
            f"the variables PREFECT_… must be what Prefect takes, but: {' '.join(str(error).split())}; "
            "correct or unset them"
        )
    return None


def _is_out_of_memory(error: Exception) -> bool:
    named = type(error).__name__ == "OutOfMemoryError"  # torch's, which need not be loaded
    return isinstance(error, MemoryError) or named or "can't allocate memory" in str(error)


def _own_frames(error: Exception) -> traceback.StackSummary | None:
    """Return the calls from the first in code of the user's own on, or None where there is none."""
    frames = traceback.extract_tb(error.__traceback__)
    for number, frame in enumerate(frames):
        if _is_own(Path(frame.filename)):
            return traceback.StackSummary.from_list(frames[number:])
    return None


def _is_own(file: Path) -> bool:
    if not file.is_absolute() or not file.is_file():  # made at run time, such as torch.fx's
        return False
    file = file.resolve()
    known = any(file.is_relative_to(folder) for folder in (*_INSTALLED, *_OUR_PACKAGES))
    return not known and _PACKAGES.isdisjoint(file.parts)


def _of_own_code(error: Exception, frames: traceback.StackSummary) -> OwnCodeError:
    last = [frame for frame in frames if _is_own(Path(frame.filename))][-1]
    trace = "".join(["Traceback (most recent call last):\n", *frames.format()])
    return OwnCodeError(
        f"code of your own must run through, but {last.name} in {last.filename}, line {last.lineno}, raised "
        f"{type(error).__name__}: {_first_line(error)}; mend it there, and run the same command again",
        trace + "".join(traceback.format_exception_only(error)),
    )


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0] or type(error).__name__
