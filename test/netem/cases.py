# SPDX-License-Identifier: Apache-2.0
"""Each case: a network as it should be, then one of a kind of trouble, then again one as it should be, until nothing of the trouble is under way; then
the fleet is paused, so that every probe ends. Then the agents' counters are compared with what the log says."""
import collections
import contextlib
import os

import fates
from agent import Agent, wait
from cases_life import expect
from dns import Server, address, record
from emulator import Emulator
from link import Link
from truth import RESULTS, Tally, grace, judge_dns, judge_echo, judge_stamp, judge_tcp, reflected

QUERY, ANSWER = "www.example.com", "192.0.2.1"
FAMILIES = ("IPv4", "IPv6")
NAMES = ("n1", "n2")
CALM = 8  # probes of each pair and flow before the trouble


class Fleet:
    """What the agents are told, and what that means for the model. TCP and DNS targets are probed by n1; both are mesh."""

    def __init__(self, interval, timeout, flows):
        self.interval, self.timeout, self.flows = interval, timeout, flows
        self.slots = 2
        while self.slots < (timeout + grace(interval, timeout)) // interval + 2:  # as docs/metrics.md says: at most twice timeout and grace are remembered
            self.slots *= 2

    def probes(self):
        common = f"interval: {round(1000 * self.interval)}ms, timeout: {round(1000 * self.timeout)}ms"
        return f"[{{name: icmp, type: ICMP, {common}}}, {{name: udp, type: STAMP, flows: {self.flows}, {common}}}, {{name: tcp, type: TCP, {common}}}]"

    def targets(self, node):
        common = f"interval: {round(1000 * self.interval)}ms, timeout: {round(1000 * self.timeout)}ms"
        lines = []
        for family, at in (("IPv4", node.v4), ("IPv6", f'"{node.v6}"')):
            lines += [f"{{name: dns-{family.lower()}, type: DNS, server: {at}, query: {QUERY}, expect: {{answer: [{ANSWER}]}}, {common}}}",
                      f"{{name: slow-{family.lower()}, type: TCP, address: {at}, port: {fates.SLOW_PORT}, "
                      f"interval: {round(1000 * fates.SLOW_INTERVAL)}ms, timeout: {round(1000 * fates.SLOW_TIMEOUT)}ms}}"]
        return f"[{', '.join(lines)}]"

    def pairs(self):
        """The emulator's key of each pair that there is -> (the side's agent, the agent's key of it, its model)."""
        table, times = {}, (self.interval, self.timeout)
        for side, name in enumerate(NAMES):
            far = NAMES[1 - side]
            for family in FAMILIES:
                table[("icmp", family, side, 0)] = name, ("icmp", far, family), (times, judge_echo, False, 1)
                table[("stamp", family, side, 9964)] = name, ("udp", far, family), (times, judge_stamp, False, self.flows)
                table[("tcp", family, side, 9962)] = name, ("tcp", far, family), (times, judge_tcp, True, 1)
        for family in FAMILIES:
            table[("tcp", family, 0, fates.SLOW_PORT)] = "n1", ("tcp", f"slow-{family.lower()}", family), ((fates.SLOW_INTERVAL, fates.SLOW_TIMEOUT), judge_tcp, True, 1)
            table[("dns", family, 0, 53)] = "n1", ("dns", f"dns-{family.lower()}", family), (times, judge_dns(address(ANSWER)), True, 1)
        return table


@contextlib.contextmanager
def running(binary, fleet, seed):
    """The emulator and the agents, both of which probe."""
    with contextlib.ExitStack() as stack:
        link = stack.enter_context(Link(*NAMES))
        emulator = stack.enter_context(Emulator(link, seed))
        stack.enter_context(Server(link["n2"], lambda q: q.answer(record(b"\xc0\x0c", "A", address(ANSWER)))))
        agents = {name: stack.enter_context(Agent(binary, link[name])) for name in NAMES}
        write(agents, link, fleet)
        for name in ("n2", "n1"):  # n1 has targets there
            agents[name].start()
            expect(os.sched_getscheduler(agents[name].process.pid) == os.SCHED_OTHER, "an agent runs as it does elsewhere")
        yield link, emulator, agents


def write(agents, link, fleet, **more):
    for name, a in agents.items():
        targets = fleet.targets(link["n2"]) if name == "n1" else "[]"
        a.files.agent(probes=fleet.probes(), targets=targets, **more).peers([link[n] for n in NAMES]).write()


def more_of_each(emulator, fleet, number, slow=False):
    """Until each pair has begun that many probes more; those to the slow target, at their own pace, only if asked for."""
    begun = collections.Counter(emulator.count())
    wait(f"{number} probes more of each pair", lambda: all(
        emulator.count().get(key, 0) - begun[key] >= number for key in fleet.pairs() if slow or key[3] != fates.SLOW_PORT), seconds=120)


def paused(link, emulator, agents, fleet):
    """No probe is begun any more, and all have ended: name -> metrics."""
    write(agents, link, fleet, paused=True, generation=2)
    wait("the emulator holds nothing", emulator.idle)
    return {name: wait(f"nothing of {name} is in flight", lambda a=a: (lambda m: m if m.one("kubecanary_config_generation") == 2 and m.sum(
        "kubecanary_probes_in_flight") == 0 else None)(a.metrics())) for name, a in agents.items()}


