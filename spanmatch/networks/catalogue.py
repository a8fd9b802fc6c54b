"""Names of the architectures and data sets there are, with what can be said of them without loading torch.

Apart so that a mistyped name is answered at once.
"""

import difflib

ARCHITECTURE_NAMES = ("vgg9-digits",)
HELD_OUT_IMAGES = {
    "digits": 599,
    "mnist": 10_000,
    "fashion-mnist": 10_000,
    "cifar10": 10_000,
    "cifar100": 10_000,
    "imagenet": 50_000,
}
FOLDER_PREFIX = "folder:"


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
        return
    near = difflib.get_close_matches(name, HELD_OUT_IMAGES, n=1)
    remedy = f"; did you mean {near[0]!r}?" if near else ""
    message = (
        f"`dataset` must be one of: {', '.join(HELD_OUT_IMAGES)}, folder:PATH, package.module:factory; "
        f"got {name!r}{remedy}"
    )
    raise ValueError(message)


def held_out_images(dataset: str) -> int | None:
    """Return how many held-out images a data set has, or None where only loading it tells."""
    return HELD_OUT_IMAGES.get(dataset)
