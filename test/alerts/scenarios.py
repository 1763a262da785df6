# SPDX-License-Identifier: Apache-2.0
"""What happens to a fleet, and which alerts shall be there, all of them and no other.

A scenario is a function that returns Scenario; `scenario` collects them. `expect` maps minutes to the alerts that fire then, each as
{label: value} without those that every alert has; `silent` names minutes at which not even a pending alert may be there. In `values`
an expression has its exact samples, or [] for none.
"""
from dataclasses import dataclass, field

from mesh import Fleet, minutes

THREE = ("n1", "n2", "n3")
FIVE = ("n1", "n2", "n3", "n4", "n5")
SIX = FIVE + ("n6",)
SCENARIOS = []


@dataclass
class Scenario:
    fleets: list
    expect: dict = field(default_factory=dict)
    silent: tuple = ()
    values: list = field(default_factory=list)  # (minute, expression, number of samples or the value of the only one)
    settings: tuple = ("mesh", "kubecanary", "1", "2m", "2m")
    texts: list = field(default_factory=list)   # (minute, alert, labels, annotations): exact


def scenario(make):
    SCENARIOS.append(make)
    return make


SEVERITY = {
    "KubecanaryNodeLoss": "critical", "KubecanaryTargetLoss": "critical", "KubecanaryAgentsAbsent": "critical",
    "KubecanaryAllocatorNotEffective": "info",
}


def alert(name, fleet="mesh", **labels):
    return {"alertname": name, "severity": SEVERITY.get(name, "warning"), "component": "kubecanary", "fleet": fleet,
            "namespace": "kubecanary", **labels}


def pair(src, dst, probe, family="IPv4", network="Pod", **more):
    return alert("KubecanaryPairLoss", source_node=src, source_zone=f"zone-{src}", destination_node=dst, destination_zone=f"zone-{dst}",
                 probe=probe, family=family, network=network, **more)


def node(name, network="Pod"):
    return alert("KubecanaryNodeLoss", node=name, network=network)


def agent(name, node_name, **more):
    pod = f"mesh-pod-{node_name}"
    return alert(name, pod=pod, instance=f"{pod}:9961", job="kubecanary-agent", container="agent", endpoint="http", node=node_name,
                 **more)


def both(a, b, *probes):
    return [pair(*p, probe) for p in ((a, b), (b, a)) for probe in probes]


def link(a, b, share, begin, end):
    """Loss on the link between two nodes, seen by both: a round trip crosses it both ways."""
    return lambda step, src, dst, probe, family: share if {src, dst} == {a, b} and minutes(begin) <= step < minutes(end) else 0.0


def bare(share, begin, end, *bad):
    """Loss on everything that a bad node sends or is sent."""
    return lambda step, src, dst, probe, family: share if (src in bad or dst in bad) and minutes(begin) <= step < minutes(end) else 0.0


@scenario
def quiet():
    return Scenario([Fleet(THREE, minutes(30))], silent=(5, 12, 29.75), values=[(10, "sum(pair:kubecanary_probe_loss:ratio)", 0.0)])


@scenario
def pair_loss_fires_for_that_pair_and_resolves():
    f = Fleet(FIVE, minutes(25))
    f.loss = link("n1", "n2", 0.2, 5, 15)
    fires = both("n1", "n2", "icmp", "tcp")
    return Scenario([f], expect={6.75: [], 9: fires, 15: fires, 18: fires, 20: []}, silent=(4.5, 20, 24.5))


@scenario
def the_alert_says_which_pair_in_words():
    f = Fleet(THREE, minutes(12), probes={"icmp": 15})
    f.loss = lambda step, src, dst, probe, family: 0.2 if (src, dst) == ("n1", "n2") and step >= minutes(5) else 0.0
    return Scenario([f], expect={9: [pair("n1", "n2", "icmp")]}, texts=[
        (9, "KubecanaryPairLoss", pair("n1", "n2", "icmp"), {
            "summary": "Probes between two nodes are lost.",
            "description": "20% of the icmp probes (IPv4) from node n1 to node n2 (fleet kubecanary/mesh, network Pod) were lost over the last 2m"
                           " (limit 1 %). Neither node loses probes with most of its peers: the path between the two is at fault.",
            "runbook_url": "https://kubecanary.io/runbooks/KubecanaryPairLoss"})])


