# SPDX-License-Identifier: Apache-2.0
"""Start, end, command line, and what the process may and uses."""
import contextlib
import os
import pathlib
import signal
import subprocess
import tempfile
import time

from agent import Agent, wait
from net import Net


def expect(condition, *what):
    if not condition:
        raise AssertionError(" ".join(str(w) for w in what))


def call(binary, *words):
    done = subprocess.run([binary, *words], capture_output=True, text=True, timeout=60, check=False)
    return done.returncode, done.stdout, done.stderr


def case_command_line(binary):
    for words in ([], ["--nonsense"], ["--config"], ["--config", "d", "--node", "n", "x"], ["--config", "d", "--node", "n", "--listen", "x"]):
        code, out, err = call(binary, *words)
        expect(code == 2 and "usage: kubecanary-agent" in err and out == "", words, code, out, err)
    code, out, _ = call(binary, "--help")
    expect(code == 0 and "usage: kubecanary-agent" in out, code, out)
    code, out, _ = call(binary, "--version")
    expect(code == 0 and out.startswith("kubecanary-agent "), code, out)


def opened(pid):
    """What the descriptors of a process are."""
    files = {}
    for path in pathlib.Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):  # closed meanwhile
            files[int(path.name)] = os.readlink(path)
    return files


def case_standard_descriptors_that_are_closed(binary):
    """They are /dev/null: no socket has the log written into it."""
    with tempfile.TemporaryDirectory() as empty:
        command = [binary, "--config", empty, "--node", "n1", "--listen", "127.0.0.1:0", "--grace", "0s"]
        for closed in ("2>&-", "<&- >&- 2>&-"):
            with subprocess.Popen(["sh", "-c", f'exec "$@" {closed}', "sh", *command]) as process:
                try:
                    wait("it serves", lambda p=process.pid: "anon_inode:[eventpoll]" in opened(p).values())
                    names = [opened(process.pid)[fd] for fd in (range(3) if "<" in closed else (2,))]
                    expect(set(names) == {"/dev/null"}, closed, names)
                finally:
                    process.kill()


def case_full_output(binary):
    for words in (["--help"], ["--version"]):
        with open("/dev/full", "w", encoding="ascii") as full:
            done = subprocess.run([binary, *words], stdout=full, stderr=subprocess.PIPE, text=True, timeout=60, check=False)
        expect(done.returncode == 1 and done.stderr == "kubecanary-agent: standard output: No space left on device\n", words, done)


def case_check(binary):
    with Net("n1", "n2") as net, Agent(binary, net["n1"]) as a:
        nodes = [net["n1"], net["n2"]]
        a.files.agent(targets="[{name: t, type: ICMP, address: 198.18.0.1, interval: 1s, timeout: 1s}]").peers(nodes).write()
        code, out, err = call(binary, "--config", str(a.files.path), "--node", "n1", "--check")
        expect(code == 0 and "5 pairs" in out and "81.000 packets a second" in out, code, out, err)
        (a.files.path / "peers-00.yaml").write_text("slice: 0\nslices: 1\npeers: [{node: n1, pod: [x]}]\n")
        code, out, err = call(binary, "--config", str(a.files.path), "--node", "n1", "--check")
        expect(code == 1 and "peers-00.yaml: peers[0].pod[0]" in err, code, out, err)
        a.files.peers(nodes).write()
        (a.files.path / "peers-01.yaml").write_text("nonsense")
        code, out, err = call(binary, "--config", str(a.files.path), "--node", "n1", "--check")
        expect(code == 0 and "note: peers-01.yaml is none of the 1 slices that peers-00.yaml tells of: it is not read\n" in out, code, out, err)
        (a.files.path / "peers-00.yaml").unlink()
        a.files.agent(mesh=False).write()
        (a.files.path / "peers-00.yaml").unlink(missing_ok=True)
        code, out, err = call(binary, "--config", str(a.files.path), "--node", "n1", "--check")
        expect(code == 0 and "note: there is no peers-00.yaml: peers-01.yaml is not read\n" in out, code, out, err)


def case_start_without_files(binary):
    with Net("n1") as net, Agent(binary, net["n1"]) as a:
        a.start(ready=False)
        wait("it answers", lambda: a.try_get("/healthz")[0] == 200)
        status, _, body = a.get("/readyz")
        expect(status == 503 and "agent.yaml" in body, status, body)
        m = a.metrics()
        expect(m.one("kubecanary_config_last_reload_successful") == 0 and m.one("kubecanary_config_generation") == 0)
        expect(a.report()["ready"] is False)
        a.files.agent(generation=4).peers([net["n1"]]).write()
        wait("it is ready", lambda: a.get("/readyz")[0] == 200)
        expect(a.metrics().one("kubecanary_config_generation") == 4)


