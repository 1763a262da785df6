# SPDX-License-Identifier: Apache-2.0
"""STAMP: which way a loss was on, which flow it was in, the class of service, and another implementation at either end."""
import json
import random
import socket
import time

from agent import Agent, wait
from cases_life import expect
from cases_probe import mesh, settled
from net import Net
from stamp import NTP_EPOCH, Answer, Reflector, query

PORT = 9964
FAMILIES = ("IPv4", "IPv6")


def probes(flows=1, dscp=0):
    return f"[{{name: udp, type: STAMP, flows: {flows}, dscp: {dscp}, interval: 100ms, timeout: 300ms}}]"


def ways(metrics, **labels):
    return {w: metrics.sum("kubecanary_probe_path_lost_total", direction=w, **labels) for w in ("forward", "backward")}


def flows_lost(metrics, **labels):
    return {int(l["flow"]): v for l, v in metrics.all("kubecanary_probe_flow_lost_total", **labels)}


def lost(metrics, **labels):
    return metrics.sum("kubecanary_probe_results_total", result="lost", **labels)


def drops(node, rules):
    """Drops what comes to a node; each rule names its counter: match, counter. (What is dropped on its way out is a failed send, and no loss.)"""
    counters = "".join(f"counter {c} {{}}\n" for _, c in rules)
    lines = "".join(f"{match} counter name {c} drop\n" for match, c in rules)
    node.nft(f"table inet test {{ {counters} chain input {{ type filter hook input priority 0;\n{lines}}}\n}}")


def repaired(node):
    """Nothing is dropped any more; counter -> packets that were."""
    node.run("nft", "flush", "chain", "inet", "test", "input")
    listed = json.loads(node.run("nft", "-j", "list", "counters"))["nftables"]
    return {c["counter"]["name"]: c["counter"]["packets"] for c in listed if "counter" in c}


def ports_seen(node, match, agent):
    """From which ports packets come to a node while an agent gets answers to three rounds of its flows."""
    node.nft(f"table inet seen {{ set ports {{ type inet_service; flags dynamic; size 64; }}\n"
             f"chain input {{ type filter hook input priority 0;\n{match} add @ports {{ udp sport }}\n}}\n}}")
    settled({"x": agent}, 24)
    listed = json.loads(node.run("nft", "-j", "list", "set", "inet", "seen", "ports"))["nftables"]
    node.run("nft", "delete", "table", "inet", "seen")
    return sorted(next(x["set"]["elem"] for x in listed if "set" in x))


def told(agent, want):
    """Waits until that many losses were put down to one of the ways, and as many probes more have been answered: the metrics then."""
    wait(f"{want} losses are told", lambda: sum(ways(agent.metrics()).values()) >= want)
    settled({"x": agent}, 12)
    return agent.metrics()


def case_stamp_mesh(binary):
    with mesh(binary, "n1", "n2", "n3", probes=probes(flows=4)) as (_, agents):
        settled(agents, 3)
        gains = settled(agents, 40)
        for source, table in gains.items():
            expect(set(table) == {("udp", d, f) for d in agents if d != source for f in FAMILIES}, source, set(table))
            for key, row in table.items():
                expect(row["lost"] == row["unreachable"] == row["send_error"] == row["corrupt"] == row["late"] == 0, source, key, row)
        for a in agents.values():
            m = a.metrics()
            m.check_invariant()
            expect(ways(m) == {"forward": 0, "backward": 0}, ways(m))
            expect(len(m.all("kubecanary_probe_path_lost_total")) == 8 and len(m.all("kubecanary_probe_flow_lost_total")) == 16)
            expect(m.one("kubecanary_agent_stamp_sessions") == 2 * 2 * 4, "sessions: two peers, two families, four flows")
            expect(m.one("kubecanary_agent_stamp_reflected_total") >= 160 and m.sum("kubecanary_agent_stamp_refused_total") == 0)
            expect(m.one("kubecanary_agent_stamp_stateless_total") == 0)
            expect(m.one("kubecanary_agent_unmatched_packets_total") == 0)
            expect(m.sum("kubecanary_agent_timestamping_total", source="kernel") > 0, "kernel timestamps are not used")
            whole = m.sum("kubecanary_probe_rtt_seconds_count")
            print(f"# RTT mean {1e6 * m.sum('kubecanary_probe_rtt_seconds_sum') / whole:.0f} us of {whole:.0f}")


