"""Rows of the table of mended faults: Dask clusters of several flows, and schedulers that speak TLS."""

import logging
import os
from pathlib import Path

import dask
import pytest
from distributed import LocalCluster, Security
from faults import Fault

from tasks.children import silent_dask
from tasks.cluster import Cluster, SilentSchedulerError, check_scheduler, cluster_at, started_ahead


def several_flows(_: Path) -> None:
    with started_ahead(wanted=True):
        with cluster_at(None) as one, cluster_at(None) as other:
            workers = {one.run(os.getppid), other.run(os.getppid)}
        with cluster_at(None) as later:
            workers.add(later.run(os.getppid))
            with later.closing():
                pass
        with cluster_at(None) as last:
            workers.add(last.run(os.getppid))
    assert len(workers) == 1
    with cluster_at(None) as own:
        assert own.run(abs, -1) == 1


def log_levels(_: Path) -> None:
    log = logging.getLogger("distributed")
    before = log.level
    first, second = silent_dask(), silent_dask()
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    assert log.level > logging.CRITICAL
    second.__exit__(None, None, None)
    assert log.level == before


def encrypted(_: Path) -> None:
    """A scheduler that speaks TLS alone, with and without the settings of Dask for it."""
    made = Security.temporary()
    settings = {
        "distributed.comm.tls.ca-file": made.tls_ca_file,
        "distributed.comm.tls.client.cert": made.tls_client_cert,
        "distributed.comm.tls.client.key": made.tls_client_key,
    }
    with LocalCluster(
        n_workers=1,
        processes=False,
        protocol="tls",
        host="127.0.0.1",
        security=made,
        dashboard_address="127.0.0.1:0",
        scheduler_kwargs={"dashboard": False},
        silence_logs=logging.CRITICAL,
    ) as workers:
        address = workers.scheduler_address
        assert address.startswith("tls://")
        with pytest.raises(SilentSchedulerError, match=r"`scheduler` must be .* your TLS configuration"):
            check_scheduler(address)
        with dask.config.set(settings), Cluster(address) as cluster:
            assert cluster.run(abs, -1) == 1


DASK = [
    Fault(
        14, "several flows with a cluster started ahead", "the first closed it", "all use it", several_flows
    ),
    Fault(
        14, "two clusters, one closed", "the log stayed silent", "silent until both are closed", log_levels
    ),
    Fault(14, "a scheduler that speaks TLS", "never reached: TypeError", "as Dask is configured", encrypted),
]
