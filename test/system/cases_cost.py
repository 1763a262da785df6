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

def case_memory_does_not_follow_the_cores(binary):
    targets = ", ".join(f"{{name: t{i}, type: ICMP, address: 198.19.1.{i + 1}, interval: 1s, timeout: 1s}}" for i in range(100))
    resident = {}
    for cores in (4, 32, 128):
        with Net("n1", "n2") as net, Agent(
                binary, net["n1"], around=["with_cores", str(cores)], env={"MALLOC_CONF": "narenas:1"}) as a:  # of the flavour that has arenas by core
            a.files.agent(targets=f"[{targets}]").peers([net["n1"], net["n2"]]).write()
            a.start()
            for _ in range(20):
                a.get("/metrics")
            m = a.metrics()
            expect(m.one("kubecanary_node_cpus") == cores, m.one("kubecanary_node_cpus"), "processors are seen, not", cores)
            expect(m.one("kubecanary_agent_threads") == 1)
            resident[cores] = m.one("process_resident_memory_bytes") / 1024
    print("# resident KiB by processors seen:", resident)
    most, least = max(resident.values()), min(resident.values())
    expect(most - least <= max(128, 0.03 * most), resident)  # 3 %: the sanitizers' own memory is 15 MB and breathes


@contextlib.contextmanager
def quota(percent):
    """A cgroup that may use so much of one processor, in slices of 103 ms, which is no multiple of the agent's tick: they drift through all of its
    phases. Of version 1 or 2, as the machine has it."""
    one = pathlib.Path("/sys/fs/cgroup/cpu")
    top = one if one.is_dir() else pathlib.Path("/sys/fs/cgroup")
    group = top / f"kubecanary-system-{os.getpid()}"
    group.mkdir()
    try:
        if top == one:
            (group / "cpu.cfs_period_us").write_text("103000")
            (group / "cpu.cfs_quota_us").write_text(str(1030 * percent))
        else:
            with contextlib.suppress(OSError):  # it is enabled already, or cpu.max will be missed
                (top / "cgroup.subtree_control").write_text("+cpu")
            (group / "cpu.max").write_text(f"{1030 * percent} 103000")
        yield group / "cgroup.procs"
    finally:
        group.rmdir()


def throttled(procs):
    return next(int(line.split()[1]) for line in (procs.parent / "cpu.stat").read_text().splitlines() if line.startswith("nr_throttled"))


SCHEDULE, RECEIVE = "kubecanary_agent_schedule_delay_seconds", "kubecanary_agent_receive_delay_seconds"


def late(m):
    """Probes begun later than a tick (50 ms) explains."""
    return m.one(SCHEDULE + "_count") - m.one(SCHEDULE + "_bucket", le="0.05")


def read_late(m):
    """Answers read later than two ticks (100 ms) explain: an agent reads what came after a tick at the next one."""
    return m.one(RECEIVE + "_count") - m.one(RECEIVE + "_bucket", le="0.1")


def mean(m, before, name):
    return (m.one(name + "_sum") - before.one(name + "_sum")) / (m.one(name + "_count") - before.one(name + "_count"))


def case_throttled_agent_shows_its_own_delay(binary):
    """A tenth of a processor, shared with somebody who wants all of it. The interval is no multiple of that, so that probes fall due at any moment of it."""
    probes = "[{name: icmp, type: ICMP, interval: 130ms, timeout: 1s}]"
    with mesh(binary, "n1", "n2", probes=probes) as (_, agents), quota(10) as procs:
        settled(agents, 5)
        a, begun = agents["n1"], {name: agent.metrics() for name, agent in agents.items()}
        with subprocess.Popen(["sh", "-c", "while :; do :; done"]) as hog:
            try:
                for pid in (hog.pid, a.process.pid):
                    procs.write_text(str(pid))
                wait("it is throttled", lambda: throttled(procs) > 50)
                settled(agents, 100)
                wait("it tells that it is late", lambda: late(a.metrics()) - late(begun["n1"]) > 20, seconds=90)
                wait("it tells that it reads late", lambda: read_late(a.metrics()) - read_late(begun["n1"]) > 5, seconds=90)
                m, free = a.metrics(), agents["n2"].metrics()
            finally:
                hog.kill()
                hog.wait()
                (procs.parent.parent / procs.name).write_text(str(a.process.pid))
        delays = {name: [mean(now, begun[node], name) for node, now in (("n1", m), ("n2", free))] for name in (SCHEDULE, RECEIVE)}
        for name, (there, beside) in delays.items():
            print(f"# {name}: {1e3 * there:.0f} ms on average, {1e3 * beside:.0f} ms of the agent beside it")
        expect(delays[SCHEDULE][0] > delays[SCHEDULE][1], "it does not tell that the agent was throttled", delays)
        many = [read_late(now) - read_late(begun[node]) for node, now in (("n1", m), ("n2", free))]
        expect(many[0] > many[1], "answers read late:", many)
        slow = {}
        for name, who in (("throttled", m), ("free", free)):
            received = who.sum("kubecanary_probe_results_total", result="received")
            expect(received == who.sum("kubecanary_probe_results_total"), name, "it lost probes")
            slow[name] = 1 - who.sum("kubecanary_probe_rtt_seconds_bucket", le="0.01") / received
            rtt = who.sum("kubecanary_probe_rtt_seconds_sum") / received
            print(f"# {name}: RTT above 10 ms: {100 * slow[name]:.1f} % of {received:.0f}; mean {rtt * 1e6:.0f} us")
        expect(slow["throttled"] <= slow["free"] + 0.05, "its own delay is in the RTT", slow)
