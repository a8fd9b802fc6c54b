"""Names of the architectures and data sets there are, with what can be said of them without loading torch.

Apart so that a mistyped name is answered at once.
"""

ARCHITECTURE_NAMES = ("vgg9-digits",)
HELD_OUT_IMAGES = {"digits": 599}
