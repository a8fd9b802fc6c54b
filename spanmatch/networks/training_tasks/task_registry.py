"""The training tasks that there are. A further one is a file beside these and a line here."""

from spanmatch.errors import unknown_name
from spanmatch.networks.training_tasks.classification import CLASSIFICATION
from spanmatch.networks.training_tasks.next_token import NEXT_TOKEN
from spanmatch.networks.training_tasks.training_task import TrainingTask

TRAINING_TASKS = {task.name: task for task in (CLASSIFICATION, NEXT_TOKEN)}


def training_task(name: str) -> TrainingTask:
    """Return the task of a name.

    Raises
    ------
    ValueError
        If there is none; the message gives the nearest name.
    """
    if name not in TRAINING_TASKS:
        raise unknown_name("task", name, TRAINING_TASKS)
    return TRAINING_TASKS[name]
