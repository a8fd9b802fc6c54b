"""The README's Python blocks run as they stand, one after the other."""

import re
import runpy
from pathlib import Path

import numpy as np
import torch
from torch import nn

from storage import result_files

REPOSITORY = Path(__file__).parent.parent
CHANCE = (
    "maximum match similarity at ε = 0.3 (raw) is 0.667 and clears its null: 0 on average, "
    "p = 0.0476 with 20 permutations."
)
PRINTED = [
    "0.6666666666666666",
    "Match(x=[0, 1], y=[0, 1])",
    "('x', 0) Match(x=[0], y=[1])",
    "('x', 1) Match(x=[1], y=[0])",
    CHANCE,
]


README = (REPOSITORY / "README.md").read_text(encoding="utf-8")


def blocks_of(text: str) -> list[str]:
    return re.findall(r"```python\n(.*?)```", text, re.DOTALL)


def write_example(folder: Path) -> None:
    """Write the blocks of two arrays to example.py, beside the files that they load."""
    blocks = blocks_of(README[README.index("## Two arrays") :])
    rng = np.random.default_rng(0)
    x = rng.standard_normal((200, 3))
    np.save(folder / "x.npy", x)
    np.save(folder / "y.npy", np.hstack((2 * x[:, [1, 0]], rng.standard_normal((200, 1)))))
    (folder / "example.py").write_text("\n".join(blocks), encoding="utf-8")


def test_two_arrays_in_ten_lines(tmp_path, monkeypatch, capsys):
    write_example(tmp_path)
    monkeypatch.chdir(tmp_path)
    runpy.run_path("example.py")
    assert capsys.readouterr().out.splitlines() == PRINTED


def test_two_networks_in_three_lines(tmp_path, monkeypatch):
    (block,) = blocks_of(README[: README.index("## Two commands")])
    monkeypatch.chdir(tmp_path)
    nets = [nn.Sequential(nn.Linear(4, 5), nn.ReLU()) for _ in range(2)]
    exec(block, {"net_a": nets[0], "net_b": nets[1], "loader": [torch.randn(16, 4)] * 3})
    assert (tmp_path / "cka.png").stat().st_size


def test_every_file_of_a_root_is_in_the_readme():
    values = [value for name, value in vars(result_files).items() if name.isupper() and name[0] != "_"]
    names = [value for value in values if isinstance(value, str)]
    assert len(names) >= 15
    assert [name for name in names if f"`{name}`" not in README and f"`{name}/`" not in README] == []


def test_every_page_that_the_readme_names_is_there():
    links = re.findall(r"\]\(([^)#:]+)\)", README)
    assert [link for link in links if not (REPOSITORY / link).exists()] == []