@scenario
def one_bad_link_of_three_nodes_names_no_node():
    f = Fleet(THREE, minutes(20))
    f.loss = link("n1", "n2", 1.0, 5, 20)
    return Scenario([f], expect={m: both("n1", "n2", "icmp", "tcp") for m in (9, 12, 19)},
                    values=[(m, "node:kubecanary_probe_loss:exceeded", None) for m in (5.5, 6, 9, 19)])


@scenario
def two_nodes_name_the_pair():
    f = Fleet(("n1", "n2"), minutes(12))
    f.loss = link("n1", "n2", 1.0, 5, 12)
    return Scenario([f], expect={10: both("n1", "n2", "icmp", "tcp")})


@scenario
def dead_node_is_named_and_its_pairs_are_not():
    f = Fleet(FIVE, minutes(25))
    f.scraped = lambda step, n: n != "n3" or step < minutes(5)
    f.loss = bare(1.0, 5, 25, "n3")
    return Scenario([f], expect={6.75: [], 9: [node("n3")], 12: [node("n3"), agent("KubecanaryAgentDown", "n3")]},
                    values=[(m, 'ALERTS{alertname="KubecanaryPairLoss"}', None) for m in (5, 5.25, 5.5, 5.75, 6, 7, 9, 20)], texts=[
        (9, "KubecanaryNodeLoss", node("n3"), {
            "summary": "A node loses probes with most of its peers.",
            "description": "Node n3 (fleet kubecanary/mesh, network Pod) loses 100% of its probes, with more than half of its peers, over the last 2m"
                           " (limit 1 %). The node or its link is at fault; alerts about its pairs are left out.",
            "runbook_url": "https://kubecanary.io/runbooks/KubecanaryNodeLoss"})])


@scenario
def dead_node_of_three():
    f = Fleet(THREE, minutes(12))
    f.scraped = lambda step, n: n != "n3" or step < minutes(5)
    f.loss = bare(1.0, 5, 12, "n3")
    return Scenario([f], expect={9: [node("n3")]})


@scenario
def lossy_node_that_lives_is_named_once():
    f = Fleet(FIVE, minutes(20))
    f.loss = bare(0.1, 5, 15, "n3")
    return Scenario([f], expect={10: [node("n3")], 20: []}, values=[(m, 'ALERTS{alertname="KubecanaryPairLoss"}', None) for m in (8, 10, 14)])


@scenario
def half_of_the_nodes_dead_and_no_other_is_blamed():
    dead = SIX[3:]
    f = Fleet(SIX, minutes(12))
    f.scraped = lambda step, n: n not in dead or step < minutes(5)
    f.loss = bare(1.0, 5, 12, *dead)
    return Scenario([f], expect={9: [node(n) for n in dead]})


@scenario
def most_of_the_nodes_bad_are_named():
    bad = FIVE[1:]  # so that even the good one has to do with bad ones only
    f = Fleet(FIVE, minutes(12))
    f.loss = bare(0.5, 5, 12, *bad)
    return Scenario([f], expect={9: [node(n) for n in FIVE]})


@scenario
def node_that_only_cannot_send():
    f = Fleet(FIVE, minutes(12))
    f.loss = lambda step, src, dst, probe, family: 0.5 if src == "n1" and step >= minutes(5) else 0.0
    return Scenario([f], expect={9: [node("n1")]})


@scenario
def two_bad_links_of_one_node_of_five_are_pairs():
    first, second = link("n1", "n2", 0.5, 5, 12), link("n1", "n3", 0.5, 5, 12)
    f = Fleet(FIVE, minutes(12))
    f.loss = lambda *a: first(*a) + second(*a)
    return Scenario([f], expect={9: both("n1", "n2", "icmp", "tcp") + both("n1", "n3", "icmp", "tcp")},
                    values=[(9, "destination:kubecanary_probe_loss:suspected", None)])


