"""The device that a piece computes on: the GPUs of a machine in turn, one for each worker."""

from distributed import get_worker

from spanmatch.errors import InputValueError, SpanmatchError


def device_of_this_worker(name: str) -> str:
    """Return ``"cpu"`` or ``"cuda"``; on CUDA the workers of a machine take its GPUs in turn.

    Raises
    ------
    SpanmatchError
        If CUDA is asked for and absent: of another scheduler's workers only they themselves know.
    """
    import torch  # takes seconds to import

    from spanmatch.networks.determinism import resolve_device

    try:
        device = resolve_device(name)
    except InputValueError as error:
        raise SpanmatchError(f"on a worker, {error}") from None
    if device == "cuda":
        torch.cuda.set_device(_number_of_this_worker() % torch.cuda.device_count())
    return device


def _number_of_this_worker() -> int:
    try:
        name = get_worker().name
    except ValueError:  # not on a worker
        return 0
    return name if isinstance(name, int) else 0
