"""Names and properties of architectures and data sets.

Must not load torch, so that a mistyped name is answered at once.
"""

import difflib

from spanmatch.clone import HAS_PIPELINE, PIPELINE
from spanmatch.errors import InputValueError

_VGG = tuple(f"vgg{depth}{norm}" for depth in (11, 13, 16, 19) for norm in ("", "-bn"))
_RESNET = ("resnet18", "resnet34")
_CIFAR_RESNET = tuple(f"{family}{depth}" for family in ("resnet", "plain") for depth in (20, 32, 44, 56))

ARCHITECTURE_NAMES = (
    "vgg9-digits",
    *_VGG,
    *_RESNET,
    *_CIFAR_RESNET,
    *(f"{name}-imagenet" for name in _VGG + _RESNET),
)
HELD_OUT_IMAGES = {
    "digits": 599,
    "mnist": 10_000,
    "fashion-mnist": 10_000,
    "cifar10": 10_000,
    "cifar100": 10_000,
    "imagenet": 50_000,
}
FOLDER_PREFIX = "folder:"
TAKEN_MODULES = ("spanmatch", *(PIPELINE if HAS_PIPELINE else ()))


def is_factory(architecture: str) -> bool:
    """Say whether an architecture is somebody's own, named as ``package.module:factory``."""
    return ":" in architecture


def check_architecture(architecture: str) -> None:
    """See that an architecture has a known name, or has the form ``package.module:factory``.

    Imports nothing: whether a factory is there shows when the network is built.

    Raises
    ------
    ValueError
        If not; the message gives the nearest known name.
    """
    if is_factory(architecture):
        module, _, factory = architecture.partition(":")
        named_file = module.endswith(".py")
        if named_file or not all(part.isidentifier() for part in [*module.split("."), factory]):
            remedy = ""
            if named_file:
                remedy = f"; drop `.py`: {module.removesuffix('.py').replace('/', '.')}:{factory}"
            message = (
                "`architecture` must have the form 'package.module:factory' where it has a colon, "
                f"got {architecture!r}{remedy}"
            )
            raise InputValueError(message)
        _require_own_name("architecture", architecture)
    elif architecture not in ARCHITECTURE_NAMES:
        near = difflib.get_close_matches(architecture, ARCHITECTURE_NAMES, n=1)
        guess = f"did you mean {near[0]!r}? " if near else ""
        message = (
            f"`architecture` must be one of: {', '.join(ARCHITECTURE_NAMES)}; got {architecture!r}; "
            f"{guess}Your own is named 'package.module:factory'"
        )
        raise InputValueError(message)


def require_dataset(name: str) -> None:
    """See that a data set's name is known, ``folder:PATH`` or ``package.module:factory``.

    Raises
    ------
    ValueError
        If not.
    """
    if name in HELD_OUT_IMAGES:
        return
    before, colon, after = name.partition(":")
    if colon and before and after:
        _require_own_name("dataset", name)
        return
    near = difflib.get_close_matches(name, HELD_OUT_IMAGES, n=1)
    remedy = f"; did you mean {near[0]!r}?" if near else ""
    message = (
        f"`dataset` must be one of: {', '.join(HELD_OUT_IMAGES)}, folder:PATH, package.module:factory; "
        f"got {name!r}{remedy}"
    )
    raise InputValueError(message)


def _require_own_name(argument: str, factory: str) -> None:
    """See that somebody's own factory is in no module that is called as one of ours: that would be found."""
    package = factory.partition(":")[0].partition(".")[0]
    if package in TAKEN_MODULES[1:]:
        raise InputValueError(
            f"`{argument}` must name a module that is not called as one of spanmatch's "
            f"({', '.join(TAKEN_MODULES)}), got {factory!r}; rename {package!r}"
        )


def held_out_images(dataset: str) -> int | None:
    """Return how many held-out images a data set has, or None where only loading it tells."""
    return HELD_OUT_IMAGES.get(dataset)
