"""What `spanmatch.compare` returns: the statistic of all pairs of layers, and what follows from it."""

import html
import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from spanmatch.comparing import saved
from spanmatch.comparing.compared_values import ComparedRow, LayerMatrix
from spanmatch.comparing.evidence_rows import evidence_rows
from spanmatch.comparing.group_sums import GroupSums
from spanmatch.comparing.pairs import Column, ComparedLayer, Pair
from spanmatch.errors import InputValueError, unknown_name
from spanmatch.frames import pandas_for
from spanmatch.lazy import lazy
from spanmatch.matching.centring import Centre, centred_by, check_centre
from spanmatch.matching.checks import check_epsilon
from spanmatch.matching.gram import GramMatrix
from spanmatch.matching.profile import MatchProfile, match_profile
from spanmatch.measures import MEASURES, Evidence, Measure, evaluate, measure_named, undefined_reason
from spanmatch.measures.minibatch_cka import MINIBATCH_CKA
from spanmatch.statistics.nulls import Null, null
from spanmatch.statistics.quantities import EPSILONS, warned_once

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_drawing = lazy(
    "spanmatch.reporting",
    {
        "spanmatch.reporting.heat_map": "heat_map_figure",
        "spanmatch.reporting.pair_curve": "pair_curve_figure",
    },
    extra="report",
)[0]


