"""Units of cached work: how each is identified, computed on Dask and shown as a Prefect task."""

from typing import TYPE_CHECKING

from spanmatch.lazy import lazy

if TYPE_CHECKING:
    from tasks.cluster import check_scheduler as check_scheduler, started_ahead as started_ahead
    from tasks.progress import listening as listening
else:
    __getattr__, __dir__, __all__ = lazy(
        __name__,
        {"tasks.cluster": "check_scheduler started_ahead", "tasks.progress": "listening"},
    )
