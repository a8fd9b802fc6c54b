"""When a neuron is dead: its activation vector is no longer than 1e-16, the authors' convention."""

import numpy as np
from numpy.typing import NDArray

from spanmatch.matching.inputs import FloatArray

DEAD_NORM = 1e-16


def is_live(norms: FloatArray) -> NDArray[np.bool_]:
    """Tell of each neuron, by the length of its activation vector, whether it is not dead."""
    return norms > DEAD_NORM