@scenario
def a_bad_pair_beside_a_bad_node():
    bad, pair_loss = bare(1.0, 5, 12, "n5"), link("n1", "n2", 0.2, 5, 12)
    f = Fleet(FIVE, minutes(12))
    f.loss = lambda *a: min(1.0, bad(*a) + pair_loss(*a))
    return Scenario([f], expect={10: [node("n5")] + both("n1", "n2", "icmp", "tcp")})


def ring(n, degree, steps):
    """A fleet with the topology Sampled: each node probes the next ones."""
    names = tuple(f"n{i + 1}" for i in range(n))
    f = Fleet(names, steps, probes={"icmp": 15})
    f.probing = lambda step, src, dst: 1 <= (names.index(dst) - names.index(src)) % n <= degree
    return f


@scenario
def sampled_fleet_is_quiet():
    return Scenario([ring(8, 3, minutes(30))], silent=(5, 12, 29.75), values=[(10, "count(pair:kubecanary_probe_loss:ratio)", 24.0)])


@scenario
def sampled_dead_node_is_named_by_those_that_probe_it():
    f = ring(8, 3, minutes(12))
    f.scraped = lambda step, n: n != "n5" or step < minutes(5)
    f.loss = bare(1.0, 5, 12, "n5")
    return Scenario([f], expect={9: [node("n5")]}, values=[(m, 'ALERTS{alertname="KubecanaryPairLoss"}', None) for m in (5, 5.5, 6, 7, 9)])


@scenario
def sampled_lossy_node_that_lives_is_named_alone():
    f = ring(8, 3, minutes(20))
    f.loss = bare(0.2, 5, 15, "n5")
    return Scenario([f], expect={10: [node("n5")], 20: []})


@scenario
def sampled_pair_is_a_pair_even_where_only_two_probe():
    f = ring(6, 2, minutes(12))
    f.loss = link("n1", "n2", 0.5, 5, 12)  # n2 does not probe n1
    return Scenario([f], expect={9: [pair("n1", "n2", "icmp")]})


@scenario
def sampled_node_that_one_other_probes_is_only_a_pair():
    f = ring(5, 1, minutes(12))
    f.scraped = lambda step, n: n != "n2" or step < minutes(5)
    f.loss = bare(1.0, 5, 12, "n2")
    return Scenario([f], expect={9: [pair("n1", "n2", "icmp")]})


@scenario
def sampled_node_is_not_blamed_for_the_bad_nodes_that_probe_it():
    f = ring(12, 5, minutes(12))  # n8 is probed by n3, n5 and n7, and by two that see it well
    f.loss = bare(0.5, 5, 12, "n3", "n5", "n7")
    return Scenario([f], expect={9: [node(n) for n in ("n3", "n5", "n7")]},
                    values=[(9, 'count(destination:kubecanary_probe_loss:suspected{destination_node="n8"})', 1.0)])


@scenario
def sampled_node_that_half_of_the_good_ones_lose_is_not_named():
    bad, broken = bare(0.5, 5, 12, "n5", "n7"), link("n4", "n8", 0.5, 5, 12)  # n8 is probed by these and n6
    f = ring(12, 4, minutes(12))
    f.loss = lambda *a: bad(*a) + broken(*a)
    return Scenario([f], expect={9: [node("n5"), node("n7"), pair("n4", "n8", "icmp")]})


@scenario
def sampled_zone_that_is_cut_off_is_named_and_no_other():
    away = ("n3", "n5", "n7")
    f = ring(12, 5, minutes(12))
    f.loss = lambda step, src, dst, probe, family: 1.0 if (src in away) != (dst in away) and step >= minutes(5) else 0.0
    return Scenario([f], expect={9: [node(n) for n in away]})


@scenario
def sampled_fleet_that_grows_moves_pairs_in_silence():
    before, after = [f"n{i}" for i in range(1, 9)], [f"n{i}" for i in range(1, 5)] + ["n9"] + [f"n{i}" for i in range(5, 9)]

    def probes(names, src, dst):
        return src in names and dst in names and 1 <= (names.index(dst) - names.index(src)) % len(names) <= 3
    f = Fleet(after, minutes(60), probes={"icmp": 15})
    f.exists = lambda step, n: n != "n9" or step >= minutes(10)
    f.probing = lambda step, src, dst: probes(before, src, dst) if step < minutes(10) else \
        probes(after, src, dst) or (step < minutes(11) and probes(before, src, dst))  # what ended stays for a minute
    f.sends = lambda step, src, dst, probe: probes(before if step < minutes(10) else after, src, dst)
    return Scenario([f], expect={20: [], 20.75: []}, silent=(9, 10, 10.25, 11, 12, 13, 19, 21.5, 30, 59))


