"""What a study has stored, opened from Python: goes to the pipeline, which a wheel does not hold."""

from importlib import import_module
from pathlib import Path
from typing import Any

from spanmatch.clone import missing_package, require_pipeline


def open_root(path: str | Path, *, study: str | None = None) -> Any:  # noqa: ANN401 - a class of the pipeline's
    """Open what the runs of a study have stored, to read it; nothing is computed or written.

    Parameters
    ----------
    path : str or Path
        The study's root, a folder or a URL such as ``s3://bucket/prefix``; or the study's file.
    study : str, optional
        Name of the study where several have run under one root; by default the one that ran last.

    Returns
    -------
    flows.opened.stored_study.StoredStudy
        Tables (`to_frame`), activations (`activations`), networks (`network`), statistics (`gram`,
        `fold_grams`, `profile`) and matches (`simple_matches`), by labels of checkpoints and names of layers.

    Raises
    ------
    SpanmatchError
        When the pipeline is not installed, no run has finished there, or it cannot be read.

    Notes
    -----
    Costs no more than reading a few small files; what is asked for is read then.
    """
    require_pipeline("spanmatch.open_root")
    try:
        finding = import_module("flows.opened.finding")
    except ModuleNotFoundError as error:
        raise missing_package(error, "`spanmatch.open_root`") or error from None
    return finding.open_root(path, study=study)
