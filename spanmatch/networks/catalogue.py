"""Names of the architectures and data sets there are, with what can be said of them without loading torch.

Apart so that a mistyped name is answered at once.
"""

import difflib

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
HELD_OUT_IMAGES = {"digits": 599}


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
        if not all(part.isidentifier() for part in [*module.split("."), factory]):
            message = (
                "`architecture` must have the form 'package.module:factory' where it has a colon, "
                f"got {architecture!r}"
            )
            raise ValueError(message)
    elif architecture not in ARCHITECTURE_NAMES:
        near = difflib.get_close_matches(architecture, ARCHITECTURE_NAMES, n=1)
        guess = f"did you mean {near[0]!r}? " if near else ""
        message = (
            f"`architecture` must be one of: {', '.join(ARCHITECTURE_NAMES)}; got {architecture!r}; "
            f"{guess}Your own is named 'package.module:factory'"
        )
        raise ValueError(message)
