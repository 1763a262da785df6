# SPDX-License-Identifier: Apache-2.0
"""DNS targets: an agent and a server in namespaces, with delays, drops, forgeries and cuts between them."""
import contextlib
import struct

from agent import Agent, wait
from cases_life import expect
from cases_probe import settled
from dns import TYPES, Server, address, name, record
from net import Net

WWW = "www.example.com"


def targets(net, transport="UDP", more="", query=WWW, timeout="300ms", names=("v4", "v6")):
    at = {"v4": net["n2"].v4, "v6": f'"{net["n2"].v6}"'}
    return "[" + ", ".join(f"{{name: {n}, type: DNS, server: {at[n]}, query: {query}, transport: {transport}, interval: 100ms, "
                           f"timeout: {timeout}{more}}}" for n in names) + "]"


@contextlib.contextmanager
def asked(binary, reply, **options):
    """An agent of n1 that asks a server on n2; both are there."""
    with Net("n1", "n2") as net, Server(net["n2"], reply) as server, Agent(binary, net["n1"]) as a:
        a.files.agent(mesh=False, targets=targets(net, **options)).peers([]).write()
        a.start()
        yield net, server, a


def results(a, n):
    """What the next n probes of each target become: (target's name) -> row, of each of the two."""
    gains = settled({"n1": a}, n)["n1"]
    expect(set(gains) == {("dns", "v4", "IPv4"), ("dns", "v6", "IPv6")}, set(gains))
    a.metrics().check_invariant()
    return gains


def all_are(a, result, n=15):
    for key, row in results(a, n).items():
        expect(sum(row[r] for r in row if r not in ("sent", "in_flight")) == row[result] >= n, key, row, result)


def change(a):
    """Until what was in flight before something changed has ended."""
    settled({"n1": a}, 12)


def drop(what):
    return f"table inet test {{ chain input {{ type filter hook input priority 0;\n {what}\n }}\n }}"


def right(q):
    return q.answer(record(b"\xc0\x0c", "A", address("192.0.2.1")), record(b"\xc0\x0c", "A", address("192.0.2.2")))


def case_dns_is_answered(binary):
    with asked(binary, right) as (_, server, a):
        all_are(a, "received", 30)
        m = a.metrics()
        for target in ("v4", "v6"):
            n = m.one("kubecanary_probe_results_total", target=target, result="received")
            expect(m.one("kubecanary_dns_replies_total", target=target, rcode="NoError") == n)
            expect(m.sum("kubecanary_dns_replies_total", target=target) == n)
        expect(m.sum("kubecanary_dns_mismatches_total") == m.sum("kubecanary_dns_truncated_total") == 0)
        expect(m.sum("kubecanary_agent_timestamping_total", source="kernel") > 0, "kernel timestamps are not used")
        fast, whole = m.sum("kubecanary_probe_rtt_seconds_bucket", le="0.05"), m.sum("kubecanary_probe_rtt_seconds_count")
        print(f"# mean {1e6 * m.sum('kubecanary_probe_rtt_seconds_sum') / whole:.0f} us")
        expect(fast > 0.5 * whole, "the tick is no part of the RTT")
        queries = list(server.queries)
        expect(not server.wrong and {q.name for q in queries} == {WWW} and {q.type for q in queries} == {1}, server.wrong)
        ports = {(q.source[0], q.source[1]) for q in queries}
        expect(len(ports) > 0.9 * len(queries), f"{len(ports)} ports for {len(queries)} queries")  # a few may meet by chance
        expect(len({q.id for q in queries}) > 0.9 * len(queries), "ids are random")
        expect(not any(q.tcp for q in queries))


def case_dns_over_tcp(binary):
    with asked(binary, right, transport="TCP") as (net, server, a):
        all_are(a, "received", 30)
        m = a.metrics()
        fast, whole = m.sum("kubecanary_probe_rtt_seconds_bucket", le="0.05"), m.sum("kubecanary_probe_rtt_seconds_count")
        print(f"# mean {1e6 * m.sum('kubecanary_probe_rtt_seconds_sum') / whole:.0f} us")
        expect(fast > 0.5 * whole, "no step waits for the tick")
        expect(not server.wrong and all(q.tcp for q in server.queries))
        # A server that takes connections and says nothing.
        server.reply = lambda q: None
        change(a)
        all_are(a, "lost", 10)
        server.reply = lambda q: ["close"]
        change(a)
        all_are(a, "unreachable", 10)
        net["n2"].nft(drop("tcp dport 53 reject with tcp reset"))
        change(a)
        all_are(a, "unreachable", 10)
        net["n2"].nft(drop("tcp dport 53 drop"))
        change(a)
        all_are(a, "lost", 10)