@scenario
def only_the_family_that_is_broken():
    broken = link("n1", "n2", 1.0, 5, 12)
    f = Fleet(THREE, minutes(12), families=("IPv4", "IPv6"), probes={"icmp": 15})
    f.loss = lambda step, src, dst, probe, family: broken(step, src, dst, probe, family) if family == "IPv6" else 0.0
    return Scenario([f], expect={9: [pair("n1", "n2", "icmp", "IPv6"), pair("n2", "n1", "icmp", "IPv6")]})


@scenario
def only_the_probe_that_fails():
    broken = link("n1", "n2", 1.0, 5, 12)
    f = Fleet(THREE, minutes(12))
    f.bad = "unreachable"
    f.loss = lambda step, src, dst, probe, family: broken(step, src, dst, probe, family) if probe == "tcp" else 0.0
    return Scenario([f], expect={9: both("n1", "n2", "tcp")})


@scenario
def corrupt_is_loss():
    f = Fleet(THREE, minutes(12))
    f.bad, f.loss = "corrupt", link("n1", "n2", 0.5, 5, 12)
    return Scenario([f], expect={9: both("n1", "n2", "icmp", "tcp")})


@scenario
def late_is_not_loss():
    f = Fleet(THREE, minutes(12))
    f.bad, f.loss = "late", link("n1", "n2", 1.0, 5, 12)
    return Scenario([f], silent=(6, 9, 11.75))


@scenario
def send_errors_are_not_loss_but_are_said():
    f = Fleet(THREE, minutes(16))
    f.bad, f.loss = "send_error", lambda step, src, dst, probe, family: 0.2 if src == "n1" and step >= minutes(5) else 0.0
    said = [alert("KubecanarySendErrors", source_node="n1", source_zone="zone-n1", probe=p, family="IPv4", network="Pod") for p in ("icmp", "tcp")]
    return Scenario([f], expect={9: [], 13: said})


@scenario
def nothing_sent_at_all_is_no_loss():
    f = Fleet(THREE, minutes(12))
    f.bad, f.loss = "send_error", lambda *a: 1.0
    return Scenario([f], values=[(8, "pair:kubecanary_probe_loss:ratio", None), (8, 'ALERTS{alertname=~".*Loss"}', None)])


@scenario
def in_flight_is_neither_lost_nor_zero_percent():
    f = Fleet(THREE, minutes(30))
    f.answers = lambda *a: False
    return Scenario([f], silent=(5, 10, 29.75), values=[(10, "pair:kubecanary_probe_loss:ratio", None)])


@scenario
def paused_fleet_is_silent():
    f = Fleet(THREE, minutes(60))
    f.sends = lambda step, *a: step < minutes(10)
    return Scenario([f], silent=(9, 15, 30, 59), values=[(15, "pair:kubecanary_probe_loss:ratio", None)])


@scenario
def removed_node_is_silent():
    f = Fleet(FIVE, minutes(60))
    f.exists = lambda step, n: n != "n5" or step < minutes(10)
    f.probing = lambda step, src, dst: dst != "n5" or step < minutes(10)
    return Scenario([f], silent=(9, 10, 10.25, 11, 12, 13, 20, 30, 59))


@scenario
def removed_node_that_lost_a_few_at_the_end_never_fires():
    f = Fleet(FIVE, minutes(30))
    f.exists = lambda step, n: n != "n5" or step < minutes(10)
    f.probing = lambda step, src, dst: dst != "n5" or step < minutes(10.75)
    f.gauges = lambda step, n: peers(Ready=4 - (step >= minutes(10.5)), NotReady=0)
    f.sends = lambda step, src, dst, probe: dst != "n5" or step < minutes(10.5)
    f.loss = lambda step, src, dst, probe, family: 1.0 if dst == "n5" and step >= minutes(10) else 0.0
    return Scenario([f], expect={m: [] for m in (10.5, 11, 12, 12.5, 13, 14, 20)}, silent=(13, 29))