def compare(name, metrics, key, want, fleet):
    """Lines about what differs of one pair."""
    row = metrics.pairs().get(key, {})
    probe, far, family = key
    labels = {"probe": probe, "family": family, "destination_node" if far in NAMES else "target": far}
    told = {r: row.get(r, 0) for r in RESULTS}
    told["sent"] = row.get("sent")
    for extra in ("duplicates", "reordered"):
        told[extra] = metrics.one(f"kubecanary_probe_{extra}_total", **labels)
    told["with an RTT"], want["with an RTT"] = metrics.one("kubecanary_probe_rtt_seconds_count", **labels), want["received"]
    if probe == "udp":
        for way in ("forward", "backward"):
            told[way] = metrics.one("kubecanary_probe_path_lost_total", direction=way, **labels)
        for flow in range(fleet.flows) if fleet.flows > 1 else ():
            told[("flow", flow)] = metrics.one("kubecanary_probe_flow_lost_total", flow=str(flow), **labels)
    return [f"{name} {key}: {what} is {value:g}, the log says {want[what]}" for what, value in told.items() if value != want[what]]


def verdict(emulator, fleet, scrapes):
    """Every counter of both agents is what the log says, on which way a STAMP loss was too."""
    wrong, unmatched, all_of = [], collections.Counter(), collections.Counter()
    expect(set(emulator.pairs) == set(fleet.pairs()), set(emulator.pairs) ^ set(fleet.pairs()))
    for key, (name, own, model) in fleet.pairs().items():
        want = Tally(emulator.pairs[key].probes, *model).run()
        unmatched[name] += want["unmatched"]
        all_of.update({k: v for k, v in want.items() if k not in ("sent", "with an RTT")})
        found = compare(name, scrapes[name], own, want, fleet)
        wrong += found
        if found:
            wrong += [f"    {p.number} at {p.began:.3f} {p.fate[0]}: {p.did}" for p in emulator.pairs[key].probes if p.fate[0] != "plain"][:60]
    for side, (name, m) in enumerate(scrapes.items()):
        answered, refused = reflected([p for key, pair in emulator.pairs.items() if key[0] == "stamp" and key[2] != side for p in pair.probes])
        for metric, labels, value in (("unmatched_packets", {}, unmatched[name]), ("stamp_reflected", {}, answered),
                                      ("stamp_refused", {"reason": "form"}, refused), ("stamp_stateless", {}, 0)):
            told = m.one(f"kubecanary_agent_{metric}_total", **labels)
            if told != value:
                wrong.append(f"{name}: {metric}{labels} is {told:g}, the log says {value}")
        m.check_invariant()
    total = sum(len(pair.probes) for pair in emulator.pairs.values())
    befell = collections.Counter(p.fate[0] for pair in emulator.pairs.values() for p in pair.probes)
    print(f"# {total} probes; what befell them: {dict(befell)}")
    print(f"# {dict((str(k), v) for k, v in all_of.items() if not isinstance(k, tuple))}; a packet was at most {1000 * emulator.slowest:.0f} ms late")
    print("".join(f"#   {line}\n" for line in wrong), end="", flush=True)
    expect(not wrong, f"{len(wrong)} lines of what differs; the first: {wrong[:1]}")
    return all_of


def trouble(binary, seed, fleet, kinds, number):
    with running(binary, fleet, seed) as (link, emulator, agents):
        more_of_each(emulator, fleet, CALM * fleet.flows)
        emulator.fates = kinds
        more_of_each(emulator, fleet, number)
        emulator.fates = None
        # Until all losses are told (agent/stamp_path.h: what is remembered three times over), and a SYN that was sent again has met what is held longest.
        more_of_each(emulator, fleet, 3 * fleet.slots + 3 * fleet.flows + round(fates.TOO_LATE / fleet.interval))
        return verdict(emulator, fleet, paused(link, emulator, agents, fleet))


def case_a_network_as_it_should_be(binary, seed):
    fleet = Fleet(0.1, 1, 2)
    got = trouble(binary, seed, fleet, None, 20)
    expect(set(k for k, v in got.items() if v) == {"received"}, got)


def case_losses_and_doubles(binary, seed):
    got = trouble(binary, seed, Fleet(0.15, 2.1, 4), fates.losses, 120)
    expect(all(got[k] for k in ("received", "lost", "forward", "backward", "duplicates", "unreachable", "corrupt")), got)


def case_overtaken_but_not_lost(binary, seed):
    got = trouble(binary, seed, Fleet(1, 2, 1), fates.overtaken, 40)
    expect(got["reordered"] and got["late"] and got["duplicates"] and not got["lost"], got)


def case_everything(binary, seed):
    got = trouble(binary, seed, Fleet(1, 2, 1), fates.everything, 70)
    expect(all(got[k] for k in ("received", "late", "lost", "duplicates", "reordered", "unreachable", "corrupt", "unexpected", "unmatched")), got)
