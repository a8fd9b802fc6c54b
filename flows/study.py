"""A study's parameters: one pydantic model for the YAML file, the command line and the Prefect form.

Apart because everything else takes a study that is already known to be sound. What can be checked without
loading torch is checked here; `flows.checks` does the rest.
"""

import difflib
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

import yaml
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StrictInt,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic_core import ErrorDetails

from spanmatch.errors import InputTypeError, InputValueError
from spanmatch.networks.catalogue import FOLDER_PREFIX
from spanmatch.networks.datasource import DataSource, Framing, HeldOut
from spanmatch.networks.recipe import Augmentation, Recipe, Schedule, require_checkpoints

Compared = Literal["networks", "checkpoints", "others"]
_COMPARED: tuple[Compared, ...] = get_args(Compared)
_NAME = r"[a-z0-9]+(-[a-z0-9]+)*"

_SMALLEST_DEVIATION = 1e-3  # a quarter of the step between two bytes


def _number(value: object) -> object:
    if isinstance(value, bool):
        raise InputValueError(f"must be a number, got {str(value).lower()}; see studies/digits.yaml")
    return value


_Float = Annotated[float, BeforeValidator(_number)]

# The bounds are for forms; the model says more when it refuses.
Epsilon = Annotated[
    float, BeforeValidator(_number), Field(json_schema_extra={"minimum": 0, "exclusiveMaximum": 1})
]
Seed = Annotated[StrictInt, Field(ge=0, lt=2**63)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Training(_Strict):
    """How each network is trained: SGD with momentum on a one-cycle or step schedule."""

    epochs: Annotated[StrictInt, Field(ge=1)] = Field(12, description="Passes over the training images.")
    batch_size: Annotated[StrictInt, Field(ge=2)] = Field(64, description="Images in one step.")
    learning_rate: Annotated[_Float, Field(gt=0)] = Field(0.1, description="Highest of the schedule.")
    momentum: Annotated[_Float, Field(ge=0, lt=1)] = Field(0.9, description="Momentum of SGD.")
    weight_decay: Annotated[_Float, Field(ge=0)] = Field(5e-4, description="Weight decay of SGD.")
    schedule: Schedule = Field(
        "one-cycle", description="one-cycle for short trainings; step, the paper's, for long ones."
    )
    milestones: list[StrictInt] | None = Field(
        None, description="Of step: epochs after which the rate falls to a tenth; half and three quarters."
    )
    augment: list[Augmentation] = Field([], description="Random changes of training images: crop, flip.")
    images: Annotated[StrictInt, Field(ge=1)] | None = Field(
        None, description="Train on so many of the training images, evenly spread; none for all."
    )
    mixed_precision: bool = Field(False, description="Train in 16 bits where the device gains by it.")

    @field_validator("augment")
    @classmethod
    def _different_augmentations(cls, augment: list[Augmentation]) -> list[Augmentation]:
        _refuse_repeats(augment)
        return sorted(augment)

    @model_validator(mode="after")
    def _sound(self) -> "Training":
        self.recipe()
        return self

    def recipe(self) -> Recipe:
        """Return what determines the weights, beside seed, architecture and data."""
        values = self.model_dump(exclude={"mixed_precision"})
        milestones = None if self.milestones is None else tuple(sorted(self.milestones))
        return Recipe(**{**values, "milestones": milestones, "augment": tuple(self.augment)})


class LayerChoice(_Strict):
    """Layers by name or pattern, with the dimension of their output that is the neurons."""

    name: str = Field(description="A name, a pattern (block2.*), or default.")
    neurons: Literal["last"] | StrictInt = Field(
        description="Dimension of the output that is the neurons: last, or a number, the images' being 0."
    )

    def __str__(self) -> str:
        return f"{self.name} (neurons: {self.neurons})"


class FolderPreprocessing(_Strict):
    """How the images of a folder become pixels: resized, cropped, standardised channel by channel."""

    mean: list[_Float] = Field(description="Of each channel's pixels in [0, 1]: one for grey, three for RGB.")
    deviation: list[Annotated[_Float, Field(gt=0)]] = Field(description="One for each mean.")
    resize: Annotated[StrictInt, Field(ge=1)] | None = Field(
        None, description="Length of the shorter side after resizing; none leaves the size."
    )
    crop: Annotated[StrictInt, Field(ge=1)] | None = Field(
        None, description="Side of the square cut out of the middle; none for no crop."
    )

    @model_validator(mode="after")
    def _channels(self) -> "FolderPreprocessing":
        counts = (len(self.mean), len(self.deviation))
        if counts not in ((1, 1), (3, 3)):
            raise InputValueError(
                "`preprocessing` must have one mean and deviation for grey images or three for RGB, got "
                f"{counts[0]} and {counts[1]}"
            )
        if not all(0 <= mean <= 1 for mean in self.mean) or not all(
            _SMALLEST_DEVIATION <= deviation <= 1 for deviation in self.deviation
        ):
            raise InputValueError(
                "`preprocessing` must have means in [0, 1] and deviations in "
                f"[{_SMALLEST_DEVIATION}, 1], of pixels in [0, 1], got {self.mean} and {self.deviation}; "
                "divide those of bytes by 255"
            )
        return self

    def framing(self) -> Framing:
        """Return the same as a value that travels."""
        return Framing(tuple(self.mean), tuple(self.deviation), self.resize, self.crop)


class Study(_Strict):
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
    width: Annotated[_Float, Field(gt=0)] = Field(1.0, description="Multiplies the number of channels.")
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
    images: Literal["all"] | Annotated[StrictInt, Field(ge=1)] = Field(
        description="Number of held-out images whose activations are compared, the first ones; or all."
    )
    segment_images: Annotated[StrictInt, Field(ge=1)] = Field(
        1000, description="Images in one stored segment of activations: what is resumed and repaired."
    )
    positions: Literal["all", "mean"] | Annotated[StrictInt, Field(ge=1)] = Field(
        "all",
        description="Positions of a map that are samples: all, so many drawn for each image, or their mean.",
    )
    positions_seed: Annotated[StrictInt, Field(ge=0)] = Field(
        0, description="Seed that positions are drawn from."
    )
    dtype: Literal["float32", "float16"] = Field("float32", description="How activations are stored.")
    epsilons: list[Epsilon] = Field(
        min_length=1, description="Tolerances ε of the matches, each at least 0 and below 1."
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
        _refuse_repeats(seeds)
        return sorted(seeds)

    @field_validator("checkpoints")
    @classmethod
    def _different_checkpoints(cls, checkpoints: list[str]) -> list[str]:
        _refuse_repeats(checkpoints)
        return checkpoints

    @field_validator("layers", "compare", mode="before")
    @classmethod
    def _one_or_several(cls, values: object) -> object:
        return [values] if isinstance(values, str | dict) else values

    @field_validator("layers", mode="before")
    @classmethod
    def _layers_known(cls, layers: object) -> object:
        for layer in layers if isinstance(layers, list) else []:
            if not isinstance(layer, str | LayerChoice) and not _is_choice(layer):
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
            raise InputValueError(f"must be a number of images from 1, or all, got {images!r}")
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
            if one not in _COMPARED and not re.fullmatch(r"\s*\S+\s*~\s*\S+\s*", one):
                raise InputValueError(
                    f"must hold {', '.join(_COMPARED)}, or pairs such as 'seed0-final ~ seed1-best', "
                    f"got {one!r}"
                )
        _refuse_repeats(compare)
        return compare

    @field_validator("layers")
    @classmethod
    def _different_layers(cls, layers: list[str | LayerChoice]) -> list[str | LayerChoice]:
        _refuse_repeats([layer if isinstance(layer, str) else layer.name for layer in layers])
        return layers

    @field_validator("epsilons")
    @classmethod
    def _epsilons_in_range(cls, epsilons: list[float]) -> list[float]:
        for epsilon in epsilons:
            if not 0 <= epsilon < 1:
                raise InputValueError(
                    f"must lie in [0, 1), got {epsilon}; at 1 everything matches, the paper uses 0.15 to 0.5"
                )
        return sorted({abs(epsilon) for epsilon in epsilons})

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
        """Layers by name or pattern, with the dimension that is the neurons where the study says it."""
        return [(one, None) if isinstance(one, str) else (one.name, one.neurons) for one in self.layers]

    def source(self) -> DataSource:
        """Return the data set that is meant."""
        framing = None if self.preprocessing is None else self.preprocessing.framing()
        return DataSource(self.dataset, self.data_folder, self.held_out, framing)

    def segments(self, held_out: int) -> list[tuple[int, int]]:
        """Ranges of images, (start, stop), of `held_out`, that are extracted and stored as one."""
        images = held_out if self.images == "all" else self.images
        starts = range(0, images, self.segment_images)
        return [(start, min(start + self.segment_images, images)) for start in starts]

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


class _Loader(yaml.SafeLoader):
    """Refuses a key that is given twice, of which YAML's own loader takes the last without a word."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        first: dict[Any, int] = {}
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode) or key.tag == "tag:yaml.org,2002:merge":
                continue
            line = key.start_mark.line + 1
            if key.value in first:
                raise yaml.YAMLError(
                    f"the key {key.value!r} is given twice, in lines {first[key.value]} and {line}; keep one"
                )
            first[key.value] = line
        return super().construct_mapping(node, deep)


def read_study(path: Path) -> Study:
    """Read a study from a YAML file.

    Raises
    ------
    ValueError
        If the file cannot be read, is not YAML, or breaks a rule; one sentence for each rule broken.
    TypeError
        If the file holds something other than keys and values.
    """
    try:
        text = path.expanduser().read_bytes()
    except (OSError, ValueError, RuntimeError) as error:  # a NUL in its path, and no such user, too
        reason = error.strerror if isinstance(error, OSError) else str(error)
        message = f"`STUDY` must be a YAML file that can be read, got {str(path)!r} ({reason}); see studies/"
        raise InputValueError(message) from None
    try:
        values = yaml.load(text.decode("utf-8"), _Loader)  # noqa: S506 - a safe one
    except (yaml.YAMLError, ValueError, RecursionError) as error:  # a date that there is not, thousands of [
        reason = " ".join(str(error).split())
        message = (
            f"`STUDY` must be YAML, got {str(path)!r}, which is not: {reason}; compare studies/digits.yaml"
        )
        raise InputValueError(message) from None
    if not isinstance(values, dict):
        message = (
            f"`STUDY` must hold keys and values, got {type(values).__name__} in {str(path)!r}; "
            "compare studies/digits.yaml"
        )
        raise InputTypeError(message)
    return validated(values, source=str(path))


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
        sentences = [_sentence(details) for details in error.errors()]
        raise InputValueError("\n".join([*sentences, f"(in {source})"])) from None


def _is_choice(layer: object) -> bool:
    if not isinstance(layer, dict) or layer.keys() != {"name", "neurons"}:
        return False
    name, neurons = layer["name"], layer["neurons"]
    return isinstance(name, str) and (neurons == "last" or type(neurons) is int)


def _sentence(error: ErrorDetails) -> str:
    """One sentence for one broken rule: argument, rule, value, remedy."""
    place = [str(part) for part in error["loc"] if isinstance(part, str)] or ["STUDY"]
    name = f"`{'.'.join(place)}`"
    if place[-1] == "[key]":
        return (
            f"`{place[0]}` must have names of lower-case letters, digits and single dashes, got "
            f"{error['input']!r}; choose another"
        )
    if error["type"] == "extra_forbidden":
        models: dict[str, type[_Strict]] = {"training": Training, "preprocessing": FolderPreprocessing}
        known = list((models.get(place[0], Study) if len(place) > 1 else Study).model_fields)
        near = difflib.get_close_matches(place[-1], known, n=1)
        remedy = f"did you mean `{near[0]}`?" if near else f"known keys: {', '.join(known)}"
        return f"{name} is not a key of a study; {remedy}"
    if error["type"] == "missing":
        return f"{name} is missing; a study must have it, see studies/digits.yaml"
    if error["type"] == "value_error":
        sentence = str(error["ctx"]["error"])
        return sentence if sentence.startswith("`") else f"{name} {sentence}"
    rule = error["msg"].replace("Input should be", "must be").replace("String should", "must")
    rule = rule.replace("List should", "must")
    return f"{name} {rule}, got {error['input']!r}; see studies/digits.yaml"


def _refuse_repeats(values: Sequence[object]) -> None:
    repeated = sorted({str(value) for value in values if values.count(value) > 1})
    if repeated:
        raise InputValueError(
            f"must not repeat, got {', '.join(repeated)} more than once; remove the repetition"
        )
