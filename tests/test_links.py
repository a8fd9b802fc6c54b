"""Where a report can be opened: below an address that somebody has said, and by no secret."""

import shlex
from pathlib import Path

import pytest
from pipeline import quick

from flows.run.prepared import look
from spanmatch.errors import InputValueError
from storage.root import Root
from tasks.links import REPORTS, report_link, report_sentence

ADDRESS = "https://reports.example/runs"


@pytest.mark.parametrize(
    ("root", "prefix", "below"),
    [
        ("/data/runs/digits", "/data/runs", "digits/"),
        ("/data/runs/a b/ε#1", "/data/runs/", "a%20b/%CE%B5%231/"),
        ("/data/runs/<b>(x)", "/data/x/../runs", "%3Cb%3E%28x%29/"),
        ("/data/runs", "/data/runs", ""),
        ("/data/runs", "/", "data/runs/"),
        ("/data/a=b", "/data", "a%3Db/"),
        ("/data/a=b/c", "/data/a=b", "c/"),
        ("s3://bucket/runs/digits", "s3://bucket/runs/", "digits/"),
        ("s3://bucket/digits/", "s3://bucket", "digits/"),
        ("/data/runs2/digits", "/data/runs", None),
        ("s3://bucket2/digits", "s3://bucket", None),
        ("/elsewhere", "/data/runs", None),
        ("s3://bucket/digits", "/", None),
    ],
)
def test_a_link_leads_below_the_address(root: str, prefix: str, below: str | None) -> None:
    for address in (ADDRESS, f"{ADDRESS}/"):
        link = report_link(Root.at(root), {REPORTS: f"{prefix}={address}"})
        assert link == (None if below is None else f"{ADDRESS}/{below}report.html")


def test_without_an_address_there_is_no_link_and_it_is_said_what_to_type() -> None:
    root = Root.at("/data/it's ours")
    assert report_link(root, {}) is report_link(root, {REPORTS: ""}) is None
    said = report_sentence(root)
    assert shlex.split(said.partition(": ")[2].replace(", typed", " typed"))[:3] == [
        "spanmatch",
        "view",
        "/data/it's ours",
    ]


@pytest.mark.parametrize(
    "said",
    [
        ADDRESS,
        f"={ADDRESS}",
        "/data=",
        "/data=file:///data",
        "/data=javascript:alert(1)",
        "/data=https://user:secret@reports.example",
        "/data=https://reports.example/x?X-Amz-Signature=secret",
        "/data=https://reports.example/)[x](y",
    ],
)
def test_what_is_no_address_or_holds_a_secret_is_refused_before_a_run(
    said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(REPORTS, said)
    with pytest.raises(InputValueError, match=f"`{REPORTS}` must be PREFIX=ADDRESS") as refusal:
        look(quick(tmp_path))
    assert "secret" not in str(refusal.value)
