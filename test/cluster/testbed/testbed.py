# SPDX-License-Identifier: Apache-2.0
"""The whole cluster: up, down, images, commands on it. What it needs to know later (how many nodes) stands in its state
directory; everything else follows from that directory's name."""
import fcntl
import json
import shutil
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from . import host, images, netns, tools
from .control import ControlPlane
from .node import Machine
from .plan import MAX_NODES, Plan
from .procs import Processes
from .shell import Failure, say, tell

NODES_SECONDS = 120
LOG_LINES = 12


class Testbed:
    def __init__(self, state: Path, count: int = 0):
        state = state.resolve()
        self.note = state / "cluster.json"
        if not count:
            count = json.loads(self.note.read_text(encoding="ascii"))["nodes"] if self.note.exists() else MAX_NODES
        self.plan = Plan(state, count)
        self.processes = Processes(state)
        self.control = ControlPlane(self.plan, self.processes)
        self.host = host.Host(state, self.plan.prefix)

    def machines(self) -> list:
        return [Machine(node, self.plan, self.processes) for node in self.plan.nodes]

    def machine(self, name: str) -> Machine:
        return Machine(self.plan.node(name), self.plan, self.processes)

    @contextmanager
    def _locked(self):
        self.plan.state.mkdir(parents=True, exist_ok=True)
        with open(self.plan.state / "lock", "w", encoding="ascii") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def is_up(self) -> bool:
        names = self.processes.names()
        return self.note.exists() and bool(names) and all(self.processes.pid(name) for name in names)

    def must_be_up(self) -> None:
        if not self.is_up():
            raise Failure(f"no cluster is running in {self.plan.state} (test/cluster/cluster up)")

    def up(self) -> None:
        """Starts the cluster, after removing what is left of a former one. Returns when all nodes are Ready."""
        host.must_be_root()
        for name in ["kubernetes", "containerd"]:
            tools.tool(name).path()
        pause = images.pause()
        with self._locked():
            self._remove()
            shutil.rmtree(self.processes.logs, ignore_errors=True)
            try:
                self._start(pause)
            except Failure:
                self.print_logs()
                raise

    def _start(self, pause: Path) -> None:
        say(f"starting the control plane and {self.plan.count} nodes in {self.plan.state}")
        self.host.prepare()
        self.control.start()
        machines = self.machines()
        for machine in machines:
            machine.start(self.host)
        for machine in machines:
            machine.wait_containerd()
            machine.load(pause)
            machine.start_kubelet()
        self.control.wait_nodes(NODES_SECONDS)
        self.note.write_text(json.dumps({"nodes": self.plan.count}), encoding="ascii")

    def down(self) -> None:
        host.must_be_root()
        with self._locked():
            self._remove()

    def _remove(self) -> None:
        """Ends and removes everything of a cluster in this state directory, whole or half started; logs are kept."""
        self.note.unlink(missing_ok=True)
        self.processes.kill_all()
        netns.remove_all(self.plan.prefix)
        self.host.restore()
        mounts = Path("/proc/self/mounts").read_text(encoding="utf-8", errors="replace")
        if f" {self.plan.state}/" in mounts:
            raise Failure(f"there are mounts left under {self.plan.state}")
        for path in self.plan.state.iterdir():
            if path.name in ("log", "lock"):
                continue
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink()

    def load(self, archives: list, nodes: list = ()) -> None:
        """Imports image archives into all nodes, or these."""
        self.must_be_up()
        machines = [m for m in self.machines() if not nodes or m.node.name in nodes]
        with ThreadPoolExecutor(max_workers=2) as pool:
            for done in [pool.submit(m.load, archive) for archive in archives for m in machines]:
                done.result()

    def status(self) -> str:
        lines = [f"{self.plan.state}: {'up' if self.is_up() else 'not up'}"]
        lines += [f"  {name}: {self.processes.pid(name) or 'ended'}" for name in self.processes.names()]
        if self.is_up():
            lines.append(self.control.kubectl("get", "nodes", "-o", "wide").stdout.rstrip())
        return "\n".join(lines)

    def print_logs(self) -> None:
        """The end of every component's log, for whoever reads the failure."""
        for name in self.processes.names():
            tell(f"--- {name}{'' if self.processes.pid(name) else ' (ended)'}\n{self.processes.tail(name, LOG_LINES)}")