def peers(**states):
    return {("kubecanary_peers", (("network", "Pod"), ("state", state))): n for state, n in states.items()}


@scenario
def dead_node_that_is_soon_not_ready_is_said_all_the_same():
    f = Fleet(FIVE, minutes(20))  # probed, and lost, for 45 s; then it is NotReady, is not probed, and its series end a minute later
    f.scraped = lambda step, n: n != "n5" or step < minutes(5)
    f.loss = bare(1.0, 5, 20, "n5")
    f.sends = lambda step, src, dst, probe: "n5" not in (src, dst) or step < minutes(5.75)
    f.probing = lambda step, src, dst: dst != "n5" or step < minutes(6.75)
    f.gauges = lambda step, n: peers(Ready=4 - (step >= minutes(5.75)), NotReady=int(step >= minutes(5.75)))
    return Scenario([f], expect={6.75: [], 7.25: [node("n5")], 9: [node("n5")], 18: [agent("KubecanaryAgentDown", "n5")]})


@scenario
def node_kept_in_the_files_but_not_probed_is_silent():
    f = Fleet(FIVE, minutes(60))  # NotReady: its agents' series stand still
    f.scraped = lambda step, n: n != "n5" or step < minutes(10)
    f.sends = lambda step, src, dst, probe: "n5" not in (src, dst) or step < minutes(10)
    return Scenario([f], expect={m: [agent("KubecanaryAgentDown", "n5")] for m in (16, 30, 59)})


@scenario
def silent_pair_is_said():
    f = Fleet(FIVE, minutes(60))
    f.sends = lambda step, src, dst, probe: (src, dst, probe) != ("n1", "n2", "icmp") or step < minutes(10)
    said = alert("KubecanaryPairSilent", source_node="n1", source_zone="zone-n1", destination_node="n2", destination_zone="zone-n2",
                 probe="icmp", family="IPv4", network="Pod")
    return Scenario([f], expect={19: [], 32: [said], 59: [said]})


@scenario
def probe_once_an_hour_is_no_silent_pair():
    f = Fleet(FIVE, minutes(120), probes={"icmp": 1})
    f.sends = lambda step, src, dst, probe: (step + 48 * FIVE.index(dst) + 7 * FIVE.index(src)) % minutes(60) == 0
    return Scenario([f], silent=tuple(range(10, 120, 5)))


@scenario
def series_born_at_zero_count_their_first_loss():
    f = Fleet(THREE, minutes(15))
    f.born_before = False
    f.exists = lambda step, n: n != "n3" or step >= minutes(5)
    f.probing = lambda step, src, dst: "n3" not in (src, dst) or step >= minutes(5)
    f.loss = link("n1", "n3", 1.0, 5, 15)
    return Scenario([f], expect={9: both("n1", "n3", "icmp", "tcp")}, values=[
        (5.25, 'min(pair:kubecanary_probe_lost:increase{source_node="n1", destination_node="n3", probe="icmp"} >= bool 15)', 1.0)])


@scenario
def one_lost_probe_is_not_a_rate():
    f = Fleet(THREE, minutes(15))
    f.loss = lambda step, src, dst, probe, family: 1 / 3 if (src, dst, probe, step) == ("n1", "n2", "tcp", minutes(5)) else 0.0
    return Scenario([f], silent=(5, 5.5, 6, 7, 8, 14), values=[
        (6, 'sum(pair:kubecanary_probe_lost:increase{probe="tcp"} > bool 0.9)', 1.0)])


@scenario
def two_lost_probes_are_gone_before_they_are_said():
    f = Fleet(THREE, minutes(15))
    f.loss = lambda step, src, dst, probe, family: 1 / 3 if (src, dst, probe) == ("n1", "n2", "tcp") and step in (20, 24) else 0.0
    return Scenario([f], expect={m: [] for m in (6, 7, 8, 9)}, silent=(10,))


@scenario
def counter_reset_is_no_loss():
    f = Fleet(THREE, minutes(15))
    f.restarts = {(minutes(6), "n1"), (minutes(6.25), "n1"), (minutes(8), "n2")}
    return Scenario([f], silent=(6, 6.25, 7, 9, 14))


