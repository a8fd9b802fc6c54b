"""The Prefect server of a run on the command line: the configured one, or a temporary one on loopback.

Prefect's own command starts a temporary one: it is up seconds before one in this process would be, which
still imports meanwhile, and its UI can be looked at while the run lasts.
"""

import atexit
import os
import socket
import subprocess
import sys
import time
import urllib.request
from contextlib import AbstractContextManager
from typing import Any

import prefect
from prefect.settings import (
    PREFECT_API_URL,
    PREFECT_FLOWS_HEARTBEAT_FREQUENCY,
    get_current_settings,
    temporary_settings,
)

from spanmatch.errors import InputValueError, SpanmatchError
from tasks.interrupts import children_uninterrupted

_ANSWERS_SECONDS = 180  # the first start in a new PREFECT_HOME builds a database
_STOP_SECONDS = 10


class PrefectServer:
    """Starts at once and answers after `wait`; a temporary server ends with this process.

    It ends at exit, after the threads in which Prefect sends the last logs and events.
    """

    def __init__(self) -> None:
        configured = get_current_settings().api.url
        self._process: subprocess.Popen[bytes] | None = None
        if configured is not None:
            self.url = configured
        else:
            port = _free_port()
            self.url = f"http://127.0.0.1:{port}/api"
            self._process = _start(port, self.url)
            atexit.register(_stop, self._process)

    def __str__(self) -> str:
        ui = self.url.removesuffix("/api")
        return f"Prefect server and UI at {ui}" + (" until this command ends" if self.temporary else "")

    @property
    def temporary(self) -> bool:
        """Whether the server ends with the run."""
        return self._process is not None

    def wait(self) -> None:
        """Wait until a temporary server answers; see that a configured one does.

        Raises
        ------
        SpanmatchError
            If it does not.
        """
        if self._process is None:
            with prefect.get_client(sync_client=True) as client:
                error = client.api_healthcheck()
            if error is not None:
                message = (
                    "`PREFECT_API_URL` must be the address of a Prefect server that answers, "
                    f"got {self.url!r} ({error}); start it, or unset the variable to use a temporary one"
                )
                raise InputValueError(message)
            return
        give_up = time.monotonic() + _ANSWERS_SECONDS
        while not _answers(self.url):
            if self._process.poll() is not None or time.monotonic() > give_up:
                raise SpanmatchError(
                    "a temporary Prefect server must start, but none did; see what `prefect server start` "
                    "says, or set PREFECT_API_URL to one that runs"
                )
            time.sleep(0.1)

    def in_use(self) -> AbstractContextManager[object]:
        """Let flows of this process use the server within the block."""
        updates: dict[Any, Any] = {PREFECT_API_URL: self.url}
        if self.temporary:  # nobody watches for a lost run there, and ending the heartbeat takes a second
            updates[PREFECT_FLOWS_HEARTBEAT_FREQUENCY] = None
        return temporary_settings(updates)


def _start(port: int, url: str) -> subprocess.Popen[bytes]:
    command = ["-m", "prefect", "server", "start", "--host", "127.0.0.1", "--port", str(port)]
    settings = {"PREFECT_SERVER_ANALYTICS_ENABLED": "false", "PREFECT_SERVER_UI_API_URL": url}
    with children_uninterrupted():
        return subprocess.Popen(  # noqa: S603 - our own interpreter and arguments
            [sys.executable, *command],
            env={**settings, **os.environ},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(_STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}/health", timeout=5):  # noqa: S310 - our own address
            return True
    except OSError:
        return False


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
