# SPDX-License-Identifier: Apache-2.0
"""Which probe a packet belongs to, told by what stands in it: echo requests (RFC 792, 4443), STAMP (RFC 8762), SYNs, DNS queries (RFC 1035). The
network never changes what is looked at here: a probe whose answer was broken is still found by the port or number that was left."""
from packet import ACK, ICMP, ICMPV6, RST, SYN, TCP, UDP

DNS_PORT, STAMP_PORT = 53, 9964
STAMP_BYTES = 44
ECHO = {ICMP: (8, 0), ICMPV6: (128, 129)}


class Probe:
    """request: its first packet as it was sent, at began. pair: (type, family, side that sends, port). number: from 0, among those of its pair."""

    def __init__(self, pair, number, request, began, fate):
        self.pair, self.number, self.request, self.began, self.fate = pair, number, request, began, fate
        self.requests = 1          # packets of it that its sender sent: the kernel sends a SYN again
        self.replies = 0           # that came back to the network from the far end
        self.arrived = []          # (when, packet) that the sender was given
        self.delivered = []        # requests that the far end was given
        self.did = []              # (when, what was done to which packet), for reading


def request_of(p):
    """(type, port, what names the probe among those of its sender), if the packet is a request."""
    if p.protocol in ECHO and len(p.body) >= 8 and p.body[0] == ECHO[p.protocol][0]:
        return "icmp", 0, p.body[4:8]
    if p.protocol == TCP and p.flags() & (SYN | ACK) == SYN:
        return "tcp", p.dport, (p.sport, p.numbers()[0])
    if p.protocol == UDP and p.dport == STAMP_PORT and p.sport != STAMP_PORT and len(p.payload) == STAMP_BYTES:
        return "stamp", p.dport, (p.sport, p.payload[14:16], p.payload[:4])
    if p.protocol == UDP and p.dport == DNS_PORT:
        return "dns", p.dport, (p.sport, p.payload[:2])
    return None


def reply_of(p):
    """(type, port, what names the probe), if it is a reply. Of TCP and DNS the latest probe from that port is meant: the rest may be broken."""
    if p.protocol in ECHO and len(p.body) >= 8 and p.body[0] == ECHO[p.protocol][1]:
        return "icmp", 0, p.body[4:8]
    if p.protocol == TCP and (p.flags() & (SYN | ACK) == SYN | ACK or (p.flags() & RST and p.numbers()[0] == 0)):
        return "tcp", p.sport, p.dport
    if p.protocol == UDP and p.sport == STAMP_PORT and p.dport != STAMP_PORT and len(p.payload) == STAMP_BYTES:
        return "stamp", p.sport, (p.dport, p.payload[14:16], p.payload[24:28])
    if p.protocol == UDP and p.sport == DNS_PORT:
        return "dns", p.sport, p.dport
    return None


def loose(kind, name):
    """The name by which a reply finds its probe."""
    return name[0] if kind in ("tcp", "dns") else name


def token_of_echo(payload):
    """Both copies of the name that the agent writes into an echo request, as far as they are there (agent/wire.h)."""
    return [payload[at:at + 20] for at in (0, 36) if len(payload) >= at + 20 and payload[at:at + 4] == b"kcn1"]


def answers_syn(syn, p):
    """Whether p acknowledges that SYN and no other."""
    return p.numbers()[1] == (syn.numbers()[0] + 1) & 0xFFFFFFFF
