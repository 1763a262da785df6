# SPDX-License-Identifier: Apache-2.0
"""IP packets of both families, read and made anew: RFC 791, 8200, 792, 4443, 768, 9293. Knows no probe. Headers without options or extensions."""
import struct

ICMP, TCP, UDP, ICMPV6 = 1, 6, 17, 58
CHECKSUM_AT = {ICMP: 2, ICMPV6: 2, UDP: 6, TCP: 16}
SYN, RST, ACK = 2, 4, 16


def checksum(data):
    if len(data) % 2:
        data += b"\0"
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


class Packet:
    """body: what is behind the IP header. sport, dport: of TCP and UDP."""

    def __init__(self, data):
        self.data = data
        self.v6 = data[0] >> 4 == 6
        head = 40 if self.v6 else (data[0] & 15) * 4
        self.protocol = data[6] if self.v6 else data[9]
        self.source, self.destination = (data[8:24], data[24:40]) if self.v6 else (data[12:16], data[16:20])
        self.body = data[head:]
        self.sport, self.dport = struct.unpack("!HH", self.body[:4]) if self.protocol in (TCP, UDP) and len(self.body) >= 4 else (0, 0)

    @property
    def family(self):
        return "IPv6" if self.v6 else "IPv4"

    @property
    def payload(self):
        """Behind the header of UDP, or of an ICMP echo."""
        return self.body[8:]

    def flags(self):
        return self.body[13] if self.protocol == TCP and len(self.body) >= 20 else 0

    def numbers(self):
        """TCP: sequence and acknowledgement number."""
        return struct.unpack("!II", self.body[4:12])

    def _sum(self, body):
        pseudo = b"" if self.protocol == ICMP else self.source + self.destination + struct.pack("!II", len(body), self.protocol)
        return checksum(pseudo + body)

    def is_intact(self):
        """Whether a kernel takes it: its checksum is right."""
        return self._sum(self.body) == 0

    def with_body(self, body, wrong_checksum=False):
        """The packet with another body, its lengths and checksums made to fit; the inner one wrong on purpose."""
        at = CHECKSUM_AT[self.protocol]
        if self.protocol == UDP:
            body = body[:4] + struct.pack("!H", len(body)) + body[6:]
        value = self._sum(body[:at] + b"\0\0" + body[at + 2:]) ^ (0x5555 if wrong_checksum else 0)
        if self.protocol == UDP and value == 0:  # it would mean "none"
            value = 0x1111 if wrong_checksum else 0xFFFF
        return Packet(header(self.source, self.destination, self.protocol, len(body)) + body[:at] + struct.pack("!H", value) + body[at + 2:])

    def unreachable(self):
        """What a router says that has no way for it: ICMP host unreachable, address unreachable, with all of it quoted."""
        protocol, message = (ICMPV6, b"\x01\x03") if self.v6 else (ICMP, b"\x03\x01")
        empty = Packet(header(self.destination, self.source, protocol, 0))
        return empty.with_body(message + bytes(6) + self.data)


def header(source, destination, protocol, size):
    if len(source) == 16:
        return struct.pack("!IHBB", 6 << 28, size, protocol, 64) + source + destination
    plain = struct.pack("!BBHHHBBH", 0x45, 0, 20 + size, 0, 0, 64, protocol, 0) + source + destination
    return plain[:10] + struct.pack("!H", checksum(plain)) + plain[12:]


def flip(data, at):
    """data with some bits of one byte turned over."""
    return data[:at] + bytes([data[at] ^ 0x55]) + data[at + 1:]
