# SPDX-License-Identifier: Apache-2.0
"""Links that delay, double, reorder, break and forge: what the agent says beside what the emulator did."""
import os

from agent import Agent, wait
from cases_life import expect
from emulator import Emulator
from net import Net

PLAIN, LATE, TOO_LATE, TWICE, REORDERED, BROKEN, CUT, EVERY_FIFTH, FORGED, OTHERS_PAYLOAD, SILENT = range(1, 12)


def broken(echo, _):
    data = bytearray(echo.payload)
    data[len(data) // 2] ^= 0x55  # the checksum is right: only a look at the bytes tells
    return [(0, echo.reply(bytes(data)))]


def forged(echo, number):
    junk = [echo.reply(os.urandom(len(echo.payload))), echo.reply(b""), echo.reply(os.urandom(1400))]
    return [(0, p) for p in junk] + [(0, echo.reply())]


class OthersPayload:
    """Answers each request with the payload of the one before: the header's id and sequence are those of the wrong probe."""

    def __init__(self):
        self.last = {}

    def __call__(self, echo, _):
        payload, self.last[echo.v6] = self.last.get(echo.v6), echo.payload
        return [(0, echo.reply(payload))] if payload else []


def behaviours():
    return {
        PLAIN: lambda e, n: [(0, e.reply())],
        LATE: lambda e, n: [(1.4, e.reply())],
        TOO_LATE: lambda e, n: [(2.6, e.reply())],
        TWICE: lambda e, n: [(0, e.reply()), (0.01, e.reply())],
        REORDERED: lambda e, n: [(0 if n % 2 else 0.5, e.reply())],
        BROKEN: broken,
        CUT: lambda e, n: [(0, e.reply(e.payload[:24]))],
        EVERY_FIFTH: lambda e, n: [(0, e.reply())] if n % 5 else [],
        FORGED: forged,
        OTHERS_PAYLOAD: OthersPayload(),
        SILENT: lambda e, n: [],
    }


def case_links_of_every_kind(binary):
    hosts = behaviours()
    targets = ", ".join(f"{{name: v4-{h}, type: ICMP, address: 203.0.113.{h}, interval: 200ms, timeout: 1s}}, "
                        f"{{name: v6-{h}, type: ICMP, address: \"2001:db8:6b::{h:x}\", interval: 200ms, timeout: 1s}}" for h in hosts)
    with Net("n1") as net, Emulator(net["n1"], hosts) as emulator, Agent(binary, net["n1"], "--grace", "5s") as a:
        a.files.agent(targets=f"[{targets}]", mesh=False).write()
        a.start()
        m = wait("30 results of each", lambda: (lambda m: m if all(
            row["sent"] - row["in_flight"] >= 30 for row in m.pairs().values()) else None)(a.metrics()), seconds=90)
        a.files.agent(targets="[]", mesh=False, generation=2).write()  # no more probes; what is in flight is dropped with its pair
        m.check_invariant()
        for version in (4, 6):
            check(m, version, emulator)
        expect(m.one("kubecanary_agent_unmatched_packets_total") >= 3 * 30, "forged answers are counted")


def check(m, version, emulator):
    def row(host):
        return m.pairs()[("icmp", f"v{version}-{host}", f"IPv{version}")]

    def extra(name, host):
        return m.one(f"kubecanary_probe_{name}_total", target=f"v{version}-{host}")

    def only(host, result, most=0):
        ended = row(host)["sent"] - row(host)["in_flight"]
        expect(ended - row(host)[result] <= most, f"v{version}", host, "should be", result, row(host))

    only(PLAIN, "received")
    only(LATE, "late")
    only(TOO_LATE, "lost")
    only(TWICE, "received")
    only(REORDERED, "received")
    only(BROKEN, "corrupt")
    expect(row(CUT)["received"] == row(CUT)["late"] == 0, "a cut answer is none", row(CUT))
    only(FORGED, "received")
    quick = m.one("kubecanary_probe_rtt_seconds_bucket", target=f"v{version}-{OTHERS_PAYLOAD}", le="0.05")
    only(OTHERS_PAYLOAD, "received")
    expect(quick == 0, "an answer counts for the probe whose content it bears, an interval ago:", quick)
    only(SILENT, "lost")
    expect(extra("duplicates", TWICE) >= row(TWICE)["received"] - 1, "duplicates", extra("duplicates", TWICE), row(TWICE))
    expect(extra("reordered", REORDERED) >= row(REORDERED)["received"] / 2 - 4, "reordered", extra("reordered", REORDERED))
    for host in (PLAIN, LATE, EVERY_FIFTH, FORGED, SILENT):
        expect(extra("duplicates", host) == 0 and extra("reordered", host) == 0, host, "duplicates or reordered")
    truth = emulator.asked[(EVERY_FIFTH, version == 6)]
    ended = row(EVERY_FIFTH)["sent"] - row(EVERY_FIFTH)["in_flight"]
    expect(truth >= row(EVERY_FIFTH)["sent"], "the emulator saw", truth, row(EVERY_FIFTH))
    # Every fifth from the first on; what was sent in the last two seconds (timeout and grace) may not be known as lost yet.
    least, most = (row(EVERY_FIFTH)["sent"] - 12) // 5, (row(EVERY_FIFTH)["sent"] + 4) // 5
    expect(least <= row(EVERY_FIFTH)["lost"] <= most, "every fifth is lost", row(EVERY_FIFTH))
    expect(row(EVERY_FIFTH)["lost"] + row(EVERY_FIFTH)["received"] == ended, row(EVERY_FIFTH))
