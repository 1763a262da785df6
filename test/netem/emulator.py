# SPDX-License-Identifier: Apache-2.0
"""The network between two nodes: it forwards what one sends to the other, gives each probe a fate when its first packet comes, and writes down what
it read and wrote, and when. It judges nothing: that is truth.py's."""
import collections
import contextlib
import heapq
import itertools
import os
import select
import threading
import time

from fates import PLAIN, REFUSALS, choose
from packet import TCP, Packet
from probe import Probe, loose, reply_of, request_of


class Pair:
    def __init__(self):
        self.probes = []
        self.earlier = None  # the last request but one
        self.befell = 0      # probes that had another fate than to pass


class Emulator:
    """with Emulator(link, seed) as e: forwards. e.fates: what befalls a probe, as a function of (type, port), or None: nothing. e.pairs: (type, family,
    side, port) -> Pair, all that there ever was. The same seed gives the n-th probe of a pair the same fate."""

    def __init__(self, link, seed):
        self.sides = link.sides()
        self.seed = seed
        self.fates = None
        self.pairs = collections.defaultdict(Pair)
        self.by_name = {}
        self.other = collections.Counter()  # packets that are no probe's, by protocol: forwarded as they are
        self.due, self.serial = [], itertools.count()
        self.ended = False
        self.broken = None
        self.slowest = 0.0
        self.thread = threading.Thread(target=self._run)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.ended = True
        self.thread.join()

    def idle(self):
        """Nothing is held any more; but SYN-ACKs, which a kernel sends for a minute to who is not there."""
        if self.broken:
            raise self.broken
        return not any(p.protocol != TCP for _, _, _, p, _ in list(self.due))

    def count(self):
        if self.broken:
            raise self.broken
        return {key: len(pair.probes) for key, pair in list(self.pairs.items())}

    def _run(self):
        try:
            while not self.ended:
                self._step()
        except Exception as e:  # pylint: disable=broad-except
            self.broken = e
            raise

    def _step(self):
        pause = min(0.1, max(0.0, self.due[0][0] - time.monotonic())) if self.due else 0.1
        ready = select.select([fd for fd, _ in self.sides], [], [], pause)[0]
        for side, (fd, _) in enumerate(self.sides):
            if fd in ready:
                with contextlib.suppress(BlockingIOError):
                    for _ in range(64):
                        self._take(side, Packet(os.read(fd, 65535)), time.monotonic())
        while self.due and self.due[0][0] <= time.monotonic():
            at, _, side, packet, then = heapq.heappop(self.due)
            self._write(side, packet, then)
            self.slowest = max(self.slowest, time.monotonic() - at)

    def _write(self, side, packet, then):
        os.write(self.sides[side][0], packet.data)
        if then is not None:
            then.append((time.monotonic(), packet))

    def _send(self, side, packet, delay, then):
        """To a side, at once or later; then: where it is written down."""
        if delay:
            heapq.heappush(self.due, (time.monotonic() + delay, next(self.serial), side, packet, then))
        else:
            self._write(side, packet, then)

    def _take(self, side, p, now):
        if p.destination not in self.sides[1 - side][1]:
            return  # a question for routers, or a multicast listener's report
        asked = request_of(p)
        if asked:
            self._request(side, p, now, *asked)
            return
        answered = reply_of(p)
        probe = answered and self.by_name.get((answered[0], p.family, 1 - side, answered[1], answered[2]))
        if probe:
            self._reply(side, probe, p, now)
        else:
            self.other[p.protocol] += 1
            self._send(1 - side, p, 0, None)

    def _fate(self, key, pair):
        fates = self.fates
        fate = choose(fates(key[0], key[3]), f"{self.seed} {key}", len(pair.probes), pair.befell) if fates else PLAIN
        pair.befell += fate is not PLAIN
        return fate

    def _request(self, side, p, now, kind, port, name):
        key = (kind, p.family, side, port)
        pair = self.pairs[key]
        probe = self.by_name.get((kind, p.family, side, port, loose(kind, name)))
        if probe and request_of(probe.request) == (kind, port, name):
            probe.requests += 1
        else:
            probe = Probe(key, len(pair.probes), p, now, self._fate(key, pair))
            self.by_name[(kind, p.family, side, port, loose(kind, name))] = probe
            pair.earlier = pair.probes[-1].request if pair.probes else None
            pair.probes.append(probe)
        if probe.fate[1] in REFUSALS:
            probe.did.append((now, probe.fate[0]))
            self._send(side, p.unreachable(), REFUSALS[probe.fate[1]], probe.arrived)
            return
        self._act(probe, "there", probe.fate[1](p, probe.requests - 1, pair), 1 - side, probe.delivered, now)

    def _reply(self, side, probe, p, now):
        probe.replies += 1
        self._act(probe, "back", probe.fate[2](p, probe.replies - 1, self.pairs[probe.pair]), 1 - side, probe.arrived, now)

    def _act(self, probe, way, packets, side, then, now):
        probe.did.append((now, f"{way}: {', '.join(f'+{delay:g} s' for delay, _ in packets) or 'dropped'}"))
        for delay, packet in packets:
            self._send(side, packet, delay, then)
