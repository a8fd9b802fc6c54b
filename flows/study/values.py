"""Types of a study's values: numbers, training, layers, preprocessing."""

from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import (
    AliasChoices,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StrictInt,
    field_validator,
    model_validator,
)

from spanmatch.comparing.pairs import is_pair
from spanmatch.errors import InputValueError
from spanmatch.matching.checks import EPSILON_LIMIT, LEAST_EPSILON
from spanmatch.networks.datasource import Framing
from spanmatch.networks.recipe import Augmentation, Optimiser, Recipe, Schedule
from spanmatch.statistics.significance import least_permutations

_USUAL_PERMUTATIONS = 20
_MOST_EXEMPLARS = 100
_SMALLEST_DEVIATION = 1e-3  # a quarter of the step between two bytes


def _number(value: object) -> object:
    if isinstance(value, bool):
        raise InputValueError(f"must be a number, got {str(value).lower()}; see studies/digits.yaml")
    return value


NUMBER = BeforeValidator(_number)
"""Of a float, after its bounds: before them it would hide these from forms and from the schema."""

# The bounds are for forms; the model says more when it refuses.
Epsilon = Annotated[
    float,
    NUMBER,
    Field(json_schema_extra={"minimum": LEAST_EPSILON, "exclusiveMaximum": EPSILON_LIMIT}),
]
Seed = Annotated[StrictInt, Field(ge=0, lt=2**63)]


def _exemplars_known(count: object) -> object:
    if type(count) is not int or not 0 <= count <= _MOST_EXEMPLARS:
        raise InputValueError(
            f"must be a whole number from 0, for none, to {_MOST_EXEMPLARS}, got {count!r}; 9 are usual"
        )
    return count


ExemplarCount = Annotated[
    int,
    BeforeValidator(_exemplars_known),
    Field(json_schema_extra={"minimum": 0, "maximum": _MOST_EXEMPLARS}),
]


def _pairs_known(pairs: object) -> object:
    if pairs in ("same", "grid"):
        return pairs
    if not isinstance(pairs, list | tuple) or not pairs:
        raise InputValueError(
            "must be same, grid, or a list of pairs of names or patterns such as [[block1.*, layer1.*]], "
            f"got {pairs!r}"
        )
    for pair in pairs:
        if not is_pair(pair):
            raise InputValueError(f"must hold pairs of names or patterns, got {pair!r}; write [NAME, NAME]")
    return [list(pair) for pair in dict.fromkeys(map(tuple, pairs))]


LayerPairs = Annotated[
    Literal["same", "grid"] | list[Annotated[list[str], Field(min_length=2, max_length=2)]],
    BeforeValidator(_pairs_known),
]


class Strict(BaseModel):
    """Values without further keys that nobody changes."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Training(Strict):
    """How each network is trained: by SGD with momentum, or AdamW, on a one-cycle or step schedule."""

    epochs: Annotated[StrictInt, Field(ge=1)] = Field(12, description="Passes over the training samples.")
    batch_size: Annotated[StrictInt, Field(ge=2)] = Field(64, description="Samples in one step.")
    learning_rate: Annotated[float, Field(gt=0), NUMBER] = Field(0.1, description="Highest of the schedule.")
    momentum: Annotated[float, Field(ge=0, lt=1), NUMBER] = Field(0.9, description="Of SGD; beta 1 of AdamW.")
    weight_decay: Annotated[float, Field(ge=0), NUMBER] = Field(5e-4, description="Weight decay.")
    schedule: Schedule = Field(
        "one-cycle", description="one-cycle for short trainings; step, the paper's, for long ones."
    )
    milestones: list[StrictInt] | None = Field(
        None, description="Of step: epochs after which the rate falls to a tenth; half and three quarters."
    )
    augment: list[Augmentation] = Field([], description="Random changes of training images: crop, flip.")
    images: Annotated[StrictInt, Field(ge=1)] | None = Field(
        None,
        validation_alias=AliasChoices("images", "samples"),
        description="Train on so many of the training samples, evenly spread; none for all.",
    )
    optimiser: Optimiser = Field(
        "sgd", description="sgd, with momentum; or adamw, for transformers, whose beta 1 is the momentum."
    )
    mixed_precision: bool = Field(False, description="Train in 16 bits where the device gains by it.")

    @field_validator("augment")
    @classmethod
    def _different_augmentations(cls, augment: list[Augmentation]) -> list[Augmentation]:
        refuse_repeats(augment)
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


class Permutations(Strict):
    """What a study asks of its null: how often images are permuted, at which level a value clears it."""

    permutations: Annotated[StrictInt, Field(ge=0)] | None = Field(
        None,
        description="How often one side's images are permuted, positions together; 0 for no null; none for "
        "20, or as many as `level` needs, where there are more images than that.",
    )
    level: Annotated[float, Field(gt=0, lt=1), NUMBER] = Field(
        0.05, description="A value clears its null when its p is at most this."
    )
    seed: Seed = Field(0, description="Seed that permutations are drawn from.")

    @model_validator(mode="after")
    def _resolvable(self) -> "Permutations":
        least = least_permutations(self.level)
        if self.permutations is not None and 0 < self.permutations < least:
            raise InputValueError(
                f"`null.permutations` must be at least {least} for level {self.level:g} (of so many, one in "
                f"{least + 1} is the least p), got {self.permutations}; ask for more, or 0 for no null"
            )
        return self

    def usual(self, images: int) -> int:
        """Return how many permutations are made of so many images: those asked for, or the usual number."""
        if self.permutations is not None:
            return self.permutations
        usual = max(_USUAL_PERMUTATIONS, least_permutations(self.level))
        return usual if usual < images else 0


class LayerChoice(Strict):
    """Layers by name or pattern, with the dimension of their output that is the neurons."""

    name: str = Field(description="A name, a pattern (block2.*), or default.")
    neurons: Literal["last"] | StrictInt = Field(
        description="Dimension of the output that is the neurons: last, or a number, the images' being 0."
    )

    def __str__(self) -> str:
        return f"{self.name} (neurons: {self.neurons})"


class FolderPreprocessing(Strict):
    """How the images of a folder become pixels: resized, cropped, standardised channel by channel."""

    mean: list[Annotated[float, NUMBER]] = Field(
        description="Of each channel's pixels in [0, 1]: one for grey, three for RGB."
    )
    deviation: list[Annotated[float, Field(gt=0), NUMBER]] = Field(description="One for each mean.")
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


def is_choice(layer: object) -> bool:
    """Tell whether a value can be made a `LayerChoice`."""
    if not isinstance(layer, dict) or layer.keys() != {"name", "neurons"}:
        return False
    name, neurons = layer["name"], layer["neurons"]
    return isinstance(name, str) and (neurons == "last" or type(neurons) is int)


def refuse_repeats(values: Sequence[object]) -> None:
    """Say which values are there more than once, if any."""
    repeated = sorted({str(value) for value in values if values.count(value) > 1})
    if repeated:
        raise InputValueError(
            f"must not repeat, got {', '.join(repeated)} more than once; remove the repetition"
        )
