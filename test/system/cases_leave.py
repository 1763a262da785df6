# SPDX-License-Identifier: Apache-2.0
"""Nobody is blamed because somebody started, left or came back; who dies without a word is; and nobody else can say that a peer leaves."""
import os
import signal
import socket
import struct

from agent import RESULTS, Agent, wait
from cases_life import expect
from cases_probe import mesh, settled
from net import Net

HINT, QUERY, ANSWER = 1, 2, 3
PORT = 9963
BAD = [r for r in RESULTS if r != "received"]


def fnv(data, h=0xcbf29ce484222325):
    for b in data:
        h = (h ^ b) * 0x100000001b3 % 2**64
    return h


def message(kind, node, leaving, nonce=0, fleet="mesh"):
    """As agent/peer_wire.h has it."""
    return b"kcp1" + struct.pack(">BBHQQQ", kind, leaving, 0, fnv(fleet.encode() + b"\0Pod"), fnv(node.encode()), nonce)


def no_loss(*agents):
    """Every probe that ever ended was received."""
    for a in agents:
        m = a.metrics()
        m.check_invariant()
        for key, row in m.pairs().items():
            expect(all(row[r] == 0 for r in BAD), a.node.name, key, row)
        expect(m.sum("kubecanary_probe_results_total", result="received") > 0, a.node.name, "has probed nobody")


def peers(a, state):
    return a.metrics().one("kubecanary_peers", state=state)


def leave(a):
    a.process.send_signal(signal.SIGTERM)
    expect(a.process.wait(timeout=30) == 0, "exit code", a.process.returncode)


def case_start_of_a_fleet_loses_nothing(binary):
    names = ("n1", "n2", "n3")
    with Net(*names) as net, Agent(binary, net["n1"]) as a, Agent(binary, net["n2"]) as b, Agent(binary, net["n3"]) as c:
        for x in (a, b, c):
            x.files.agent().peers([net[n] for n in names]).write()
        a.start()
        wait("it asks again and again", lambda: a.metrics().one("kubecanary_peer_sent_total", kind="query") >= 8)
        expect(peers(a, "Pending") == 2 and peers(a, "Ready") == 0, "who has not answered is not probed")
        b.start()
        c.start()
        settled({"n1": a, "n2": b, "n3": c}, 20)
        no_loss(a, b, c)
        expect(peers(a, "Pending") == 0 and peers(a, "Ready") == 2)


def case_roll_of_all_agents_at_their_addresses_loses_nothing(binary):
    with mesh(binary, "n1", "n2", "n3") as (_, agents):
        settled(agents, 5)
        for name, a in agents.items():
            others = {n: x for n, x in agents.items() if n != name}
            leave(a)
            for x in others.values():
                expect(peers(x, "Leaving") == 1 and peers(x, "Ready") == 1, x.node.name, "does not know that it left")
            a.start()
            settled(agents, 20)
            no_loss(*agents.values())
            for x in others.values():
                expect(peers(x, "Leaving") == 0 and peers(x, "Ready") == 2, x.node.name)


def case_all_leave_together(binary):
    with mesh(binary, "n1", "n2", "n3") as (_, agents):
        settled(agents, 5)
        for a in agents.values():
            a.process.send_signal(signal.SIGTERM)
        wait("nothing is in flight", lambda: all(a.report()["totals"]["inFlight"] == 0 for a in agents.values()))
        no_loss(*agents.values())
        for a in agents.values():
            expect(a.process.wait(timeout=30) == 0)


def case_scale_down_and_arrival_lose_nothing(binary):
    with mesh(binary, "n1", "n2", "n3") as (net, agents):
        settled(agents, 5)
        leave(agents["n3"])
        left = {n: agents[n] for n in ("n1", "n2")}
        settled_only(left, 20)
        no_loss(*left.values())
        for a in left.values():  # the operator's word comes later
            a.files.peers([net["n1"], net["n2"]]).write()
            wait("it is gone", lambda a=a: peers(a, "Leaving") == 0)
        settled_only(left, 5)
        no_loss(*left.values())
        for a in left.values():  # and it is in the files before it has started
            a.files.peers([net["n1"], net["n2"], net["n3"]]).write()
            wait("it is pending", lambda a=a: peers(a, "Pending") == 1)
        agents["n3"].start()
        settled(agents, 20)
        no_loss(*agents.values())


