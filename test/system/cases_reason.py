# SPDX-License-Identifier: Apache-2.0
"""Why probes fail: by the router's ICMP code or the kernel's errno, counted by probe and family, exactly as the pairs' results say, and told in the log."""
import json

from agent import wait
from cases_life import expect
from cases_probe import mesh

# What a router (n2) or the own kernel (n1) does with an address's last number: result, reason; by family.
BEHAVIOUR = {
    "IPv4": {1: ("unreachable", "network"), 2: ("unreachable", "host"), 3: ("unreachable", "admin_prohibited"), 4: ("unreachable", "protocol"),
             5: ("unreachable", "port"), 6: ("unreachable", "time_exceeded"), 7: ("unreachable", "admin_prohibited"),
             21: ("send_error", "ENETUNREACH"), 22: ("send_error", "EHOSTUNREACH"), 23: ("send_error", "EACCES"), 24: ("send_error", "EINVAL")},
    "IPv6": {1: ("unreachable", "network"), 2: ("unreachable", "network"), 3: ("unreachable", "admin_prohibited"), 4: ("unreachable", "host"),
             5: ("unreachable", "port"), 6: ("unreachable", "time_exceeded"), 7: ("unreachable", "admin_prohibited"),
             21: ("send_error", "ENETUNREACH"), 22: ("send_error", "EHOSTUNREACH"), 23: ("send_error", "EACCES"), 24: ("send_error", "EINVAL")},
}
EPERM = 8  # dropped on its way out; TCP does not tell, nor does the kernel of an ICMPv6 echo


def address(family, i):
    """Behind the router, or with a route of the own kernel's."""
    return (f"192.0.2.{i}" if family == "IPv4" else f"fd00:bad::{i:x}") if i < 20 else (f"203.0.113.{i}" if family == "IPv4" else f"fd00:bad1::{i:x}")


def router(node, host):
    """n2 answers for what is behind it. By rules, not routes: for those the kernel speaks once a second (IPv4), whatever icmp_ratelimit says. And
    before it would forward, as it then also tells of a better way."""
    node.run("sysctl", "-qw", "net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1", "net.ipv4.icmp_ratelimit=0", "net.ipv6.icmp.ratelimit=0",
             "net.ipv4.conf.all.send_redirects=0", "net.ipv4.conf.eth0.send_redirects=0")
    for i, kind in ((2, "unreachable"), (3, "prohibit")):
        node.run("ip", "-6", "route", "add", kind, address("IPv6", i))
    for family, words in (("IPv4", ("ip",)), ("IPv6", ("ip", "-6"))):
        node.run(*words, "route", "add", address(family, 6), "via", host.v4 if family == "IPv4" else host.v6)
    kinds = {4: {1: "net-unreachable", 2: "host-unreachable", 3: "host-prohibited", 4: "prot-unreachable", 5: "port-unreachable", 7: "admin-prohibited"},
             6: {4: "addr-unreachable", 5: "port-unreachable", 7: "admin-prohibited"}}
    v4 = "".join(f"ip daddr {address('IPv4', i)} reject with icmp type {kind}\n" for i, kind in kinds[4].items())
    v6 = "".join(f"ip6 daddr {address('IPv6', i)} reject with icmpv6 type {kind}\n" for i, kind in kinds[6].items())
    node.nft(f"""table inet test {{ chain before {{ type filter hook prerouting priority 0;
        ip daddr {address("IPv4", 6)} ip ttl set 1
        ip6 daddr {address("IPv6", 6)} ip6 hoplimit set 1
        {v4}{v6}
        }}
        }}""")


def host(node, via):
    node.run("ip", "route", "add", "192.0.2.0/24", "via", via.v4)
    node.run("ip", "-6", "route", "add", "fd00:bad::/64", "via", via.v6)
    for family, words in (("IPv4", ("ip",)), ("IPv6", ("ip", "-6"))):
        for i, kind in ((22, "unreachable"), (23, "prohibit"), (24, "blackhole")):
            node.run(*words, "route", "add", kind, address(family, i))
    node.nft(f"""table inet test {{ chain output {{ type filter hook output priority 0;
        ip daddr {address("IPv4", EPERM)} drop
        ip6 daddr {address("IPv6", EPERM)} drop
    }}
    }}""")


