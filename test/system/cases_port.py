# SPDX-License-Identifier: Apache-2.0
"""The peers' port (UDP 9963) over real sockets: where it is, what it answers, to whom, from which address, and what it never does."""
import contextlib
import socket
import struct

from agent import Agent, wait
from cases_leave import ANSWER, HINT, PORT, QUERY, leave, message, no_loss, peers
from cases_life import expect
from cases_probe import settled
from net import Net

ALL_NODES = "ff02::1"


def ask(node, address, port=PORT, nonce=7):
    """The answer to a question, and whence it came; None when the port is closed, which the kernel says at once."""
    any_address = "::" if ":" in address else "0.0.0.0"
    with node.udp(any_address) as s:
        s.sendto(message(QUERY, "stranger", 0, nonce), (address, port))
        data, source = s.recvfrom(2048)
        return data, source[0]


def is_closed(node, address, port):
    with node.udp("0.0.0.0") as s:
        s.connect((address, port))
        s.send(message(QUERY, "stranger", 0, 1))
        try:
            s.recv(2048)
        except ConnectionRefusedError:
            return True
    return False


def answers(node, address, port=PORT):
    data, source = ask(node, address, port)
    return source == address and data[4] == ANSWER and data[24:] == struct.pack(">Q", 7)


def case_peer_port_moves(binary):
    with Net("n1", "n2") as net, Agent(binary, net["n1"]) as a, Agent(binary, net["n2"]) as b:
        for x in (a, b):
            x.files.agent().peers([net["n1"], net["n2"]]).write()
            x.start()
        settled({"n1": a, "n2": b}, 5)
        for x in (a, b):
            x.files.agent(generation=2, peer=9973).write()
            wait("the reload", lambda x=x: x.report()["generation"] == 2)
        expect(answers(net["n2"], net["n1"].v4, 9973) and answers(net["n2"], net["n1"].v6, 9973))
        expect(is_closed(net["n2"], net["n1"].v4, PORT), "the old port is still open")
        leave(a)
        expect(peers(b, "Leaving") == 1, "the hint went to the new port")
        no_loss(b)


def case_ports_move_all_or_none(binary):
    """One port of three is another program's: the error names it, and all three stay where they were."""
    with Net("n1", "n2") as net, Agent(binary, net["n1"]) as a, net["n1"].udp(net["n1"].v4, 9974), Agent(binary, net["n2"]) as b:
        for x in (a, b):
            x.files.agent().peers([net["n1"], net["n2"]]).write()
            x.start()
        a.files.agent(generation=2, tcp=9980, stamp=9982, peer=9974).write()
        wait("it says so", lambda: a.metrics().one("kubecanary_config_last_reload_successful") == 0)
        expect(a.report()["generation"] == 1 and "ports.peer" in a.report()["reloadError"], a.report())
        expect(answers(net["n2"], net["n1"].v4), "the old port is closed")
        for port in (9974, 9980, 9982):
            with contextlib.suppress(ConnectionRefusedError):
                net["n2"].connect(net["n1"].v4, port).close()
                raise AssertionError(f"{port} is open")
        expect(is_closed(net["n2"], net["n1"].v4, 9982), "the new port of STAMP is open")
        settled({"n1": a, "n2": b}, 10)
        no_loss(a, b)
        a.files.agent(generation=3, tcp=9980, stamp=9982, peer=9983).write()
        wait("the reload", lambda: a.report()["generation"] == 3)
        expect(answers(net["n2"], net["n1"].v4, 9983))
        net["n2"].connect(net["n1"].v4, 9980).close()


def case_answer_comes_from_the_address_that_was_asked(binary):
    with Net("n1", "n2") as net, Agent(binary, net["n1"]) as a:
        more = ["198.18.9.1", "198.18.9.2", "fd00:6b63::9:1", "fd00:6b63::9:2"]
        for address in more:
            net["n1"].run("ip", "addr", "add", f"{address}/{'64' if ':' in address else '15'}", "dev", "eth0", *(["nodad"] if ":" in address else []))
        net["n2"].run("ip", "route", "add", "198.19.0.0/24", "via", net["n1"].v4)
        a.files.agent().peers([net["n1"], net["n2"]]).write()
        a.start()
        for address in [net["n1"].v4, net["n1"].v6, *more, net["n1"].more(7)]:
            expect(answers(net["n2"], address), address, ask(net["n2"], address)[1])