@scenario
def counter_reset_does_not_hide_loss():
    f = Fleet(THREE, minutes(15))
    f.loss = link("n1", "n2", 0.2, 5, 15)
    f.restarts = {(minutes(8), "n1"), (minutes(10), "n1")}
    return Scenario([f], expect={m: both("n1", "n2", "icmp", "tcp") for m in (9, 10, 10.25, 12, 14)})


@scenario
def agent_in_a_new_pod_is_no_loss_and_no_new_pair():
    f = Fleet(THREE, minutes(20))
    f.pod_of = lambda step, n: f"mesh-pod-{n}-{'b' if step >= minutes(8) else 'a'}"
    f.restarts = {(minutes(8), n) for n in THREE}
    return Scenario([f], silent=(7, 8, 8.25, 9, 12, 19), values=[(9, "count(pair:kubecanary_probe_loss:ratio)", 12.0)])


@scenario
def a_roll_of_all_agents_that_loses_a_few_probes_of_each_pair_never_fires():
    f = Fleet(FIVE, minutes(20))
    turn = {n: minutes(5 + i / 2) for i, n in enumerate(FIVE)}  # one agent after the other, each half a minute
    f.pod_of = lambda step, n: f"mesh-pod-{n}-{'b' if step >= turn[n] else 'a'}"
    f.restarts = {(step, n) for n, step in turn.items()}
    f.loss = lambda step, src, dst, probe, family: 0.2 if step == turn.get(dst) else 0.0
    return Scenario([f], expect={m / 4: [] for m in range(20, 60)}, silent=(15,))


@scenario
def a_roll_of_all_agents_that_tell_each_other_never_fires():
    f = Fleet(FIVE, minutes(25))
    f.born_before = False
    turn = {n: minutes(5 + 2 * i) for i, n in enumerate(FIVE)}  # it leaves; a minute later another pod is there, and probed again half a minute after that
    back = {n: step + minutes(1) for n, step in turn.items()}
    f.pod_of = lambda step, n: f"mesh-pod-{n}-{'b' if step >= back[n] else 'a'}"
    f.restarts = {(step, n) for n, step in back.items()}
    f.exists = lambda step, n: not turn[n] <= step < back[n]
    f.sends = lambda step, src, dst, probe: dst not in turn or not turn[dst] <= step < back[dst] + minutes(0.5)

    def known(step, me):
        leaving = sum(n != me and turn[n] <= step < back[n] for n in FIVE)
        pending = sum(n != me and back[n] <= step < back[n] + minutes(0.5) for n in FIVE)
        return peers(Ready=4 - leaving - pending, Leaving=leaving, Pending=pending, NotReady=0)

    f.gauges = known
    every = [m / 2 for m in range(8, 50)]  # that an agent is missing is pending for half a minute each time, and nothing else is
    return Scenario([f], expect={m: [] for m in every}, values=[
        *[(m, 'ALERTS{alertname!="KubecanaryAgentsMissing"}', None) for m in every], (20, "sum(pair:kubecanary_probe_lost:increase)", 0.0)])


@scenario
def node_that_is_leaving_for_an_hour_says_nothing():
    f = Fleet(FIVE, minutes(75))  # tainted by an autoscaler, and drained slowly: nobody probes it, it probes the others
    f.sends = lambda step, src, dst, probe: dst != "n5" or step < minutes(10)
    f.gauges = lambda step, n: peers(Ready=4 if n == "n5" or step < minutes(10) else 3, Leaving=int(n != "n5" and step >= minutes(10)),
                                     Pending=0, NotReady=0)
    return Scenario([f], silent=(9, 11, 20, 26, 32, 59, 74))


@scenario
def loss_goes_on_over_a_new_pod():
    f = Fleet(THREE, minutes(20))
    f.pod_of = lambda step, n: f"mesh-pod-{n}-{'b' if step >= minutes(10) else 'a'}"
    f.restarts = {(minutes(10), n) for n in THREE}
    f.loss = link("n1", "n2", 0.2, 5, 20)
    return Scenario([f], expect={m: both("n1", "n2", "icmp", "tcp") for m in (9, 10, 10.5, 12, 19)})


