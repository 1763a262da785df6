# SPDX-License-Identifier: Apache-2.0
"""What runs all the time allocates nothing: a counted agent (counted.py), whatever becomes of its probes."""
import contextlib
import pathlib
import tempfile
import time
import types

import counted
from agent import Agent, Connection, wait
from cases_life import expect
from dns import Server, address, record
from net import Net

NEAR = "interval: 100ms, timeout: 300ms"
PROBES = f"[{{name: icmp, type: ICMP, {NEAR}}}, {{name: tcp, type: TCP, {NEAR}}}, {{name: stamp, type: STAMP, flows: 2, {NEAR}}}]"
MORE = 4000  # probes, at least: ten seconds of them
DEAF = """table inet test { chain input { type filter hook input priority 0; policy drop;
    icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert } accept
}
}"""


def late(q):
    time.sleep(0.4)
    return answer(q)


def answer(q):
    """By the name that is asked for."""
    right = record(b"\xc0\x0c", "A", address("192.0.2.1"))
    kinds = {"good": lambda: q.answer(right), "late": lambda: q.answer(right), "refused": lambda: q.answer(rcode=5), "garbage": lambda: q.answer(right)[:-3],
             "long": lambda: q.answer(right) if q.tcp else q.answer(flags=0x8380), "silent": lambda: None, "hangs": lambda: "close"}
    return kinds[q.labels[0]]()


def targets(net):
    """Each way in which a probe ends, by every kind that can: name -> (its text, result, or None: any of several)."""
    there, deaf, shut, nowhere = net["n2"], net["n4"], net["n3"], types.SimpleNamespace(v4="203.0.113.1", v6="fd00:bad1::1")
    table = {}
    for family in ("v4", "v6"):
        for name, node, result in (("there", there, "received"), ("deaf", deaf, "lost"), ("nowhere", nowhere, "send_error")):
            at = f'"{getattr(node, family)}"'
            table[f"icmp-{name}-{family}"] = f"type: ICMP, address: {at}, {NEAR}", result
            table[f"tcp-{name}-{family}"] = f"type: TCP, address: {at}, port: 9961, {NEAR}", result
            table[f"dns-{name}-{family}"] = f"type: DNS, server: {at}, query: good.test, {NEAR}", result
        at = f'"{getattr(shut, family)}"'
        table[f"tcp-shut-{family}"] = f"type: TCP, address: {at}, port: 4, {NEAR}", "unreachable"
        table[f"dns-shut-{family}"] = f"type: DNS, server: {at}, query: good.test, {NEAR}", "unreachable"
        at = f'"{getattr(there, family)}"'
        for query, transport, result in (("good", "TCP", "received"), ("refused", "UDP", "unexpected"), ("garbage", "UDP", "corrupt"), ("long", "UDP", "received"),
                                         ("silent", "UDP", "lost"), ("hangs", "TCP", "unreachable")):
            table[f"dns-{query}-{family}"] = f"type: DNS, server: {at}, query: {query}.test, transport: {transport}, {NEAR}", result
    for name, at, path, result in (("there", there.v4, "healthz", "received"), ("wrong", there.v4, "nothing", "unexpected"), ("deaf", deaf.v4, "", "lost"),
                                   ("shut", shut.v4, "", "unreachable"), ("nowhere", nowhere.v4, "", "send_error")):
        table[f"http-{name}"] = f'type: HTTP, url: "http://{at}:9961/{path}", {NEAR}', result
    table["dns-late"] = f"type: DNS, server: {there.v4}, port: 5300, query: late.test, interval: 1s, timeout: 300ms", "late"
    return table


def listed(table):
    return "[" + ", ".join(f"{{name: {name}, {text}}}" for name, (text, _) in table.items()) + "]"


@contextlib.contextmanager
def counted_agent(net, **options):
    """Of n1, not started."""
    with tempfile.TemporaryDirectory() as folder:
        pathlib.Path(folder).chmod(0o755)
        counts = counted.Counts(pathlib.Path(folder) / "counts")
        with Agent(counted.build(), net["n1"], env=counts.env, **options) as a:
            yield a, counts


@contextlib.contextmanager
def world():
    """n2 has an agent and a server of names, n3 nothing, n4 hears nothing."""
    with Net("n1", "n2", "n3", "n4") as net, Server(net["n2"], answer), Server(net["n2"], late, port=5300):
        net["n3"].run("sysctl", "-qw", "net.ipv4.icmp_ratelimit=0", "net.ipv6.icmp.ratelimit=0")
        net["n4"].nft(DEAF)
        yield net


