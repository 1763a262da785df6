# SPDX-License-Identifier: Apache-2.0
"""Files that change, break and come back while the agent probes."""
import contextlib

from agent import Agent, wait
from cases_life import expect
from net import Net
from stamp import query

NEW_TARGET = "[{name: new, type: ICMP, address: 198.19.1.1, interval: 100ms, timeout: 300ms}]"


def never_less(before, after):
    for key, row in before.items():
        expect(key in after, "a pair is gone:", key)
        for name, value in row.items():
            expect(name == "in_flight" or after[key][name] >= value, key, name, "went from", value, "to", after[key][name])


def case_files_for_another_port_are_not_taken(binary):
    with Net("n1") as net, Agent(binary, net["n1"]) as a:
        a.files.agent(generation=2).peers([net["n1"]]).write()
        a.start()
        a.files.agent(generation=3)
        a.files.text["agent.yaml"] = a.files.text["agent.yaml"].replace("http: 9961", "http: 9971")
        a.files.write()
        wait("it is refused", lambda: "ports.http" in str(a.report()["reloadError"]))
        expect(a.report()["generation"] == 2 and a.get("/readyz")[0] == 200, a.report())


def case_reload_keeps_counters(binary):
    with Net("n1", "n2") as net, Agent(binary, net["n1"]) as a, Agent(binary, net["n2"]) as b:
        nodes = [net["n1"], net["n2"]]
        for x in (a, b):
            x.files.agent().peers(nodes).write()
            x.start()
        wait("it probes", lambda: a.report()["totals"]["received"] > 40)
        before = a.metrics().pairs()
        for generation in range(2, 22):
            interval = "200ms" if generation % 2 else "100ms"
            a.files.agent(generation=generation, targets=NEW_TARGET, probes=f"[{{name: icmp, type: ICMP, interval: {interval}, timeout: 300ms}}, "
                          f"{{name: tcp, type: TCP, interval: {interval}, timeout: 300ms}}]").write()
            wait("the reload", lambda g=generation: a.report()["generation"] == g)
            m = a.metrics()
            m.check_invariant()
            never_less(before, m.pairs())
            before = m.pairs()
        expect(("icmp", "new", "IPv4") in before, "the new target is missing")
        m = wait("the new target is probed", lambda: a.metrics() if a.metrics().sum("kubecanary_probe_results_total", target="new", result="received") > 3 else None)
        expect(m.sum("kubecanary_probe_results_total", result="lost") == 0, "reloads lost probes")
        expect(m.sum("kubecanary_probe_results_total", result="unreachable") == 0)


def case_broken_files_change_nothing(binary):
    with Net("n1", "n2") as net, Agent(binary, net["n1"]) as a:
        a.files.agent().peers([net["n1"], net["n2"]]).write()
        a.start()
        wait("it probes", lambda: a.report()["totals"]["received"] > 4)
        good = a.metrics()
        for i, text in enumerate(("probes: [", "generation: 9\nfleet: mesh\nprobes: [{name: x, type: UDP}]\n", "")):
            (a.files.path / "agent.yaml").write_text(text)
            wait("it says so", lambda n=i: a.metrics().sum("kubecanary_config_reloads_total", result="failure") > n)
            m = a.metrics()
            expect(m.one("kubecanary_config_last_reload_successful") == 0 and m.one("kubecanary_config_generation") == 1)
            expect(a.get("/readyz")[0] == 200, "the last good files are in force")
            expect(a.report()["reloadError"].startswith("agent.yaml"), a.report())
            sent = m.sum("kubecanary_probe_sent_total")
            wait("it probes on", lambda s=sent: a.metrics().sum("kubecanary_probe_sent_total") > s + 5)
        never_less(good.pairs(), a.metrics().pairs())
        warnings = a.logged("configuration not taken")
        expect(2 <= len(warnings) <= 3, len(warnings), "warnings for three broken files")
        a.files.agent(generation=10).write()
        wait("it recovers", lambda: a.metrics().one("kubecanary_config_last_reload_successful") == 1)
        expect(a.metrics().one("kubecanary_config_generation") == 10)
        (a.files.path / "peers-00.yaml").write_text("slice: 0\nslices: 2\npeers: []\n")
        wait("a slice is missing", lambda: a.metrics().one("kubecanary_config_last_reload_successful") == 0)
        expect("peers-01.yaml" in a.report()["reloadError"], a.report())
        expect(a.report()["pairs"] == 4, "the peers of before are probed")


