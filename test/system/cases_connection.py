# SPDX-License-Identifier: Apache-2.0
"""One connection that is kept, as Prometheus does: whatever is asked over it, each answer is whole and nothing stands between two of them."""
import gzip
import os
import signal
import socket

from agent import Metrics, wait
from cases_http import small_buffers, with_pair
from cases_life import expect

OPENMETRICS = "application/openmetrics-text; version=1.0.0"


class Wire:
    """A connection that is read to the letter: what an answer does not say it has would be the begin of the next one."""

    def __init__(self, node):
        self.sock = node.connect(node.v4, 9961)
        self.left = b""

    def send(self, path, method="GET", version="1.1", **headers):
        fields = "".join(f"{k.replace('_', '-')}: {v}\r\n" for k, v in headers.items())
        self.sock.sendall(f"{method} {path} HTTP/{version}\r\nHost: a\r\n{fields}\r\n".encode())

    def more(self):
        piece = self.sock.recv(65536)
        expect(piece, "the connection ended within an answer; there is", self.left[:100])
        self.left += piece

    def take(self, n):
        while len(self.left) < n:
            self.more()
        taken, self.left = self.left[:n], self.left[n:]
        return taken

    def take_to(self, end):
        while end not in self.left:
            self.more()
        taken, self.left = self.left.split(end, 1)
        return taken

    def answer(self, method="GET"):
        """(status, headers, body before it was compressed)"""
        first, *lines = self.take_to(b"\r\n\r\n").decode().split("\r\n")
        expect(first.startswith("HTTP/1.1 "), first)
        headers = {k.lower(): v for k, v in (line.split(": ", 1) for line in lines)}
        body = b""
        if method != "HEAD" and headers.get("transfer-encoding") == "chunked":
            expect("content-length" not in headers, headers)
            while size := int(self.take_to(b"\r\n"), 16):
                body += self.take(size)
                expect(self.take(2) == b"\r\n", "a chunk ends where it says")
            expect(self.take(2) == b"\r\n")
        elif method != "HEAD":
            body = self.take(int(headers["content-length"]))
        if headers.get("content-encoding") == "gzip" and body:
            body = gzip.decompress(body)
        return int(first.split()[1]), headers, body.decode()

    def rest(self):
        """All that comes until the other side closes."""
        data, self.left = self.left, b""
        while piece := self.sock.recv(65536):
            data += piece
        return data


def check_scrape(answer, openmetrics=False, packed=False):
    status, headers, body = answer
    expect(status == 200 and headers["content-type"].startswith("application/openmetrics-text" if openmetrics else "text/plain; version=0.0.4"), status, headers)
    expect((headers.get("content-encoding") == "gzip") == packed and headers["vary"] == "Accept, Accept-Encoding", headers)
    expect(body.endswith("# EOF\n") == openmetrics, body[-100:])
    m = Metrics(body)
    m.check_invariant()
    return m


def case_one_connection_many_answers(binary):
    """The fleet grows and shrinks meanwhile, and clients over other connections ask for other things: no answer has another's length, head or rest."""
    def work(a):
        wire = Wire(a.node)
        for generation in range(2, 22):
            targets = ", ".join(f"{{name: t{i}, type: ICMP, address: 198.19.1.{i + 1}, interval: 1s, timeout: 1s}}" for i in range(generation % 5 * 30))
            a.files.agent(generation=generation, targets=f"[{targets}]", compression="Gzip").write()
            wait("the reload", lambda g=generation: a.report()["generation"] == g)
            openmetrics, packed = generation % 4 > 1, generation % 3 == 0
            wishes = {"Accept": OPENMETRICS} if openmetrics else {}
            if packed:
                wishes["Accept_Encoding"] = "gzip"
            for _ in range(3):
                wire.send("/metrics", **wishes)
                m = check_scrape(wire.answer(), openmetrics, packed)
                expect(m.one("kubecanary_config_generation") == generation, generation)
            for path, want in (("/healthz", 200), ("/nothing", 404), ("/report", 200)):
                wire.send(path)
                expect(wire.answer()[0] == want, path)
            old = Wire(a.node)  # of the same head, up to the end of its connection
            old.send("/metrics", version="1.0", **wishes)
            first, body = old.rest().split(b"\r\n\r\n", 1)
            expect(b"chunked" not in first.lower() and (packed or b"kubecanary_config_generation" in body), first)
            expect(not packed or gzip.decompress(body))
            old.sock.close()
            head = Wire(a.node)
            head.send("/metrics", method="HEAD", **wishes)
            status, headers, _ = head.answer("HEAD")
            expect(status == 200 and "content-length" not in headers and headers["connection"] == "close" and head.rest() == b"", status, headers)
            head.sock.close()
        wire.send("/healthz", Connection="close")
        expect(wire.answer()[0] == 200 and wire.rest() == b"")
    with_pair(binary, work)


def case_requests_in_one_go(binary):
    def work(a):
        wire = Wire(a.node)
        wire.sock.sendall(b"GET /metrics HTTP/1.1\r\nHost: a\r\n\r\nHEAD /healthz HTTP/1.1\r\nHost: a\r\n\r\n" * 10 + b"HEAD /metrics HTTP/1.1\r\nHost: a\r\n\r\n")
        for _ in range(10):
            check_scrape(wire.answer())
            expect(wire.answer("HEAD")[0] == 200)
        expect(wire.answer("HEAD")[0] == 200 and wire.rest() == b"", wire.left)
    with_pair(binary, work)


def case_small_scrapes_at_once(binary):
    """More than may stream at the same time, all there when an agent that was held up goes on: each is over before the next begins."""
    def work(a):
        os.kill(a.process.pid, signal.SIGSTOP)
        wires = [Wire(a.node) for _ in range(8)]
        for wire in wires:
            wire.send("/metrics")
        os.kill(a.process.pid, signal.SIGCONT)
        for wire in wires:
            check_scrape(wire.answer())
            wire.sock.close()
    with_pair(binary, work)


def case_client_that_leaves_within_an_answer(binary):
    """The next answer at its place is whole, and as many as there may be at the same time are not used up."""
    targets = ", ".join(f"{{name: t{i}, type: ICMP, address: 198.19.1.{i + 1}, interval: 1s, timeout: 1s}}" for i in range(200))

    def work(a):
        small_buffers(a)
        for _ in range(6):
            s = a.node.connect(a.node.v4, 9961, rcvbuf=2048)
            s.sendall(b"GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n")
            s.recv(1, socket.MSG_PEEK)
            s.close()
            wire = Wire(a.node)
            for _ in range(2):
                wire.send("/metrics")
                check_scrape(wire.answer())
            wire.sock.close()
    with_pair(binary, work, targets=f"[{targets}]")
