# SPDX-License-Identifier: Apache-2.0
"""Processes that outlive the command which started them: recorded by pid and start time, so that a pid that the kernel gave
to somebody else since is never taken for ours. Their output goes to log files in the state directory."""
import os
import signal
import subprocess
from pathlib import Path

from .shell import Failure, say, wait_for

KILL_SECONDS = 20


def started_at(pid: int) -> str:
    """The start time of a process in clock ticks since boot (proc(5), stat, field 22); "" if there is no such process or
    only its zombie is left."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace").rpartition(")")[2].split()
    except OSError:
        return ""
    return "" if fields[0] in "ZX" else fields[19]


class Processes:
    def __init__(self, state: Path):
        self.pids, self.logs = state / "pid", state / "log"

    def record(self, name: str, pid: int) -> None:
        self.pids.mkdir(parents=True, exist_ok=True)
        part = self.pids / f".{name}"
        part.write_text(f"{pid} {started_at(pid)}\n", encoding="ascii")
        part.rename(self.pids / name)

    def start(self, name: str, argv, *, env=None) -> int:
        self.logs.mkdir(parents=True, exist_ok=True)
        with open(self.logs / f"{name}.log", "ab") as log:
            child = subprocess.Popen([str(a) for a in argv], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                     start_new_session=True, env=env)
        self.record(name, child.pid)
        child.returncode = 0  # it outlives us: no warning at exit that it runs on
        return child.pid

    def names(self) -> list:
        return sorted(p.name for p in self.pids.glob("[!.]*"))

    def pid(self, name: str) -> int:
        """The pid of a process of ours that runs; 0 if it does not."""
        try:
            pid, started = (self.pids / name).read_text(encoding="ascii").split()
        except (OSError, ValueError):
            return 0
        return int(pid) if started_at(int(pid)) == started else 0

    def must_run(self, name: str) -> int:
        pid = self.pid(name)
        if not pid:
            raise Failure(f"{name} is not running; the end of its log:\n{self.tail(name, 20)}")
        return pid

    def tail(self, name: str, lines: int) -> str:
        try:
            text = (self.logs / f"{name}.log").read_text(encoding="utf-8", errors="replace")
        except OSError:
            return "(no log)"
        return "\n".join(line[:300] for line in text.splitlines()[-lines:])

    def stop(self, name: str, with_signal=signal.SIGTERM, seconds: float = KILL_SECONDS) -> None:
        pid = self.pid(name)
        if pid:
            os.kill(pid, with_signal)
            wait_for(f"the end of {name}", lambda: reap(pid) or not self.pid(name), seconds=seconds, every=0.02)
        (self.pids / name).unlink(missing_ok=True)

    def kill_all(self) -> None:
        for name in self.names():
            kill(self.pid(name))
        for name in self.names():
            self.stop(name, signal.SIGKILL)


def kill(pid: int) -> None:
    try:
        if pid > 1:
            os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        pass


def reap(pid: int) -> bool:
    """Takes the zombie of a child of this very process; false if it is nobody's or not ours."""
    try:
        return os.waitpid(pid, os.WNOHANG)[0] == pid
    except ChildProcessError:
        return False


def of_container(container: str) -> list:
    """The pids of a container, by its id in the names of their cgroups (containerID of a pod's status)."""
    wanted, found = container.rpartition("/")[2], []
    for folder in Path("/proc").glob("[0-9]*") if wanted else ():  # one that was not made yet has no id
        try:
            if wanted in (folder / "cgroup").read_text(encoding="ascii", errors="replace"):
                found.append(int(folder.name))
        except OSError:
            pass  # it has ended meanwhile
    return found


def end_namespace(name: str) -> None:
    """Ends what still runs in a network namespace, also what no record names (a former run was killed half way)."""
    def inhabitants():
        done = subprocess.run(["ip", "netns", "pids", name], capture_output=True, text=True, check=False)
        return [int(pid) for pid in done.stdout.split() if started_at(int(pid))]

    def gone():
        left = inhabitants()
        for pid in left:
            kill(pid)
            reap(pid)
        return not left

    if inhabitants():
        say(f"ending what is left in {name}")
        wait_for(f"the end of all processes in {name}", gone, seconds=KILL_SECONDS)
