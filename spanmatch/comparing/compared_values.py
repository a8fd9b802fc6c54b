"""Values of measures of many pairs of layers: one a row, or a matrix of two networks' layers."""

from dataclasses import dataclass
from typing import Any

from spanmatch.errors import unknown_name
from spanmatch.frames import pandas_for
from spanmatch.matching.inputs import FloatArray


@dataclass(frozen=True)
class ComparedRow:
    """A measure of two layers.

    Attributes
    ----------
    network_x, layer_x, network_y, layer_y : str
        The layers.
    measure : str
        Its name in the registry.
    parameter : float or None
        Epsilon, of a measure that has one.
    centre : str
        ``raw`` or ``mean``.
    value : float or None
        None where it is undefined.
    reason : str
        Why.
    """

    network_x: str
    layer_x: str
    network_y: str
    layer_y: str
    measure: str
    parameter: float | None
    centre: str
    value: float | None
    reason: str


@dataclass(frozen=True, eq=False)
class LayerMatrix:
    """A measure of the layers of one network with those of another.

    Attributes
    ----------
    values : ndarray, (layers of x, layers of y)
        NaN where two layers are not compared, or the measure is undefined.
    network_x, network_y : str
        Names of the networks.
    layers_x, layers_y : tuple of str
        Names of the layers.
    label : str
        What the values are.
    bounds : tuple of float
        Least and greatest possible value.
    higher_is_closer : bool
        Whether greater values are of layers that are closer.
    """

    values: FloatArray
    network_x: str
    network_y: str
    layers_x: tuple[str, ...]
    layers_y: tuple[str, ...]
    label: str
    bounds: tuple[float, float]
    higher_is_closer: bool

    def __getitem__(self, layers: tuple[str, str]) -> float:
        x, y = layers
        for name, known in ((x, self.layers_x), (y, self.layers_y)):
            if name not in known:
                raise unknown_name("layer", name, known)
        return float(self.values[self.layers_x.index(x), self.layers_y.index(y)])

    def to_frame(self) -> Any:  # noqa: ANN401 - a DataFrame, of a package that need not be there
        """Return the values as a data frame of pandas, layers of x in its index.

        Raises
        ------
        MissingExtraError
            When pandas is not installed.
        """
        return pandas_for("to_frame", "`values`").DataFrame(
            self.values, index=list(self.layers_x), columns=list(self.layers_y)
        )
