"""The command line: commands, terminal output, and the servers that it starts."""

from typing import TYPE_CHECKING

from spanmatch.lazy import lazy

if TYPE_CHECKING:
    from flows.command.beginning import init_session as init_session
    from flows.command.report import report_session as report_session
    from flows.command.review import (
        layers_session as layers_session,
        progress_session as progress_session,
        prune_session as prune_session,
        status_session as status_session,
    )
    from flows.command.runner import flow_schedule as flow_schedule, serve_flow as serve_flow
    from flows.command.screen import Bars as Bars, show_summary as show_summary
    from flows.command.server import PrefectServer as PrefectServer
    from flows.command.serving import serve_session as serve_session
    from flows.command.session import run_session as run_session
    from flows.command.viewing import view_session as view_session
    from flows.deployed import run_prepared as run_prepared
    from flows.study.schema import schema_text as schema_text
else:
    __getattr__, __dir__, __all__ = lazy(
        __name__,
        {
            "flows.command.beginning": "init_session",
            "flows.command.report": "report_session",
            "flows.command.review": "layers_session progress_session prune_session status_session",
            "flows.command.runner": "flow_schedule serve_flow",
            "flows.command.screen": "Bars show_summary",
            "flows.command.server": "PrefectServer",
            "flows.command.serving": "serve_session",
            "flows.command.session": "run_session",
            "flows.command.viewing": "view_session",
            "flows.deployed": "run_prepared",
            "flows.study.schema": "schema_text",
        },
    )
