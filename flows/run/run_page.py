"""A run's own page in the Prefect UI: its name, tags, request, and the reason of a failure.

Prefect calls `explain` whenever there are no results, also before the run has begun.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any
from uuid import UUID

from prefect import Flow, get_client
from prefect.client.schemas.actions import ArtifactCreate
from prefect.client.schemas.objects import FlowRun, State
from prefect.context import FlowRunContext
from pydantic import ValidationError

from flows.study.model import Study
from spanmatch.reporting import failure_markdown
from tasks.publishing import report_key

Ledger = Mapping[str, Mapping[str, int]]


def _nothing() -> Ledger:
    return {}


@dataclass
class Page:
    """What is known of a run under way: what it shall compare, in sentences, and what it has done so far."""

    study: str
    request: list[str]
    ledger: Callable[[], Ledger] = field(default=_nothing)


_open: dict[UUID, Page] = {}


def run_name() -> str:
    """Name a run after its study, and the ε or additions that were asked for; called within it."""
    parameters = _run_context().parameters or {}
    return " · ".join([_study_name(parameters), *_particulars(parameters)])


def is_deployed() -> bool:
    """Tell whether the run is one of a deployment, whose form somebody else may have filled in."""
    return _flow_run().deployment_id is not None


@contextmanager
def open_page(study: Study) -> Iterator[Page]:
    """Tag the run with its study, and have `explain` know of it until the block ends well."""
    run = _flow_run()
    _run_context().client.update_flow_run(run.id, tags={*run.tags, study.name})
    page = Page(study.name, [*_request(_run_context().parameters or {}), *_contents(study)])
    _open[run.id] = page
    yield page
    del _open[run.id]


def explain(flow: Flow[..., Any], flow_run: FlowRun, state: State[Any]) -> None:  # noqa: ARG001
    """Leave a Markdown artefact with the reason, under the key of the report that there would have been.

    Prefect calls it by position in the run's process, and by keyword in the worker's when a run has been
    cancelled or has died.
    """
    parameters = flow_run.parameters
    page = _open.pop(flow_run.id, None) or Page(_study_name(parameters), _described(parameters))
    ledger, reason = page.ledger(), state.message or str(state.name)
    text = failure_markdown(page.study, reason, _remedy(state, ledger), ledger, page.request)
    key = report_key(re.sub(r"[^a-z0-9]+", "-", page.study.lower()).strip("-") or "study")
    artefact = ArtifactCreate(
        key=key, type="markdown", description="Why there are no results", data=text, flow_run_id=flow_run.id
    )
    with get_client(sync_client=True) as client:
        client.create_artifact(artefact)


def _run_context() -> FlowRunContext:
    context = FlowRunContext.get()
    assert context is not None, "called from within a flow"
    return context


def _flow_run() -> FlowRun:
    run = _run_context().flow_run
    assert run is not None
    return run


def _study_name(parameters: Mapping[str, Any]) -> str:
    """Return the study's name, or what its file or folder is called."""
    study = parameters.get("study")
    if isinstance(study, Study):
        return study.name
    if isinstance(study, Mapping):
        return str(study.get("name", "study"))
    return re.sub(r"\.ya?ml$", "", PurePosixPath(str(study)).name) or "study"


def _particulars(parameters: Mapping[str, Any]) -> list[str]:
    study = parameters.get("study")
    if isinstance(study, Study):
        return [f"ε {_listed(study.epsilons)}"]
    given = [(name, value) for name, value in parameters.items() if name != "study" and value]
    return [
        f"ε {_listed(value)}" if name == "epsilons" else f"{name.replace('_', ' ')} {_listed(value)}"
        for name, value in given
    ]


def _request(parameters: Mapping[str, Any]) -> list[str]:
    where = parameters.get("study")
    named = [f"study: {where}"] if isinstance(where, str) else []
    given = [] if isinstance(where, Study | Mapping) else _particulars(parameters)
    return [*named, *(f"added: {one}" for one in given)]


def _described(parameters: Mapping[str, Any]) -> list[str]:
    """Return what can be told of a run from its parameters alone."""
    study = parameters.get("study")
    with suppress(ValidationError):
        if isinstance(study, Study | Mapping):
            return _contents(Study.model_validate(study))
    return _request(parameters)


def _contents(study: Study) -> list[str]:
    networks = [f"seeds {_listed(study.seeds)}"] if study.seeds else []
    networks += [f"{kind}: {', '.join(names)}" for kind, names in _given(study) if names]
    return [
        f"networks: {study.architecture} on {study.dataset}; {'; '.join(networks)}",
        f"checkpoints: {_listed(study.checkpoints)}",
        f"compared: {_listed(study.compare)}",
        f"layers: {_listed(study.layers)}",
        *([] if study.pairs == "same" else [f"pairs: {_pairs(study.pairs)}"]),
        f"samples: {study.images}, positions: {study.positions}",
        f"ε: {_listed(study.epsilons)}",
        f"kept in: {study.root}",
    ]


def _pairs(pairs: str | list[list[str]]) -> str:
    return pairs if isinstance(pairs, str) else ", ".join(" ~ ".join(pair) for pair in pairs)


def _given(study: Study) -> list[tuple[str, list[str]]]:
    return [("weights", list(study.weights)), ("other studies", list(study.others))]


def _listed(value: Any) -> str:  # noqa: ANN401 - a parameter of a flow
    if isinstance(value, list | tuple):
        return ", ".join(_listed(one) for one in value)
    return f"{value:g}" if isinstance(value, float) else str(value)


def _remedy(state: State[Any], ledger: Ledger) -> str:
    if any(counts["computed"] for counts in ledger.values()):
        return (
            "What this run computed is kept under the root. Mend what the reason names, if it names "
            "anything; the same run again goes on from there."
        )
    if state.is_failed() and state.name == "Failed":
        return "Nothing was computed and nothing is lost. Mend what the reason names, and run it again."
    return "What was computed, if anything, is kept under the root. Run it again: it goes on from there."