def case_leaves_in_good_order(binary):
    with Net("n1", "n2") as net, Agent(binary, net["n1"], "--grace", "3s") as a, Agent(binary, net["n2"]) as b:
        for x in (a, b):
            x.files.agent().peers([net["n1"], net["n2"]]).write()
            x.start()
        wait("it probes", lambda: a.report()["totals"]["received"] > 5)
        a.process.send_signal(signal.SIGTERM)
        wait("it is not ready any more", lambda: a.get("/readyz")[0] == 503)
        wait("nothing is in flight", lambda: a.report()["totals"]["inFlight"] == 0)
        sent = a.report()["totals"]["sent"]
        reflected = a.metrics().one("kubecanary_agent_reflected_total")
        net["n2"].connect(net["n1"].v4, 9962).close()  # whoever does not know yet is still answered
        wait("peers are still answered", lambda: a.metrics().one("kubecanary_agent_reflected_total") > reflected)
        expect(a.report()["totals"]["sent"] == sent, "it goes on sending")
        expect(a.process.wait(timeout=20) == 0, "exit code", a.process.returncode)
        expect(len(a.logged("left")) == 1, a.log())
        b.process.send_signal(signal.SIGINT)
        wait("it leaves", lambda: b.logged("leaving"))
        b.process.send_signal(signal.SIGINT)
        expect(b.process.wait(timeout=20) == 0, "exit code", b.process.returncode)


def case_second_signal_ends_at_once(binary):
    with Net("n1") as net, Agent(binary, net["n1"], "--grace", "9m") as a:
        a.files.agent().peers([net["n1"]]).write()
        a.start()
        a.process.send_signal(signal.SIGTERM)
        wait("it leaves", lambda: a.logged("leaving"))
        a.process.send_signal(signal.SIGTERM)
        expect(a.process.wait(timeout=30) == 0, "exit code", a.process.returncode)


def case_port_taken(binary):
    with Net("n1") as net, Agent(binary, net["n1"]) as a, Agent(binary, net["n1"]) as b:
        a.files.agent().peers([net["n1"]]).write()
        a.start()
        b.start(ready=False)
        expect(b.process.wait(timeout=30) == 1, "exit code", b.process.returncode)
        expect("bind of HTTP port 9961: Address" in b.log(), b.log())


def case_no_privilege(binary):
    with Net("n1", "n2") as net, Agent(binary, net["n1"]) as a:
        a.files.agent().peers([net["n1"], net["n2"]]).write()
        a.start()
        wait("it probes", lambda: a.report()["totals"]["received"] > 0)
        expect(a.status("Uid") == ["65532"] * 4 and a.status("Gid") == ["65532"] * 4)
        for key in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
            expect(int(a.status(key)[0], 16) == 0, key)
        expect(a.status("NoNewPrivs") == ["1"])
        expect(a.status("Threads") == ["1"] and a.metrics().one("kubecanary_agent_threads") == 1)


def case_ping_group_refused(binary):
    with Net("n1", "n2") as net, Agent(binary, net["n1"]) as a:
        net["n1"].run("sysctl", "-qw", "net.ipv4.ping_group_range=1 0")
        a.files.agent().peers([net["n1"], net["n2"]]).write()
        a.start(ready=False)
        wait("it answers", lambda: a.try_get("/healthz")[0] == 200)
        status, _, body = a.get("/readyz")
        expect(status == 503 and "ping_group_range" in body, status, body)
        m = wait("send errors", lambda: a.metrics() if a.metrics().sum("kubecanary_probe_results_total", probe="icmp", result="send_error") > 5 else None)
        expect(m.sum("kubecanary_probe_results_total", probe="icmp", result="lost") == 0)
        # Somebody mends it: the agent finds out by itself, and says both once.
        net["n1"].run("sysctl", "-qw", "net.ipv4.ping_group_range=65532 65532")
        wait("it is ready", lambda: a.try_get("/readyz")[0] == 200)
        wait("it probes", lambda: a.report()["totals"]["received"] > 0)
        expect([len(a.logged(m)) for m in ("no ICMP socket", "ICMP socket open")] == [2, 2], a.log())  # a family each
        expect([sum(f"ICMP {family}" in line for line in a.logged("no ICMP socket")) for family in ("IPv4", "IPv6")] == [1, 1], a.log())


def resident(a):
    return int(pathlib.Path(f"/proc/{a.process.pid}/statm").read_text().split()[1]) * 4


def case_memory_stays(binary):
    """1,000 scrapes and 1,000 reloads after a first hundred: what grows is a leak. (test_export holds the heap to the byte.)"""
    with Net("n1", "n2") as net, Agent(binary, net["n1"]) as a:
        nodes = [net["n1"], net["n2"]]
        targets = ", ".join(f"{{name: t{i}, type: ICMP, address: 198.19.1.{i + 1}, interval: 1s, timeout: 1s}}" for i in range(100))
        a.files.agent(targets=f"[{targets}]").peers(nodes).write()
        a.start()

        def work(first, n):
            for generation in range(first, first + n):
                a.get("/metrics", encoding="gzip")
                a.files.agent(generation=generation, targets=f"[{targets}]", compression="Gzip" if generation % 2 else None).write()
                wait("the reload", lambda g=generation: a.report()["generation"] == g)

        work(2, 100)
        before = resident(a)
        work(102, 1000)
        after = resident(a)
        print(f"# resident: {before} KiB, after 1,000 scrapes and 1,000 reloads {after} KiB")
        expect(after <= before + 512, f"resident memory grew from {before} to {after} KiB")


