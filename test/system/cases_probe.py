# SPDX-License-Identifier: Apache-2.0
"""What agents say of a network that is well, lossy, gone, or refuses."""
import contextlib

from agent import Agent, wait
from cases_life import expect
from net import Net

ALL = [(probe, family) for probe in ("icmp", "tcp") for family in ("IPv4", "IPv6")]


@contextlib.contextmanager
def mesh(binary, *names, **options):
    """All agents of a mesh, running and ready."""
    with contextlib.ExitStack() as stack:
        net = stack.enter_context(Net(*names))
        agents = {}
        for name in names:
            a = agents[name] = stack.enter_context(Agent(binary, net[name]))
            a.files.agent(**options).peers([net[n] for n in names]).write()
            a.start(ready=False)
        for a in agents.values():
            wait(f"{a.node.name} is ready", lambda a=a: a.try_get("/readyz")[0] == 200)
        yield net, agents


def settled(agents, sent):
    """Every pair has that many more results than now; returns the gains: source -> key -> row."""
    def ended(row):
        return row["sent"] - row["in_flight"]
    begun = {n: a.metrics().pairs() for n, a in agents.items()}
    gains = {}
    for name, a in agents.items():
        now = wait(f"{sent} probes of each pair of {name}", lambda a=a, n=name: (lambda p: p if all(
            ended(row) - ended(begun[n][key]) >= sent for key, row in p.items()) else None)(a.metrics().pairs()), seconds=90)
        gains[name] = {key: {r: row[r] - begun[name][key][r] for r in row} for key, row in now.items()}
    return gains


def drop_rules(probability, source):
    """Drops what the source asks, not what it answers: so that only the pair from there sees it."""
    chance = "" if probability == 100 else f"numgen random mod 100 < {probability} "
    return f"""table inet test {{ chain input {{ type filter hook input priority 0;
        ip saddr {source.v4} icmp type echo-request {chance}drop
        ip6 saddr {source.v6} icmpv6 type echo-request {chance}drop
        ip saddr {source.v4} tcp dport 9962 tcp flags & (syn|ack) == syn {chance}drop
        ip6 saddr {source.v6} tcp dport 9962 tcp flags & (syn|ack) == syn {chance}drop
    }}
    }}"""


def case_healthy_mesh(binary):
    with mesh(binary, "n1", "n2", "n3") as (_, agents):
        settled(agents, 3)  # what was sent before all were there
        gains = settled(agents, 40)
        for source, table in gains.items():
            expect(set(table) == {(p, d, f) for p, f in ALL for d in agents if d != source}, source, set(table))
            for key, row in table.items():
                expect(row["lost"] == row["unreachable"] == row["send_error"] == row["corrupt"] == 0, source, key, row)
        m = agents["n1"].metrics()
        expect(m.sum("kubecanary_agent_timestamping_total", source="kernel") > 0, "kernel timestamps are not used")
        fast = m.sum("kubecanary_probe_rtt_seconds_bucket", le="0.01")
        whole = m.sum("kubecanary_probe_rtt_seconds_count")
        print(f"# RTT at most 10 ms: {fast:.0f} of {whole:.0f}; mean {1e6 * m.sum('kubecanary_probe_rtt_seconds_sum') / whole:.0f} us")
        expect(fast > 0.5 * whole, "on a veth pair")
        expect(m.sum("kubecanary_probe_duplicates_total") == 0 and m.one("kubecanary_coverage_peers") == 2)


