# SPDX-License-Identifier: Apache-2.0
"""Who probes whom when it is not everybody: agents that have nothing but the same files agree, with each other and with what is
written in docs/decisions/0008-topologies.md, which is done here once more in another way."""
from agent import wait
from cases_files import never_less
from cases_life import expect
from cases_probe import ALL, mesh, settled

MASK = (1 << 64) - 1
NAMES = tuple(f"n{i}" for i in range(1, 9))
ZONES = {"n1": "a", "n2": "a", "n3": "a", "n4": "a", "n5": "b", "n6": "b", "n7": "c", "n8": "c"}


def place(name):
    h = 0xcbf29ce484222325
    for byte in name.encode():
        h = (h ^ byte) * 0x100000001b3 & MASK
    for factor in (0xff51afd7ed558ccd, 0xc4ceb9fe1a85ec53):
        h = (h ^ h >> 33) * factor & MASK
    return h ^ h >> 33


def after(names, node):
    ring = sorted(names, key=place)
    i = ring.index(node)
    return ring[i + 1:] + ring[:i]


def sampled(k):
    return {n: set(after(NAMES, n)[:k]) for n in NAMES}


def zonal(k):
    def others(n):
        return [m for m in after(NAMES, n)[:8 * k] if ZONES[m] != ZONES[n]]
    return {n: {m for m in NAMES if m != n and ZONES[m] == ZONES[n]} | set(others(n)[:k]) for n in NAMES}


def probed(metrics):
    """What an agent counts sends of now, series of pairs that ended not included: {(probe, node, family)}"""
    return {key for key, row in metrics.pairs().items() if row["sent"] > 0}


def check(agents, probes, ready=NAMES):
    """Pairs and coverage of every agent are those of the table, as far as both are Ready."""
    for name, a in agents.items():
        m = a.metrics()
        want = probes[name] & set(ready)
        expect(m.one("kubecanary_pairs") == len(want) * len(ALL), name, "has", m.one("kubecanary_pairs"), "pairs, and should probe", want)
        coverage = len([n for n in ready if name in probes[n]])
        expect(m.one("kubecanary_coverage_peers") == coverage, name, "says", m.one("kubecanary_coverage_peers"), "peers probe it, want", coverage)


def case_sampled_fleet_agrees(binary):
    with mesh(binary, *NAMES, topology="{type: Sampled, degree: 3}") as (net, agents):
        want, nodes = sampled(3), [net[n] for n in NAMES]
        check(agents, want)
        settled(agents, 3)
        for source, table in settled(agents, 10).items():
            expect(set(table) == {(p, d, f) for p, f in ALL for d in want[source]}, source, "probes", set(table))
            for key, row in table.items():
                expect(row["lost"] == row["unreachable"] == row["send_error"] == 0, source, key, row)
        before = {n: a.metrics().pairs() for n, a in agents.items()}
        for a in agents.values():
            a.files.agent(generation=2, topology="{type: Sampled, degree: 3}").peers(nodes, state={"n4": "NotReady"}).write()
        for a in agents.values():
            wait("the reload", lambda a=a: a.report()["generation"] == 2)
        check(agents, want, [n for n in NAMES if n != "n4"])  # nobody else's pairs move
        for n, a in agents.items():
            never_less(before[n], a.metrics().pairs())


def case_from_sampled_to_zonal(binary):
    with mesh(binary, *NAMES, topology="{type: Sampled, degree: 3}") as (net, agents):
        settled(agents, 5)
        before = {n: a.metrics().pairs() for n, a in agents.items()}
        for a in agents.values():
            a.files.agent(generation=2, topology="{type: Zonal, degree: 2}").peers([net[n] for n in NAMES], zones=ZONES).write()
        for a in agents.values():
            wait("the reload", lambda a=a: a.report()["generation"] == 2)
        want = zonal(2)
        check(agents, want)
        for source, a in agents.items():
            kept = {key: row for key, row in before[source].items() if key[1] in want[source]}
            never_less(kept, a.metrics().pairs())
            keys = {(p, d, f) for p, f in ALL for d in want[source]}
            wait(f"{source} probes all of these", lambda a=a, k=keys: k <= probed(a.metrics()))
            expect(a.metrics().sum("kubecanary_probe_results_total", result="lost") == 0, source, "lost probes")
