"""A Prefect flow of so many tasks that do nothing, timed: ``python -m benchmarks.empty_flow 54``.

It imports nothing of spanmatch, so that Prefect's own cost is measured alone.
"""

import json
import sys
import time
from collections.abc import Callable
from functools import wraps
from typing import Any

import httpx
from prefect import flow, task
from prefect.cache_policies import NO_CACHE
from prefect.task_runners import ThreadPoolTaskRunner


@task(cache_policy=NO_CACHE, persist_result=False)
def nothing(_: int) -> None: ...


@flow(task_runner=ThreadPoolTaskRunner(max_workers=16), persist_result=False)
def empty(tasks: int) -> None:
    for future in [nothing.submit(number) for number in range(tasks)]:
        future.result()


def report(run: Callable[[], object]) -> None:
    """Print as JSON how long it took to run, and how many requests this process made of the server."""
    requests = 0

    def counting(send: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(send)
        def counted(*args: object, **options: object) -> object:
            nonlocal requests
            requests += 1
            return send(*args, **options)

        return counted

    for kind in (httpx.Client, httpx.AsyncClient):
        kind.send = counting(kind.send)  # type: ignore[method-assign]
    before = time.perf_counter()
    run()
    print(json.dumps({"seconds": time.perf_counter() - before, "requests": requests}))


if __name__ == "__main__":
    report(lambda: empty(int(sys.argv[1])))
