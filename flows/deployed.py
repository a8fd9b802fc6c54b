"""The three flows: `study`, `reanalyse` with further ε, and `extend`.

Prefect shows their docstrings in its forms, in Google's style, the only one it parses.
"""

from collections.abc import Sequence
from typing import Annotated, Any

from prefect import flow
from prefect.task_runners import ThreadPoolTaskRunner
from prefect.utilities.annotations import quote
from pydantic import Field

from flows.run.execute import execute
from flows.run.prepared import Prepared
from flows.run.run_page import explain, run_name
from flows.study.growth import grown
from flows.study.kept import find_study, joined
from flows.study.model import Study
from flows.study.values import Epsilon, Seed
from spanmatch.reporting import StudyResults
from tasks.cluster import started_ahead

# Longer than this, a run of a deployment ends itself; what it has computed is kept, and the next goes on.
_DAY_SECONDS = 24 * 3600
_REANALYSIS_SECONDS = 3600

_OPTIONS: dict[str, Any] = {
    "flow_run_name": run_name,
    # Units under way at once; each waits in a thread while its pieces run on Dask.
    "task_runner": ThreadPoolTaskRunner(max_workers=16),
    "persist_result": False,
    "on_failure": [explain],
    "on_crashed": [explain],
    "on_cancellation": [explain],
}

# Stages in which networks train, or images pass through them.
_PASSES = {"keep": ("networks", "segments"), "stream": ("networks", "comoments", "permuted")}

Where = Annotated[str, Field(min_length=1)]
Count = Annotated[int, Field(ge=1)]


def run_prepared(prepared: Prepared) -> StudyResults:
    """Run a study that is prepared already, for whoever waits at a terminal and ends it as they like."""

    @flow(name="study", **_OPTIONS)
    def run(study: Study) -> quote:  # noqa: ARG001 - shown as the run's parameter
        return quote(execute(prepared))  # Prefect would look into every row for futures

    results: StudyResults = run(prepared.study).unquote()
    return results


@flow(name="study", timeout_seconds=_DAY_SECONDS, **_OPTIONS)
def run_study(study: Study, with_additions: bool = True) -> StudyResults:
    """Train, extract, reduce, profile and match whatever is missing; then write results and report.

    Args:
        study: What to compare. Everything is kept below its root, so that the next run reuses it.
        with_additions: Compare also what `extend` and `reanalyse` have added to this study under its root.

    ValueError is raised before any work if the study names what does not exist, the root cannot be written,
    or the scheduler does not answer.
    """
    wanted, _ = joined(study) if with_additions else (study, None)
    return execute(wanted)  # on data that has changed it trains anew


@flow(name="reanalyse", timeout_seconds=_REANALYSIS_SECONDS, **_OPTIONS)
def reanalyse(study: Where, epsilons: Annotated[list[Epsilon], Field(min_length=1)]) -> StudyResults:
    """Find the matches at further ε, from what is there: trains nothing and extracts nothing.

    Args:
        study: The study's YAML file, as the worker sees it; or its root, a folder or URL (s3://bucket/prefix),
            where a run of it has finished.
        epsilons: Further tolerances ε, each at least 0 and below 1; the study's own stay.

    ValueError is raised before any work if networks or activations are missing, or an ε is out of range.
    """
    found, kept = find_study(study)
    wanted = grown(found, epsilons=epsilons)
    with started_ahead(wanted != found and wanted.scheduler is None):
        return execute(wanted, kept, never=_PASSES[wanted.activations])


@flow(name="extend", timeout_seconds=_DAY_SECONDS, **_OPTIONS)
def extend(
    study: Where,
    seeds: Sequence[Seed] = (),
    more_seeds: Annotated[int, Field(ge=0)] = 0,
    images: Count | None = None,
    checkpoints: Sequence[str] = (),
    layers: Sequence[str] = (),
    epsilons: Sequence[Epsilon] = (),
) -> StudyResults:
    """Let a study grow; with nothing to add, compute whatever is missing of it as it has grown so far.

    Args:
        study: The study's YAML file, as the worker sees it; or its root, a folder or URL (s3://bucket/prefix),
            where a run of it has finished.
        seeds: Further random seeds; one network is trained from each.
        more_seeds: So many seeds beyond the highest that there is.
        images: Number of held-out images to compare in all; none leaves it.
        checkpoints: Further moments of training: initial, best, final, epoch1, epoch2, …
        layers: Further layers, by name or pattern (block2.*).
        epsilons: Further tolerances ε, each at least 0 and below 1.

    ValueError is raised before any work if what is asked for contradicts the study, or does not exist.
    """
    found, kept = find_study(study)
    wanted = grown(
        found,
        seeds=seeds,
        more_seeds=more_seeds,
        images=images,
        checkpoints=checkpoints,
        layers=layers,
        epsilons=epsilons,
    )
    with started_ahead(wanted != found and wanted.scheduler is None):
        return execute(wanted, kept)