def settled_only(agents, sent):
    """As settled, of the pairs between these agents."""
    def ended(a):
        return {k: row["sent"] - row["in_flight"] for k, row in a.metrics().pairs().items() if k[1] in agents}
    begun = {n: ended(a) for n, a in agents.items()}
    for n, a in agents.items():
        wait(f"{sent} probes of {n}", lambda a=a, n=n: all(v - begun[n][k] >= sent for k, v in ended(a).items()))


def case_reloads_lose_nothing(binary):
    with mesh(binary, "n1", "n2", "n3") as (net, agents):
        settled(agents, 5)
        fast = "[{name: icmp, type: ICMP, interval: 100ms, timeout: 300ms}, {name: tcp, type: TCP, interval: 200ms, timeout: 1s}]"
        slow = "[{name: icmp, type: ICMP, interval: 100ms, timeout: 300ms}, {name: tcp, type: TCP, interval: 5s, timeout: 1s}]"
        nodes = [net[n] for n in agents]
        for generation, probes in enumerate([fast, slow, fast, slow, fast], start=2):
            for a in agents.values():
                a.files.agent(generation=generation, probes=probes).peers(nodes, slices=1 + generation % 2).write()
                wait("the reload", lambda a=a, g=generation: a.report()["generation"] == g and a.report()["lastReloadSuccessful"])
            expect(all(peers(a, "Pending") == 0 for a in agents.values()), "a peer that stays is not asked again")
        settled(agents, 10)
        no_loss(*agents.values())


def case_newcomer_that_the_files_lack_is_told(binary):
    """n2 probes n1, which does not know it yet: it is told all the same when n1 leaves."""
    with Net("n1", "n2") as net, Agent(binary, net["n1"]) as a, Agent(binary, net["n2"]) as b:
        a.files.agent().peers([net["n1"]]).write()
        b.files.agent().peers([net["n1"], net["n2"]]).write()
        a.start()
        b.start()
        settled({"n2": b}, 10)
        leave(a)
        expect(peers(b, "Leaving") == 1)
        no_loss(b)


def case_dead_agent_is_reported(binary):
    """Killed, its link cut: nobody takes that for leaving, and every probe to it ends in loss as soon as it may."""
    with mesh(binary, "n1", "n2", "n3") as (net, agents):
        settled(agents, 5)
        net["n3"].run("ip", "link", "set", "eth0", "down")
        agents["n3"].process.kill()
        agents["n3"].process.wait()
        alive = {n: agents[n] for n in ("n1", "n2")}
        settled(alive, 8)  # what was under way
        for source, table in settled(alive, 20).items():
            m = alive[source].metrics()
            expect(m.one("kubecanary_peers", state="Ready") == 2, source, "does not probe it any more")
            for key, row in m.pairs().items():
                gain = table[key]
                if key[1] == "n3":
                    expect(gain["received"] == gain["late"] == 0 and gain["lost"] + gain["unreachable"] >= 19, source, key, gain)
                    expect(row["in_flight"] <= 4, source, key, row)  # (timeout + interval) / interval
                else:
                    expect(all(row[r] == 0 for r in BAD), source, key, row)


def case_closed_port_hides_nothing(binary):
    """Nobody can ask n2 (an agent without the protocol, a firewall): it is probed all the same."""
    with Net("n1", "n2", "n3") as net, Agent(binary, net["n1"]) as a, Agent(binary, net["n2"]) as b:
        net["n2"].nft("table inet test { chain input { type filter hook input priority 0\nudp dport 9963 drop\n}\n}\n")
        for x in (a, b):
            x.files.agent().peers([net["n1"], net["n2"], net["n3"]]).write()
        b.start()
        a.start()
        m = wait("patience ends", lambda: (lambda m: m if m.one("kubecanary_peers", state="Ready") == 2 else None)(a.metrics()))
        expect(m.one("kubecanary_peer_expired_total", state="pending") == 4, "two addresses each of n2 and n3")
        wait("n2 is probed", lambda: a.metrics().sum("kubecanary_probe_results_total", destination_node="n2", result="received") > 20)
        wait("n3, which has no agent, too", lambda: a.metrics().sum("kubecanary_probe_results_total", destination_node="n3", result="unreachable") > 20)


