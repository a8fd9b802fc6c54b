"""What networks give of samples to be trained and judged by."""

from collections.abc import Mapping
from dataclasses import is_dataclass

import torch
from torch import nn

from spanmatch.networks.data.samples import Arguments
from spanmatch.networks.network_inputs import Inputs


def logits_of(output: object) -> object:
    """Return what a network gives as logits: its output, or ``logits`` of a dictionary or dataclass.

    Not of a named tuple: some have logits of further heads beside them, which the loss is to hold, too.
    """
    if isinstance(output, Mapping):
        return output.get("logits", output)
    return getattr(output, "logits", output) if is_dataclass(output) else output


def tried(network: nn.Module, arguments: Arguments, device: str = "cpu") -> object:
    """Return what a network on a device gives of samples as logits, whatever that is."""
    return logits_of(Inputs.of(arguments).to(torch.device(device))(network))


def logits(network: nn.Module, arguments: Arguments, device: str = "cpu") -> torch.Tensor:
    """Return the logits of samples by a network that is known to give some."""
    found = tried(network, arguments, device)
    assert isinstance(found, torch.Tensor)
    return found
