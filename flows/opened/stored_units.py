"""The records of a study that has run, by the labels and names that people use."""

from collections.abc import Mapping
from typing import Any

from flows.run import plan
from spanmatch.errors import InputValueError, SpanmatchError, unknown_name
from spanmatch.matching.centring import Centre, check_centre
from storage.records import Records
from storage.root import Root
from tasks.profiles import statistic_of
from tasks.stages import STAGES
from tasks.statistic import Statistic
from tasks.unit import Done
from tasks.wanted import Checkpoint, Comparison, LayerPair, Side, Wanted

Labels = tuple[str, str]
"""Labels of two checkpoints."""


class StoredUnits:
    """Looks up what is recorded of a study, each stage once, and refuses what it does not have.

    Parameters
    ----------
    root
        Where its records are.
    study
        Its name.
    wanted
        What its units are planned from.
    """

    def __init__(self, root: Root, study: str, wanted: Wanted) -> None:
        self._root = root
        self._study = study
        self._wanted = wanted
        self._done: dict[str, Mapping[Any, Done]] = {}

    def find(self, stage: str, name: object, what: str) -> Done:
        """Return the unit of a stage that stands for a name.

        Raises
        ------
        SpanmatchError
            If there is no record of it.
        """
        self._walk_to(stage)
        if (done := self._done[stage].get(name)) is None:
            raise self._missing(what)
        return done

    def statistic(self, pair: LayerPair) -> Statistic:
        """Return the parts of a pair's statistic.

        Raises
        ------
        SpanmatchError
            If one is not there.
        """
        self._walk_to("comoments")
        if (statistic := statistic_of(self._wanted, self._done, pair)) is None:
            raise self._missing(f"statistic of {self._wanted.shown(pair)}")
        return statistic

    def pair(self, labels: Labels, layer_x: str, layer_y: str | None) -> LayerPair:
        """Return two layers of two checkpoints; the same layer, where the second is left out.

        Raises
        ------
        InputValueError
            If they are not compared.
        """
        x, y = map(self.side, labels, (layer_x, layer_y or layer_x))
        pair = LayerPair(x.layer, y.layer, Comparison(x.checkpoint, y.checkpoint))
        if pair not in self._wanted.pairs:
            found = [one.compared for one in self._wanted.pairs if pair[:2] == one[:2]]
            shown = ", ".join(f"{each.x.label} ~ {each.y.label}" for each in found) or "none"
            raise InputValueError(
                f"`checkpoint_x` and `checkpoint_y` must be two of which the study compares {x.layer} with "
                f"{y.layer}, in this order: {shown}; got {' ~ '.join(labels)}"
            )
        return pair

    def checkpoint(self, label: str) -> Checkpoint:
        """Return the checkpoint of a label.

        Raises
        ------
        InputValueError
            If none that is compared has it.
        """
        known = [one.label for one in self._wanted.checkpoints]
        if label not in known:
            raise unknown_name("checkpoint", label, known)
        return Checkpoint.of_label(label)

    def side(self, label: str, layer: str) -> Side:
        """Return a layer of the checkpoint of a label.

        Raises
        ------
        InputValueError
            If it is not compared.
        """
        checkpoint = self.checkpoint(label)
        known = [one.name for one in self._wanted.sides[checkpoint]]
        if layer not in known:
            raise unknown_name("layer", layer, known)
        return Side(layer, checkpoint)

    def centre(self, centre: Centre) -> Centre:
        """Return the centre, if the study compares activations so.

        Raises
        ------
        InputValueError
            If not.
        """
        if check_centre(centre) not in self._wanted.centres:
            known = ", ".join(self._wanted.centres)
            raise InputValueError(
                f"`centre` must be one of the study's, {known}, got {centre!r}; add it there, and run it"
            )
        return centre

    def _walk_to(self, last: str) -> None:
        """Look up what is recorded of all stages up to one."""
        records = Records(self._root)
        for name, stage in STAGES.items():
            if name not in self._done:
                self._done[name] = plan.recorded(records, stage, stage.plan(self._wanted, self._done))
            if name == last:
                return

    def _missing(self, what: str) -> SpanmatchError:
        return SpanmatchError(
            f"`path` must hold the {what}, but {self._root.where()!r} has none; `spanmatch run` of "
            f"{self._study!r} computes it"
        )
