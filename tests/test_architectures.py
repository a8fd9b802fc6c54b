"""Architectures: every name builds the network that it names, all else is refused with a remedy."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.nn import functional

from spanmatch.networks.architectures import build
from spanmatch.networks.catalogue import ARCHITECTURE_NAMES

OF_TOKENS = {name for name in ARCHITECTURE_NAMES if name.startswith("transformer")}
CIFAR = [
    name
    for name in ARCHITECTURE_NAMES
    if name not in OF_TOKENS and not name.endswith(("-imagenet", "-digits"))
]
IMAGENET = [name for name in ARCHITECTURE_NAMES if name.endswith("-imagenet")]


def empty(
    name: str, shape: tuple[int, ...] = (3, 32, 32), classes: int = 10, width: float = 1.0
) -> nn.Module:
    """Build a network without memory for its weights."""
    with torch.device("meta"):
        return build(name, shape, classes, width)


def parameters(network: nn.Module) -> int:
    return sum(values.numel() for values in network.parameters())


def test_the_catalogue_names_what_can_be_built() -> None:
    assert len(set(ARCHITECTURE_NAMES)) == len(ARCHITECTURE_NAMES) == 29 + len(OF_TOKENS)
    for name in OF_TOKENS:
        assert len(empty(name, (16,), 256).blocks) == int(re.findall(r"\d+", name)[0])
    for name in set(ARCHITECTURE_NAMES) - OF_TOKENS:
        shape = (1, 8, 8) if name == "vgg9-digits" else (3, 32, 32)
        network = empty(name, shape)
        weighted = [
            module
            for module in network.modules()
            if isinstance(module, nn.Linear)
            or (isinstance(module, nn.Conv2d) and module.kernel_size != (1, 1))
        ]
        assert len(weighted) == int(re.findall(r"\d+", name)[0]), name
        has_norm = any(isinstance(module, nn.BatchNorm2d) for module in network.modules())
        assert has_norm == ("-bn" in name or not re.match(r"vgg1[1369]", name)), name


@pytest.mark.parametrize(
    ("name", "classes", "count"),
    [
        # torchvision's documentation
        ("vgg16-imagenet", 1000, 138_357_544),
        ("vgg19-bn-imagenet", 1000, 143_678_248),
        ("resnet18-imagenet", 1000, 11_689_512),
        ("resnet34-imagenet", 1000, 21_797_672),
        # He et al., section 4.2, give 0.27, 0.46, 0.66 and 0.85 million
        ("resnet20", 10, 269_722),
        ("resnet32", 10, 464_154),
        ("resnet44", 10, 658_586),
        ("resnet56", 10, 853_018),
        ("plain20", 10, 269_722),
        # 13 convolutions with bias, and dense layers 512, 512, 10
        ("vgg16", 10, 14_714_688 + 2 * (512 * 512 + 512) + 5130),
        # torchvision's with a 3 × 3 stem and 10 classes
        ("resnet18", 10, 11_689_512 - 64 * 3 * 40 - 990 * 513),
    ],
)
def test_published_networks_have_their_published_sizes(name: str, classes: int, count: int) -> None:
    assert parameters(empty(name, classes=classes)) == count


@pytest.mark.parametrize("name", CIFAR)
def test_every_cifar_network_runs_at_any_width_on_its_images(name: str) -> None:
    for shape in [(3, 32, 32), (1, 64, 32)]:
        network = build(name, shape, 7, width=0.02).eval()
        assert network(torch.zeros(2, *shape)).shape == (2, 7)
        assert not any(getattr(module, "inplace", False) for module in network.modules())


@pytest.mark.parametrize("name", ["resnet20", "plain20", "resnet34"])
def test_residual_networks_take_images_of_other_sizes(name: str) -> None:
    assert build(name, (1, 28, 28), 10, width=0.1).eval()(torch.zeros(2, 1, 28, 28)).shape == (2, 10)


def test_width_multiplies_channels_and_keeps_one() -> None:
    def channels(width: float) -> list[int]:
        network = empty("vgg11-bn", width=width)
        return [module.out_channels for module in network.modules() if isinstance(module, nn.Conv2d)]

    assert channels(1) == [64, 128, 256, 256, 512, 512, 512, 512]
    assert channels(0.3) == [19, 38, 77, 77, 154, 154, 154, 154]
    assert channels(0.001) == [1] * 8
    hidden = [module for module in empty("vgg11", width=0.25).modules() if isinstance(module, nn.Linear)]
    assert [module.out_features for module in hidden] == [128, 128, 10]
    digits = build("vgg9-digits", (1, 8, 8), 10, width=0.5)
    assert digits.get_submodule("block3.conv2").weight.shape == (32, 32, 3, 3)


def test_the_weights_come_from_the_generator() -> None:
    first, again, other = (
        (torch.manual_seed(seed), build("resnet20", (3, 32, 32), 10, 0.25))[1] for seed in (1, 1, 2)
    )
    name = "stage2.block1.conv1.weight"
    assert torch.equal(first.state_dict()[name], again.state_dict()[name])
    assert not torch.equal(first.state_dict()[name], other.state_dict()[name])


@pytest.mark.parametrize("name", ["resnet20", "plain20", "resnet18"])
def test_shortcuts_carry_what_blocks_leave_out(name: str) -> None:
    network = build(name, (3, 32, 32), 10, width=0.25).eval()
    for module_name, module in network.named_modules():
        if module_name.endswith("norm2"):  # every block adds nothing to its shortcut
            nn.init.zeros_(module.weight)
    x = torch.randn(2, 3, 32, 32)
    with torch.no_grad():
        stem = network.get_submodule("stem")(x)
        last = stem
        for stage in range(1, 4 if name != "resnet18" else 5):
            last = network.get_submodule(f"stage{stage}")(last)
    if name == "resnet20":
        assert torch.equal(last, functional.pad(stem[:, :, ::4, ::4], (0, 0, 0, 0, 0, 16 - 4)))
    elif name == "plain20":
        assert not last.any()
    else:
        expected = stem
        for stage in (2, 3, 4):
            shortcut = network.get_submodule(f"stage{stage}.block1.shortcut")
            with torch.no_grad():
                expected = shortcut(expected).relu()
        torch.testing.assert_close(last, expected)


@pytest.mark.parametrize(
    ("name", "shape", "message"),
    [
        ("vgg16", (1, 28, 28), r"'vgg16' must be .* multiples of 32 .*; got \(1, 28, 28\); pad or resize"),
        ("vgg11-bn", (3, 48, 32), r"'vgg11-bn' must be .* multiples of 32"),
        ("resnet18", (3, 4, 32), r"'resnet18' must be .* at least 8; got \(3, 4, 32\)"),
        ("plain56", (3, 3, 3), r"'plain56' must be .* at least 4"),
        ("vgg9-digits", (1, 28, 28), r"'vgg9-digits' must be \(1, 8, 8\)"),
        ("resnet18-imagenet", (1, 224, 224), r"must be \(3, height, width\).*three channels"),
        ("vgg16-bn-imagenet", (3, 28, 28), r"height and width at least 32; got \(3, 28, 28\)"),
        ("resnet20", (32, 32), r"an image for 'resnet20', got \(32, 32\); name a factory"),
        ("resnet20", (3, 0, 32), "`shape` must hold positive sizes"),
    ],
)
def test_images_that_do_not_fit_are_refused(name: str, shape: tuple[int, ...], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        build(name, shape, 10)


@pytest.mark.parametrize(
    ("name", "classes", "width", "message"),
    [
        ("vgg16bn", 10, 1.0, r"`architecture` must be one of: .*; got 'vgg16bn'; did you mean 'vgg16-bn'\?"),
        ("resnet26", 10, 1.0, r"got 'resnet26'; did you mean 'resnet"),
        ("resnet20", 0, 1.0, r"`classes` must be at least 1, got 0"),
        ("resnet20", 10, 0.0, r"`width` must be a positive number, got 0.0"),
        ("resnet20", 10, float("inf"), r"`width` must be a positive number, got inf"),
        ("resnet18-imagenet", 10, 0.5, r"`width` must be 1 for 'resnet18-imagenet', got 0.5; take"),
        ("a.b:c", 10, 0.5, r"`width` must be 1 for 'a.b:c', got 0.5"),
        ("a.b:", 10, 1.0, r"must have the form 'package.module:factory' .*, got 'a.b:'"),
        ("a:b:c", 10, 1.0, r"must have the form 'package.module:factory'"),
    ],
)
def test_what_cannot_be_built_is_refused(name: str, classes: int, width: float, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        build(name, (3, 32, 32), classes, width)


FACTORIES = """
import torch
from torch import nn

