"""Data sets made by a function of the user's own."""

from spanmatch.errors import InputTypeError, InputValueError
from spanmatch.networks.data.images import Dataset
from spanmatch.networks.project import import_anew


def custom_dataset(name: str) -> Dataset:
    """Call ``package.module:factory`` and return the `Dataset` it returns.

    Raises
    ------
    ValueError
        If it cannot be imported.
    TypeError
        If it returns something else.
    """
    module_name, _, attribute = name.partition(":")
    try:
        factory = getattr(import_anew(module_name), attribute)
    except (ImportError, AttributeError) as error:
        message = (
            f"`dataset` must be package.module:factory that can be imported, got {name!r} ({error}); install "
            "the package, or put its folder on PYTHONPATH"
        )
        raise InputValueError(message) from None
    if not callable(factory):
        raise InputTypeError(
            f"`dataset` must name a function, got {name!r}, which is {type(factory).__name__}"
        )
    dataset = factory()
    if not isinstance(dataset, Dataset):
        message = (
            f"`dataset` must name a function that returns spanmatch.networks.data.Dataset, got {name!r}, "
            f"which returned {type(dataset).__name__}"
        )
        raise InputTypeError(message)
    return dataset
