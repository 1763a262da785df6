# SPDX-License-Identifier: Apache-2.0
"""What may befall a probe: an action for its packets on the way there, and one for those on the way back. An action is a function of (packet, how
many of this probe went this way before, emulator's view of the pair) and yields (delay in s, packet) for each packet that goes on.

Delays stay away from the borders at which a verdict would hang on a scheduler (truth.py's MARGIN). Where answers are held the interval is 1 s and the timeout
2 s, so what comes after 2 s and before 2.8 s is late: within the grace, an interval, less two ticks of the agent's of 100 ms. An answer is held for 1.2 s, for
2.4 s, or for 3.6 s: packets are put in another order, and two answers of a pair come 200 ms apart or more, which is two ticks: within one it knows the order of
receipt on one socket only. A SYN is sent again after 1 s and 3 s, so where the first ones are dropped the interval is 1.3 s, no divisor of these, and the
timeout 2.5 s: who needs three is late, as the end is at 3.8 s."""
import os
import random

from packet import flip

SLOW_PORT = 9961  # a TCP target with a timeout that outlasts SYNs that are sent again
SLOW_INTERVAL, SLOW_TIMEOUT = 1.3, 2.5
REORDER, LATE, TOO_LATE = 1.2, 2.4, 3.6


def keep(p, _n, _pair):
    return [(0, p)]


def drop(_p, _n, _pair):
    return []


def twice(p, _n, _pair):
    return [(0, p), (0.005, p)]


def held(seconds):
    return lambda p, _n, _pair: [(seconds, p)]


def drop_first(count):
    return lambda p, n, _pair: [] if n < count else [(0, p)]


def wrong_checksum(p, _n, _pair):
    return [(0, p.with_body(p.body, wrong_checksum=True))]


def broken(at):
    """A byte of the body is another one, and the checksum fits it: no kernel can tell."""
    return lambda p, _n, _pair: [(0, p.with_body(flip(p.body, at)))]


def cut(size):
    return lambda p, _n, _pair: [(0, p.with_body(p.body[:size]))]


def forged(p, _n, _pair):
    """Before the answer come three that somebody made up."""
    return [(0, p.with_body(p.body[:8] + junk)) for junk in (os.urandom(len(p.payload)), b"", os.urandom(1400))] + [(0.001, p)]


def others(p, _n, pair):
    """The payload of an earlier probe under the header of this one."""
    return [(0, p.with_body(p.body[:8] + pair.earlier.payload))] if pair.earlier else [(0, p)]


# On the way there: the network answers that it has no way, at once or when nobody waits any more; after so many seconds.
REFUSE, REFUSE_TOO_LATE = "refuse", "refuse too late"
REFUSALS = {REFUSE: 0, REFUSE_TOO_LATE: TOO_LATE}

PLAIN = ("plain", keep, keep)
LOSS = [("dropped there", drop, keep, 10), ("dropped back", keep, drop, 10)]
DOUBLES = [("doubled there", twice, keep, 5), ("doubled back", keep, twice, 5)]
SUMS = [("wrong checksum there", wrong_checksum, keep, 4), ("wrong checksum back", keep, wrong_checksum, 4)]
HOLDS = [("overtaken there", held(REORDER), keep, 6), ("overtaken back", keep, held(REORDER), 6), ("late there", held(LATE), keep, 4),
         ("late back", keep, held(LATE), 4), ("too late there", held(TOO_LATE), keep, 4), ("too late back", keep, held(TOO_LATE), 4)]
REFUSED = [("refused", REFUSE, keep, 5), ("refused too late", REFUSE_TOO_LATE, keep, 3)]
# Offsets in the body. ICMP: 8 of header, then token, pattern, token. UDP: 8 of header, then the message.
BROKEN = {
    "icmp": [("pattern broken there", broken(8 + 25), keep, 4), ("pattern broken back", keep, broken(8 + 25), 4),
             ("first name broken back", keep, broken(8 + 14), 3), ("last name broken there", broken(8 + 50), keep, 3), ("cut back", keep, cut(8 + 24), 3),
             ("forged before", keep, forged, 3), ("another's payload back", keep, others, 3)],
    "stamp": [("error estimate broken there", broken(8 + 13), keep, 4), ("error estimate broken back", keep, broken(8 + 37), 4),
              ("zeros broken there", broken(8 + 40), keep, 4), ("time broken there", broken(8 + 6), keep, 3), ("time broken back", keep, broken(8 + 30), 3)],
    "tcp": [("sequence broken there", broken(5), keep, 4), ("acknowledgement broken back", keep, broken(9), 4)],
    "dns": [("question broken there", broken(8 + 14), keep, 4), ("question broken back", keep, broken(8 + 14), 4), ("id broken there", broken(8), keep, 3),
            ("id broken back", keep, broken(8), 3), ("address broken back", keep, lambda p, n, pair: [(0, p.with_body(flip(p.body, len(p.body) - 1)))], 4)],
}
FIRST_SYNS = [("first SYN dropped", drop_first(1), keep, 15), ("two SYNs dropped", drop_first(2), keep, 10), ("first SYN-ACK dropped", keep, drop_first(1), 15)]


def losses(kind, _port):
    """What leaves no doubt on which way a loss was."""
    return LOSS + DOUBLES + SUMS + REFUSED + (BROKEN["stamp"][:3] if kind == "stamp" else [])


def overtaken(kind, port):
    """What holds and doubles, and loses nothing."""
    return DOUBLES if (kind, port) == ("tcp", SLOW_PORT) else DOUBLES + HOLDS[:4]


def everything(kind, port):
    if (kind, port) == ("tcp", SLOW_PORT):
        return LOSS + FIRST_SYNS
    return LOSS + DOUBLES + SUMS + HOLDS + REFUSED + BROKEN[kind]


def choose(fates, seed, number, befell):
    """The fate of a pair's probe with that number, of which so many had one before: PLAIN for half of all probes; then each of the fates once, in some
    order; then any, by their weights. The same seed, the same choices."""
    rng = random.Random(f"{seed} {number}")
    if rng.random() < 0.5:
        return PLAIN
    if befell < len(fates):
        return random.Random(seed).sample(fates, len(fates))[befell][:3]
    return rng.choices([f[:3] for f in fates], [f[3] for f in fates])[0]
