"""`spanmatch report`: the page again, from the results of the last run."""

from rich.console import Console

from flows.run.read_back import read_results
from flows.study.model import Study
from storage.result_files import REPORT
from storage.root import Root
from tasks.publishing import write_report


def report_session(study: Study, console: Console) -> None:
    """Write a study's report page again.

    Raises
    ------
    ValueError
        If the root cannot be read, or holds no results of this study.
    """
    root = Root.at(study.root)
    root.check()
    write_report(read_results(root, study.name), root)
    console.print(f"report: {root.where(REPORT)}", soft_wrap=True, highlight=False)
