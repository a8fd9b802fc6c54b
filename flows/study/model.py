"""A study's parameters: one pydantic model for the YAML file, the command line and the Prefect form.

Nothing here loads torch: `flows.study.resolve` checks what needs it.
"""

import re
from collections.abc import Sequence
from itertools import chain
from typing import Annotated, Any, Literal, get_args

from pydantic import (
    AliasChoices,
    Field,
    StrictInt,
    ValidationError,
    field_validator,
    model_validator,
)

from flows.study.sentences import sentence
from flows.study.values import (
    NUMBER,
    Epsilon,
    ExemplarCount,
    FolderPreprocessing,
    LayerChoice,
    LayerPairs,
    Permutations,
    Seed,
    Strict,
    Training,
    is_choice,
    refuse_repeats,
)
from spanmatch.errors import InputValueError
from spanmatch.matching.centring import CENTRES, Centre
from spanmatch.matching.checks import EPSILON_RANGE, check_epsilon
from spanmatch.measures import MEASURES, measure_named
from spanmatch.measures.maximum_match import MAXIMUM_MATCH
from spanmatch.networks.catalogue import FOLDER_PREFIX
from spanmatch.networks.datasource import DataSource, HeldOut
from spanmatch.networks.precision import StoredDtype
from spanmatch.networks.recipe import require_checkpoints
from spanmatch.statistics.resampling import LEAST_FOLDS

Compared = Literal["networks", "checkpoints", "others"]
COMPARED: tuple[Compared, ...] = get_args(Compared)
_USUAL_FOLDS = 10
_NAME = r"[a-z0-9]+(-[a-z0-9]+)*"


