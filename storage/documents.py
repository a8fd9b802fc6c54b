"""JSON documents under a root: matches as digested artefacts, the ledger and networks as results.

Apart from arrays because a match is a ragged handful of indices that people read as text.
"""

import json
from typing import Any

from storage.digests import json_digest
from storage.root import DamagedArtefactError, Root, Stage


def publish_document(root: Root, stage: Stage, key: str, document: dict[str, Any]) -> str:
    """Publish a JSON document as an artefact; return its digest."""
    text = json.dumps(document, sort_keys=True, indent=None, separators=(",", ":"))
    root.write_text(root.artefact(stage, key), text + "\n")
    return json_digest(document)


def read_document(root: Root, stage: Stage, key: str, digest: str) -> dict[str, Any]:
    """Read a published JSON document.

    Raises
    ------
    DamagedArtefactError
        If it is missing or is not what was written.
    """
    try:
        document: dict[str, Any] = json.loads(root.read(root.artefact(stage, key)))
    except FileNotFoundError:
        raise DamagedArtefactError(stage, key, "it is missing") from None
    except ValueError as error:
        raise DamagedArtefactError(stage, key, f"it cannot be read ({error})") from error
    if json_digest(document) != digest:
        raise DamagedArtefactError(stage, key, "it is not what was written")
    return document