@scenario
def the_rules_of_one_fleet_leave_another_alone():
    f, other = Fleet(THREE, minutes(12)), Fleet(THREE, minutes(12), fleet="other")
    elsewhere = Fleet(THREE, minutes(12), namespace="elsewhere")
    other.loss = elsewhere.loss = link("n1", "n2", 1.0, 5, 12)
    return Scenario([f, other, elsewhere], silent=(9, 11.75))


@scenario
def below_the_limit_of_the_fleet_is_silent():
    f = Fleet(THREE, minutes(30))
    f.loss = link("n1", "n2", 0.04, 5, 30)
    return Scenario([f], silent=(10, 20, 29), settings=("mesh", "kubecanary", "5", "1m", "5m"))


@scenario
def above_the_limit_of_the_fleet_fires():
    f = Fleet(THREE, minutes(30))
    f.loss = link("n1", "n2", 0.1, 5, 30)
    return Scenario([f], expect={20: both("n1", "n2", "icmp", "tcp")}, settings=("mesh", "kubecanary", "5", "1m", "5m"))


def target(name, source=None, probe="icmp"):
    labels = {"target": name, "probe": probe, "family": "IPv4", "network": "Pod"}
    if source:
        labels.update(source_node=source, source_zone=f"zone-{source}")
    return labels


@scenario
def target_lost_from_everywhere_is_the_targets_fault():
    f = Fleet(FIVE, minutes(15), targets=("gateway", "web"), probes={"icmp": 15})
    f.loss = lambda step, src, dst, probe, family: 0.5 if dst == "gateway" and step >= minutes(5) else 0.0
    return Scenario([f], expect={9: [alert("KubecanaryTargetLoss", **target("gateway"))]})


@scenario
def target_lost_from_one_node_is_that_nodes_way():
    f = Fleet(FIVE, minutes(15), targets=("gateway", "web"), probes={"icmp": 15})
    f.loss = lambda step, src, dst, probe, family: 0.5 if (src, dst) == ("n1", "gateway") and step >= minutes(5) else 0.0
    return Scenario([f], expect={9: [alert("KubecanaryNodeTargetLoss", **target("gateway", "n1"))]})


@scenario
def one_node_alone_with_a_dead_target():
    f = Fleet(("n1",), minutes(15), targets=("gateway",), probes={"icmp": 15})
    f.loss = lambda step, *a: 1.0 if step >= minutes(5) else 0.0
    return Scenario([f], expect={9: [alert("KubecanaryTargetLoss", **target("gateway"))]})


@scenario
def bad_node_takes_its_targets_with_it():
    f = Fleet(FIVE, minutes(15), targets=("gateway",), probes={"icmp": 15})
    f.loss = bare(1.0, 5, 15, "n2")
    return Scenario([f], expect={9: [node("n2")]})


@scenario
def agent_down():
    f = Fleet(THREE, minutes(20))
    f.scraped = lambda step, n: n != "n3" or step < minutes(5)
    return Scenario([f], expect={9: [], 11: [agent("KubecanaryAgentDown", "n3")]})


@scenario
def no_agent_at_all():
    return Scenario([Fleet(THREE, minutes(20), fleet="other")], expect={9: [], 11: [alert("KubecanaryAgentsAbsent")]})


@scenario
def agents_missing():
    f = Fleet(THREE, minutes(30))
    f.gauges = lambda step, n: peers(Ready=2, NotReady=0, Pending=1 if step >= minutes(5) else 0)
    return Scenario([f], expect={19: [], 22: [alert("KubecanaryAgentsMissing", network="Pod", state="Pending")]})


@scenario
def reload_failed_and_generation_behind():
    f = Fleet(THREE, minutes(25))
    f.gauges = lambda step, n: {
        ("kubecanary_config_last_reload_successful", ()): 0 if n == "n2" and step >= minutes(5) else 1,
        ("kubecanary_config_generation", ()): 3 if n == "n2" or step < minutes(5) else 4}
    return Scenario([f], expect={9: [], 11: [agent("KubecanaryConfigReloadFailed", "n2")],
                                 16: [agent("KubecanaryConfigReloadFailed", "n2"), agent("KubecanaryConfigOutdated", "n2")]})
