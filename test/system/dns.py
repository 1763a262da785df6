# SPDX-License-Identifier: Apache-2.0
"""A DNS server written from RFC 1035 4.1 alone, sharing nothing with the agent, that can do wrong on purpose."""
import socket
import struct
import threading

HEADER = struct.Struct("!6H")
TYPES = {"A": 1, "NS": 2, "CNAME": 5, "SOA": 6, "PTR": 12, "MX": 15, "TXT": 16, "AAAA": 28, "SRV": 33}


def name(text):
    return b"".join(bytes([len(part)]) + part.encode() for part in text.rstrip(".").split(".") if part) + b"\0"


def record(owner, kind, data, ttl=30):
    return owner + struct.pack("!HHIH", TYPES[kind], 1, ttl, len(data)) + data


def address(text):
    return socket.inet_pton(socket.AF_INET6 if ":" in text else socket.AF_INET, text)


class Query:
    def __init__(self, data, source, tcp):
        self.id, self.flags, self.questions, *others = HEADER.unpack(data[:12])
        self.data, self.source, self.tcp, self.others = data, source, tcp, others
        self.labels, at = [], 12
        while data[at]:
            self.labels.append(data[at + 1:at + 1 + data[at]].decode())
            at += 1 + data[at]
        self.type, self.cls = struct.unpack("!HH", data[at + 1:at + 5])
        self.question, self.rest = data[12:at + 5], data[at + 5:]
        self.name = ".".join(self.labels)

    def answer(self, *records, rcode=0, flags=0x8180, number=None, question=None):
        return HEADER.pack(self.id if number is None else number, flags | rcode, 1, len(records), 0, 0) + (question or self.question) + b"".join(records)


class Server:
    """with Server(node, reply) as s: listens on the node's addresses by UDP and TCP. reply(query) -> what is to be sent: a message, a list of them,
    or nothing. Over TCP, "close" ends the connection without a word. Queries that are not as they must be are in s.wrong."""

    def __init__(self, node, reply, port=53):
        self.reply, self.queries, self.wrong, self.stopped = reply, [], [], False
        self.lock, self.threads = threading.Lock(), []
        self.udp = [node.udp(a, port, 0.05) for a in (node.v4, node.v6)]
        self.tcp = [node.within(lambda a=a: self._listen(a, port)) for a in (node.v4, node.v6)]
        self.other = {a: node.udp(a, port + 1, 0.05) for a in (node.v4, node.v6)}  # of another port
        for s in self.udp:
            self._thread(self._run_udp, s)
        for s in self.tcp:
            self._thread(self._run_tcp, s)

    @staticmethod
    def _listen(address_, port):
        s = socket.socket(socket.AF_INET6 if ":" in address_ else socket.AF_INET, socket.SOCK_STREAM)
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        s.bind((address_, port))
        s.listen(64)
        s.settimeout(0.05)
        return s

    def _thread(self, run, *args):
        t = threading.Thread(target=run, args=args, daemon=True)
        self.threads.append(t)
        t.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stopped = True
        for t in list(self.threads):
            t.join()
        for s in [*self.udp, *self.tcp, *self.other.values()]:
            s.close()

    def _take(self, data, source, tcp):
        q = Query(data, source, tcp)
        if (q.flags, q.questions, q.others, q.cls, q.rest) != (0x0100, 1, [0, 0, 0], 1, b""):
            self.wrong.append(data)
        with self.lock:
            self.queries.append(q)
        said = self.reply(q)
        return said if isinstance(said, list) else [said] if said else []

    def _run_udp(self, s):
        while not self.stopped:
            try:
                data, source = s.recvfrom(2048)
            except TimeoutError:
                continue
            for said in self._take(data, source, False):
                s.sendto(said, source)

    def _run_tcp(self, s):
        while not self.stopped:
            try:
                c, source = s.accept()
            except TimeoutError:
                continue
            with c:
                c.settimeout(5)
                try:
                    size = struct.unpack("!H", c.recv(2, socket.MSG_WAITALL))[0]
                    for said in self._take(c.recv(size, socket.MSG_WAITALL), source, True):
                        if said == "close":
                            break
                        c.sendall(struct.pack("!H", len(said)) + said)
                    else:
                        c.recv(1)  # until the agent is done
                except OSError:
                    pass
