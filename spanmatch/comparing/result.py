"""What `spanmatch.compare` returns: the statistic of all pairs of layers, and what follows from it."""

from collections.abc import Collection, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spanmatch.comparing import saved
from spanmatch.comparing.compared import Compared
from spanmatch.comparing.compared_values import ComparedRow, LayerMatrix
from spanmatch.comparing.evidence_rows import evidence_rows
from spanmatch.comparing.pair_values import PairValues, measure_of
from spanmatch.comparing.shown import drawn, drawn_curves, html_of
from spanmatch.errors import InputValueError
from spanmatch.frames import pandas_for
from spanmatch.matching.centring import Centre, check_centre
from spanmatch.matching.checks import check_epsilon, check_epsilons
from spanmatch.matching.gram import GramMatrix
from spanmatch.matching.profile import MatchProfile
from spanmatch.measures import MEASURES, Measure, listed
from spanmatch.statistics.nulls import Null, null
from spanmatch.statistics.quantities import EPSILONS, warned_once

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class Comparison:
    """The statistic of pairs of layers: every measure, at every ε, raw or centred, follows when asked for.

    Attributes
    ----------
    layers : mapping of str to tuple of ComparedLayer
        Of each network, in the order of its forward pass.
    pairs : tuple of Pair
        Which are compared.
    samples : int
        Of the loader. With all positions, each gives several samples of a layer.
    positions : str
        Which positions of a map are samples, in words.
    folds : int
        Parts of which the sums are apart; 0 for one.
    notes : tuple of str
        What was done without being asked for, and what was left out.
    """

    def __init__(self, compared: Compared) -> None:
        self._compared = compared
        self._values = PairValues(compared)
        self.layers = compared.layers
        self.pairs = compared.pairs
        self.samples = compared.samples
        self.positions = compared.positions
        self.folds = compared.folds
        self.notes = compared.notes

    @property
    def networks(self) -> tuple[str, ...]:
        """Names of the networks."""
        return tuple(self.layers)

    def gram(self, layer_x: str, layer_y: str, *, networks: tuple[str, str] | None = None) -> GramMatrix:
        """Return the Gram matrix of two layers, which every function of spanmatch takes.

        Parameters
        ----------
        layer_x, layer_y : str
            Names.
        networks : tuple of str, optional
            Of which networks; the first two where it is left out.

        Raises
        ------
        ValueError
            When they are not compared.
        """
        return self._values.gram(self._compared.pair(layer_x, layer_y, networks))

    def fold_grams(
        self, layer_x: str, layer_y: str, *, networks: tuple[str, str] | None = None
    ) -> tuple[GramMatrix, ...]:
        """Return the Gram matrix of two layers in each fold.

        `spanmatch.jackknife`, `held_out` and `growth` take them: standard errors, values without the optimism
        of fits, and whether there are enough samples.

        Raises
        ------
        ValueError
            When they are not compared, or there are no folds.
        """
        pair = self._compared.pair(layer_x, layer_y, networks)
        if not self.folds:
            raise InputValueError(
                "`folds` must be asked for in the call, got 0; compare(…, folds=10) sums by folds"
            )
        return self._values.group(pair).grams(pair)

    def profile(
        self, layer_x: str, layer_y: str, *, networks: tuple[str, str] | None = None, centre: Centre = "raw"
    ) -> MatchProfile:
        """Return the match profile of two layers: the maximum match at every ε.

        Raises
        ------
        ValueError
            When they are not compared.

        Warns
        -----
        TooFewSamplesWarning, OffsetWarning
            As `match_profile`.
        """
        return self._values.profile(self._compared.pair(layer_x, layer_y, networks), check_centre(centre))

    def similarity(
        self, epsilon: float, *, networks: tuple[str, str] | None = None, centre: Centre = "raw"
    ) -> LayerMatrix:
        """Return the maximum match similarity at a tolerance of all pairs of layers of two networks.

        Raises
        ------
        ValueError
            When `epsilon` is outside [0, 1), or there are no such networks.
        """
        return self.matrix("maximum-match", check_epsilon(epsilon), networks=networks, centre=centre)

    def matrix(
        self,
        measure: str | Measure,
        parameter: float | None = None,
        *,
        networks: tuple[str, str] | None = None,
        centre: Centre = "raw",
    ) -> LayerMatrix:
        """Return a measure of all pairs of layers of two networks.

        Parameters
        ----------
        measure : str or Measure
            Such as ``cka``, ``maximum-match`` or ``minibatch-cka``.
        parameter : float, optional
            Epsilon, of a measure that has one.
        networks : tuple of str, optional
            Of which networks; the first two where it is left out.
        centre : {"raw", "mean"}
            Of measures that follow the profile; all others subtract means by themselves.

        Raises
        ------
        TypeError, ValueError
            When there is no such measure, parameter or network, or minibatch CKA was not asked for.

        Notes
        -----
        Costs, for each pair, what the measure costs; values are kept.
        """
        of, chosen = self._compared.two(networks), measure_of(measure)
        with warned_once(), self._values.one_after_another():
            return self._values.matrix(of, chosen, parameter, check_centre(centre))

    def heatmap(
        self,
        measure: str | Measure = "cka",
        parameter: float | None = None,
        *,
        networks: tuple[str, str] | None = None,
        centre: Centre = "raw",
    ) -> "Figure":
        """Draw a measure of every layer of one network with every layer of another.

        Parameters
        ----------
        measure, parameter, networks, centre
            As `matrix`.

        Returns
        -------
        matplotlib.figure.Figure
            Shown by notebooks; `savefig` writes it.

        Raises
        ------
        MissingExtraError
            When matplotlib is not installed.
        TypeError, ValueError
            As `matrix`.
        """
        return drawn(self.matrix(measure, parameter, networks=networks, centre=centre))

    def curves(self, layer_x: str, layer_y: str, *, networks: tuple[str, str] | None = None) -> "Figure":
        """Draw the similarity of two layers over ε, raw and less means.

        Raises
        ------
        MissingExtraError
            When matplotlib is not installed.
        ValueError
            When they are not compared.
        """
        pair = self._compared.pair(layer_x, layer_y, networks)
        with warned_once():
            return drawn_curves(self._values, pair)

    def rows(
        self,
        measures: Sequence[str | Measure] | None = None,
        *,
        epsilons: Collection[float] = EPSILONS,
        centre: Centre = "raw",
        layers: tuple[str, str] | None = None,
        networks: tuple[str, str] | None = None,
        evidence: bool = False,
    ) -> tuple[ComparedRow, ...]:
        """Return measures of all pairs, one a row, and what each has to be held against.

        Parameters
        ----------
        measures : sequence of str or Measure, optional
            Which; where it is left out, those that a study has that names none.
        epsilons : collection of float, optional
            At which tolerances.
        centre : {"raw", "mean"}
            Of measures that follow the profile.
        layers : tuple of str, optional
            Names of two layers; all pairs where it is left out.
        networks : tuple of str, optional
            Of which networks; all where it is left out.
        evidence : bool, optional
            Whether rows are an `EvidenceRow` each: with mean and p of 20 permutations where samples are kept,
            as ``keep_samples=True`` in the call has them, with error and held-out value where it has folds.

        Raises
        ------
        TypeError, ValueError
            When there is no such measure, tolerance or pair, or the call asked for neither samples nor folds.

        Notes
        -----
        Evidence costs some permutations + folds + 3 profiles for each pair, and held-out profiles as much as
        one for each fold: nothing for one pair, long for a grid, of which `layers` says what is wanted.
        """
        wanted = [measure for measure in MEASURES.values() if measure.usual] if measures is None else measures
        chosen = [measure_of(each) for each in listed(wanted)]
        at = check_epsilons(epsilons)
        check_centre(centre)
        pairs = self._compared.chosen(layers, networks)
        found: list[ComparedRow] = []
        with warned_once(), self._values.one_after_another():
            for pair in pairs:
                rows = [
                    self._values.row(pair, measure, parameter, centre)
                    for measure in chosen
                    for parameter in (at if measure.parameter else [None])
                ]
                if evidence:
                    found += evidence_rows(rows, pair, self._values.group(pair), chosen, at, centre)
                else:
                    found += rows
        return tuple(found)

    def to_frame(
        self,
        measures: Sequence[str | Measure] | None = None,
        *,
        epsilons: Collection[float] = EPSILONS,
        centre: Centre = "raw",
        layers: tuple[str, str] | None = None,
        networks: tuple[str, str] | None = None,
        evidence: bool = False,
    ) -> Any:  # noqa: ANN401 - a DataFrame, of a package that need not be there
        """Return `rows` as a data frame of pandas.

        Parameters
        ----------
        measures, epsilons, centre, layers, networks, evidence
            As `rows`.

        Raises
        ------
        MissingExtraError
            When pandas is not installed.
        TypeError, ValueError
            As `rows`.
        """
        pandas = pandas_for("to_frame", "`rows`")
        rows = self.rows(
            measures, epsilons=epsilons, centre=centre, layers=layers, networks=networks, evidence=evidence
        )
        return pandas.DataFrame([asdict(row) for row in rows])

    def null(
        self,
        layer_x: str,
        layer_y: str,
        *,
        networks: tuple[str, str] | None = None,
        permutations: int = 20,
        seed: int = 0,
        measures: Sequence[str | Measure] = (),
        epsilons: Collection[float] = EPSILONS,
        centre: Centre = "raw",
        level: float = 0.05,
    ) -> Null:
        """Find what the values of two layers are when the samples of one are permuted: see `spanmatch.null`.

        Raises
        ------
        TypeError, ValueError
            As `spanmatch.null`; when the layers are not compared, or samples were not kept.
        """
        pair = self._compared.pair(layer_x, layer_y, networks)
        group = self._values.group(pair)
        if not group.are_kept:
            raise InputValueError(
                "`keep_samples` must be asked for in the call, got sums of them alone; compare(…, "
                "keep_samples=True) holds activations in memory, which permutations need"
            )
        x, y, groups = group.samples(pair)
        return null(
            x,
            y,
            groups=groups,
            permutations=permutations,
            seed=seed,
            measures=measures,
            epsilons=epsilons,
            centre=centre,
            level=level,
        )

    def save(self, path: str | Path) -> None:
        """Write everything to one file, whole or not at all: arrays of NumPy and JSON in a zip, no pickle.

        Raises
        ------
        OSError
            When it cannot be written.
        """
        saved.write(Path(path), self._compared)

    @classmethod
    def load(cls, path: str | Path) -> "Comparison":
        """Return what `save` has written; PyTorch need not be there.

        Raises
        ------
        OSError
            When it cannot be read.
        ValueError
            When it is no such file.
        """
        return cls(saved.read(Path(path)))

    def sentence(self) -> str:
        """Say what was compared."""
        return self._compared.sentence()

    def __repr__(self) -> str:
        return f"<Comparison of {self.sentence()}>"

    def _repr_html_(self) -> str:
        """Show in a notebook what was compared, and what to ask for."""
        return html_of(self._compared)
