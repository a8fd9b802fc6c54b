"""A study that has run, and what of it is stored: tables, activations, networks, statistics, matches."""

from collections.abc import Mapping
from dataclasses import asdict, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from numpy.typing import ArrayLike, NDArray

from flows.opened.refusing import damage_named
from flows.opened.stored_activations import StoredActivations
from flows.opened.stored_units import Labels, StoredUnits
from flows.run import plan
from flows.run.exemplified import exemplar_rows
from flows.run.read_back import read_results
from flows.study.model import Study
from flows.study.resolved import Resolved
from spanmatch import GramMatrix, Match, MatchProfile, networks
from spanmatch.errors import InputValueError, unknown_name
from spanmatch.frames import pandas_for
from spanmatch.matching.centring import Centre
from spanmatch.matching.match import SimpleMatch
from spanmatch.reporting import Exemplars, StudyResults
from storage.checkpoints import read_checkpoint
from storage.root import Root
from tasks.datasets import load_planned
from tasks.exemplars import read_exemplars
from tasks.matches import MatchName, read_matches
from tasks.profiles import ProfileName, read_profile
from tasks.segments import SegmentName
from tasks.statistic import Reading, Samples
from tasks.wanted import WHOLE

if TYPE_CHECKING:
    from torch import nn

    from spanmatch.networks import Dataset

_TABLES = (
    "similarity",
    "measures",
    "growth",
    "simple_matches",
    "covers",
    "essential",
    "networks",
    "training",
)