def expected(net):
    """Target's name -> (probe, family, address, port, result, reason)"""
    table = {}
    for family, rows in BEHAVIOUR.items():
        for i, (result, reason) in rows.items():
            for probe, port in (("icmp", None), ("tcp", 80)):
                table[f"{probe}-{family[3]}-{i}"] = (probe, family, address(family, i), port, result, reason)
        there = net["n2"].v4 if family == "IPv4" else net["n2"].v6
        table[f"dns-{family[3]}-{EPERM}"] = ("dns", family, address(family, EPERM), 53, "send_error", "EPERM")
        table[f"tcp-{family[3]}-closed"] = ("tcp", family, there, 4, "unreachable", "refused")
        table[f"dns-{family[3]}-closed"] = ("dns", family, there, 4, "unreachable", "port")
    table[f"icmp-4-{EPERM}"] = ("icmp", "IPv4", address("IPv4", EPERM), None, "send_error", "EPERM")
    return table


def targets(table):
    def one(name, probe, where, port):
        more = f"server: \"{where}\", query: a.example" if probe == "dns" else f"address: \"{where}\""
        more += f", port: {port}" if port else ""
        return f"{{name: {name}, type: {probe.upper()}, {more}, interval: 100ms, timeout: 300ms}}"
    return "[" + ", ".join(one(n, probe, where, port) for n, (probe, _, where, port, _, _) in table.items()) + "]"


def check(m, table):
    """One scrape: what each target's pair has counted, summed up, is what the reasons say, to the last probe."""
    want, pairs = {}, m.pairs()
    for name, (probe, family, _, _, result, reason) in table.items():
        row = pairs[(probe, name, family)]
        others = {r: n for r, n in row.items() if r not in ("sent", "in_flight", result)}
        expect(row[result] >= 10 and not any(others.values()), name, row)
        key = (result, probe, family, reason)
        want[key] = want.get(key, 0) + row[result]
    for result, metric, label in (("unreachable", "kubecanary_probe_unreachable_total", "reason"), ("send_error", "kubecanary_probe_send_errors_total", "errno")):
        got = {(result, l["probe"], l["family"], l[label]): v for l, v in m.all(metric)}
        expect(all(got[key] == n for key, n in want.items() if key[0] == result), metric, {k: (got.get(k), n) for k, n in want.items()})
        expect(sum(got.values()) == m.sum("kubecanary_probe_results_total", result=result), metric, "is not what the results say")


def case_why_probes_fail(binary):
    with mesh(binary, "n1", "n2", mesh=False) as (net, agents):
        a, table = agents["n1"], expected(net)
        router(net["n2"], net["n1"])
        host(net["n1"], net["n2"])
        a.files.agent(generation=2, mesh=False, targets=targets(table)).write()

        def ready():
            m = a.metrics()
            return m if all(row["sent"] - row["in_flight"] >= 12 for row in m.pairs().values()) and len(m.pairs()) == len(table) else None
        check(wait("each target was asked", ready), table)
        # A reload keeps them; so does a target's going, though its pair's counters go.
        a.files.agent(generation=3, mesh=False, targets=targets(table)).write()
        wait("reloaded", lambda: a.metrics().one("kubecanary_config_generation") == 3)
        check(a.metrics(), table)
        less = {n: t for n, t in table.items() if n not in ("icmp-4-2", "tcp-6-closed")}
        before = a.metrics().one("kubecanary_probe_unreachable_total", probe="icmp", family="IPv4", reason="host")
        a.files.agent(generation=4, mesh=False, targets=targets(less)).write()
        wait("reloaded", lambda: a.metrics().one("kubecanary_config_generation") == 4)
        m = a.metrics()
        check(m, table)  # its series are still there
        expect(m.one("kubecanary_probe_unreachable_total", probe="icmp", family="IPv4", reason="host") >= before)
        # The log names pair and reason; some lines now, the rest later.
        lines = [json.loads(line) for line in a.logged("probes fail\"")]
        expect(lines and all((x["probe"], x["family"], x["result"], x["reason"]) == tuple(table[x["target"]][k] for k in (0, 1, 4, 5)) for x in lines), lines)