def one_way(binary, at, match, way):
    """A third of the packets is dropped on one way of one pair: that way's counter tells, exactly, and nothing else moves."""
    with mesh(binary, "n1", "n2", "n3", probes=probes(flows=2)) as (net, agents):
        settled(agents, 10)
        other = "n1" if at == "n2" else "n2"
        drops(net[at], [(f"ip saddr {net[other].v4} {match} numgen random mod 3 == 0", "v4"),
                        (f"ip6 saddr {net[other].v6} {match} numgen random mod 3 == 0", "v6")])
        settled({"n1": agents["n1"]}, 60)
        dropped = repaired(net[at])
        m = told(agents["n1"], sum(dropped.values()))
        print(f"# dropped {dropped}, told {ways(m)}")
        expect(min(dropped.values()) > 5, dropped)
        for family in FAMILIES:
            want = dropped["v" + family[-1]]
            row = ways(m, destination_node="n2", family=family)
            expect(row == {"forward": 0, "backward": 0, way: want}, family, row, "dropped", want)
            expect(lost(m, destination_node="n2", family=family) == want, family)
            expect(sum(flows_lost(m, destination_node="n2", family=family).values()) == want, family)
        expect(sum(ways(m, destination_node="n3").values()) == 0)
        for other in ("n2", "n3"):
            expect(sum(ways(agents[other].metrics()).values()) == lost(agents[other].metrics()) == 0, other)
        for a in agents.values():
            a.metrics().check_invariant()


def case_loss_forward(binary):
    one_way(binary, "n2", "udp dport 9964", "forward")


def case_loss_backward(binary):
    one_way(binary, "n1", "udp sport 9964", "backward")


def case_loss_both_ways(binary):
    with mesh(binary, "n1", "n2", probes=probes(flows=3)) as (net, agents):
        one = {"n1": agents["n1"]}
        settled(agents, 12)
        drops(net["n2"], [(f"ip saddr {net['n1'].v4} udp dport 9964 numgen random mod 100 < 40", "there")])
        drops(net["n1"], [(f"ip saddr {net['n2'].v4} udp sport 9964 numgen random mod 100 < 40", "back")])
        for _ in range(40):  # losses, answers and probes under way add up at each moment
            agents["n1"].metrics().check_invariant()
            settled(one, 2)
        dropped = {**repaired(net["n2"]), **repaired(net["n1"])}
        m = told(agents["n1"], sum(dropped.values()))
        print(f"# dropped {dropped}, told {ways(m)}")
        expect(ways(m, family="IPv4") == {"forward": dropped["there"], "backward": dropped["back"]}, ways(m), dropped)
        expect(sum(ways(m, family="IPv6").values()) == 0)


def case_blackout_is_told_when_it_is_over(binary):
    with mesh(binary, "n1", "n2", probes=probes()) as (net, agents):
        one = {"n1": agents["n1"]}
        settled(agents, 8)
        drops(net["n1"], [(f"ip saddr {net['n2'].v4} udp sport 9964", "back")])
        settled(one, 25)
        expect(sum(ways(agents["n1"].metrics()).values()) == 0, "nothing can be told as long as nothing is answered")
        dropped = repaired(net["n1"])["back"]
        m = told(agents["n1"], dropped)
        expect(ways(m) == {"forward": 0, "backward": dropped}, ways(m), dropped)


def case_one_bad_flow(binary):
    """One of eight paths is bad, which a source port is led over: one flow in eight shows it."""
    with mesh(binary, "n1", "n2", probes=probes(flows=8)) as (net, agents):
        settled(agents, 24)
        ports = ports_seen(net["n2"], f"ip saddr {net['n1'].v4} udp dport {PORT}", agents["n1"])
        expect(len(ports) == 8, ports)
        bad = random.choice(ports)
        drops(net["n2"], [(f"ip saddr {net['n1'].v4} udp sport {bad} udp dport 9964", "bad")])
        settled({"n1": agents["n1"]}, 80)
        dropped = repaired(net["n2"])["bad"]
        m = told(agents["n1"], dropped)
        table = flows_lost(m, family="IPv4")
        print(f"# port {bad}: dropped {dropped}, by flow {table}")
        expect(sorted(table) == list(range(8)) and sorted(table.values()) == [0] * 7 + [dropped], table, dropped)
        expect(dropped >= 9 and sum(flows_lost(m, family="IPv6").values()) == 0, table)


