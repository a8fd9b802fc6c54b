"""Names and properties of architectures and data sets.

Must not load torch, so that a mistyped name is answered at once.
"""

from typing import NamedTuple

from spanmatch.clone import HAS_PIPELINE, PIPELINE
from spanmatch.errors import InputValueError, unknown_name

VGG_DEPTHS = (11, 13, 16, 19)
PROJECTED_DEPTHS = (18, 34)
"""Of ResNets whose shortcuts are projected where shapes change."""
CIFAR_DEPTHS = (20, 32, 44, 56)
TRANSFORMER_DEPTHS = (1, 2, 4, 6)

_VGG = tuple(f"vgg{depth}{norm}" for depth in VGG_DEPTHS for norm in ("", "-bn"))
_RESNET = tuple(f"resnet{depth}" for depth in PROJECTED_DEPTHS)
_CIFAR_RESNET = tuple(f"{family}{depth}" for family in ("resnet", "plain") for depth in CIFAR_DEPTHS)
_TRANSFORMER = tuple(f"transformer{depth}" for depth in TRANSFORMER_DEPTHS)

ARCHITECTURE_NAMES = (
    "vgg9-digits",
    *_VGG,
    *_RESNET,
    *_CIFAR_RESNET,
    *(f"{name}-imagenet" for name in _VGG + _RESNET),
    *_TRANSFORMER,
)
HELD_OUT_IMAGES = {
    "digits": 599,
    "mnist": 10_000,
    "fashion-mnist": 10_000,
    "cifar10": 10_000,
    "cifar100": 10_000,
    "imagenet": 50_000,
}
TEXTS = ("python-topics", "jargon-file")
"""Data sets of text; how many sequences they hold, only loading them tells."""
DATASET_NAMES = (*HELD_OUT_IMAGES, *TEXTS)
FOLDER_PREFIX = "folder:"
TEXT_PREFIX = "text:"
TAKEN_MODULES = ("spanmatch", *(PIPELINE if HAS_PIPELINE else ()))


class FactoryName(NamedTuple):
    """The parts of ``package.module:factory``, which names somebody's own network or data set."""

    module: str
    function: str

    @classmethod
    def of(cls, name: str) -> "FactoryName":
        """Take a name apart, of a module alone if it has no colon; `check_factory` says if it is sound."""
        module, _, function = name.partition(":")
        return cls(module, function)

    @property
    def package(self) -> str:
        """Outermost package, or the module where it is in none."""
        return self.module.partition(".")[0]


def is_factory(name: str) -> bool:
    """Say whether a name is ``package.module:factory``: not a data set's ``folder:PATH`` or ``text:PATH``."""
    return ":" in name and not name.startswith((FOLDER_PREFIX, TEXT_PREFIX))


def check_factory(name: str, argument: str) -> None:
    """See that a factory's name has the form ``package.module:factory``, in no module called as one of ours.

    Parameters
    ----------
    name
        The factory's.
    argument
        What a message calls it: ``architecture`` or ``dataset``.

    Raises
    ------
    ValueError
        If not.
    """
    factory = FactoryName.of(name)
    module, function = factory
    named_file = module.endswith(".py")
    if named_file or not all(part.isidentifier() for part in [*module.split("."), function]):
        remedy = ""
        if named_file:
            remedy = f"; drop `.py`: {module.removesuffix('.py').replace('/', '.')}:{function}"
        raise InputValueError(
            f"`{argument}` must have the form 'package.module:factory' where it has a colon, got "
            f"{name!r}{remedy}"
        )
    if factory.package in TAKEN_MODULES[1:]:
        raise InputValueError(
            f"`{argument}` must name a module that is not called as one of spanmatch's "
            f"({', '.join(TAKEN_MODULES)}), got {name!r}; rename {factory.package!r}"
        )


def check_architecture(architecture: str) -> None:
    """See that an architecture has a known name, or has the form ``package.module:factory``.

    Imports nothing: whether a factory is there shows when the network is built.

    Raises
    ------
    ValueError
        If not; the message gives the nearest known name.
    """
    if is_factory(architecture):
        check_factory(architecture, "architecture")
    elif architecture not in ARCHITECTURE_NAMES:
        raise unknown_name(
            "architecture",
            architecture,
            ARCHITECTURE_NAMES,
            remedy="Your own is named 'package.module:factory'",
        )


def require_dataset(name: str) -> None:
    """See that a data set's name is known, ``folder:PATH``, ``text:PATH`` or ``package.module:factory``.

    Raises
    ------
    ValueError
        If not.
    """
    prefixes = (FOLDER_PREFIX, TEXT_PREFIX)
    if name in DATASET_NAMES or (name.startswith(prefixes) and name not in prefixes):
        return
    if is_factory(name):
        check_factory(name, "dataset")
        return
    forms = ("folder:PATH", "text:PATH", "package.module:factory")
    raise unknown_name("dataset", name, DATASET_NAMES, forms=forms)


def held_out_images(dataset: str) -> int | None:
    """Return how many held-out samples a data set has, or None where only loading it tells."""
    return HELD_OUT_IMAGES.get(dataset)