number = 3

def plain():
    return nn.Linear(2, 3)

def sized(classes, shape, depth=1):
    return nn.Sequential(nn.Flatten(), nn.Linear(shape[0] * shape[1] * shape[2], classes))

def not_a_module():
    return {"weights": 1}

def failing():
    raise KeyError("no such size")

def wanting(depth):
    return nn.Linear(depth, 1)

class Own(nn.Module):
    def __init__(self, classes):
        super().__init__()
        self.classes = classes
"""


@pytest.fixture
def factories(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    package = tmp_path / "somebodys_package"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "models.py").write_text(FACTORIES)
    (package / "broken.py").write_text("import a_module_that_is_not_there\n")
    monkeypatch.syspath_prepend(tmp_path)
    yield "somebodys_package"
    for name in [name for name in sys.modules if name.startswith("somebodys_package")]:
        del sys.modules[name]


def test_a_factory_gets_what_its_signature_names(factories: str) -> None:
    assert build(f"{factories}.models:plain", (3, 4, 5), 7).weight.shape == (3, 2)
    assert build(f"{factories}.models:sized", (3, 4, 5), 7).get_submodule("1").weight.shape == (7, 60)
    assert build(f"{factories}.models:Own", (3, 4, 5), 7).classes == 7


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("models:absent", r"it does not import: AttributeError: .*'absent'; put its folder on PYTHONPATH"),
        (
            "absent:plain",
            r"it does not import: ModuleNotFoundError: No module named 'somebodys_package.absent'",
        ),
        (
            "broken:plain",
            r"it does not import: ModuleNotFoundError: No module named 'a_module_that_is_not_there'",
        ),
        ("models:number", r"a factory that can be called, but of '.*:number' it is int"),
        ("models:not_a_module", r"a factory that returns a torch.nn.Module, but .* it returned dict"),
        ("models:failing", r"it raised KeyError: 'no such size'"),
        ("models:wanting", r"it raised TypeError: .* missing 1 required positional argument: 'depth'"),
    ],
)
def test_a_factory_that_does_not_work_is_named(factories: str, name: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        build(f"{factories}.{name}", (3, 4, 5), 7)


def test_names_are_checked_without_torch() -> None:
    code = (
        "import sys; from spanmatch.networks.catalogue import check_architecture;"
        "check_architecture('vgg16'); check_architecture('nowhere.models:factory');"
        "assert 'torch' not in sys.modules and 'nowhere' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
