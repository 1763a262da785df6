# SPDX-License-Identifier: Apache-2.0
"""A node that dies without a word, seen by probes of every kind: within two intervals and the timeout it is loss."""
import contextlib
import json

from agent import Agent, wait
from cases_life import expect
from cases_targets_http import Server as Http
from cases_targets_http import reply
from dns import Server, address, record
from net import Net

INTERVAL, TIMEOUT = 200, 1000  # ms
PROBES = ", ".join(f"{{name: {name}, type: {kind}, interval: {INTERVAL}ms, timeout: {TIMEOUT}ms}}" for name, kind in
                   (("icmp", "ICMP"), ("udp", "STAMP"), ("tcp", "TCP")))
# Every packet but those by which neighbours find each other.
DEAD = """table inet test {
    chain prerouting {
        type filter hook prerouting priority -300
        meta l4proto { tcp, udp, icmp } drop
        icmpv6 type { echo-request, echo-reply } drop
    }
}
"""


def right(q):
    return q.answer(record(b"\xc0\x0c", "A", address("192.0.2.1")))


@contextlib.contextmanager
def probed(binary):
    """n1, which asks n2 in every way there is."""
    times = {"interval": f"{INTERVAL}ms", "timeout": f"{TIMEOUT}ms"}
    with Net("n1", "n2") as net, Agent(binary, net["n1"], helper=True) as a, Agent(binary, net["n2"]) as b, Server(net["n2"], right), \
            net["n2"].within(lambda: Http(reply(200), host=net["n2"].v4)) as http:
        dns = {"name": "resolver", "type": "DNS", "server": net["n2"].v4, "query": "www.example.com", **times}
        over_tcp = {**dns, "name": "by-tcp", "transport": "TCP"}
        page = {"name": "page", "type": "HTTP", "url": f"http://{net['n2'].v4}:{http.port}/", **times}
        for x, targets in ((b, []), (a, [dns, over_tcp, page])):
            x.files.agent(probes=f"[{PROBES}]", targets=json.dumps(targets)).peers([net["n1"], net["n2"]]).write()
            x.start()
        yield net["n2"], a


def case_silent_death_is_loss_in_time(binary):
    """Told by what is in flight, not by a clock: the first probe that is lost is told within an interval and the timeout of its beginning, so of a pair no more
    are in flight than are begun in that time."""
    most = (TIMEOUT + INTERVAL) / INTERVAL
    with probed(binary) as (n2, a):
        wait("all are answered", lambda: all(row["received"] >= 10 for row in a.metrics().pairs().values()))
        pairs = a.metrics().pairs()
        expect(len(pairs) == 9 and {k[0] for k in pairs} == {"icmp", "udp", "tcp", "dns", "http"}, set(pairs))
        expect(all(row["received"] + row["in_flight"] == row["sent"] for row in pairs.values()), pairs)
        n2.nft(DEAD)

        def all_lost():
            m = a.metrics()
            m.check_invariant()
            for key, row in m.pairs().items():
                expect(row["in_flight"] <= most, key, row)
                expect(row["received"] + row["lost"] + row["in_flight"] == row["sent"], key, "nothing but loss", row)
            return all(row["lost"] >= 20 for row in m.pairs().values())
        wait("all is lost", all_lost)
