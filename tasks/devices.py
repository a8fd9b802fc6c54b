"""The device that a piece computes on: the GPUs of a machine in turn, one for each worker."""

from distributed import get_worker

from spanmatch import networks
from spanmatch.errors import InputValueError, SpanmatchError


def device_of_this_worker(name: str) -> str:
    """Return ``"cpu"`` or ``"cuda"``; on CUDA the workers of a machine take its GPUs in turn.

    Raises
    ------
    SpanmatchError
        If CUDA is asked for and absent: of another scheduler's workers only they themselves know.
    """
    try:
        device = networks.resolve_device(name)
    except InputValueError as error:
        raise SpanmatchError(f"on a worker, {error}") from None
    if device == "cuda":
        networks.use_gpu(_number_of_this_worker())
    return device


def _number_of_this_worker() -> int:
    try:
        name = get_worker().name
    except ValueError:  # not on a worker
        return 0
    return name if isinstance(name, int) else 0
