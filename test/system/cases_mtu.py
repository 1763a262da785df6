# SPDX-License-Identifier: Apache-2.0
"""Payloads and fragmentation: a path whose MTU is smaller than its ends' shows, whether routers say so or not."""
import contextlib

from agent import Agent, wait
from cases_leave import no_loss
from cases_life import expect
from net import Net

SILENT = """table inet test { chain output { type filter hook output priority 0;
    icmp type destination-unreachable drop
    icmpv6 type packet-too-big drop
}
}"""


def probe(name, kind, payload=None, whole=False):
    more = f", payloadBytes: {payload}" if payload else ""
    return f"{{name: {name}, type: {kind}{more}, dontFragment: {str(whole).lower()}, interval: 100ms, timeout: 300ms}}"


@contextlib.contextmanager
def behind_routers(binary, *probes):
    """(net, {name: agent}): two agents in pods' namespaces, each behind its node, which is a router to it."""
    with contextlib.ExitStack() as stack:
        net = stack.enter_context(Net("n1", "n2"))
        pods, agents = net.pods(), {}
        for name, pod in pods.items():
            a = agents[name] = stack.enter_context(Agent(binary, pod))
            a.files.agent(probes=f"[{', '.join(probes)}]").peers(pods.values()).write()
            a.start(ready=False)
        for a in agents.values():
            wait(f"{a.node.name} is ready", lambda a=a: a.try_get("/readyz")[0] == 200)
        yield net, agents


def gains(a, sent, names=None):
    """(probe, family) -> what each row (of these probes) gains until it has that many more results"""
    begun = a.metrics().pairs()

    def all_done(now):
        return now if all(r["sent"] - r["in_flight"] - begun[k]["sent"] + begun[k]["in_flight"] >= sent for k, r in now.items() if k[0] in (names or k)) else None
    now = wait(f"{sent} probes of each row", lambda: all_done(a.metrics().pairs()), seconds=60)
    a.metrics().check_invariant()
    return {(k[0], k[2]): {r: row[r] - begun[k][r] for r in row} for k, row in now.items()}


def expect_all(table, probes, result):
    for (name, family), row in table.items():
        if name in probes:
            ended = row["sent"] - row["in_flight"]
            expect(row[result] >= ended - 8 and row[result] > 0, name, family, result, row)  # what was in flight before


LARGE = ("ping-large", "stamp-large")
OTHERS = ("ping-small", "stamp-small", "ping-split", "stamp-split")
PROBES = [probe("ping-small", "ICMP", 100, True), probe("ping-large", "ICMP", 1400, True), probe("ping-split", "ICMP", 1400),
          probe("stamp-small", "STAMP", 100, True), probe("stamp-large", "STAMP", 1400, True), probe("stamp-split", "STAMP", 1400)]


def case_black_hole_of_large_packets(binary):
    """A link of 1,280 bytes between two of 1,500, and a router that says nothing: only what may be no fragments and is large is lost."""
    with behind_routers(binary, *PROBES) as (net, agents):
        expect_all(gains(agents["n1"], 10), LARGE + OTHERS, "received")
        no_loss(*agents.values())
        for name in agents:
            net[name].nft(SILENT)
            net[name].run("ip", "link", "set", "eth0", "mtu", "1280")
        table = gains(agents["n1"], 40)
        expect_all(table, LARGE, "lost")
        for name in ("ping-split", "stamp-split"):  # with IPv6 the sender alone can fragment, and nobody tells it to
            expect(table.pop((name, "IPv6"))["received"] <= 8, table)
        expect_all(table, OTHERS, "received")
        for name in agents:
            net[name].run("ip", "link", "set", "eth0", "mtu", "1500")
        gains(agents["n1"], 8)
        expect_all(gains(agents["n1"], 20), LARGE + OTHERS, "received")


def case_black_hole_on_the_way_back(binary):
    """STAMP's answer is as long as its probe, and as little to be fragmented; it says which way the hole is. An echo reply over IPv4 may be fragmented."""
    with behind_routers(binary, *PROBES) as (net, agents):
        gains(agents["n1"], 10)
        net["n2"].nft(SILENT)
        net["n2"].run("ip", "route", "change", "198.19.200.0/24", "via", net["n1"].v4, "mtu", "lock", "1280")
        net["n2"].run("ip", "-6", "route", "change", "fd00:6b63:1:0::/64", "via", net["n1"].v6, "mtu", "lock", "1280")
        table = gains(agents["n1"], 40)
        expect_all(table, ("stamp-large",), "lost")
        expect(table["ping-large", "IPv4"]["lost"] == 0 and table["ping-large", "IPv6"]["lost"] > 30, table)
        expect_all(table, ("ping-small", "stamp-small"), "received")
        expect(table["stamp-split", "IPv4"]["received"] >= 40, "answers may be fragments where probes may", table)
        net["n2"].run("ip", "route", "change", "198.19.200.0/24", "via", net["n1"].v4)
        net["n2"].run("ip", "-6", "route", "change", "fd00:6b63:1:0::/64", "via", net["n1"].v6)
        wait("what was lost was lost on the way back", lambda: (lambda m: all(
            m.one("kubecanary_probe_path_lost_total", probe="stamp-large", direction="backward", family=f) > 30 for f in ("IPv4", "IPv6")))(agents["n1"].metrics()))
        expect(agents["n1"].metrics().sum("kubecanary_probe_path_lost_total", direction="forward") == 0)


def case_routers_that_say_so(binary):
    """The same, and the router says what does not fit: unreachable. Each probe is sent all the same, as the path may be another by now."""
    with behind_routers(binary, *PROBES) as (net, agents):
        expect_all(gains(agents["n1"], 10), LARGE + OTHERS, "received")
        for name in agents:
            net[name].run("ip", "link", "set", "eth0", "mtu", "1280")
        table = gains(agents["n1"], 40)
        expect_all(table, LARGE, "unreachable")
        expect_all(table, OTHERS, "received")


def case_larger_than_the_own_link(binary):
    """What does not fit our own link never left this node, unless it may be fragmented."""
    probes = [probe("ping-large", "ICMP", 3000, True), probe("ping-split", "ICMP", 3000),
              probe("stamp-large", "STAMP", 3000, True), probe("stamp-split", "STAMP", 9000)]
    with behind_routers(binary, *probes) as (_, agents):
        table = gains(agents["n1"], 20)
        expect_all(table, LARGE, "send_error")
        expect_all(table, OTHERS, "received")
        for (name, family), row in table.items():
            expect(name in LARGE or row["corrupt"] == row["lost"] == 0, name, family, row)


def case_payload_changes_while_probes_are_under_way(binary):
    with behind_routers(binary, *PROBES) as (net, agents):
        gains(agents["n1"], 5)
        for generation, payload in enumerate((1472, 56, 45, 100, 1472), start=2):
            changed = [probe("ping-large", "ICMP", max(payload, 56), True), probe("stamp-large", "STAMP", payload, generation % 2 == 0)]
            for a in agents.values():
                a.files.agent(generation=generation, probes=f"[{', '.join(changed)}]").write()
            for a in agents.values():
                wait("the reload", lambda a=a, g=generation: a.report()["generation"] == g)
            if payload == 1472:  # too large with IPv6's header
                table = gains(agents["n1"], 10, LARGE)  # the others are gone, and stay for two scrapes
                expect(table["ping-large", "IPv4"]["received"] >= 8 and table["ping-large", "IPv6"]["send_error"] >= 8, table)
            for a in agents.values():
                for key, row in a.metrics().pairs().items():
                    expect(row["lost"] == row["corrupt"] == row["unreachable"] == 0, a.node.name, key, row)
