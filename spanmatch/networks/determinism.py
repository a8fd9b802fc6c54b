"""The device that computes, and settings that give the same bits on it every time."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

import torch

from spanmatch.errors import InputValueError

_DEVICES = ("auto", "cpu", "cuda")


def resolve_device(name: str) -> str:
    """Return ``"cpu"`` or ``"cuda"``; ``"auto"`` is CUDA where there is one.

    Raises
    ------
    ValueError
        If the name is another, or CUDA is asked for and absent.
    """
    if name not in _DEVICES:
        raise InputValueError(f"`device` must be one of: {', '.join(_DEVICES)}; got {name!r}")
    present = torch.cuda.is_available()
    if name == "cuda" and not present:
        message = (
            "`device` must be present, got 'cuda' where torch finds no CUDA device; take auto or cpu, or see "
            "to the driver (nvidia-smi) and to a build of torch for CUDA"
        )
        raise InputValueError(message)
    return "cuda" if present and name != "cpu" else "cpu"


def use_gpu(number: int) -> None:
    """Compute on one of the machine's GPUs, counted around: number 5 of 4 is the second."""
    torch.cuda.set_device(number % torch.cuda.device_count())


@contextmanager
def deterministic(seed: int = 0, device: str = "cpu") -> Iterator[None]:
    """Run torch on one thread, from a seed, with deterministic algorithms; put everything back after.

    On CUDA, torch warns of an operation that has no deterministic algorithm there, and goes on.
    """
    cuda = device == "cuda"
    if cuda:
        # read by cuBLAS when it starts; without it torch refuses to multiply matrices deterministically
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    threads = torch.get_num_threads()
    algorithms = torch.get_deterministic_debug_mode()
    cudnn = torch.backends.cudnn.flags(enabled=True, deterministic=True) if cuda else nullcontext()
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(mode=True, warn_only=cuda)
    try:
        with cudnn, torch.random.fork_rng(devices=[torch.cuda.current_device()] if cuda else []):
            torch.manual_seed(seed)
            yield
    finally:
        torch.set_deterministic_debug_mode(algorithms)
        torch.set_num_threads(threads)


def random_state(device: str) -> dict[str, torch.Tensor]:
    """Return the state of every generator that a network on a device draws from."""
    state = {"cpu": torch.get_rng_state()}
    if device == "cuda":
        state["cuda"] = torch.cuda.get_rng_state()
    return state


def set_random_state(state: dict[str, torch.Tensor]) -> None:
    """Put generators into a state that `random_state` returned."""
    torch.set_rng_state(state["cpu"])
    if "cuda" in state:
        torch.cuda.set_rng_state(state["cuda"])
