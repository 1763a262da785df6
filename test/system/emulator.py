# SPDX-License-Identifier: Apache-2.0
"""A network behind a TUN device: it answers echo requests as each destination address is told to, and keeps the truth about what it did.
For what a kernel without netem cannot do: delay, duplicates, other order, broken bytes, forged answers."""
import collections
import fcntl
import heapq
import itertools
import os
import select
import stat
import struct
import tempfile
import threading
import time

from net import CLONE_NEWNET, LIBC, sh

TUNSETIFF = 0x400454CA
IFF_TUN_NO_PI = 0x1001


def checksum(data):
    if len(data) % 2:
        data += b"\0"
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


class Echo:
    """An echo request, and the packets that answer it."""

    def __init__(self, packet):
        self.v6 = packet[0] >> 4 == 6
        head = 40 if self.v6 else (packet[0] & 15) * 4
        self.source, self.destination = (packet[8:24], packet[24:40]) if self.v6 else (packet[12:16], packet[16:20])
        self.icmp = packet[head:]
        protocol = packet[6] if self.v6 else packet[9]
        self.valid = len(self.icmp) >= 8 and (protocol, self.icmp[0]) == ((58, 128) if self.v6 else (1, 8))
        self.host = self.destination[-1]
        self.id_seq, self.payload = self.icmp[4:8], self.icmp[8:]

    def reply(self, payload=None):
        body = self.id_seq + (self.payload if payload is None else payload)
        if self.v6:
            pseudo = self.destination + self.source + struct.pack("!II", len(body) + 4, 58)
            icmp = struct.pack("!BBH", 129, 0, checksum(pseudo + b"\x81\0\0\0" + body)) + body
            return struct.pack("!IHBB", 6 << 28, len(icmp), 58, 64) + self.destination + self.source + icmp
        icmp = struct.pack("!BBH", 0, 0, checksum(b"\0\0\0\0" + body)) + body
        head = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(icmp), 0, 0, 64, 1, 0) + self.destination + self.source
        return head[:10] + struct.pack("!H", checksum(head)) + head[12:] + icmp


class Emulator:
    """with Emulator(node, {host: behaviour}) as e: 203.0.113.HOST and 2001:db8:6b::HOST (decimal in the last byte) behave so.
    behaviour(echo, number) -> [(delay in s, packet)], number counting that host's requests from 0. e.asked[(host, v6)]: how many there were."""

    def __init__(self, node, behaviours):
        self.node, self.behaviours = node, behaviours
        self.asked = collections.Counter()
        self.ended = False
        self.fd = -1
        self.serial = itertools.count()

    def __enter__(self):
        device = "/dev/net/tun"
        if not os.path.exists(device):
            device = os.path.join(tempfile.mkdtemp(prefix="kubecanary-system-"), "tun")
            os.mknod(device, 0o600 | stat.S_IFCHR, os.makedev(10, 200))
        failed = []

        def attach():  # the device belongs to the namespace of the thread that opens it
            with open(f"/run/netns/{self.node.space}", "rb") as space:
                if LIBC.setns(space.fileno(), CLONE_NEWNET) != 0:
                    failed.append("setns")
                    return
            self.fd = os.open(device, os.O_RDWR | os.O_NONBLOCK)
            fcntl.ioctl(self.fd, TUNSETIFF, struct.pack("16sH22x", b"tun0", IFF_TUN_NO_PI))

        thread = threading.Thread(target=attach)
        thread.start()
        thread.join()
        if failed:
            raise OSError(failed)
        sh(*self.node.enter("ip", "link", "set", "tun0", "up"))
        sh(*self.node.enter("ip", "route", "add", "203.0.113.0/24", "dev", "tun0"))
        sh(*self.node.enter("ip", "route", "add", "2001:db8:6b::/64", "dev", "tun0"))
        self.thread = threading.Thread(target=self.run)
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.ended = True
        self.thread.join()
        os.close(self.fd)

    def run(self):
        due = []
        while not self.ended:
            pause = min(0.1, max(0.0, due[0][0] - time.monotonic())) if due else 0.1
            if select.select([self.fd], [], [], pause)[0]:
                echo = Echo(os.read(self.fd, 65535))
                if echo.valid and echo.host in self.behaviours:
                    number = self.asked[(echo.host, echo.v6)]
                    self.asked[(echo.host, echo.v6)] += 1
                    for delay, packet in self.behaviours[echo.host](echo, number):
                        heapq.heappush(due, (time.monotonic() + delay, next(self.serial), packet))
            while due and due[0][0] <= time.monotonic():
                os.write(self.fd, heapq.heappop(due)[2])
