# SPDX-License-Identifier: Apache-2.0
"""What an agent must have counted, worked out from the emulator's log alone: which packets of which probe left its node, what came back to the node,
and when. Knows the meaning of results (docs/metrics.md) and the formats; shares no code with the agent.

A probe is received, late or lost by the first answer that is its own and whole: within the timeout, within the grace (as much again, but an interval at
most), or not. An answer that is known for the probe's by some of its bytes, and has others wrong, makes it corrupt; an ICMP error or a reset unreachable. A packet whose checksum is
wrong never gets past the kernel. Whatever comes for a probe that was answered is a duplicate; what is nobody's, or comes when nobody waits, is
unmatched. (TCP and DNS probes have a socket each, closed at the end: what comes then, only the kernel sees.) A STAMP loss was on the way back if the
reflector answered, otherwise on the way there."""
import collections

from packet import ICMP, ICMPV6, RST
from probe import answers_syn, token_of_echo

RESULTS = ("received", "late", "lost", "corrupt", "unreachable", "unexpected", "send_error", "unresolved")
MARGIN = 0.1  # s: an answer so near to a border is the emulator's fault, and its log no truth
TICKS = 0.2   # s: so long before the end of the grace a probe without an answer may be settled
DNS_HEADER, DNS_QUESTION = 12, slice(12, None)


def grace(interval, timeout):
    return min(interval, timeout, 5)


class Doubt(AssertionError):
    """The emulator was so late that nobody can say what the agent ought to have seen."""


def is_error(p):
    return p.protocol == ICMP and p.body[0] == 3 or p.protocol == ICMPV6 and p.body[0] == 1


def judge_echo(probes, probe, p):
    """(whose it is, verdict): "good", "corrupt", "foreign"; here by the payload, whatever the header says."""
    for other in probes:
        if other.request.payload == p.payload:
            return other, "good"
    names = token_of_echo(p.payload)
    for other in probes:
        if names and token_of_echo(other.request.payload)[0] in names:
            return other, "corrupt"
    return probe, "foreign"


def judge_stamp(_probes, probe, p):
    asked, told = probe.request.payload, p.payload
    if told[14:16] != asked[14:16] or told[24:36] != asked[:12]:
        return probe, "foreign"
    return probe, "good" if told[36:38] == asked[12:14] else "corrupt"


def judge_tcp(_probes, probe, p):
    if not answers_syn(probe.request, p):
        return probe, None  # the kernel's business: it answers with a reset, and goes on waiting
    return probe, "unreachable" if p.flags() & RST else "good"


def judge_dns(wanted):
    def judge(_probes, probe, p):
        asked, told = probe.request.payload, p.payload
        question = asked[DNS_QUESTION]
        if told[:2] != asked[:2]:
            return probe, "foreign"
        if told[DNS_HEADER:DNS_HEADER + len(question)] != question:
            return probe, "corrupt"
        return probe, "good" if told.endswith(wanted) else "unexpected"
    return judge


class Count(collections.Counter):
    """Of one pair: the results, sent, duplicates, reordered, forward, backward, unmatched, and ("flow", n)."""


class Tally:
    """Goes through what came back to a pair's probes in the order in which it came."""

    def __init__(self, probes, times, judge, own_socket, flows):
        self.probes, self.judge, self.own_socket, self.flows = probes, judge, own_socket, flows
        interval, self.timeout = times
        self.end = self.timeout + grace(interval, self.timeout)
        self.state = dict.fromkeys(probes, None)  # None: it flies; "answered"; "ended"
        self.result = {}
        self.high = [-1] * flows  # the latest probe of each flow that was answered
        self.count = Count(sent=len(probes))

    def run(self):
        arrived = sorted(((at, n, probe, p) for probe in self.probes for n, (at, p) in enumerate(probe.arrived)), key=lambda x: x[:2])
        for at, _, probe, p in arrived:
            self._arrived(at, probe, p)
        for probe in self.probes:
            self.count[self.result.setdefault(probe, "lost")] += 1
            if self.result[probe] == "lost":
                self.count["backward" if probe.replies else "forward"] += 1
                self.count[("flow", probe.number % self.flows)] += 1
        return self.count

    def _end(self, probe, result, state):
        self.result[probe], self.state[probe] = result, state

    def _arrived(self, at, probe, p):
        probe, verdict = (probe, "unreachable") if is_error(p) else self.judge(self.probes, probe, p) if p.is_intact() else (probe, None)
        took = at - probe.began
        if self.state[probe] is None and took > self.end:
            self._end(probe, "lost", "ended")
        if verdict is None or (self.own_socket and self.state[probe]):
            return
        if verdict == "foreign" or (self.state[probe] == "ended" and verdict != "unreachable"):
            self.count["unmatched"] += 1
        elif self.state[probe] == "answered":
            self.count["duplicates"] += verdict != "unreachable"
        elif self.state[probe] is None:
            self._first(probe, verdict, took)

    def _first(self, probe, verdict, took):
        if verdict == "unreachable":
            self._end(probe, verdict, "ended")
            return
        if abs(took - self.timeout) < MARGIN or -TICKS - MARGIN < took - self.end < MARGIN:
            raise Doubt(f"{probe.pair} {probe.number}: its answer came after {took:.3f} s: {probe.did}")
        if verdict != "corrupt":
            flow = probe.number % self.flows
            self.count["reordered"] += probe.number < self.high[flow]
            self.high[flow] = max(self.high[flow], probe.number)
        self._end(probe, verdict if verdict != "good" else "received" if took <= self.timeout else "late", "answered")


def reflected(probes):
    """Of the requests of one side's STAMP probes: (how many the far end answered, how many it refused for their form)."""
    bad = sum(1 for probe in probes for _, p in probe.delivered if p.is_intact() and any(p.payload[16:]))
    return sum(probe.replies for probe in probes), bad