def case_dns_every_type(binary):
    """Each type, asked for and held against what is expected, by way of an alias where that may be."""
    data = {"A": (address("192.0.2.9"), "192.0.2.9"), "AAAA": (address("2001:db8::9"), "2001:DB8:0::9"), "CNAME": (name("Alias.example.com"), "alias.example.com"),
            "MX": (struct.pack("!H", 10) + name("mail.example.com"), "10 mail.example.com."), "NS": (name("ns.example.com"), "NS.example.com"),
            "PTR": (name("host.example.com"), "host.example.com."), "SRV": (struct.pack("!3H", 0, 100, 443) + name("b.example.com"), "0 100 443 b.example.com"),
            "SOA": (name("ns.example.com") + name("root.example.com") + struct.pack("!5I", 1, 2, 3, 4, 5), "ns.example.com"),
            "TXT": (b"\4v=sp\4f1 -", "v=spf1 -")}

    def reply(q):
        kind = q.name.split(".")[0].upper()
        expect(q.type == TYPES[kind], q.name, q.type)
        alias = kind not in ("CNAME", "SOA", "NS")
        owner = name("real.example.com") if alias else b"\xc0\x0c"
        extra = [record(b"\xc0\x0c", "CNAME", name("real.example.com"))] if alias else []
        return q.answer(*extra, record(owner, kind, data[kind][0]))
    with Net("n1", "n2") as net, Server(net["n2"], reply) as server, Agent(binary, net["n1"]) as a:
        def files(wrong):
            listed = ", ".join(f'{{name: {k.lower()}, type: DNS, server: {net["n2"].v4}, query: {k.lower()}.example.com, recordType: {k}, interval: 100ms, timeout: 300ms, '
                               f'expect: {{answer: ["{wrong.get(k, text)}"]}}}}' for k, (_, text) in data.items())
            a.files.agent(generation=2 if wrong else 1, mesh=False, targets=f"[{listed}]").peers([]).write()
        files({})
        a.start()
        for key, row in settled({"n1": a}, 5)["n1"].items():
            expect(row["received"] >= 5 and row["unexpected"] == row["corrupt"] == row["lost"] == 0, key, row)
        files({"A": "192.0.2.8", "MX": "11 mail.example.com", "TXT": "v=spf2 -"})
        wait("the files are in force", lambda: a.metrics().one("kubecanary_config_generation") == 2)
        settled({"n1": a}, 5)
        for key, row in settled({"n1": a}, 5)["n1"].items():
            expect(row["unexpected" if key[1] in ("a", "mx", "txt") else "received"] >= 5, key, row)
        expect(not server.wrong)


def case_dns_says_no(binary):
    """A refusal is no loss, and the metrics tell which it is."""
    state = {"rcode": 2}
    with asked(binary, lambda q: q.answer(rcode=state["rcode"])) as (_, _, a):
        for rcode, label in ((2, "ServFail"), (3, "NXDomain"), (5, "Refused"), (9, "other"), (0, "NoError")):
            state["rcode"] = rcode
            change(a)
            before = a.metrics()
            all_are(a, "unexpected", 10)
            m = a.metrics()
            for target in ("v4", "v6"):
                said = {l["rcode"]: v - before.one("kubecanary_dns_replies_total", target=target, rcode=l["rcode"])
                        for l, v in m.all("kubecanary_dns_replies_total", target=target)}
                expect({r for r, v in said.items() if v} == {label}, said, label)
        expect(m.sum("kubecanary_dns_mismatches_total") > 0, "NoError without a record")
        expect(a.report()["lossRatio"] == 0 and a.report()["totals"]["unexpected"] > 0, "it is no loss")
        expect(m.sum("kubecanary_probe_rtt_seconds_count") == 0, "a refusal has no RTT")


def case_dns_what_is_expected(binary):
    more = ", expect: {rcode: [NXDomain, Refused]}"
    with asked(binary, lambda q: q.answer(rcode=3), more=more) as (_, server, a):
        all_are(a, "received")
        server.reply = right
        change(a)
        all_are(a, "unexpected")