def case_idle_costs_little(binary):
    """Compared, not asserted by time: an agent with two pairs must not wake more often than its tick says."""
    with Net("n1", "n2") as net, Agent(binary, net["n1"]) as a:
        a.files.agent(probes="[{name: icmp, type: ICMP, interval: 1s, timeout: 1s}]").peers([net["n1"], net["n2"]]).write()
        a.start()
        wait("it probes", lambda: a.report()["totals"]["received"] > 0)
        before, begun = int(a.status("voluntary_ctxt_switches")[0]), time.monotonic()
        wait("three seconds", lambda: time.monotonic() - begun > 3, seconds=10)
        woken = (int(a.status("voluntary_ctxt_switches")[0]) - before) / (time.monotonic() - begun)
        print(f"# {woken:.1f} wake-ups a second")
        expect(woken < 25, f"{woken:.1f} wake-ups a second")


def case_allocator_is_read_back(binary):
    """Settings take effect in jemalloc; in any other allocator none does, and that is said."""
    settings = {"narenas": "1", "tcache": "true", "lg_tcache_max": "12", "dirty_decay_ms": "0", "muzzy_decay_ms": "-1", "percpu_arena": "disabled",
                "metadata_thp": "auto", "thp": "never", "retain": "false", "oversize_threshold": "1048576"}
    conf = ",".join(f"{k}:{v}" for k, v in settings.items())
    with Net("n1") as net, Agent(binary, net["n1"], env={"MALLOC_CONF": conf}) as a:
        a.files.agent().peers([net["n1"]]).write()
        a.start()
        m, report = a.metrics(), a.report()["allocator"]
        name = m.all("kubecanary_allocator_info")[0][0]["allocator"]
        real = name == "jemalloc"
        expect({l["setting"]: v for l, v in m.all("kubecanary_allocator_effective")} == {k: float(real) for k in settings}, m.samples["kubecanary_allocator_effective"])
        expect(report["effective"] is real and report["name"] == name and m.one("kubecanary_allocator_arenas") == 1, report)
        in_effect = {l["option"]: l["value"] for l, _ in m.all("kubecanary_allocator_option_info")} if real else {}
        expect(report["options"] == in_effect and report["tunable"] is (name != "musl"), report)
        expect(not real or (in_effect["dirty_decay_ms"], in_effect["thp"], in_effect["tcache_max"]) == ("0", "never", "4096"), in_effect)
        process = a.report()
        expect(1 <= process["cpusAllowed"] <= process["cpus"] == m.one("kubecanary_node_cpus"), process)
        print(f"# {name} {report['version']}: {m.one('kubecanary_allocator_arenas'):.0f} arena, {resident(a)} KiB resident")
    if real:
        with Net("n1") as net, Agent(binary, net["n1"], env={"MALLOC_CONF": "narenas:2,tcache:nonsense,no_such:1"}) as a:
            a.files.agent().peers([net["n1"]]).write()
            a.start()
            m = a.metrics()
            expect(m.one("kubecanary_allocator_arenas") == 2)
            expect({l["setting"]: v for l, v in m.all("kubecanary_allocator_effective")} == {"narenas": 1, "tcache": 0, "no_such": 0}, m.samples["kubecanary_allocator_effective"])
        with Net("n1") as net, Agent(binary, net["n1"], env={"MALLOC_CONF": "narenas:1,bin_shards:1-128:4"}) as a:  # which it takes and never tells
            a.files.agent().peers([net["n1"]]).write()
            a.start()
            m, report = a.metrics(), a.report()["allocator"]
            expect({l["setting"]: v for l, v in m.all("kubecanary_allocator_effective")} == {"narenas": 1}, m.samples["kubecanary_allocator_effective"])
            expect(report["effective"] is None and [s["effective"] for s in report["settings"]] == [True, None], report)
        # Variables that this program's jemalloc does not read.
        with Net("n1") as net, Agent(binary, net["n1"], env={"JE_MALLOC_CONF": "narenas:1", "MALLOC_ARENA_MAX": "1"}) as a:
            a.files.agent().peers([net["n1"]]).write()
            a.start()
            m = a.metrics()
            expect({l["setting"]: v for l, v in m.all("kubecanary_allocator_effective")} == {"narenas": 0, "MALLOC_ARENA_MAX": 0}, m.samples["kubecanary_allocator_effective"])
        with Net("n1") as net, Agent(binary, net["n1"], env={"MALLOC_CONF": "background_thread:true"}) as a:
            a.files.agent().peers([net["n1"]]).write()
            a.start()
            m = a.metrics()
            expect(m.one("kubecanary_allocator_effective", setting="background_thread") == 1 and m.one("kubecanary_agent_threads") == 2)