def case_a_pair_that_is_well_again(binary):
    with mesh(binary, "n1", "n2", probes="[{name: icmp, type: ICMP, interval: 100ms, timeout: 300ms}]") as (net, agents):
        a = agents["n1"]
        net["n2"].run("sysctl", "-qw", "net.ipv4.icmp_ratelimit=0")
        net["n2"].nft(f"""table inet test {{ chain input {{ type filter hook input priority 0;
            ip saddr {net["n1"].v4} icmp type echo-request reject with icmp type admin-prohibited
            }}
            }}""")
        line = json.loads(wait("it fails", lambda: a.logged("probes fail\""))[0])
        expect((line["destination"], line["probe"], line["family"], line["reason"]) == ("n2", "icmp", "IPv4", "admin_prohibited"), line)
        net["n2"].nft("")
        line = json.loads(wait("it is over", lambda: a.logged("probes fail no longer"))[0])
        count = a.metrics().one("kubecanary_probe_unreachable_total", reason="admin_prohibited", family="IPv4")
        expect(line["destination"] == "n2" and line["failed"] == count > 0, line, count)
        expect(len(a.logged("probes fail")) == 2, a.log())


def case_a_redirect_is_no_loss(binary):
    """A router that knows a better way says so, and forwards the packet all the same."""
    where = {"IPv4": "192.0.2.77", "IPv6": "fd00:bad::77"}
    probes = "[" + ", ".join(f"{{name: far{f[3]}, type: ICMP, address: \"{a}\", interval: 100ms, timeout: 300ms}}" for f, a in where.items()) + "]"
    with mesh(binary, "n1", "n2", "n3", mesh=False) as (net, agents):
        a, via, end = agents["n1"], net["n2"], net["n3"]
        via.run("sysctl", "-qw", "net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1", "net.ipv4.icmp_ratelimit=0", "net.ipv6.icmp.ratelimit=0")
        net["n1"].run("sysctl", "-qw", "net.ipv4.conf.all.accept_redirects=0", "net.ipv4.conf.eth0.accept_redirects=0", "net.ipv6.conf.eth0.accept_redirects=1")
        via.nft("""table inet test { counter v4 {}
            counter v6 {}
            chain output { type filter hook output priority 0;
                icmp type redirect counter name v4
                icmpv6 type nd-redirect counter name v6
            }
        }""")
        for family, words in (("IPv4", ("ip",)), ("IPv6", ("ip", "-6"))):
            v4 = family == "IPv4"
            end.run("ip", "addr", "add", where[family], "dev", "eth0", *(() if v4 else ("nodad",)))
            via.run(*words, "route", "add", where[family], "dev", "eth0")
            net["n1"].run(*words, "route", "add", where[family], "via", via.v4 if v4 else via.v6)
        for node in (net["n1"], via, end):
            wait("addresses are no longer tentative", lambda node=node: not node.run("ip", "-6", "-o", "addr", "show", "tentative"))
        a.files.agent(generation=2, mesh=False, targets=probes).write()

        def told():
            listed = json.loads(via.run("nft", "-j", "list", "counters"))["nftables"]
            counts = {c["counter"]["name"]: c["counter"]["packets"] for c in listed if "counter" in c}
            return counts if min(counts.values()) > 0 and a.metrics().sum("kubecanary_probe_results_total") > 40 else None
        counts = wait("redirects were sent", told)
        rows = a.metrics().pairs()
        expect(all(row["sent"] == row["received"] + row["in_flight"] for row in rows.values()), counts, rows)
        expect(a.logged("probes fail") == [], a.log())


def case_limited_answers_are_enough(binary):
    """A host that answers echo requests of one address five times a second (icmp_ratelimit, with echo replies in its mask): who asks evenly, four times a second, loses nothing, also
    over reloads, each of which would be a chance for a burst."""
    targets = "[{name: limited, type: ICMP, address: 198.18.0.11, interval: 250ms, timeout: 200ms}]"
    with mesh(binary, "n1", "n2", mesh=False) as (net, agents):
        a = agents["n1"]
        net["n2"].run("sysctl", "-qw", "net.ipv4.icmp_ratelimit=200", "net.ipv4.icmp_ratemask=6169")
        a.files.agent(generation=2, mesh=False, targets=targets).write()
        key, generation = ("icmp", "limited", "IPv4"), 2
        while a.metrics().pairs().get(key, {"sent": 0})["sent"] < 50:
            generation += 1
            a.files.agent(generation=generation, mesh=False, targets=targets).write()
            wait("the reload", lambda g=generation: a.report()["generation"] == g)
        row = a.metrics().pairs()[key]
        expect(row["sent"] == row["received"] + row["in_flight"], row)
