"""The README's Python block runs as it stands."""

import re
import runpy
from pathlib import Path

import numpy as np

REPOSITORY = Path(__file__).parent.parent


def test_two_arrays_in_ten_lines(tmp_path, monkeypatch, capsys):
    blocks = re.findall(
        r"```python\n(.*?)```", (REPOSITORY / "README.md").read_text(encoding="utf-8"), re.DOTALL
    )
    assert len(blocks) == 1
    rng = np.random.default_rng(0)
    x = rng.standard_normal((200, 3))
    np.save(tmp_path / "x.npy", x)
    np.save(tmp_path / "y.npy", np.hstack((2 * x[:, [1, 0]], rng.standard_normal((200, 1)))))
    (tmp_path / "example.py").write_text(blocks[0], encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    runpy.run_path("example.py")
    assert capsys.readouterr().out.splitlines() == [
        "0.6666666666666666",
        "Match(x=[0, 1], y=[0, 1])",
        "('x', 0) Match(x=[0], y=[1])",
        "('x', 1) Match(x=[1], y=[0])",
    ]


def test_every_page_that_the_readme_names_is_there():
    links = re.findall(r"\]\(([^)#:]+)\)", (REPOSITORY / "README.md").read_text(encoding="utf-8"))
    assert [link for link in links if not (REPOSITORY / link).exists()] == []