def case_dns_forged(binary):
    """Other ids, another port, another question: none of them is the answer, and the right one is still waited for."""
    def reply(q):
        return [q.answer(rcode=3, number=q.id ^ 1), q.answer(rcode=3, number=q.id ^ 0x100), right(q)]
    with asked(binary, reply) as (_, server, a):
        all_are(a, "received")
        m = a.metrics()
        expect(m.one("kubecanary_agent_unmatched_packets_total") >= 2 * 30, "forgeries are counted")

        def from_another_port(q):
            server.other[server_address(q)].sendto(q.answer(rcode=3), q.source[:2])
            return None

        def server_address(q):
            return next(s for s in server.other if (":" in s) == (":" in q.source[0]))
        server.reply = from_another_port
        change(a)
        all_are(a, "lost")
        server.reply = lambda q: q.answer(question=name("www.example.org") + q.question[-4:])
        change(a)
        all_are(a, "corrupt")
        server.reply = lambda q: right(q)[:-1]
        change(a)
        all_are(a, "corrupt")
        server.reply = lambda q: q.answer(record(b"\xc0\x0c", "A", address("192.0.2.1")), question=q.question.upper()[:-4] + q.question[-4:])
        change(a)
        all_are(a, "received")  # who does not keep the case says the same


def case_dns_cut(binary):
    """What does not fit is asked for again over TCP, within the same probe, and the time of that is true."""
    long = [record(b"\xc0\x0c", "A", address(f"192.0.2.{i % 256}")) for i in range(4000)]  # near the longest message
    with asked(binary, lambda q: q.answer(*long) if q.tcp else q.answer(flags=0x8380), timeout="1s") as (_, server, a):
        all_are(a, "received")
        m = a.metrics()
        whole = m.sum("kubecanary_probe_rtt_seconds_count")
        expect(m.sum("kubecanary_dns_truncated_total") >= whole >= 30, whole)
        mean = m.sum("kubecanary_probe_rtt_seconds_sum") / whole
        print(f"# mean {1e6 * mean:.0f} us, of 64,000 bytes")
        udp, tcp = [q for q in server.queries if not q.tcp], [q for q in server.queries if q.tcp]
        expect(abs(len(udp) - len(tcp)) <= 2 and {q.id for q in udp} >= {q.id for q in tcp[:-1]}, len(udp), len(tcp))
        server.reply = lambda q: ["close"] if q.tcp else q.answer(flags=0x8380)
        change(a)
        all_are(a, "unreachable")


def case_dns_lost_and_refused(binary):
    with asked(binary, right) as (net, server, a):
        all_are(a, "received")
        net["n2"].nft(drop("udp dport 53 numgen random mod 100 < 30 drop"))
        row = results(a, 100)
        lost, ended = (sum(r[k] for r in row.values()) for k in ("lost", "sent"))
        print(f"# {lost:.0f} of {ended:.0f} lost, made 30 %")
        expect(0.15 < lost / ended < 0.45, lost, ended)
        expect(all(r["unexpected"] == r["unreachable"] == r["corrupt"] == 0 for r in row.values()), row)
        net["n2"].nft(drop("udp dport 53 reject"))
        net["n2"].run("sysctl", "-qw", "net.ipv4.icmp_ratelimit=0", "net.ipv6.icmp.ratelimit=0")
        change(a)
        all_are(a, "unreachable")
        net["n2"].nft("")
        change(a)
        all_are(a, "received")
        fds = a.metrics().one("process_open_fds")
        server.reply = lambda q: None
        change(a)
        all_are(a, "lost", 20)
        expect(a.metrics().one("process_open_fds") < fds + 30, "a socket for each query in flight, and no more")
        server.reply = right
        change(a)
        wait("they are closed", lambda: a.metrics().one("process_open_fds") <= fds + 2)


def case_dns_nothing_listens(binary):
    """No server at all; and no route."""
    with Net("n1", "n2") as net, Agent(binary, net["n1"]) as a:
        net["n2"].run("sysctl", "-qw", "net.ipv4.icmp_ratelimit=0", "net.ipv6.icmp.ratelimit=0")
        a.files.agent(mesh=False, targets=targets(net)).peers([]).write()
        a.start()
        change(a)
        all_are(a, "unreachable")
        a.files.agent(generation=2, mesh=False, targets=targets(net).replace(net["n2"].v4, "203.0.113.1").replace(net["n2"].v6, "2001:db8::1")).write()
        wait("the files are in force", lambda: a.metrics().one("kubecanary_config_generation") == 2)
        change(a)
        all_are(a, "send_error")