def peers(net):
    """Of the mesh; one is where no route leads."""
    return [*net.nodes.values(), types.SimpleNamespace(name="n5", v4="203.0.113.5", v6="fd00:bad1::5")]


SEEN = {"n2": {"received"}, "n3": {"received", "unreachable"}, "n4": {"lost"}, "n5": {"send_error"}}


def unseen(m, table):
    """The pairs that have not had, several times, what becomes of their probes."""
    return [(key, row) for key, row in m.pairs().items() if not any(row[r] >= 5 for r in ({table[key[1]][1]} if key[1] in table else SEEN[key[1]]))]


def warm(a, table):
    missing = []

    def seen():
        missing[:] = unseen(a.metrics(), table)
        return not missing
    try:
        wait("every result was seen", seen, seconds=90)
    except AssertionError as e:
        raise AssertionError(f"{e}: {missing}") from None


def sent(node):
    """Probes' packets that left a namespace, by the kernel's count: the agent must not be asked, as it would have to answer. SYNs that are sent again are not
    counted, what failed to leave neither."""
    def lines(path):
        return [line.split() for line in node.run("cat", path).splitlines()]
    both = lines("/proc/net/snmp")
    v4 = {f"{names[0]}{name}": int(n) for names, numbers in zip(both[::2], both[1::2]) for name, n in zip(names[1:], numbers[1:])}
    v6 = {line[0]: int(line[1]) for line in lines("/proc/net/snmp6")}
    return v4["Icmp:OutEchos"] + v4["Udp:OutDatagrams"] + v4["Tcp:ActiveOpens"] + v6["Icmp6OutEchos"] + v6["Udp6OutDatagrams"]


def unmoved(counts, since, what):
    now = counts.total()
    expect(now == since, f"{now - since} allocations {what}:", counts.who(since))


def case_names_that_are_resolved_again(binary):
    """What a name costs at the end of its TTL (of 5 s, the least: LIMIT_HOST_TTL_MIN_NS): c-ares allocates its queries and what it makes of the answers, and we what
    watches its socket. That is some fifteen calls a query, and none a probe: with one more for each, here, it would be forty."""
    named = f"[{{name: one, type: ICMP, host: one.test., {NEAR}}}, {{name: other, type: TCP, host: other.test., port: 9961, {NEAR}}}]"
    with Net("n1", "n2") as net:
        asked = []

        def reply(q):
            asked.append(q.name)
            return q.answer(*[record(b"\xc0\x0c", "A", address(net["n2"].v4), ttl=1) for _ in range(q.type == 1)])
        with Server(net["n2"], reply), counted_agent(net, resolv=f"nameserver {net['n2'].v4}\n") as (a, counts):
            a.files.agent(mesh=False, targets=named).peers([]).write()
            a.start()
            wait("both were asked again", lambda: len(asked) >= 8, seconds=60)
            queries, calls, first = len(asked), counts.total(), sent(net["n1"])
            wait("and again", lambda: len(asked) >= queries + 8, seconds=60)
            calls, queries, packets = counts.total() - calls, len(asked) - queries, sent(net["n1"]) - first
            print(f"# {queries} queries, {calls} allocations; {packets} packets, probes and queries")
            expect(0 < calls <= 20 * queries < packets, calls, queries, packets, counts.who(counts.total() - calls))


