"""A real Slurm of one node on loopback, for tests: Debian's programs, without systemd."""

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "scontrol", "squeue")

CONFIG = """
ClusterName=test
SlurmctldHost=localhost(127.0.0.1)
SlurmctldPort={control}
SlurmdPort={node}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
CredType=cred/munge
CommunicationParameters=NoCtldInAddrAny,NoInAddrAny
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
SchedulerParameters=sched_min_interval=0,batch_sched_delay=0
MinJobAge=300
KillWait=2
ReturnToService=2
SlurmdParameters=config_overrides
MailProg=/bin/true
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
NodeName=localhost NodeAddr=127.0.0.1 CPUs=2 RealMemory=20000
PartitionName=all Nodes=localhost Default=YES MaxTime=INFINITE State=UP
"""


def missing() -> str:
    """Why there can be no cluster here; empty if there can."""
    absent = [name for name in PROGRAMS if shutil.which(name) is None]
    if absent:
        return f"no {', '.join(absent)}: apt-get install slurmctld slurmd slurm-client munge"
    return "" if os.getuid() == 0 else "Slurm's daemons want root"


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


@contextmanager
def _daemon(*command: str, environment: dict[str, str]) -> Iterator[None]:
    process = subprocess.Popen(
        command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        yield
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@contextmanager
def cluster(folder: Path) -> Iterator[dict[str, str]]:
    """Run a cluster.

    Args:
        folder: For its files.

    Yields:
        Environment in which sbatch and the others find it.
    """
    for name in ("state", "spool"):
        (folder / name).mkdir()
    (folder / "munge.key").write_bytes(os.urandom(128))
    (folder / "munge.key").chmod(0o400)
    config = folder / "slurm.conf"
    config.write_text(CONFIG.format(folder=folder, control=_free_port(), node=_free_port()))
    environment = {**os.environ, "SLURM_CONF": str(config)}
    munge = [f"--{key}={folder}/munge.{key.split('-')[0]}" for key in ("socket", "key-file")]
    munge += [f"--{key}={folder}/munge.{key.split('-')[0]}" for key in ("pid-file", "log-file")]
    munge += [f"--seed-file={folder}/munge.seed"]
    with ExitStack() as stack:
        for command in (
            ("munged", "--foreground", "--force", *munge),
            ("slurmctld", "-D", "-f", str(config)),
            ("slurmd", "-D", "-N", "localhost", "-f", str(config)),
        ):
            stack.enter_context(_daemon(*command, environment=environment))
            if command[0] == "munged":
                _until((folder / "munge.socket").exists)
        _until(lambda: "idle" in slurm(environment, "sinfo", "--noheader", "--format=%T"))
        try:
            yield environment
        finally:
            slurm(environment, "scancel", "--full", "--signal=KILL", "--user=root")
            slurm(environment, "scancel", "--user=root")
            _until(lambda: not slurm(environment, "squeue", "--noheader"), 10, strict=False)


def slurm(environment: dict[str, str], *command: str) -> str:
    """What one of Slurm's commands prints."""
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    return done.stdout


def _until(condition: Callable[[], object], seconds: float = 20, *, strict: bool = True) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            if strict:
                raise TimeoutError("the cluster does not come up: see slurmctld.log, slurmd.log")
            return
        time.sleep(0.1)
