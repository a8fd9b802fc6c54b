"""`spanmatch view`: a browser is given the report, where it lies or by loopback; or it is said why not."""

import http.client
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import webbrowser
from collections.abc import Callable, Iterator
from importlib import reload
from pathlib import Path

import pytest
from conftest import COMMAND, TINY, Environment, free_port, write_study
from older_roots import make_older
from typer.testing import CliRunner

from flows.command import cli
from flows.command.loopback import HOST, served
from storage.result_files import REPORT
from storage.root import Root

Look = Callable[..., str]


def write_browser(folder: Path) -> tuple[Path, Path]:
    """Write a program that takes the place of a browser, and return it with the file of what it was given."""
    program, given = folder / "browser", folder / "given"
    program.write_text(f'#!/bin/sh\nprintf %s "$1" > {given}\n')
    program.chmod(0o755)
    return program, given


@pytest.fixture
def browser(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The file in which a browser says what it was given to open."""
    program, given = write_browser(tmp_path)
    monkeypatch.setenv("BROWSER", f"{program} %s")
    reload(webbrowser)  # it reads the environment once
    yield given
    monkeypatch.undo()
    reload(webbrowser)


@pytest.fixture
def without_browser(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in ("BROWSER", "DISPLAY", "WAYLAND_DISPLAY", "TERM"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    reload(webbrowser)
    yield
    monkeypatch.undo()
    reload(webbrowser)


@pytest.fixture
def look(monkeypatch: pytest.MonkeyPatch) -> Look:
    """The command in the process of the tests; what it printed."""
    monkeypatch.setattr(cli.console, "width", 400)

    def run(*args: object, expect: int = 0) -> str:
        done = CliRunner().invoke(cli.app, ["view", *map(str, args)], catch_exceptions=False)
        assert done.exit_code == expect, done.output
        return done.output

    return run


def take_away(root: Path, *names: str) -> None:
    for name in names:
        path = root / name
        shutil.rmtree(path) if path.is_dir() else path.unlink()


def test_the_report_of_a_folder_is_opened_where_it_lies(
    tiny_root: Path, tmp_path: Path, browser: Path, look: Look
) -> None:
    study = write_study(tmp_path, TINY | {"root": str(tiny_root)})
    for where in (tiny_root, study, tiny_root / REPORT):
        browser.unlink(missing_ok=True)
        assert look(where) == f"report: {tiny_root / REPORT}\n"
        assert browser.read_text() == (tiny_root / REPORT).as_uri()


def test_names_that_mean_something_in_an_address_are_spelled(
    tmp_path: Path, browser: Path, look: Look
) -> None:
    root = tmp_path / 'a #1? "é" <b> [c]'
    root.mkdir()
    (root / REPORT).write_text("")
    assert look(root) == f"report: {root / REPORT}\n"
    assert browser.read_text().endswith("/a%20%231%3F%20%22%C3%A9%22%20%3Cb%3E%20%5Bc%5D/report.html")


def test_where_there_is_no_browser_it_says_what_to_open(
    tiny_root: Path, without_browser: None, look: Look
) -> None:
    said = f"no browser could be opened here; open {(tiny_root / REPORT).as_uri()} in one\n"
    assert look(tiny_root) == f"report: {tiny_root / REPORT}\n{said}"


def test_an_older_root_shows_what_its_version_wrote(
    tiny_root: Path, copy_of: Callable[[Path], Path], browser: Path, look: Look
) -> None:
    root = copy_of(tiny_root)
    make_older(root)
    assert "the root was written by an earlier version, and so was its report" in look(root)
    assert browser.read_text() == (root / REPORT).as_uri()


def test_a_file_that_asks_for_more_than_was_compared_is_told_what(
    tiny_root: Path, tmp_path: Path, browser: Path, look: Look
) -> None:
    study = write_study(tmp_path, TINY | {"root": str(tiny_root), "seeds": [0, 1, 2], "device": "cpu"})
    assert "last run that has finished, with other `seeds` than the file has now" in look(study)
    assert browser.exists()


def test_a_study_that_is_half_done_is_shown_as_far_as_it_is(
    tiny_root: Path, tmp_path: Path, copy_of: Callable[[Path], Path], browser: Path, look: Look
) -> None:
    root = copy_of(tiny_root)
    study = write_study(tmp_path, TINY | {"root": str(root)})
    take_away(root, REPORT, "study.json", "studies", "profiles", "cache/profiles", "matches", "cache/matches")
    printed = look(study, expect=2)
    assert re.search(r"networks\W+2\W+0", printed)
    assert re.search(r"segments\W+8\W+0", printed)
    assert re.search(r"profiles\W+0\W+4", printed)
    assert f"`ROOT` must hold a report of 'tiny', but in '{root}' is no report; `spanmatch run`" in printed
    printed = look(root, expect=2)
    assert f"in '{root}' is no report yet, only what runs left on the way (networks 2, segments " in printed
    assert "profiles" not in printed
    assert not browser.exists()


def test_what_there_is_not_is_refused_in_a_sentence(
    tiny_root: Path, tmp_path: Path, copy_of: Callable[[Path], Path], browser: Path, look: Look
) -> None:
    root = copy_of(tiny_root)
    other = write_study(tmp_path, TINY | {"root": str(root), "name": "other"})
    assert f"in '{root}' is that of 'tiny', which ran last" in look(other, expect=2)
    assert f"which holds those of root; open one of them, such as '{root}'" in look(tmp_path, expect=2)
    assert "of which a run has finished, got '/no/such'" in look("/no/such", expect=2)
    take_away(root, REPORT)
    assert f"'{root / REPORT}' is gone; `spanmatch report` of the study" in look(root, expect=2)
    (root / "spanmatch.json").write_text('{"format": 99}')
    assert "`root` must have storage format" in look(root, expect=2)
    assert "`STUDY` must hold keys and values" in look(root / "similarity.csv", expect=2)
    assert not browser.exists()


def answer(port: int, path: str, method: str = "GET", host: str | None = None) -> tuple[int, str, bytes]:
    connection = http.client.HTTPConnection(HOST, port, timeout=10)
    connection.request(method, path, headers={"Host": host or f"{HOST}:{port}"})
    response = connection.getresponse()
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert "frame-ancestors 'none'" in response.headers["Content-Security-Policy"]
    found = response.status, response.headers["Content-Type"], response.read()
    connection.close()
    return found


def test_loopback_gives_the_report_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / REPORT).write_text("<p>ε</p>", encoding="utf-8")
    (tmp_path / "spanmatch.json").write_text(json.dumps({"format": 3}))
    with served(Root.at(tmp_path)) as address:
        port = int(address.rstrip("/").rpartition(":")[2])
        page = (200, "text/html; charset=utf-8", "<p>ε</p>".encode())
        assert address == f"http://127.0.0.1:{port}/"
        assert answer(port, "/") == answer(port, f"/{REPORT}?x") == page
        assert answer(port, "/", host=f"localhost:{port}") == page
        for path in ("/spanmatch.json", "/../report.html", "/%2e/report.html", "/x", "*"):
            assert answer(port, path)[0] == 404, path
        assert [answer(port, "/", method)[0] for method in ("HEAD", "POST", "PUT", "DELETE")] == [501] * 4
        for host in ("attacker.example", f"attacker.example:{port}", HOST, "[::1]"):
            assert answer(port, "/", host=host)[0] == 421, host
        with pytest.raises(OSError), socket.create_connection(("127.0.0.2", port), timeout=5):
            pass
        (tmp_path / REPORT).write_text("later")
        assert answer(port, "/")[2] == b"later"
        (tmp_path / REPORT).unlink()
        assert answer(port, "/")[0] == 404
    with pytest.raises(OSError), socket.create_connection((HOST, port), timeout=5):
        pass


def test_a_port_that_is_taken_is_named(tiny_root: Path, look: Look) -> None:
    with socket.create_server((HOST, free_port())) as taken:
        port = taken.getsockname()[1]
        assert f"`--port` must be one that is free and that you may use, got {port}" in look(
            tiny_root, "--port", port, expect=2
        )


def test_a_root_in_a_bucket_is_served_until_it_is_interrupted(
    tiny_root: Path, url: str, tmp_path: Path, bare_env: Environment
) -> None:
    program, given = write_browser(tmp_path)
    root = Root.at(url)
    page = (tiny_root / REPORT).read_text(encoding="utf-8")
    root.write_text(REPORT, page)
    aws = {name: value for name, value in os.environ.items() if name.startswith("AWS_")}
    view = subprocess.Popen(
        [*COMMAND, "view", url],
        env={**bare_env, **aws, "BROWSER": f"{program} %s"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        assert view.stdout is not None
        said = view.stdout.readline()
        found = re.fullmatch(
            rf"report: {url}/report.html at (http://127\.0\.0\.1:(\d+)/) until Ctrl-C\n", said
        )
        assert found, said
        assert answer(int(found[2]), "/")[2].decode() == page
        view.send_signal(signal.SIGINT)
        assert view.communicate(timeout=20)[0] == ""
        assert view.returncode == 0
        assert given.read_text() == found[1]
    finally:
        view.kill()
        view.wait()