def case_no_allocation_per_probe(binary):
    """Probes of every kind, of every result, and the log lines that tell of them; what answers other agents' probes, too. Nothing is resolved here: at the end of a
    name's TTL c-ares allocates a query, and a change of addresses is a new plan; neither is per probe (names_that_are_resolved_again has the number)."""
    with world() as net, Agent(binary, net["n2"]) as other, counted_agent(net, helper=pathlib.Path(binary).with_name("kubecanary-http")) as (a, counts):
        other.files.agent(probes=PROBES).peers([net["n1"], net["n2"]]).write()
        other.start()
        table = targets(net)
        a.files.agent(probes=PROBES, targets=listed(table)).peers(peers(net)).write()
        a.start()
        warm(a, table)
        begun, before, lines = a.metrics(), counts.total(), len(a.log().splitlines())
        expect(all(counts.by()[f] > 0 for f in ("malloc", "calloc", "realloc")), "these calls are not counted", counts.by())
        first = sent(net["n1"])
        wait(f"{MORE // 2} packets were sent", lambda: sent(net["n1"]) - first >= MORE // 2, seconds=120)
        net["n2"].nft(DEAF)
        wait("the log tells of it", lambda: len(a.log().splitlines()) > lines, seconds=60)
        net["n2"].nft("")
        wait(f"{MORE} packets were sent", lambda: sent(net["n1"]) - first >= MORE, seconds=120)
        unmoved(counts, before, "while probes ended")
        m = a.metrics()
        ended = m.sum("kubecanary_probe_results_total") - begun.sum("kubecanary_probe_results_total")
        print(f"# {ended:.0f} probes ended, {len(a.log().splitlines()) - lines} lines were logged; allocations until then: {before}")
        expect(ended >= MORE, ended)
        a.files.agent(generation=2, probes=PROBES, targets=listed(table)).write()
        wait("a reload is counted", lambda: counts.total() > before)


SCRAPES = {"text": {}, "OpenMetrics": {"Accept": "application/openmetrics-text; version=1.0.0"}}
COMPRESSED = {name: {**headers, "Accept-Encoding": "gzip"} for name, headers in SCRAPES.items()}
WARM, COUNTED = 20, 200  # scrapes of each kind


class Scraper:
    """One connection, kept."""

    def __init__(self, a):
        self.connection = Connection(a.node, 9961)
        self.connection.connect()
        self.socket = self.connection.sock

    def get(self, headers):
        self.connection.request("GET", "/metrics", headers={"Accept-Encoding": "identity", **headers})
        r = self.connection.getresponse()
        body = r.read()
        expect(r.status == 200 and (r.getheader("Content-Encoding") == "gzip") == (headers.get("Accept-Encoding") == "gzip"), r.status, r.getheaders())
        expect(self.connection.sock is self.socket, "the connection was not kept")
        return body

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.connection.close()


def asked(scraper, counts, what, kinds):
    """Many times, in each of these ways; a text for each that allocated something."""
    said = []
    for name, headers in kinds.items():
        for _ in range(WARM):
            scraper.get(headers)
        before = counts.total()
        for _ in range(COUNTED):
            scraper.get(headers)
        more = counts.total() - before
        print(f"# {what}, {name}: {more / COUNTED:g} allocations each")
        said += [f"{what}, {name}: {more} in {COUNTED}, of the last one:{counts.who(counts.total() - -(-more // COUNTED))}"] if more else []
    return said


def nothing(said):
    """Who allocated, of the first text; of the others only that."""
    expect(not said, *said[:1], *(f"\n{text.split(', of the last')[0]}" for text in said[1:]))


@contextlib.contextmanager
def scraped():
    """An agent with sixty peers on one node, in two zones, some of them silent, and its counts."""
    with Net("n1", "n2") as net, counted_agent(net) as (a, counts):
        far = [types.SimpleNamespace(name=f"p{i}", v4=net["n2"].more(i), v6=f"fd00:6b63::1:{i:x}") for i in range(60)]
        for peer in far[:30]:
            net["n2"].run("ip", "addr", "add", f"{peer.v6}/64", "dev", "eth0", "nodad")
        zones = {"n1": "a", **{peer.name: "ab"[i % 2] for i, peer in enumerate(far)}}
        a.files.peers([net["n1"], *far], zones=zones)

        def write(generation, **options):
            a.files.agent(generation=generation, probes=PROBES.replace("100ms", "1s"), **options).write()
            if a.process:
                wait("the reload", lambda: a.metrics().one("kubecanary_config_generation") == generation)
        write(1)
        a.start()
        yield net, a, counts, write


def case_no_allocation_per_scrape(binary):
    """Over a connection that is kept, as Prometheus keeps it: as text and as OpenMetrics, compressed or not, with a histogram of each pair or by zone (seriesLimit),
    while probes end and the log tells of some. A new connection is libmicrohttpd's to allocate."""
    del binary
    with scraped() as (net, a, counts, write), Scraper(a) as scraper:
        wait("probes were answered", lambda: a.metrics().sum("kubecanary_probe_results_total", result="received") > 100)
        lines = len(a.log().splitlines())
        net["n2"].nft(DEAF)
        said = asked(scraper, counts, "by pair", SCRAPES)
        wait("the log tells of it", lambda: len(a.log().splitlines()) > lines, seconds=60)
        net["n2"].nft("")
        write(2, compression="Gzip")
        said += asked(scraper, counts, "by pair, compressed", COMPRESSED)
        write(3, limit=1000)
        expect(a.metrics().one("kubecanary_series_limited") == 1)
        said += asked(scraper, counts, "by zone", SCRAPES)
        write(4, limit=1000, compression="Gzip")
        said += asked(scraper, counts, "by zone, compressed", COMPRESSED)
        nothing(said)