class Study(Strict):
    """What is compared: which networks, when in training, in which layers, on which images, at which ε."""

    name: str = Field(
        pattern=f"^{_NAME}$",
        max_length=60,
        description="Names the study's runs and artefacts: lower-case letters, digits and single dashes.",
    )
    dataset: str = Field(
        description="Data set: a name, folder:PATH for a folder of images, or package.module:factory."
    )
    data_folder: str | None = Field(
        None,
        description="Where data sets are looked for; none for $SPANMATCH_DATA or ~/.cache/spanmatch/data.",
    )
    preprocessing: FolderPreprocessing | None = Field(
        None, description="Of folder:PATH: mean, deviation, resize, crop; none for ImageNet's statistics."
    )
    held_out: HeldOut = Field(
        "split",
        description="Images that are compared: those held out from training, or all that there are.",
    )
    architecture: str = Field(description="Architecture of every network: a name, or package.module:factory.")
    width: Annotated[float, Field(gt=0), NUMBER] = Field(
        1.0, description="Multiplies the number of channels."
    )
    seeds: list[Seed] = Field(
        [], description="Random seeds, all different; one network is trained from each."
    )
    weights: dict[Annotated[str, Field(pattern=f"^{_NAME}$")], str] = Field(
        {}, description="Networks that are trained already: a name for each, and its file of weights."
    )
    others: dict[Annotated[str, Field(pattern=f"^{_NAME}$")], str] = Field(
        {}, description="Other studies whose networks are compared with these: a name for each, and its file."
    )
    training: Training = Field(default_factory=Training, description="How each network is trained.")
    checkpoints: list[str] = Field(
        ["initial", "final"],
        min_length=1,
        description="Moments of training that are compared: initial, best, final, epoch1, epoch2, …",
    )
    compare: list[str] = Field(
        ["networks"],
        min_length=1,
        description="`networks`: every two, at each checkpoint; `checkpoints`: each network with itself at "
        "every two; `others`: each with each of the other studies'; or a pair, seed0-final ~ seed1-best.",
    )
    layers: list[str | LayerChoice] = Field(
        ["default"],
        min_length=1,
        description="Layers by name or pattern (block2.*); `default`: outputs of all activation functions. "
        "Where it cannot be told, or is told wrongly, which of its dimensions is the neurons: "
        "{name: …, neurons: last}.",
    )
    pairs: LayerPairs = Field(
        "same",
        description="Which layers of two networks are compared: `same`, those of one name; `grid`, every one "
        "with every other: measures and their nulls, drawn as heat maps, and of those of one name all else; "
        "or a list of pairs of names or patterns, [[block1.*, layer1.*]].",
    )
    images: Literal["all"] | Annotated[StrictInt, Field(ge=1)] = Field(
        validation_alias=AliasChoices("images", "samples"),
        description="Number of held-out images, or other samples, whose activations are compared, the first "
        "ones; or all. `samples` is another name of this key.",
    )
    segment_images: Annotated[StrictInt, Field(ge=1)] = Field(
        1000,
        validation_alias=AliasChoices("segment_images", "segment_samples"),
        description="Images, or other samples, in one stored segment of activations: what is resumed and "
        "repaired.",
    )
    activations: Literal["keep", "stream"] = Field(
        "keep",
        description="`keep` stores activations; `stream` sums while networks pass, and stores statistics "
        "alone: what a study adds has networks pass again.",
    )
    positions: Literal["all", "mean"] | Annotated[StrictInt, Field(ge=1)] = Field(
        "all",
        description="Positions of a map that are samples: all, so many drawn for each image, or their mean.",
    )
    positions_seed: Annotated[StrictInt, Field(ge=0)] = Field(
        0, description="Seed that positions are drawn from."
    )
    dtype: StoredDtype = Field("float32", description="How activations are stored.")
    epsilons: list[Epsilon] = Field(
        min_length=1, description=f"Tolerances ε of the matches, each {EPSILON_RANGE}."
    )
    centre: list[Centre] = Field(
        list(CENTRES),
        min_length=1,
        description="How activations are matched: raw, as they are; mean, each neuron less its mean.",
    )
    folds: Annotated[StrictInt, Field(ge=0)] | None = Field(
        None,
        description="Folds of the images, for standard errors, held-out values and growth; 0 for no folds; "
        "none for 10, or one an image where there are fewer.",
    )
    null: Permutations = Field(
        default_factory=Permutations, description="What layers share by chance: from permuted images."
    )
    measures: list[str] = Field(
        ["default"],
        min_length=1,
        validate_default=True,
        description="Measures of similarity beside the maximum match, by name; default: the usual ones; "
        "all: every one that there is.",
    )
    exemplars: ExemplarCount = Field(
        9,
        description="Samples that are found of each neuron, those that activate it most, with value and "
        "position; 0 for none.",
    )
    root: str = Field(
        min_length=1,
        description="Folder or URL (s3://bucket/prefix) for everything the study computes.",
    )
    device: Literal["auto", "cpu", "cuda"] = Field(
        "auto", description="Where networks run: a GPU if there is one, the CPU, or a GPU for certain."
    )
    scheduler: str | None = Field(
        None, description="Address of a Dask scheduler, such as tcp://host:8786; none starts a local cluster."
    )

    @field_validator("seeds")
    @classmethod
    def _different_seeds(cls, seeds: list[int]) -> list[int]:
        refuse_repeats(seeds)
        return sorted(seeds)

    @field_validator("checkpoints")
    @classmethod
    def _different_checkpoints(cls, checkpoints: list[str]) -> list[str]:
        refuse_repeats(checkpoints)
        return checkpoints

    @field_validator("centre")
    @classmethod
    def _different_centres(cls, centre: list[Centre]) -> list[Centre]:
        refuse_repeats(centre)
        return [one for one in CENTRES if one in centre]

    @field_validator("layers", "compare", "centre", mode="before")
    @classmethod
    def _one_or_several(cls, values: object) -> object:
        return [values] if isinstance(values, str | dict) else values

    @field_validator("layers", mode="before")
    @classmethod
    def _layers_known(cls, layers: object) -> object:
        for layer in layers if isinstance(layers, list) else []:
            if not isinstance(layer, str | LayerChoice) and not is_choice(layer):
                raise InputValueError(
                    "must hold names, patterns, or {name: …, neurons: last or a whole number}, "
                    f"got {layer!r}; see docs/layers.md"
                )
        return layers

    @field_validator("images", mode="before")
    @classmethod
    def _images_known(cls, images: object) -> object:
        number = isinstance(images, int) and not isinstance(images, bool) and images >= 1
        if images != "all" and not number:
            raise InputValueError(f"must be a number of samples from 1, or all, got {images!r}")
        return images

    @field_validator("positions", mode="before")
    @classmethod
    def _positions_known(cls, positions: object) -> object:
        number = isinstance(positions, int) and not isinstance(positions, bool) and positions >= 1
        if positions not in ("all", "mean") and not number:
            raise InputValueError(f"must be all, mean or a number of positions from 1, got {positions!r}")
        return positions

    @field_validator("compare")
    @classmethod
    def _comparisons(cls, compare: list[str]) -> list[str]:
        for one in compare:
            if one not in COMPARED and not re.fullmatch(r"\s*\S+\s*~\s*\S+\s*", one):
                raise InputValueError(
                    f"must hold {', '.join(COMPARED)}, or pairs such as 'seed0-final ~ seed1-best', "
                    f"got {one!r}"
                )
        refuse_repeats(compare)
        return compare

    @field_validator("layers")
    @classmethod
    def _different_layers(cls, layers: list[str | LayerChoice]) -> list[str | LayerChoice]:
        refuse_repeats([layer if isinstance(layer, str) else layer.name for layer in layers])
        return layers

    @field_validator("measures", mode="before")
    @classmethod
    def _measures_known(cls, measures: object) -> object:
        names = [measures] if isinstance(measures, str) else measures
        if not isinstance(names, list) or not names:
            return names
        groups = {"all": list(MEASURES), "default": [one.name for one in MEASURES.values() if one.usual]}
        kept = tuple(groups)  # which may be asked for what cannot be hashed
        names = [name if name in kept else measure_named(name, "measures").name for name in names]
        refuse_repeats(names)
        every = chain.from_iterable(groups.get(name, [name]) for name in names)
        return list(dict.fromkeys([MAXIMUM_MATCH.name, *every]))

    @field_validator("epsilons")
    @classmethod
    def _epsilons_in_range(cls, epsilons: list[float]) -> list[float]:
        checked = (check_epsilon(epsilon, argument="epsilons") for epsilon in epsilons)
        return sorted({abs(epsilon) for epsilon in checked})  # without -0.0

    @model_validator(mode="after")
    def _folds_hold_images(self) -> "Study":
        if self.images != "all":
            require_enough(self, self.images)
        return self

    @model_validator(mode="after")
    def _something_to_compare(self) -> "Study":
        networks = len(self.seeds) + len(self.weights)
        if self.compare == ["networks"] and networks < 2:
            raise InputValueError(
                f"`seeds` must hold at least two seeds to compare, got {self.seeds}; add one, or `weights`, "
                "or say in `compare` what else to compare"
            )
        if networks == 0:
            raise InputValueError("`seeds` must hold a seed, or `weights` a network, got neither; add one")
        if self.preprocessing is not None and not self.dataset.startswith(FOLDER_PREFIX):
            raise InputValueError(
                f"`preprocessing` must be left out but for folder:PATH, got some for {self.dataset!r}; leave "
                "it out, that data set has its own"
            )
        if self.held_out == "all" and self.seeds:
            raise InputValueError(
                f"`held_out` must be split where networks are trained, got all with seeds {self.seeds}; "
                "leave `seeds` out and give trained networks as `weights`"
            )
        if "checkpoints" in self.compare and len(self.checkpoints) < 2:
            raise InputValueError(
                "`checkpoints` must hold at least two to compare a network with itself, got "
                f"{self.checkpoints}"
            )
        if ("others" in self.compare) != bool(self.others):
            raise InputValueError(
                f"`others` must name studies exactly when `compare` has others, got {self.others} and "
                f"{self.compare}"
            )
        require_checkpoints(self.checkpoints, self.training.epochs)
        return self

    def wanted_layers(self) -> list[tuple[str, Literal["last"] | int | None]]:
        """Return names and patterns of layers, with the dimension of the neurons where the study says it."""
        return [(one, None) if isinstance(one, str) else (one.name, one.neurons) for one in self.layers]

    def source(self) -> DataSource:
        """Return the data set that is meant."""
        framing = None if self.preprocessing is None else self.preprocessing.framing()
        return DataSource(self.dataset, self.data_folder, self.held_out, framing)

    def segments(self, held_out: int) -> list[tuple[int, int]]:
        """Return the ranges (start, stop) of `held_out` images that are extracted and stored as one."""
        images = held_out if self.images == "all" else self.images
        starts = range(0, images, self.segment_images)
        return [(start, min(start + self.segment_images, images)) for start in starts]

    def samples_of(self, positions: int) -> int:
        """Return how many of a layer's positions are samples of an image."""
        if self.positions == "mean":
            return 1
        return positions if self.positions == "all" else min(positions, self.positions)

    def resampling(self, images: int) -> tuple[int, int]:
        """Return in how many folds so many images are, and how often they are permuted."""
        usual = 0 if images < LEAST_FOLDS else min(_USUAL_FOLDS, images)
        return usual if self.folds is None else self.folds, self.null.usual(images)

    def with_options(
        self, epsilons: Sequence[float] = (), scheduler: str | None = None, root: str | None = None
    ) -> "Study":
        """Return the study with further ε, and another scheduler or root where one is given.

        Raises
        ------
        ValueError
            If an option breaks a rule of the study.
        """
        values = self.model_dump()
        values["epsilons"] = [*values["epsilons"], *epsilons]
        values["scheduler"] = scheduler or self.scheduler
        values["root"] = root or self.root
        return validated(values, source="the options")


def require_enough(study: Study, images: int) -> None:
    """See that images are enough for a study's folds and permutations.

    Raises
    ------
    ValueError
        If not.
    """
    if study.folds == 1 or (study.folds or 0) > images:
        raise InputValueError(
            f"`folds` must be 0, for none, or from 2 to the number of samples, {images}, got {study.folds}; "
            "10 is usual"
        )
    if study.null.permutations and study.null.permutations >= images:
        raise InputValueError(
            f"`null.permutations` must be below the number of samples, {images}, got "
            f"{study.null.permutations}; use more samples, or 0 for no null"
        )


def validated(values: dict[Any, Any], source: str) -> Study:
    """Make a study of values that came from `source`.

    Raises
    ------
    ValueError
        If they break a rule; one sentence for each rule broken.
    """
    try:
        return Study.model_validate(values)
    except ValidationError as error:
        sentences = [sentence(details, Study) for details in error.errors()]
        raise InputValueError("\n".join([*sentences, f"(in {source})"])) from None
