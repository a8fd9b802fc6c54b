"""What the processes of one test session share: made once, by whichever needs it first, and ended with it.

Apart from the fixtures because pytest has a session in each of its processes, and these are of all of them.
"""

import fcntl
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

import psutil

_FOLDER = "SPANMATCH_TESTS_SHARED"  # in the environment, from where the other processes take it
_STARTED = "started"  # an empty file for each process, named by its number
_STOP_SECONDS = 30

_kept: list[subprocess.Popen[bytes]] = []  # Python warns of one that runs and is referred to no more


def begin() -> None:
    """Make the folder of all that is shared; called by the process that leads the session."""
    folder = os.environ[_FOLDER] = tempfile.mkdtemp(prefix="spanmatch-tests-")
    (Path(folder) / _STARTED).mkdir()


def end() -> None:
    """End what was started, and remove the folder; called by the process that leads the session."""
    folder = Path(os.environ.pop(_FOLDER))
    for group in sorted(int(path.name) for path in (folder / _STARTED).iterdir()):
        _end_group(group)
    shutil.rmtree(folder)


def once(name: str, make: Callable[[Path], None]) -> Path:
    """Return a folder that `make` has filled, in this process or in another one."""
    folder = Path(os.environ[_FOLDER]) / name
    with folder.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (made := folder.with_suffix(".made")).exists():
            shutil.rmtree(folder, ignore_errors=True)  # where `make` has failed before
            folder.mkdir()
            make(folder)
            made.touch()
    return folder


def start(command: Sequence[str], env: dict[str, str]) -> None:
    """Start a process that runs until the session ends."""
    process = subprocess.Popen(
        command, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )
    _kept.append(process)
    (Path(os.environ[_FOLDER]) / _STARTED / str(process.pid)).touch()


def _end_group(group: int) -> None:
    """End a process that leads its own group, and everything that it started."""
    members = [process for process in psutil.process_iter() if _group_of(process) == group]
    for how in (signal.SIGTERM, signal.SIGKILL):
        with suppress(ProcessLookupError):
            os.killpg(group, how)
        _, members = psutil.wait_procs(members, timeout=_STOP_SECONDS)
        if not members:
            return


def _group_of(process: psutil.Process) -> int | None:
    with suppress(ProcessLookupError):
        return os.getpgid(process.pid)
    return None