def lonely(net, binary, **options):
    """An agent on n1 whose only peer is n2, where no agent runs."""
    a = Agent(binary, net["n1"])
    a.files.agent(probes=probes(**options)).peers([net["n1"], net["n2"]]).write()
    return a


def case_another_reflector(binary):
    """Byte for byte by another implementation's reading, in the class that was asked for; and it loses on both ways."""
    rng = random.Random(8762)
    def decide(n):
        return "answer" if n < 4 or n > 30 else rng.choice(("answer", "answer", "deaf", "mute"))
    with Net("n1", "n2") as net, Reflector(net["n2"], PORT, decide) as r, lonely(net, binary, flows=2, dscp=46) as a:
        a.start()
        wait("sessions of 40 packets", lambda: len(r.packets) == 4 and all(len(p) > 40 for p in r.packets.values()))
        m = told(a, r.deaf + r.mute)
        expect(ways(m) == {"forward": r.deaf, "backward": r.mute}, ways(m), r.deaf, r.mute)
        expect(not r.wrong, r.wrong[:1])
        expect(r.classes == {net["n1"].v4: {46 << 2}, net["n1"].v6: {46 << 2}}, r.classes)
        expect(m.sum("kubecanary_probe_results_total", result="corrupt") == m.one("kubecanary_agent_unmatched_packets_total") == 0)
        for session, packets in r.packets.items():
            expect([p[0] for p in packets] == list(range(1, len(packets) + 1)), session, "numbers")
            expect(session[2] != 0 and len({s[2] for s in r.packets if s[0] == session[0]}) == 1, "one SSID a pair")
            for _, seconds, fraction, error in packets:
                expect(abs(seconds + fraction / 2**32 - NTP_EPOCH - time.time()) < 600 and error & 0xff and not error & 0x4000, session)


def case_a_reflector_without_state(binary):
    """Of RFC 8762 alone: no SSID comes back, and our own number. Losses are counted, and put down to neither way."""
    def decide(n):
        return "mute" if 5 <= n < 25 and n % 3 == 0 else "answer"
    with Net("n1", "n2") as net, Reflector(net["n2"], PORT, decide, stateful=False, ssid=False) as r, lonely(net, binary) as a:
        a.start()
        wait("sessions of 40 packets", lambda: len(r.packets) == 2 and all(len(p) > 40 for p in r.packets.values()))
        m = a.metrics()
        expect(r.mute > 10 and lost(m) == r.mute, lost(m), r.mute)
        expect(sum(ways(m).values()) == 0, ways(m))
        m.check_invariant()


def case_a_reflector_that_restarts(binary):
    begin = [10**9]
    def decide(n):
        return "mute" if begin[0] <= n < begin[0] + 10 and n % 2 else "answer"
    with Net("n1", "n2") as net, Reflector(net["n2"], PORT, decide) as r, lonely(net, binary) as a:
        a.start()
        wait("some packets", lambda: len(r.packets) == 2 and all(len(p) > 20 for p in r.packets.values()))
        begin[0] = r.forget() + 5
        wait("more", lambda: all(len(p) > begin[0] + 45 for p in r.packets.values()))  # until all losses are told
        m = a.metrics()
        expect(ways(m) == {"forward": 0, "backward": r.mute} and r.mute == 10, ways(m), r.mute)


def case_a_dead_reflector_is_unreachable(binary):
    with mesh(binary, "n1", "n2", probes=probes(flows=2)) as (net, agents):
        settled(agents, 4)
        net["n2"].run("sysctl", "-qw", "net.ipv4.icmp_ratelimit=0", "net.ipv6.icmp.ratelimit=0")
        agents["n2"].process.kill()
        agents["n2"].process.wait()
        one = {"n1": agents["n1"]}
        settled(one, 4)
        for key, row in settled(one, 12)["n1"].items():
            expect(row["unreachable"] >= 11 and row["received"] == row["send_error"] == 0, key, row)
        expect(sum(ways(agents["n1"].metrics()).values()) == 0)