def udp4(source, port, destination, payload):
    """An IPv4 packet with any source; the kernel fills in the checksum of the header, and UDP's may be left out."""
    udp = struct.pack(">HHHH", port, PORT, 8 + len(payload), 0) + payload
    return struct.pack(">BBHHHBBH4s4s", 0x45, 0, 20 + len(udp), 0, 0, 64, socket.IPPROTO_UDP, 0,
                       socket.inet_aton(source), socket.inet_aton(destination)) + udp


def case_nobody_else_can_say_that_a_peer_leaves(binary):
    """n3, of no fleet, says that n2 leaves: from its own address, in n2's name, with answers to questions that nobody asked it."""
    with Net("n1", "n2", "n3") as net, Agent(binary, net["n1"]) as a, Agent(binary, net["n2"]) as b:
        for x in (a, b):
            x.files.agent().peers([net["n1"], net["n2"]]).write()
            x.start(ready=False)
        settled({"n1": wait_ready(a), "n2": wait_ready(b)}, 5)
        udp = net["n3"].within(lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        raw = net["n3"].within(lambda: socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW))
        with udp, raw:
            for i in range(200):
                nonce = int.from_bytes(os.urandom(8), "big")
                for payload in (message(HINT, "n2", 1), message(ANSWER, "n2", 1, nonce), message(ANSWER, "n2", 1), message(QUERY, "n2", 1, nonce)):
                    udp.sendto(payload, (net["n1"].v4, PORT))
                    raw.sendto(udp4(net["n2"].v4, PORT, net["n1"].v4, payload), (net["n1"].v4, 0))
                if i % 20 == 19:
                    settled({"n1": a}, 1)
                    expect(peers(a, "Leaving") == 0 and peers(a, "Ready") == 1, "it believed them")
        settled({"n1": a, "n2": b}, 20)
        no_loss(a, b)
        m = a.metrics()
        expect(m.one("kubecanary_peer_ignored_total", reason="unmatched") >= 600, m.samples["kubecanary_peer_ignored_total"])
        asked = m.one("kubecanary_peer_sent_total", kind="query")
        print(f"# {m.one('kubecanary_peer_received_total', kind='hint'):.0f} forged hints made n1 ask {asked:.0f} times")
        expect(asked <= 400 and m.one("kubecanary_peer_sent_total", kind="hint") == 0)


def wait_ready(a):
    wait(f"{a.node.name} is ready", lambda: a.try_get("/readyz")[0] == 200)
    return a


def case_flood_of_messages(binary):
    """Questions, hints and rubbish, 30,000 at once: few are answered, and probing goes on."""
    with mesh(binary, "n1", "n2", "n3") as (net, agents):
        settled(agents, 5)
        a = agents["n1"]
        udp = net["n3"].within(lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        with udp:
            kinds = [message(QUERY, "n2", 0, 7), message(HINT, "n2", 1), message(HINT, "n9", 1), os.urandom(32), b"", os.urandom(1400),
                     message(QUERY, "n2", 0, 7, fleet="other")]
            for i in range(30000):
                udp.sendto(kinds[i % len(kinds)], (net["n1"].v4, PORT))
        settled(agents, 10)
        no_loss(*agents.values())
        m = a.metrics()
        for reason in ("malformed", "foreign", "unmatched", "limited"):
            expect(m.one("kubecanary_peer_ignored_total", reason=reason) > 0, reason, m.samples["kubecanary_peer_ignored_total"])
        print(f"# answered {m.one('kubecanary_peer_sent_total', kind='answer'):.0f}, ignored {m.sum('kubecanary_peer_ignored_total'):.0f}")
        expect(peers(a, "Leaving") == 0)