class Comparison:
    """The statistic of pairs of layers: every measure, at every ε, raw or centred, follows when asked for.

    Attributes
    ----------
    layers : mapping of str to tuple of ComparedLayer
        Of each network, in the order of its forward pass.
    pairs : tuple of Pair
        Which are compared.
    images : int
        Samples of the loader. With all positions, each gives several samples of a layer.
    positions : str
        Which positions of a map are samples, in words.
    folds : int
        Parts of which the sums are apart; 0 for one.
    notes : tuple of str
        What was done without being asked for, and what was left out.
    """

    def __init__(
        self,
        *,
        layers: Mapping[str, tuple[ComparedLayer, ...]],
        pairs: tuple[Pair, ...],
        images: int,
        positions: str,
        folds: int,
        notes: tuple[str, ...],
        sums: tuple[GroupSums, ...],
        minibatch_cka: Mapping[Pair, float | None] | None,
    ) -> None:
        self.layers = layers
        self.pairs = pairs
        self.images = images
        self.positions = positions
        self.folds = folds
        self.notes = notes
        self._sums = sums
        self._minibatch_cka = minibatch_cka
        self._profiles: dict[tuple[Pair, Centre], MatchProfile] = {}
        self._values: dict[tuple[Pair, Measure, float | None, Centre], tuple[float | None, str]] = {}

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
        return self._gram(self._pair(layer_x, layer_y, networks))

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
        pair = self._pair(layer_x, layer_y, networks)
        if not self.folds:
            raise InputValueError(
                "`folds` must be asked for in the call, got 0; compare(…, folds=10) sums by folds"
            )
        return self._group(pair).grams(pair)

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
        return self._profile(self._pair(layer_x, layer_y, networks), check_centre(centre))

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
        chosen = _measure(measure)
        x, y = self._two(networks)
        names = [tuple(layer.name for layer in self.layers[network]) for network in (x, y)]
        values = np.full((len(names[0]), len(names[1])), np.nan)
        places = [{name: place for place, name in enumerate(side)} for side in names]
        with warned_once(), self._one_pair_after_another():
            for pair in self.pairs:
                if (pair.x.network, pair.y.network) == (x, y):
                    value, _ = self._value(pair, chosen, parameter, check_centre(centre))
                    at = places[0][pair.x.layer], places[1][pair.y.layer]
                    values[at] = math.nan if value is None else value
        shown = chosen.label + ("" if parameter is None else f" at ε = {parameter:g}")
        if chosen.depends_on_centre and centre == "mean":
            shown += ", less means"
        return LayerMatrix(values, x, y, names[0], names[1], shown, chosen.bounds)

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
        draw: Any = _drawing("heat_map_figure")
        of = self.matrix(measure, parameter, networks=networks, centre=centre)
        figure: Figure = draw(
            of.values,
            of.layers_x,
            of.layers_y,
            networks=(of.network_x, of.network_y),
            label=of.label,
            bounds=of.bounds,
        )
        return figure

    def curves(self, layer_x: str, layer_y: str, *, networks: tuple[str, str] | None = None) -> "Figure":
        """Draw the similarity of two layers over ε, raw and less means.

        Raises
        ------
        MissingExtraError
            When matplotlib is not installed.
        ValueError
            When they are not compared.
        """
        draw: Any = _drawing("pair_curve_figure")
        pair = self._pair(layer_x, layer_y, networks)
        with warned_once():
            raw, centred = self._profile(pair, "raw").curve(), self._profile(pair, "mean").curve()
        figure: Figure = draw(raw, centred, f"{pair.x.network} · {layer_x}", f"{pair.y.network} · {layer_y}")
        return figure

    def rows(
        self,
        measures: Sequence[str | Measure] | None = None,
        *,
        epsilons: Collection[float] = EPSILONS,
        centre: Centre = "raw",
        layers: tuple[str, str] | None = None,
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
        chosen = [_measure(each) for each in wanted]
        at = [check_epsilon(epsilon, argument="epsilons") for epsilon in epsilons]
        check_centre(centre)
        pairs = [pair for pair in self.pairs if layers is None or (pair.x.layer, pair.y.layer) == (*layers,)]
        if not pairs:
            raise InputValueError(
                f"`layers` must be names of two layers that are compared, got {layers}; such as "
                f"{(self.pairs[0].x.layer, self.pairs[0].y.layer)}"
            )
        found: list[ComparedRow] = []
        with warned_once(), self._one_pair_after_another():
            for pair in pairs:
                rows = [
                    self._row(pair, measure, parameter, centre)
                    for measure in chosen
                    for parameter in (at if measure.parameter else [None])
                ]
                if evidence:
                    found += evidence_rows(rows, pair, self._group(pair), chosen, at, centre)
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
        evidence: bool = False,
    ) -> Any:  # noqa: ANN401 - a DataFrame, of a package that need not be there
        """Return `rows` as a data frame of pandas.

        Parameters
        ----------
        measures, epsilons, centre, layers, evidence
            As `rows`.

        Raises
        ------
        MissingExtraError
            When pandas is not installed.
        TypeError, ValueError
            As `rows`.
        """
        pandas = pandas_for("to_frame", "`rows`")
        rows = self.rows(measures, epsilons=epsilons, centre=centre, layers=layers, evidence=evidence)
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
        pair = self._pair(layer_x, layer_y, networks)
        group = self._group(pair)
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
        about = {
            "layers": {name: [asdict(layer) for layer in layers] for name, layers in self.layers.items()},
            "pairs": [[*pair.x, *pair.y] for pair in self.pairs],
            "images": self.images,
            "positions": self.positions,
            "folds": self.folds,
            "notes": list(self.notes),
            "minibatch_cka": None
            if self._minibatch_cka is None
            else [self._minibatch_cka[pair] for pair in self.pairs],
        }
        saved.write(Path(path), about, self._sums)

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
        about, sums_of = saved.read(Path(path))
        pairs = tuple(Pair(Column(*each[:2]), Column(*each[2:])) for each in about["pairs"])
        layers = {
            name: tuple(ComparedLayer(**layer) for layer in layers)
            for name, layers in about["layers"].items()
        }
        neurons = {Column(name, layer.name): layer.neurons for name, of in layers.items() for layer in of}
        values = about["minibatch_cka"]
        return cls(
            layers=layers,
            pairs=pairs,
            images=about["images"],
            positions=about["positions"],
            folds=about["folds"],
            notes=tuple(about["notes"]),
            sums=sums_of(neurons, pairs),
            minibatch_cka=None if values is None else dict(zip(pairs, values, strict=True)),
        )

    def sentence(self) -> str:
        """Say what was compared."""
        layers = " and ".join(f"{len(layers)} layers of {name}" for name, layers in self.layers.items())
        return (
            f"{layers}: {len(self.pairs):,} pairs, over {self.images:,} samples, {self.positions}"
            f"{f', in {self.folds} folds' if self.folds else ''}."
        )

    def __repr__(self) -> str:
        return f"<Comparison of {self.sentence()}>"

    def _repr_html_(self) -> str:
        """Show in a notebook what was compared, and what to ask for."""
        rows = "".join(
            f"<tr><td>{html.escape(name)}</td><td>{html.escape(layer.name)}</td><td>{html.escape(layer.kind)}</td>"
            f"<td>{layer.neurons:,}</td><td>{layer.positions:,}</td></tr>"
            for name, layers in self.layers.items()
            for layer in layers
        )
        notes = "".join(f"<li>{html.escape(note)}</li>" for note in self.notes)
        return (
            f"<p>{html.escape(self.sentence())}</p>{f'<ul>{notes}</ul>' if notes else ''}"
            "<p>Ask it: <code>.heatmap('cka')</code>, <code>.similarity(0.3)</code>, "
            "<code>.profile(x, y)</code>, <code>.to_frame()</code>, <code>.save(path)</code>.</p>"
            "<details><summary>Layers</summary><table>"
            "<tr><th>network</th><th>layer</th><th>kind</th><th>neurons</th><th>positions</th></tr>"
            f"{rows}</table></details>"
        )

    def _pair(self, layer_x: str, layer_y: str, networks: tuple[str, str] | None) -> Pair:
        x, y = self._two(networks)
        for name, network in ((layer_x, x), (layer_y, y)):
            known = [layer.name for layer in self.layers[network]]
            if name not in known:
                raise unknown_name("layer", name, known)
        pair = Pair(Column(x, layer_x), Column(y, layer_y))
        if pair not in self.pairs:
            raise InputValueError(
                f"`pairs` must hold the layers that are asked for, but {pair.x} and {pair.y} were not "
                'compared; name them in `pairs`, or use pairs="grid"'
            )
        return pair

    def _two(self, networks: tuple[str, str] | None) -> tuple[str, str]:
        x, y = networks or self.networks[:2]
        for name in (x, y):
            if name not in self.layers:
                raise unknown_name("networks", name, self.networks)
        if self.networks.index(x) >= self.networks.index(y):
            raise InputValueError(
                f"`networks` must be two in the order of the call, {', '.join(self.networks)}; got {x!r} "
                f"and {y!r}"
            )
        return x, y

    def _group(self, pair: Pair) -> GroupSums:
        return next(group for group in self._sums if pair in group)

    @contextmanager
    def _one_pair_after_another(self) -> Iterator[None]:
        try:
            yield
        finally:
            for group in self._sums:
                group.rest()

    def _gram(self, pair: Pair, *, rows: bool = True) -> GramMatrix:
        grams = self._group(pair).grams(pair, rows=rows)
        total = grams[0]
        for gram in grams[1:]:
            total = total + gram
        return total

    def _profile(self, pair: Pair, centre: Centre, gram: GramMatrix | None = None) -> MatchProfile:
        if (pair, centre) not in self._profiles:
            found = match_profile(centred_by(gram or self._gram(pair), centre))
            self._profiles[pair, centre] = found
        return self._profiles[pair, centre]

    def _row(self, pair: Pair, measure: Measure, parameter: float | None, centre: Centre) -> ComparedRow:
        value, reason = self._value(pair, measure, parameter, centre)
        shown = centre if measure.depends_on_centre else "mean"
        return ComparedRow(*pair.x, *pair.y, measure.name, parameter, shown, value, reason)

    def _value(
        self, pair: Pair, measure: Measure, parameter: float | None, centre: Centre
    ) -> tuple[float | None, str]:
        key = (pair, measure, parameter, centre)
        if key in self._values:
            return self._values[key]
        gram, profile = None, self._profiles.get((pair, centre))
        if measure.needs - {"profile", "minibatches"} or (measure.needs & {"profile"} and profile is None):
            gram = self._gram(pair, rows="row-norms" in measure.needs)
        if "profile" in measure.needs:
            profile = self._profile(pair, centre, gram)
        evidence = Evidence(gram, profile, self._of_minibatches(pair, measure))
        value = evaluate(measure, evidence, parameter)
        reason = "" if value is not None else undefined_reason(measure, evidence, parameter) or ""
        self._values[key] = value, reason
        return value, reason

    def _of_minibatches(self, pair: Pair, measure: Measure) -> float | None:
        if "minibatches" not in measure.needs:
            return None
        if self._minibatch_cka is None:
            raise InputValueError(
                "`minibatch_cka` must be asked for in the call, got a statistic without batches; compare(…, "
                "minibatch_cka=True) estimates it, or take 'cka', which needs no batches"
            )
        value = self._minibatch_cka[pair]
        return math.nan if value is None else value


def _measure(measure: str | Measure) -> Measure:
    if isinstance(measure, Measure):
        return measure
    name = measure.replace("_", "-")
    return MINIBATCH_CKA if name == MINIBATCH_CKA.name else measure_named(name)
