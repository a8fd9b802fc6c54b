"""A root's report on loopback, for a browser that cannot open it where it lies."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import cast

from spanmatch.errors import InputValueError, SpanmatchError
from storage.result_files import REPORT
from storage.root import Root

HOST = "127.0.0.1"
_SERVED = {"/": REPORT, f"/{REPORT}": REPORT}
_IDLE_SECONDS = 60
_HEADERS = {
    "Cache-Control": "no-store",
    # the page brings a policy of its own, which is stricter; both hold
    "Content-Security-Policy": "default-src 'unsafe-inline' data: blob:; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


class _Server(ThreadingHTTPServer):
    """Answers with the report that the root holds when it is asked."""

    daemon_threads = True

    def __init__(self, root: Root, port: int) -> None:
        super().__init__((HOST, port), _Handler)
        self.root = root
        # another name may be a stranger's that leads here: pages of theirs would read the report by it
        self.hosts = {f"{name}:{self.server_port}" for name in (HOST, "localhost")}

    def handle_error(self, request: object, client_address: object) -> None:
        """Pass over a browser that has gone."""
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)  # type: ignore[arg-type]


class _Handler(BaseHTTPRequestHandler):
    server_version, sys_version = "spanmatch", ""
    timeout = _IDLE_SECONDS

    def do_GET(self) -> None:
        server = cast("_Server", self.server)
        if self.headers.get("Host") not in server.hosts:
            self.send_error(HTTPStatus.MISDIRECTED_REQUEST)
            return
        name = _SERVED.get(self.path.partition("?")[0])
        if name is None:
            self.send_error(HTTPStatus.NOT_FOUND)
            return
        try:
            content = server.root.read(name)
        except FileNotFoundError:
            self.send_error(HTTPStatus.NOT_FOUND)
        except (OSError, SpanmatchError) as error:
            self.send_error(HTTPStatus.BAD_GATEWAY, explain=str(error))
        else:
            self.send_response(HTTPStatus.OK)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

    def end_headers(self) -> None:
        """Send what every answer has, errors included."""
        for name, value in _HEADERS.items():
            self.send_header(name, value)
        super().end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing of requests."""


@contextmanager
def served(root: Root, port: int | None = None) -> Iterator[str]:
    """Serve a root's report, and no other file, for as long as the block lasts; yield its address.

    Parameters
    ----------
    root
        Where the report is read, at each request.
    port
        Of loopback; None for one that is free.

    Raises
    ------
    ValueError
        If the port cannot be had.
    """
    try:
        server = _Server(root, port or 0)
    except OSError as error:
        raise InputValueError(
            f"`--port` must be one that is free and that you may use, got {port} ({error.strerror}); choose "
            "another"
        ) from None
    with server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.1})
        thread.start()
        try:
            yield f"http://{HOST}:{server.server_port}/"
        finally:
            server.shutdown()
            thread.join()