def ask(s, to, packet):
    s.sendto(packet, (to, PORT))
    return s.recvmsg(2048, 256)


def case_another_sender(binary):
    """What another implementation gets of our reflector, and what it does not."""
    with mesh(binary, "n1", "n2", probes=probes()) as (net, agents):
        def reflected():
            return agents["n2"].metrics().one("kubecanary_agent_stamp_reflected_total")
        for address, other in ((net["n1"].v4, net["n2"].v4), (net["n1"].v6, net["n2"].v6)):
            with net["n1"].udp(address) as s:
                if ":" in address:
                    s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_TCLASS, 10 << 2)
                    s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVTCLASS, 1)
                    s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_UNICAST_HOPS, 7)
                else:
                    s.setsockopt(socket.IPPROTO_IP, socket.IP_TOS, 10 << 2)
                    s.setsockopt(socket.IPPROTO_IP, socket.IP_RECVTOS, 1)
                    s.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, 7)
                for i, padding in enumerate((b"", b"", b"\x80\x01\x00\x04padd", bytes(range(200)))):
                    packet, seconds, fraction = query(100 + 5 * i, ssid=99, error=0x4321, padding=padding)
                    data, control, _, source = ask(s, other, packet)
                    a = Answer(data)
                    expect(source[:2] == (other, PORT) and len(data) == len(packet) and data[44:] == padding, source, len(data))
                    expect((a.seq, a.sender_seq, a.ssid, a.ttl) == (i, 100 + 5 * i, 99, 7), vars(a))
                    expect((a.sender_s, a.sender_f, a.sender_error) == (seconds, fraction, 0x4321), vars(a))
                    expect(data[38:40] == bytes(2) and data[41:44] == bytes(3) and a.error & 0xff and not a.error & 0x4000, data)
                    expect(a.received <= a.sent and abs(a.received - time.time()) < 60, vars(a))
                    expect([c[2][0] for c in control] == [10 << 2], control)
                packet = query(1, ssid=98)[0]
                expect(Answer(ask(s, other, packet)[0]).seq == 0, "another SSID is another session")
        before = reflected()
        with net["n1"].udp(net["n1"].v4, 862) as low, net["n1"].udp(net["n1"].v4) as s:
            good = query(1)[0]
            for sender, packet in ((low, good), (s, good[:43]), (s, b""), (s, good[:-1] + b"\1"), (s, ask(s, net["n2"].v4, good)[0])):
                sender.sendto(packet, (net["n2"].v4, PORT))
            wait("all are refused", lambda: agents["n2"].metrics().sum("kubecanary_agent_stamp_refused_total") == 5)
            m = agents["n2"].metrics()
            table = {l["reason"]: v for l, v in m.all("kubecanary_agent_stamp_refused_total") if v}
            expect(table == {"port": 1, "short": 2, "form": 2}, table)
            expect(reflected() > before)
            for sender in (low, s):
                sender.setblocking(False)
                try:
                    expect(not sender.recv(100), "it was answered")
                except BlockingIOError:
                    pass


def case_a_flood_is_bounded(binary):
    """A source that asks too much is held to its rate, and the others are answered as before."""
    with mesh(binary, "n1", "n2", "n3", probes=probes()) as (net, agents):
        settled(agents, 5)
        begun = agents["n3"].metrics()
        with net["n1"].udp(net["n1"].more(5)) as s:
            net["n2"].run("ip", "route", "add", net["n1"].more(5), "via", net["n1"].v4)
            packet = query(1)[0]
            for _ in range(20):
                for _ in range(100):
                    s.sendto(packet, (net["n2"].v4, PORT))
                settled({"n3": agents["n3"]}, 1)
        m = agents["n2"].metrics()
        print("# " + ", ".join(f"{l['reason']} {v:.0f}" for l, v in m.all("kubecanary_agent_stamp_refused_total") if v))
        expect(m.one("kubecanary_agent_stamp_refused_total", reason="source_rate") > 0)
        settled({"n3": agents["n3"]}, 5)
        expect(lost(agents["n3"].metrics()) == lost(begun), "the flood is somebody else's")
