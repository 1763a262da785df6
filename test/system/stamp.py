# SPDX-License-Identifier: Apache-2.0
"""A second implementation of STAMP's unauthenticated mode, written from RFC 8762 (4.2.1, 4.3.1) and RFC 8972 (3) alone and sharing nothing with
the agent: a Session-Reflector that can lose packets on purpose, and a Session-Sender's packet."""
import socket
import struct
import threading
import time

SENDER = struct.Struct("!IIIHH28x")
REFLECTOR = struct.Struct("!IIIHHIIIIIH2xB3x")
NTP_EPOCH = 2208988800
assert SENDER.size == REFLECTOR.size == 44


def ntp():
    ns = time.time_ns()
    return ns // 10**9 + NTP_EPOCH, (ns % 10**9 << 32) // 10**9


def query(seq, ssid=0, error=0x0101, padding=b""):
    """(packet, seconds, fraction)"""
    seconds, fraction = ntp()
    return SENDER.pack(seq, seconds, fraction, error, ssid) + padding, seconds, fraction


class Answer:
    def __init__(self, data):
        (self.seq, self.sent_s, self.sent_f, self.error, self.ssid, self.received_s, self.received_f, self.sender_seq, self.sender_s, self.sender_f,
         self.sender_error, self.ttl) = REFLECTOR.unpack(data[:44])
        self.sent = self.sent_s + self.sent_f / 2**32 - NTP_EPOCH
        self.received = self.received_s + self.received_f / 2**32 - NTP_EPOCH


class Reflector:
    """with Reflector(node, port, decide) as r: answers on the node's addresses. decide(session's count of packets) -> "answer", "deaf" (as if it
    had been lost on the way there) or "mute" (on the way back). ssid=False: as one that knows RFC 8762 only; stateful=False: returns the sender's
    number."""

    def __init__(self, node, port, decide=lambda n: "answer", stateful=True, ssid=True):
        self.decide, self.stateful, self.ssid = decide, stateful, ssid
        self.sessions, self.packets, self.classes, self.wrong = {}, {}, {}, []
        self.deaf = self.mute = 0
        self.lock = threading.Lock()
        self.stopped = False
        self.sockets = [node.udp(node.v4, port, 0.05), node.udp(node.v6, port, 0.05)]
        self.sockets[0].setsockopt(socket.IPPROTO_IP, socket.IP_RECVTOS, 1)
        self.sockets[1].setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVTCLASS, 1)
        self.threads = [threading.Thread(target=self._run, args=(s,), daemon=True) for s in self.sockets]

    def __enter__(self):
        for t in self.threads:
            t.start()
        return self

    def __exit__(self, *_):
        self.stopped = True
        for t in self.threads:
            t.join()
        for s in self.sockets:
            s.close()

    def forget(self):
        """As a reflector that was restarted: every session begins again. The most packets that one has had."""
        with self.lock:
            self.sessions.clear()
            return max(len(p) for p in self.packets.values())

    def _run(self, s):
        while not self.stopped:
            try:
                data, control, _, source = s.recvmsg(2048, 256)
            except TimeoutError:
                continue
            with self.lock:
                self._take(s, data, control, source)

    def _take(self, s, data, control, source):
        received = ntp()
        if len(data) != 44 or data[16:] != bytes(28):
            self.wrong.append(data)
            return
        seq, seconds, fraction, error, ssid = SENDER.unpack(data)
        session = (source[0], source[1], ssid)
        self.packets.setdefault(session, []).append((seq, seconds, fraction, error))
        self.classes.setdefault(source[0], set()).update(c[2][0] for c in control)
        what = self.decide(len(self.packets[session]))
        if what == "deaf":
            self.deaf += 1
            return
        number = self.sessions.get(session, 0)
        self.sessions[session] = number + 1
        if what == "mute":
            self.mute += 1
            return
        s.sendto(REFLECTOR.pack(number if self.stateful else seq, *ntp(), 0x0101, ssid if self.ssid else 0, *received, seq, seconds, fraction, error, 64),
                 source)