def case_kubelet_swaps(binary):
    with Net("n1", "n2", "n3") as net, Agent(binary, net["n1"], atomic=True) as a, Agent(binary, net["n2"]) as b, Agent(binary, net["n3"]) as c:
        nodes = [net["n1"], net["n2"], net["n3"]]
        for x in (b, c):
            x.files.agent().peers(nodes).write()
            x.start()
        a.files.agent().peers(nodes[:2]).write()
        a.start()
        expect(a.report()["pairs"] == 4)
        a.files.peers(nodes, slices=2).write()
        wait("the third node", lambda: a.report()["pairs"] == 8)
        wait("it is probed", lambda: a.metrics().sum("kubecanary_probe_results_total", destination_node="n3", result="received") > 10)
        for slices in (4, 2, 1, 2):
            loads = a.metrics().one("kubecanary_config_reloads_total", result="success")
            a.files.peers(nodes, slices=slices).write()
            wait("the reload", lambda n=loads: a.metrics().one("kubecanary_config_reloads_total", result="success") > n)
        m = a.metrics()
        expect(m.one("kubecanary_config_reloads_total", result="failure") == 0, a.report())
        expect(m.sum("kubecanary_probe_results_total", result="lost") == 0)
        a.files.peers(nodes, slices=2, state={"n3": "Leaving"}).write()
        wait("it is let go", lambda: a.report()["pairs"] == 4)
        m = a.metrics()
        expect(m.one("kubecanary_peers", state="Leaving") == 1 and m.one("kubecanary_peers", state="Ready") == 1)
        expect(m.sum("kubecanary_probe_sent_total", destination_node="n3") > 0, "its series stay for the last scrapes")


def case_stamp_port_moves(binary):
    def answers(node, port):
        with node.udp(node.v4, 0, 0.2) as s:
            s.sendto(query(1)[0], (node.v4, port))
            with contextlib.suppress(TimeoutError, ConnectionRefusedError):
                return len(s.recv(100)) == 44
        return False

    with Net("n1") as net, Agent(binary, net["n1"]) as a, net["n1"].udp(net["n1"].v4, 9971):
        a.files.agent(stamp=9964).peers([net["n1"]]).write()
        a.start()
        expect(answers(net["n1"], 9964), "it is open without a STAMP probe too")
        a.files.agent(generation=2, tcp=9970, stamp=9972).write()
        wait("the reload", lambda: a.report()["generation"] == 2)
        expect(answers(net["n1"], 9972) and not answers(net["n1"], 9964))
        a.files.agent(generation=3, tcp=9973, stamp=9971).write()  # taken
        wait("the reload", lambda: a.metrics().one("kubecanary_config_last_reload_successful") == 0)
        expect(a.report()["generation"] == 2 and "ports.stamp" in a.report()["reloadError"], a.report())
        expect(answers(net["n1"], 9972), "the old one stays")
        net["n1"].connect(net["n1"].v4, 9970).close()


def case_tcp_port_moves(binary):
    with Net("n1") as net, Agent(binary, net["n1"]) as a:
        a.files.agent(tcp=9962).peers([net["n1"]]).write()
        a.start()
        net["n1"].connect(net["n1"].v4, 9962).close()
        a.files.agent(generation=2, tcp=9970).write()
        wait("the reload", lambda: a.report()["generation"] == 2)
        net["n1"].connect(net["n1"].v6, 9970).close()
        try:
            net["n1"].connect(net["n1"].v4, 9962).close()
            raise AssertionError("the old port is still open")
        except ConnectionRefusedError:
            pass
        a.files.agent(generation=3, tcp=9961).write()  # taken by HTTP
        wait("the reload", lambda: a.metrics().one("kubecanary_config_last_reload_successful") == 0)
        expect(a.report()["generation"] == 2 and "ports.tcp" in a.report()["reloadError"], a.report())
        net["n1"].connect(net["n1"].v4, 9970).close()