def case_loss_on_one_pair(binary):
    with mesh(binary, "n1", "n2", "n3") as (net, agents):
        settled(agents, 3)
        net["n2"].nft(drop_rules(20, net["n1"]))
        gains = settled(agents, 120)
        lost = sent = 0
        for source, table in gains.items():
            for key, row in table.items():
                if (source, key[1]) == ("n1", "n2"):
                    expect(row["lost"] > 0, key, "saw nothing of the loss", row)
                    lost, sent = lost + row["lost"], sent + row["sent"] - row["in_flight"]
                else:
                    expect(row["lost"] == 0, source, key, "is blamed", row)
        print(f"# n1 -> n2: {lost:.0f} of {sent:.0f} lost, {100 * lost / sent:.1f} %, made 20 %")
        expect(0.12 < lost / sent < 0.28, f"{lost} of {sent} lost")  # four standard deviations of 480 probes
        net["n2"].nft("")
        settled({"n1": agents["n1"]}, 10)
        row = settled({"n1": agents["n1"]}, 20)["n1"]
        expect(sum(r["lost"] for r in row.values()) == 0, "the link is repaired")


def case_blackout_is_all_lost(binary):
    with mesh(binary, "n1", "n2") as (net, agents):
        one = {"n1": agents["n1"]}
        settled(one, 3)
        net["n2"].nft(drop_rules(100, net["n1"]))
        settled(one, 8)  # what was under way when the link went
        gains = settled(one, 20)["n1"]
        for key, row in gains.items():
            expect(row["received"] == row["late"] == 0 and row["lost"] >= 19, key, row)
        before = agents["n1"].metrics().sum("kubecanary_probe_rtt_seconds_count")
        settled(one, 5)
        expect(agents["n1"].metrics().sum("kubecanary_probe_rtt_seconds_count") == before, "a failure has no RTT")
        expect(agents["n1"].report()["lossRatio"] > 0.5)


def case_refused_is_unreachable(binary):
    targets = ("[{name: closed, type: TCP, address: 198.18.0.11, port: 4, interval: 100ms, timeout: 300ms}, "
               "{name: \"open\", type: TCP, address: 198.18.0.11, port: 9962, interval: 100ms, timeout: 300ms}, "
               "{name: rejects, type: ICMP, address: 198.18.0.11, interval: 100ms, timeout: 300ms}, "
               "{name: nowhere, type: ICMP, address: 203.0.113.1, interval: 100ms, timeout: 300ms}]")
    with mesh(binary, "n1", "n2", targets=targets, mesh=False) as (net, agents):
        net["n2"].nft(f"""table inet test {{ chain input {{ type filter hook input priority 0;
            ip saddr {net["n1"].v4} icmp type echo-request reject with icmp type admin-prohibited
            }}
            }}""")
        net["n2"].run("sysctl", "-qw", "net.ipv4.icmp_ratelimit=0")
        settled({"n1": agents["n1"]}, 5)
        gains = settled({"n1": agents["n1"]}, 20)["n1"]
        row = gains[("tcp", "closed", "IPv4")]
        expect(row["unreachable"] >= 19 and row["lost"] == row["received"] == row["send_error"] == 0, "closed", row)
        row = gains[("tcp", "open", "IPv4")]
        expect(row["received"] >= 19 and row["unreachable"] == 0, "open", row)
        row = gains[("icmp", "rejects", "IPv4")]
        expect(row["unreachable"] >= 15 and row["received"] == 0, "rejects", row)
        row = gains[("icmp", "nowhere", "IPv4")]
        expect(row["send_error"] >= 19 and row["lost"] == 0, "no route is not the network's fault", row)


def case_dead_node_is_lost(binary):
    """A node that dies without a word: the others' other pairs are as before."""
    with mesh(binary, "n1", "n2", "n3") as (net, agents):
        settled(agents, 3)
        agents["n3"].process.kill()
        agents["n3"].process.wait()
        net["n3"].run("ip", "link", "set", "eth0", "down")
        alive = {n: agents[n] for n in ("n1", "n2")}
        settled(alive, 10)
        for source, table in settled(alive, 20).items():
            for key, row in table.items():
                if key[1] == "n3":
                    expect(row["received"] == 0 and row["lost"] + row["unreachable"] + row["send_error"] >= 19, source, key, row)
                else:
                    expect(row["lost"] == row["unreachable"] == 0 and row["received"] >= 19, source, key, row)
