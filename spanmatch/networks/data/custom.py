"""Data sets made by a function of the user's own."""

from spanmatch.networks.data.dataset import Dataset
from spanmatch.networks.importing import import_factory, unusable


def custom_dataset(name: str) -> Dataset:
    """Call ``package.module:factory`` and return the `Dataset` it returns.

    Raises
    ------
    ValueError
        If it does not import, cannot be called, or returns something else.
    """
    dataset = import_factory(name, "dataset")()
    if not isinstance(dataset, Dataset):
        rule = "a factory that returns a spanmatch.networks.data.Dataset"
        raise unusable(name, "dataset", rule, f"it returned {type(dataset).__name__}")
    return dataset
