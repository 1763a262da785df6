# SPDX-License-Identifier: Apache-2.0
"""What an agent costs does not follow the machine, and what it lacks of the processor is told as its own lateness, not as the network's."""
import contextlib
import os
import pathlib
import subprocess

from agent import Agent, wait
from cases_life import expect
from cases_probe import mesh, settled
from net import Net

WITH_CORES = pathlib.Path(__file__).resolve().parents[2] / "build/dev/test/system/with_cores"


class OnCores(Agent):
    """An agent that sees so many processors."""

    def __init__(self, binary, node, cores):
        super().__init__(binary, node, env={"MALLOC_CONF": "narenas:1"})  # of the flavour that has arenas by core
        self.cores = cores

    def command(self, *options):
        return [str(WITH_CORES), str(self.cores), *super().command(*options)]


def case_memory_does_not_follow_the_cores(binary):
    targets = ", ".join(f"{{name: t{i}, type: ICMP, address: 198.19.1.{i + 1}, interval: 1s, timeout: 1s}}" for i in range(100))
    resident = {}
    for cores in (4, 32, 128):
        with Net("n1", "n2") as net, OnCores(binary, net["n1"], cores) as a:
            a.files.agent(targets=f"[{targets}]").peers([net["n1"], net["n2"]]).write()
            a.start()
            for _ in range(20):
                a.get("/metrics")
            m = a.metrics()
            expect(m.one("kubecanary_node_cpus") == cores, m.one("kubecanary_node_cpus"), "processors are seen, not", cores)
            expect(m.one("kubecanary_agent_threads") == 1)
            resident[cores] = m.one("process_resident_memory_bytes") / 1024
    print("# resident KiB by processors seen:", resident)
    expect(max(resident.values()) - min(resident.values()) <= 128, resident)


@contextlib.contextmanager
def quota(percent):
    """A cgroup that may use so much of one processor, in slices of 100 ms; of version 1 or 2, as the machine has it."""
    one = pathlib.Path("/sys/fs/cgroup/cpu")
    top = one if one.is_dir() else pathlib.Path("/sys/fs/cgroup")
    group = top / f"kubecanary-system-{os.getpid()}"
    group.mkdir()
    try:
        if top == one:
            (group / "cpu.cfs_period_us").write_text("100000")
            (group / "cpu.cfs_quota_us").write_text(str(1000 * percent))
        else:
            with contextlib.suppress(OSError):  # it is enabled already, or cpu.max will be missed
                (top / "cgroup.subtree_control").write_text("+cpu")
            (group / "cpu.max").write_text(f"{1000 * percent} 100000")
        yield group / "cgroup.procs"
    finally:
        group.rmdir()


def throttled(procs):
    return next(int(line.split()[1]) for line in (procs.parent / "cpu.stat").read_text().splitlines() if line.startswith("nr_throttled"))


DELAYS = {"kubecanary_agent_schedule_delay_seconds": "0.05", "kubecanary_agent_receive_delay_seconds": "0.1"}  # one tick is 50 ms


def delayed(a):
    """How often each delay was beyond what a tick explains."""
    m = a.metrics()
    return {name: m.one(name + "_count") - m.one(name + "_bucket", le=le) for name, le in DELAYS.items()}


def case_throttled_agent_shows_its_own_delay(binary):
    """10 ms of each 100 ms, shared with somebody who wants all of it."""
    probes = "[{name: icmp, type: ICMP, interval: 100ms, timeout: 1s}]"
    with mesh(binary, "n1", "n2", probes=probes) as (_, agents), quota(10) as procs:
        settled(agents, 5)
        a, begun = agents["n1"], {name: delayed(agent) for name, agent in agents.items()}
        with subprocess.Popen(["sh", "-c", "while :; do :; done"]) as hog:
            try:
                for pid in (hog.pid, a.process.pid):
                    procs.write_text(str(pid))
                wait("it is throttled", lambda: throttled(procs) > 50)
                settled(agents, 100)
                wait("it tells its delay", lambda: all(n - begun["n1"][name] > 20 for name, n in delayed(a).items()), seconds=90)
                told = {name: {d: n - begun[name][d] for d, n in delayed(agent).items()} for name, agent in agents.items()}
                m, free = a.metrics(), agents["n2"].metrics()
            finally:
                hog.kill()
                hog.wait()
                (procs.parent.parent / procs.name).write_text(str(a.process.pid))
        print(f"# late by more than a tick: {told['n1']}; beside it, not throttled: {told['n2']}")
        slow = {}
        for name, who in (("throttled", m), ("free", free)):
            received = who.sum("kubecanary_probe_results_total", result="received")
            expect(received == who.sum("kubecanary_probe_results_total"), name, "it lost probes")
            slow[name] = 1 - who.sum("kubecanary_probe_rtt_seconds_bucket", le="0.01") / received
            mean = who.sum("kubecanary_probe_rtt_seconds_sum") / received
            print(f"# {name}: RTT above 10 ms: {100 * slow[name]:.1f} % of {received:.0f}; mean {mean * 1e6:.0f} us")
        expect(slow["throttled"] <= slow["free"] + 0.05, "its own delay is in the RTT", slow)
