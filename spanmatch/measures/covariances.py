"""Centred co-moments of two layers in units in which neither squares nor products overflow."""

from dataclasses import dataclass

import numpy as np

from spanmatch.errors import UndefinedMeasureError
from spanmatch.matching.gram import GramMatrix
from spanmatch.matching.inputs import FloatArray


@dataclass(frozen=True, eq=False)
class Covariances:
    """Centred co-moments of the neurons of two layers, each side in units of its largest variance.

    Attributes
    ----------
    xx, yy, xy : ndarray, (n_x, n_x), (n_y, n_y) and (n_x, n_y)
        Sums over samples, divided by the units.
    means_x, means_y : ndarray, (n_x,) and (n_y,)
        Means, divided by the roots of the units.
    unit_x, unit_y : float
        Roots of the largest sums of squares of either side.
    n_samples : int
        Samples.
    """

    xx: FloatArray
    yy: FloatArray
    xy: FloatArray
    means_x: FloatArray
    means_y: FloatArray
    unit_x: float
    unit_y: float
    n_samples: int

    @property
    def variances_x(self) -> FloatArray:
        """Those of the x neurons, (n_x,), 1 at most."""
        return self.xx.diagonal()

    @property
    def variances_y(self) -> FloatArray:
        """Those of the y neurons, (n_y,), 1 at most."""
        return self.yy.diagonal()

    @property
    def exchanged(self) -> "Covariances":
        """The same with the sides exchanged."""
        return Covariances(
            self.yy, self.xx, self.xy.T, self.means_y, self.means_x, self.unit_y, self.unit_x, self.n_samples
        )

    def in_units_of(self, other: "Covariances") -> "Covariances":
        """Return the same in the units of other samples of these layers."""
        x, y = self.unit_x / other.unit_x, self.unit_y / other.unit_y
        return Covariances(
            self.xx * x**2,
            self.yy * y**2,
            self.xy * x * y,
            self.means_x * x,
            self.means_y * y,
            other.unit_x,
            other.unit_y,
            self.n_samples,
        )


def covariances(gram: GramMatrix, centred: GramMatrix) -> Covariances:
    """Return the centred co-moments of two layers that vary.

    Raises
    ------
    UndefinedMeasureError
        When no neuron of a side varies.
    """
    xx, yy, xy = centred.xx, centred.yy, centred.xy
    unit_x, unit_y = (float(np.sqrt(own.diagonal().max())) for own in (xx, yy))
    for side, unit in (("x", unit_x), ("y", unit_y)):
        if unit == 0:
            raise UndefinedMeasureError(f"no neuron of layer {side} varies over the {gram.n_samples} samples")
    for products, units in ((xx, (unit_x, unit_x)), (yy, (unit_y, unit_y)), (xy, (unit_x, unit_y))):
        for unit in units:  # one after the other: their product may overflow
            products /= unit
    means_x, means_y = np.split(gram.sums / gram.n_samples, [gram.n_x])
    return Covariances(xx, yy, xy, means_x / unit_x, means_y / unit_y, unit_x, unit_y, gram.n_samples)
