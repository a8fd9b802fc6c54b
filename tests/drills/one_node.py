"""A SLURM of one node for drills: Debian's slurmctld, slurmd and munged, on loopback, in a folder."""

import getpass
import os
import secrets
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import needs
from conftest import begin, end_group, free_port, wait_for_port
from services import until

CONFIGURATION = """
ClusterName=drill
SlurmctldHost={host}(127.0.0.1)
SlurmUser={user}
SlurmdUser={user}
SlurmctldPort={controller_port}
SlurmdPort={node_port}
CommunicationParameters=NoCtldInAddrAny,NoInAddrAny
AuthInfo=socket={folder}/munge.socket
CredType=cred/munge
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SlurmdParameters=config_overrides
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
JobAcctGatherType=jobacct_gather/none
JobCompType=jobcomp/filetxt
JobCompLoc={folder}/jobs
ReturnToService=2
KillWait=2
NodeName={host} NodeAddr=127.0.0.1 CPUs={cpus} RealMemory=64000
PartitionName=cpu Nodes={host} Default=YES MaxTime=INFINITE State=UP
"""


class OneNode:
    """A running SLURM.

    Attributes
    ----------
    env
        What the environment says of it to `sbatch` and its like.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.env = {"SLURM_CONF": str(folder / "slurm.conf")}

    def jobs(self) -> list[dict[str, str]]:
        """Return what SLURM has noted of each job that is over: JobId, JobState, StartTime, EndTime…"""
        noted = self._folder / "jobs"
        lines = noted.read_text(encoding="utf-8").splitlines() if noted.exists() else []
        return [dict(item.split("=", 1) for item in line.split() if "=" in item) for line in lines]

    def answers(self, command: str) -> bool:
        """Tell whether a node is idle."""
        done = subprocess.run(
            [command, "--noheader", "--format", "%T"],
            env={**os.environ, **self.env},
            capture_output=True,
            text=True,
            check=False,
        )
        return done.stdout.strip() == "idle"


@contextmanager
def one_node(cpus: int) -> Iterator[OneNode]:
    """Start a SLURM whose node says that it has so many CPUs; end it with the block."""
    needs.find("slurm-wlm")
    folder = Path(tempfile.mkdtemp(prefix="spanmatch-slurm-"))
    for name in ("state", "spool"):
        (folder / name).mkdir()
    key, socket_path = folder / "munge.key", folder / "munge.socket"
    key.touch(mode=0o600)
    key.write_bytes(secrets.token_bytes(128))
    ports = {"controller_port": free_port(), "node_port": free_port()}
    (folder / "slurm.conf").write_text(
        CONFIGURATION.format(
            host=socket.gethostname().partition(".")[0],
            user=getpass.getuser(),
            folder=folder,
            cpus=cpus,
            **ports,
        ),
        encoding="utf-8",
    )
    munged = ["munged", "--foreground", "--force", f"--key-file={key}", f"--socket={socket_path}"]
    own = ("pid", "log", "seed")
    munged += [f"--{name}-file={folder / 'munge'}.{name}" for name in own]
    slurm = OneNode(folder)
    with ExitStack() as running:
        running.callback(shutil.rmtree, folder)
        _start(running, munged, slurm)
        until(socket_path.exists, seconds=20)
        _start(running, ["slurmctld", "-D"], slurm)
        wait_for_port(ports["controller_port"], seconds=30)
        _start(running, ["slurmd", "-D"], slurm)
        until(lambda: slurm.answers("sinfo"), seconds=60)
        yield slurm


def _start(running: ExitStack, command: list[str], slurm: OneNode) -> None:
    running.callback(end_group, begin(command, {**os.environ, **slurm.env}))
