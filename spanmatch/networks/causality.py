"""Whether a network of tokens sees those that it is to predict."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from spanmatch.networks.data import AnySamples
from spanmatch.networks.data.samples import Arguments
from spanmatch.networks.determinism import deterministic
from spanmatch.networks.logits import logits
from spanmatch.networks.padding import ATTENTION_MASK

# Of the greatest logit: what rounding may change of logits of the same tokens.
_ROUNDING = 1e-5


def sees_later(network: nn.Module, samples: AnySamples, device: str = "cpu") -> bool:
    """Tell whether the logits at a position depend on what stands at later ones, as in BERT.

    The last token that counts of the longest sample is changed: logits before it stay what they are in a
    causal network.

    Parameters
    ----------
    network
        On `device`, and in evaluation mode; it gives logits, (samples, positions, classes).
    samples
        Of which one has two tokens that count.
    device
        ``"cpu"`` or ``"cuda"``.

    Notes
    -----
    Costs two passes of one sample. Not found out is a network whose logits are all 0, as before a training
    some have them.
    """
    masks = samples.mask if samples.mask is not None else np.ones(samples.labels.shape, np.bool_)
    row = int(masks.sum(axis=1).argmax())
    *earlier, last = np.flatnonzero(masks[row]).tolist()
    given = samples.slice(row, row + 1).arguments
    other = _changed(given, earlier, last)
    with deterministic(device=device), torch.no_grad():
        before, after = (logits(network, each, device)[0, earlier] for each in (given, other))
    return float((before - after).abs().max()) > _ROUNDING * float(before.abs().max())


def _changed(arguments: Arguments, earlier: Sequence[int], last: int) -> Arguments:
    """Return a sample in which the last token is one of the earlier ones that is another."""

    def changed(array: NDArray[Any]) -> NDArray[Any]:
        if array.ndim < 2 or array.shape[1] <= last:
            return array
        array = array.copy()
        array[0, last] = next((array[0, at] for at in earlier if (array[0, at] != array[0, last]).any()), 0)
        return array

    if not isinstance(arguments, Mapping):
        return changed(arguments)
    return {name: each if name == ATTENTION_MASK else changed(each) for name, each in arguments.items()}
