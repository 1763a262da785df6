# SPDX-License-Identifier: Apache-2.0
"""What the cluster changes on the machine itself: a few sysctls that the kubelet sets for the whole machine, one cgroup in
each hierarchy (in v2 with the controllers switched on from the root down), two directories. It notes what was there before,
and the last cluster to go puts it back."""
import errno
import fcntl
import json
import os
from contextlib import contextmanager
from pathlib import Path

from .shell import Failure, run, wait_for

# The kubelet sets the first six (its kernel tunables, kubelet/cm); the last is too low on Debian for three kubelets.
SYSCTLS = ["vm/overcommit_memory", "vm/panic_on_oom", "kernel/panic", "kernel/panic_on_oops", "kernel/keys/root_maxkeys",
           "kernel/keys/root_maxbytes", "fs/inotify/max_user_instances"]
INOTIFY_INSTANCES = 1024
DIRECTORIES = ["/var/lib/cni", "/var/lib/kubelet"]
V1_CONTROLLERS = ["cpu", "cpuacct", "cpuset", "memory", "devices", "freezer", "blkio", "pids", "systemd"]
V1_OPTIONAL = ["hugetlb"]
V2_CONTROLLERS = ["cpuset", "cpu", "io", "memory", "hugetlb", "pids"]
MODULES = ["overlay", "br_netfilter", "nf_conntrack", "nf_tables"]
# What was before the first cluster came, and one file for each cluster that is: the last one to go puts things back. In /run,
# as a restart of the machine puts them back, too.
REGISTER = Path("/run/kubecanary-test")
BEFORE, LOCK = "before.json", "lock"
CGROUPS = Path("/sys/fs/cgroup")


def must_be_root() -> None:
    if os.geteuid() != 0:
        raise Failure("the test cluster needs root: it makes network namespaces, mounts and cgroups. Run it as root, or "
                      "test against a cluster that is there with `make e2e KUBECONFIG=...`")


def _unified() -> bool:
    return (CGROUPS / "cgroup.controllers").exists()


def switched_on() -> list:
    """The controllers that the root cgroup hands down to those below it; [] where there is no v2."""
    return (CGROUPS / "cgroup.subtree_control").read_text(encoding="ascii").split() if _unified() else []


@contextmanager
def _register():
    """Holds the register of the clusters on this machine, and gives a function that lists them. One whose state directory is
    gone does not count."""
    def members():
        return [f.name for f in REGISTER.iterdir() if f.name not in (BEFORE, LOCK) and Path(f.read_text(encoding="utf-8")).is_dir()]
    REGISTER.mkdir(exist_ok=True)
    with open(REGISTER / LOCK, "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield members


def _write(path: Path, text: str) -> None:
    path.write_text(text, encoding="ascii")


def _switch_off(controllers) -> None:
    for controller in sorted(controllers):
        try:
            _write(CGROUPS / "cgroup.subtree_control", f"-{controller}")
        except OSError as e:
            if e.errno != errno.EBUSY:
                raise
            # somebody hands it on below: it was switched on for them, too, since


def _switch_on(folder: Path) -> None:
    """Hands all controllers that a v2 cgroup has, of those that the kubelet wants, down to the cgroups in it."""
    there = (folder / "cgroup.controllers").read_text(encoding="ascii").split()
    for controller in [c for c in V2_CONTROLLERS if c in there]:
        try:
            _write(folder / "cgroup.subtree_control", f"+{controller}")
        except OSError as e:
            if e.errno not in (errno.EBUSY, errno.EOPNOTSUPP):
                raise
            raise Failure(f"the cgroup {folder} hands no controllers down, as processes are in it (the root of a container's "
                          "cgroup namespace): move them into a cgroup below it first, and start the cluster again") from e


class Host:
    def __init__(self, state: Path, name: str):
        self.state, self.name = state, name

    def prepare(self) -> None:
        with _register() as members:
            if not members():
                before = {s: Path("/proc/sys", s).read_text(encoding="ascii").strip() for s in SYSCTLS}
                made = [d for d in DIRECTORIES if not os.path.isdir(d)]
                note = {"sysctls": before, "directories": made, "controllers": switched_on()}
                (REGISTER / BEFORE).write_text(json.dumps(note), encoding="ascii")
            (REGISTER / self.name).write_text(str(self.state), encoding="utf-8")
        instances = Path("/proc/sys/fs/inotify/max_user_instances")
        if int(instances.read_text(encoding="ascii")) < INOTIFY_INSTANCES:
            _write(instances, str(INOTIFY_INSTANCES))
        for directory in DIRECTORIES:
            os.makedirs(directory, exist_ok=True)
        for module in MODULES:  # built in, or not there: then what needs it says so
            run(["modprobe", "-q", module], check=False)

    def restore(self) -> None:
        self._remove_cgroups()
        with _register() as members:
            (REGISTER / self.name).unlink(missing_ok=True)
            if members() or not (REGISTER / BEFORE).exists():
                return
            note = json.loads((REGISTER / BEFORE).read_text(encoding="ascii"))
            for sysctl, value in note["sysctls"].items():
                _write(Path("/proc/sys", sysctl), value)
            for directory in note["directories"]:
                os.rmdir(directory)
            _switch_off(set(switched_on()) - set(note["controllers"]))
            (REGISTER / BEFORE).unlink()

    def make_cgroup(self, node: str) -> str:
        """Makes a node's cgroup in every hierarchy; returns what the kubelet is told as cgroupRoot."""
        if _unified():
            self._make_v2(node)
        else:
            for controller in [*V1_CONTROLLERS, *(c for c in V1_OPTIONAL if (CGROUPS / c).is_dir())]:
                self._make_v1(CGROUPS / controller, node)
        return f"/{self.name}/{node}"

    def _make_v2(self, node: str) -> None:
        group = CGROUPS / self.name
        (group / node).mkdir(parents=True, exist_ok=True)
        for folder in [CGROUPS, group, group / node]:
            _switch_on(folder)

    def _make_v1(self, hierarchy: Path, node: str) -> None:
        if not hierarchy.is_dir():
            raise Failure(f"no cgroup hierarchy {hierarchy}")
        for folder in [hierarchy / self.name, hierarchy / self.name / node]:
            folder.mkdir(exist_ok=True)
            if hierarchy.name == "cpuset":  # a new cpuset is empty until it is told its processors
                for key in ["cpuset.cpus", "cpuset.mems"]:
                    _write(folder / key, (hierarchy / key).read_text(encoding="ascii"))

    def _groups(self) -> list:
        return [g for g in [CGROUPS / self.name, *CGROUPS.glob(f"*/{self.name}")] if g.is_dir()]

    def _remove_cgroups(self) -> None:
        def gone():
            for group in self._groups():
                for folder, _, _ in os.walk(group, topdown=False):
                    try:
                        os.rmdir(folder)
                    except OSError:
                        pass  # a process in it has not quite ended
            return not self._groups()
        wait_for(f"the removal of the cgroups {self.name}", gone, seconds=20)
