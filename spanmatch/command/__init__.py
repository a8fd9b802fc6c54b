"""The command line as far as it needs no pipeline: `match`, and how errors are shown. Typer and Rich."""

from typing import TYPE_CHECKING

from spanmatch.lazy import lazy

if TYPE_CHECKING:
    from spanmatch.command.match_files import (
        match_arrays as match_arrays,
        show_json as show_json,
        show_matches as show_matches,
    )
else:
    __getattr__, __dir__, __all__ = lazy(
        __name__, {"spanmatch.command.match_files": "match_arrays show_json show_matches"}, extra="command"
    )