class StoredStudy:
    """What runs of a study have stored under its root. Nothing is computed or written.

    What is read is compared with the digests that were kept of it, as in a run.

    Parameters
    ----------
    root
        Where it is.
    study
        As it was compared last.
    resolved
        What it refers to.

    Attributes
    ----------
    name
        The study's.
    checkpoints
        Labels of the checkpoints that are compared: ``seed0-final``.
    layers
        Names, in the order of the forward pass.
    pairs
        What is compared: labels of two checkpoints, and names of a layer of either, as `gram` takes them.
    tables
        Names of the tables that `rows` and `to_frame` take.
    """

    tables = _TABLES

    def __init__(self, root: Root, study: Study, resolved: Resolved) -> None:
        self.root = root
        self.study = study
        self.name = study.name
        self._wanted = plan.wanted(study, resolved)
        self._units = StoredUnits(root, study.name, self._wanted)
        self._reading = Reading(root)
        self.checkpoints = tuple(one.label for one in self._wanted.checkpoints)
        self.layers = tuple(
            dict.fromkeys(layer.name for layers in self._wanted.sides.values() for layer in layers)
        )
        self.pairs = tuple(
            (pair.compared.x.label, pair.compared.y.label, pair.layer_x, pair.layer_y)
            for pair in self._wanted.pairs
        )

    @cached_property
    def results(self) -> StudyResults:
        """All rows of the last run's tables, and critical epsilons.

        Raises
        ------
        ValueError
            If they cannot be read, or another study ran last under this root.
        """
        return read_results(self.root, self.name)

    def rows(self, table: str) -> tuple[Any, ...]:
        """Return the rows of a table of the last run.

        Parameters
        ----------
        table
            One of `tables`.

        Raises
        ------
        ValueError
            If there is no such table, or it cannot be read.
        """
        if table not in self.tables:
            raise unknown_name("table", table, self.tables)
        rows: tuple[Any, ...] = getattr(self.results, table)
        return rows

    def to_frame(self, table: str) -> Any:  # noqa: ANN401 - a DataFrame, of a package that need not be there
        """Return a table of the last run as a data frame of pandas.

        Parameters
        ----------
        table
            One of `tables`.

        Raises
        ------
        MissingExtraError
            If pandas is not installed.
        ValueError
            As `rows`.
        """
        return pandas_for("to_frame", "`rows`").DataFrame([asdict(row) for row in self.rows(table)])

    def activations(self, checkpoint: str, layer: str) -> StoredActivations:
        """Return the activations of a layer of a checkpoint, which are read as far as they are indexed.

        Parameters
        ----------
        checkpoint
            Its label, such as ``seed0-final``.
        layer
            Its name.

        Raises
        ------
        SpanmatchError
            If there are none, or they are not what was written.
        """
        side = self._units.side(checkpoint, layer)
        if self._wanted.streams:
            raise InputValueError(
                f"`activations` of {self.name!r} must be keep for any to be stored, got stream; `spanmatch "
                "run` stores them then, or spanmatch.networks.extract takes them of `network` again"
            )
        names = [SegmentName(*side, start) for start, _ in self._wanted.segments]
        what = f"activations of {checkpoint} in {layer}"
        segments = [self._units.find("segments", name, what).artefact for name in names]
        return StoredActivations(self.root, segments, checkpoint, layer)

    def exemplars(self, checkpoint: str, layer: str) -> Exemplars:
        """Return the samples at which each neuron of a layer of a checkpoint is strongest.

        Parameters
        ----------
        checkpoint
            Its label, such as ``seed0-final``.
        layer
            Its name.

        Raises
        ------
        SpanmatchError
            If there are none, or they are not what was written.
        """
        side = self._units.side(checkpoint, layer)
        if not self._wanted.exemplars:
            raise InputValueError(
                f"`exemplars` of {self.name!r} must be from 1 for any to be stored, got 0; raise it, and run "
                "it, or take `activations(…).strongest`"
            )
        done = self._units.find("exemplars", side, f"exemplars of {checkpoint} in {layer}")
        with damage_named(self.root):
            (found,) = exemplar_rows({side: read_exemplars(self._reading.packs, done.artefact)})
        return found

    def network(self, checkpoint: str) -> "nn.Module":
        """Build a network and load a checkpoint's weights, on the CPU and in evaluation mode.

        Parameters
        ----------
        checkpoint
            Its label.

        Raises
        ------
        SpanmatchError
            If there is none, it is not what was written, or data or code are not as they were.
        """
        found = self._units.checkpoint(checkpoint)
        done = self._units.find("networks", found.network, f"network {found.network}")
        unit: Any = done.unit
        networks.require_same_code(unit.architecture, unit.code)
        dataset = load_planned(unit.source, unit.dataset_digest, "whole")
        network = networks.build(unit.architecture, dataset.held_out.shape, dataset.classes, unit.width)
        digest = done.record["checkpoints"][found.moment]["digest"]
        with damage_named(self.root):
            weights = read_checkpoint(self.root, replace(done.artefact, digest=digest), found.moment)
        networks.fit_weights(network, weights)
        return network.eval()

    def dataset(self) -> "Dataset":
        """Load the study's data set; the images that are compared are the first that are held out.

        Raises
        ------
        SpanmatchError
            If it is not there, or not that of the study's run.
        """
        return load_planned(self._wanted.source, self._wanted.held_out_digest, "held-out")

    def pictures(self, images: ArrayLike) -> NDArray[Any]:
        """Return images to look at, before they are standardised.

        Parameters
        ----------
        images
            Numbers of compared images, in an array of any shape.

        Returns
        -------
        array
            The shape of `images`, then height and width of a picture, and its channels if there are several.

        Raises
        ------
        SpanmatchError, IndexError
            If there are no such images, or as `dataset`.
        """
        numbers = np.asarray(images)
        total = self._wanted.segments[-1][1]
        if not np.issubdtype(numbers.dtype, np.integer) or not ((numbers >= 0) & (numbers < total)).all():
            raise InputValueError(
                f"`images` must be numbers of images from 0 to {total - 1}, got {images!r}; such as "
                "`strongest` returns"
            )
        found = self.dataset().held_out.raw(numbers.reshape(-1))
        if isinstance(found, Mapping):
            raise InputValueError(
                f"`pictures` must be of a data set with one input, got {', '.join(found)}; `dataset` has all"
            )
        if found.ndim == 4:
            found = found[:, 0] if found.shape[1] == 1 else np.moveaxis(found, 1, -1)
        return found.reshape(numbers.shape + found.shape[1:])

    def gram(
        self, checkpoint_x: str, checkpoint_y: str, layer_x: str, layer_y: str | None = None
    ) -> GramMatrix:
        """Return the Gram matrix of two layers over all images, which every function of spanmatch takes.

        Parameters
        ----------
        checkpoint_x, checkpoint_y
            Labels.
        layer_x, layer_y
            Names; the same layer where the second is left out.

        Raises
        ------
        SpanmatchError
            If they are not compared, or it is not what was written.
        """
        return self._samples((checkpoint_x, checkpoint_y), layer_x, layer_y).gram_with_rows

    def fold_grams(
        self, checkpoint_x: str, checkpoint_y: str, layer_x: str, layer_y: str | None = None
    ) -> tuple[GramMatrix, ...]:
        """Return the Gram matrix of two layers in each fold: `spanmatch.jackknife` and `held_out` take them.

        Parameters
        ----------
        checkpoint_x, checkpoint_y, layer_x, layer_y
            As `gram`.

        Raises
        ------
        SpanmatchError
            As `gram`; if the study has no folds.
        """
        if not self._wanted.folds:
            raise InputValueError(
                f"`folds` of {self.name!r} must be from 2 for sums by folds, got 0; raise it, and run it"
            )
        samples = self._samples((checkpoint_x, checkpoint_y), layer_x, layer_y)
        return tuple(Samples((part,)).gram_with_rows for part in samples.parts)

    def profile(
        self,
        checkpoint_x: str,
        checkpoint_y: str,
        layer_x: str,
        layer_y: str | None = None,
        *,
        centre: Centre = "raw",
    ) -> MatchProfile:
        """Return the match profile of two layers: the maximum match at every ε.

        Parameters
        ----------
        checkpoint_x, checkpoint_y, layer_x, layer_y
            As `gram`.
        centre
            Of which activations: as they are, or less their means.

        Raises
        ------
        SpanmatchError
            As `gram`; if the study does not compare them so.
        """
        pair = self._units.pair((checkpoint_x, checkpoint_y), layer_x, layer_y)
        name = ProfileName(pair, self._units.centre(centre), WHOLE)
        done = self._units.find("profiles", name, f"profile of {self._wanted.shown(pair)}")
        with damage_named(self.root):
            return read_profile(self._reading.packs, done.artefact)

    def simple_matches(
        self,
        checkpoint_x: str,
        checkpoint_y: str,
        layer_x: str,
        layer_y: str | None = None,
        *,
        epsilon: float,
        centre: Centre = "raw",
    ) -> tuple[SimpleMatch, ...]:
        """Return the simple matches of two layers at one of the study's ε, as `spanmatch.simple_matches`.

        Parameters
        ----------
        checkpoint_x, checkpoint_y, layer_x, layer_y
            As `profile`.
        epsilon
            One of the study's.
        centre
            As `profile`.

        Raises
        ------
        SpanmatchError
            As `profile`; if the study has no such ε.
        """
        if epsilon not in self._wanted.epsilons:
            known = ", ".join(f"{one:g}" for one in self._wanted.epsilons)
            raise InputValueError(
                f"`epsilon` must be one of the study's, {known}, got {epsilon}; `spanmatch run` with "
                f"--epsilon {epsilon} adds it, or spanmatch.simple_matches finds them of `gram`"
            )
        pair = self._units.pair((checkpoint_x, checkpoint_y), layer_x, layer_y)
        if not self._wanted.is_looked_into(pair):
            raise InputValueError(
                "`layer_y` must be as `layer_x` for matches of a grid, which has no others, got "
                f"{pair.layers}; spanmatch.simple_matches finds them of `gram`"
            )
        name = MatchName(pair, self._units.centre(centre), epsilon)
        done = self._units.find("matches", name, f"matches of {self._wanted.shown(pair)}")
        with damage_named(self.root):
            document = read_matches(self._reading.packs, done.artefact)
        return tuple(
            SimpleMatch((cast("Any", one["neuron"][0]), one["neuron"][1]), Match(one["x"], one["y"]))
            for one in document["simple_matches"]
        )

    def __repr__(self) -> str:
        return f"<StoredStudy {self._sentence()}>"

    def _sentence(self) -> str:
        return (
            f"{self.name} in {self.root.where()}: {len(self.checkpoints)} checkpoints, {len(self.layers)} "
            f"layers, {len(self.pairs)} pairs, {self._wanted.segments[-1][1]:,} {self._wanted.items}"
        )

    def _samples(self, checkpoints: Labels, layer_x: str, layer_y: str | None) -> Samples:
        statistic = self._units.statistic(self._units.pair(checkpoints, layer_x, layer_y))
        with damage_named(self.root):
            return self._reading.whole(statistic)
