# SPDX-License-Identifier: Apache-2.0
"""Targets by name: a server in a namespace says where they are, and changes its mind."""
import contextlib

from agent import Agent, wait
from cases_life import expect
from cases_probe import settled
from dns import TYPES, Server, address, record
from net import Net

HOSTS = ("[{name: web, type: TCP, host: web, port: 9, interval: 100ms, timeout: 300ms}, {name: all, type: ICMP, host: all.mesh.test., addresses: All, interval: 100ms, "
         "timeout: 300ms}, {name: nowhere, type: ICMP, host: nowhere, interval: 100ms, timeout: 300ms}, "
         "{name: fixed, type: ICMP, address: 198.18.0.11, interval: 100ms, timeout: 300ms}]")


@contextlib.contextmanager
def named(binary, zone, targets=HOSTS):
    """zone: {name: [address]}, that may change."""
    def reply(q):
        if q.name not in zone:
            return q.answer(rcode=3)
        return q.answer(*[record(b"\xc0\x0c", "AAAA" if ":" in a else "A", address(a), ttl=1) for a in zone[q.name] if TYPES["AAAA" if ":" in a else "A"] == q.type])
    with Net("n1", "n2") as net, Server(net["n2"], reply) as server:
        resolv = f"nameserver {net['n2'].v4}\nsearch mesh.test\noptions ndots:5\n"
        with Agent(binary, net["n1"], resolv=resolv) as a:
            a.files.agent(mesh=False, targets=targets).peers([]).write()
            yield net, server, a


def rows(a):
    m = a.metrics()
    m.check_invariant()
    return m.pairs()


def case_names_are_resolved(binary):
    zone = {}
    with named(binary, zone) as (net, server, a):
        n2 = net["n2"]
        zone.update({"web.mesh.test": [n2.v4], "all.mesh.test": [n2.v4, n2.more(1), n2.v6]})
        net["n1"].run("ip", "route", "add", n2.more(1), "via", n2.v4)
        with contextlib.ExitStack() as stack:
            stack.enter_context(n2.within(lambda: Server._listen(n2.v4, 9)))
            a.start()
            want = {("tcp", "web", "IPv4"), ("icmp", "all", "IPv4", n2.v4), ("icmp", "all", "IPv4", n2.more(1)), ("icmp", "all", "IPv6", n2.v6),
                    ("icmp", "nowhere", "IPv4"), ("icmp", "fixed", "IPv4")}
            wait("all names are known", lambda: set(rows(a)) == want)
            for key, row in settled({"n1": a}, 15)["n1"].items():
                good = "unresolved" if key[1] == "nowhere" else "received"
                expect(row[good] >= 15 and row[good] == row["sent"] - row["in_flight"], key, row)
            expect(a.report()["lossRatio"] == 0 and a.report()["threads"] == 1, a.report())
            names = {q.name for q in server.queries}
            expect("web.mesh.test" in names and not any(n.startswith("all.mesh.test.") for n in names), names)


def case_names_change(binary):
    """What is no longer there is no longer probed, its series stay for a while and go; the others go on."""
    zone = {}
    with named(binary, zone) as (net, _, a):
        n2 = net["n2"]
        net["n1"].run("ip", "route", "add", n2.more(1), "via", n2.v4)
        zone.update({"all.mesh.test": [n2.v4, n2.more(1)], "web.mesh.test": [n2.v4]})
        a.start()
        wait("the addresses are known", lambda: ("icmp", "all", "IPv4", n2.more(1)) in rows(a) and ("tcp", "web", "IPv4") in rows(a))
        before = settled({"n1": a}, 3) and rows(a)
        zone["all.mesh.test"] = [n2.v4]
        del zone["web.mesh.test"]
        wait("the other is left alone", lambda: a.metrics().one("kubecanary_pairs") == 4)
        wait("the name is gone", lambda: rows(a)[("tcp", "web", "IPv4")]["unresolved"] > 3)
        now = rows(a)
        for key in (("icmp", "all", "IPv4", n2.v4), ("icmp", "fixed", "IPv4")):
            expect(now[key]["received"] > before[key]["received"] and now[key]["lost"] == now[key].get("unresolved", 0) == 0, key, now[key])
        expect(now[("icmp", "all", "IPv4", n2.more(1))]["sent"] >= before[("icmp", "all", "IPv4", n2.more(1))]["sent"], "its series stay for a while")
        zone["web.mesh.test"] = [n2.v6]
        wait("it is there again, in the other family", lambda: rows(a).get(("tcp", "web", "IPv6"), {}).get("unreachable", 0) > 3)
        expect(rows(a)[("icmp", "fixed", "IPv4")]["lost"] == 0, "nobody else has noticed")


def case_names_without_a_server(binary):
    """A server that does not answer holds up nothing."""
    with named(binary, {}) as (net, server, a):
        server.reply = lambda q: None
        a.start()
        row = settled({"n1": a}, 20)["n1"][("icmp", "fixed", "IPv4")]
        expect(row["received"] >= 20 and row["lost"] == 0, row)
        wait("the names are given up", lambda: all(rows(a).get(("icmp", n, "IPv4"), {}).get("unresolved", 0) for n in ("all", "nowhere")), seconds=90)
        expect(rows(a)[("icmp", "fixed", "IPv4")]["lost"] == 0)