def case_what_is_sent_to_many_is_ignored(binary):
    with Net("n1", "n2") as net, Agent(binary, net["n1"]) as a, net["n1"].udp("0.0.0.0", 9999) as all4, net["n1"].udp("::", 9998) as all6:
        a.files.agent().peers([net["n1"]]).write()
        a.start()
        link = net["n2"].within(lambda: socket.if_nametoindex("eth0"))
        with net["n2"].udp("0.0.0.0") as s4, net["n2"].udp("::") as s6:
            s4.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
            s4.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b"eth0")
            query = message(QUERY, "stranger", 0, 1)
            for address in ("198.19.255.255", "255.255.255.255"):
                s4.sendto(query, (address, PORT))
                s4.sendto(b"x", (address, 9999))
                expect(all4.recv(100) == b"x", "the link carries what is sent to", address)
            s6.sendto(query, (ALL_NODES, PORT, 0, link))
            s6.sendto(b"x", (ALL_NODES, 9998, 0, link))
            expect(all6.recv(100) == b"x", "the link carries multicast")
            s4.sendto(message(QUERY, "stranger", 0, 2), (net["n1"].v4, PORT))
            s6.sendto(message(QUERY, "stranger", 0, 3), (net["n1"].v6, PORT))
            for s, nonce in ((s4, 2), (s6, 3)):
                expect(s.recv(100)[24:] == struct.pack(">Q", nonce), "the first answer is to the question to it alone")
        m = a.metrics()
        expect(m.one("kubecanary_peer_received_total", kind="query") == 2 and m.one("kubecanary_peer_sent_total", kind="answer") == 2)


def case_no_answer_is_larger_than_its_question(binary):
    with Net("n1", "n2") as net, Agent(binary, net["n1"]) as a, net["n2"].udp(net["n2"].v4) as s:
        a.files.agent().peers([net["n1"]]).write()
        a.start()
        good = message(QUERY, "stranger", 0, 1)
        bad = [(good + bytes(64))[:n] for n in range(65) if n != len(good)] + [good + bytes(1368), good[:4] + b"\0" + good[5:], good[:4] + b"\4" + good[5:]]
        quiet = [message(HINT, "stranger", 1), message(ANSWER, "stranger", 0, 1), message(QUERY, "stranger", 0, 1, fleet="other")]
        for batch in ([*bad[:40]], [*bad[40:], *quiet]):
            for data in batch:
                s.sendto(data, (net["n1"].v4, PORT))
            ended = message(QUERY, "stranger", 0, 9)
            s.sendto(ended, (net["n1"].v4, PORT))
            answer = s.recv(2048)
            expect(answer[24:] == ended[24:] and len(answer) == len(ended), answer.hex())
        m = a.metrics()
        expect(m.one("kubecanary_peer_ignored_total", reason="malformed") == len(bad), "of", len(bad), m.samples["kubecanary_peer_ignored_total"])
        expect(m.one("kubecanary_peer_sent_total", kind="answer") == 2)


def kinds(s):
    """Of all messages that have come."""
    got, patience = [], s.gettimeout()
    s.setblocking(False)
    with contextlib.suppress(BlockingIOError):
        while True:
            got.append(s.recv(2048)[4])
    s.settimeout(patience)
    return got


def case_paused_says_nothing_by_itself(binary):
    """It answers; it neither asks nor tells. When the pause ends it begins as at a start: by asking."""
    with Net("n1", "n2") as net, Agent(binary, net["n1"]) as a, net["n2"].udp(net["n2"].v4, PORT) as s:
        a.files.agent(paused=True).peers([net["n1"], net["n2"]]).write()
        a.start()
        expect(answers(net["n2"], net["n1"].v4), "it is there to be asked")
        expect(kinds(s) == [] and peers(a, "Pending") == 0, "a paused fleet asks nobody, and misses nobody")
        a.files.agent(generation=2).write()
        wait("the pause ends", lambda: a.report()["generation"] == 2)
        expect(s.recv(2048)[4] == QUERY and peers(a, "Pending") == 1)
        expect(a.metrics().sum("kubecanary_probe_sent_total") == 0)
        a.files.agent(generation=3, paused=True).write()
        wait("the next one", lambda: a.report()["generation"] == 3)
        kinds(s)
        leave(a)
        expect(kinds(s) == [], "it told somebody")
