"""Rows of the table of mended faults: scaling on SLURM; order, offsets; memory and dtypes of one process."""

from faults import Fault
from jobs import check_data_is_left_alone, check_jobs_that_are_over_are_replaced, check_work_is_left_alone

SCALING = [
    Fault(
        15,
        "a job of two workers of which one trains",
        "cancelled when the other was idle; the training began again",
        "left alone; a job that is idle as a whole is given back",
        check_work_is_left_alone,
    ),
    Fault(
        15,
        "a job whose workers do nothing but hold a result",
        "cancelled, with the copy that had to be made elsewhere",
        "left alone until nobody wants the result",
        check_data_is_left_alone,
    ),
    Fault(
        15,
        "a job that SLURM has ended",
        "counted as there for as long as there was work",
        "forgotten; another is asked for when there is work",
        check_jobs_that_are_over_are_replaced,
    ),
]

FAULTS = [*SCALING]
