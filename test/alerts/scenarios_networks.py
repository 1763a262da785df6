# SPDX-License-Identifier: Apache-2.0
"""Fleets with an agent in each network on every node: what belongs to one network is said of that one."""
from mesh import Fleet, minutes
from scenarios import FIVE, THREE, Scenario, alert, bare, node, pair, scenario, target

BOTH = ("Pod", "Node")


@scenario
def two_networks_are_quiet():
    return Scenario([Fleet(THREE, minutes(12), networks=BOTH)], silent=(5, 11.75),
                    values=[(10, "count(count by (network) (pair:kubecanary_probe_loss:ratio))", 4), (10, "count(pair:kubecanary_probe_loss:ratio)", 48)])


@scenario
def pods_of_one_node_are_cut_off_and_its_host_is_not():
    f = Fleet(FIVE, minutes(20), networks=BOTH)
    pods = {"Pod": ("src", "dst"), "PodToNode": ("src",), "NodeToPod": ("dst",), "Node": ()}

    def loss(network, step, src, dst, probe, family):
        ends = {"src": src, "dst": dst}
        return 1.0 if minutes(5) <= step < minutes(15) and "n3" in [ends[e] for e in pods[network]] else 0.0
    f.loss_in = loss
    return Scenario([f], expect={9: [node("n3", n) for n in ("Pod", "PodToNode", "NodeToPod")], 20: []},
                    values=[(m, 'ALERTS{alertname="KubecanaryPairLoss"}', None) for m in (6, 8, 10, 14)])


@scenario
def pair_of_one_network_alone():
    f = Fleet(FIVE, minutes(12), networks=BOTH, probes={"icmp": 15})
    f.loss_in = lambda network, step, src, dst, *_: 0.2 if (network, src, dst) == ("NodeToPod", "n1", "n2") and step >= minutes(5) else 0.0
    return Scenario([f], expect={9: [pair("n1", "n2", "icmp", network="NodeToPod")]}, texts=[
        (9, "KubecanaryPairLoss", pair("n1", "n2", "icmp", network="NodeToPod"), {
            "summary": "Probes between two nodes are lost.",
            "description": "20% of the icmp probes (IPv4) from node n1 to node n2 (fleet kubecanary/mesh, network NodeToPod) were lost over the last"
                           " 2m (limit 1 %). Neither node loses probes with most of its peers: the path between the two is at fault.",
            "runbook_url": "https://kubecanary.io/runbooks/KubecanaryPairLoss"})])


@scenario
def pair_beside_a_node_whose_pods_are_cut_off():
    f = Fleet(FIVE, minutes(12), networks=BOTH, probes={"icmp": 15})

    def loss(network, step, src, dst, *_):
        return 1.0 if step >= minutes(5) and ((network == "Pod" and "n3" in (src, dst)) or (network, src, dst) == ("Node", "n1", "n3")) else 0.0
    f.loss_in = loss
    return Scenario([f], expect={9: [node("n3", "Pod"), pair("n1", "n3", "icmp", network="Node")]})


@scenario
def dead_node_in_two_networks():
    f = Fleet(THREE, minutes(9), networks=BOTH)
    f.scraped = lambda step, n: n != "n3" or step < minutes(5)
    f.loss = bare(1.0, 5, 9, "n3")
    return Scenario([f], expect={8.75: [node("n3", n) for n in ("Pod", "Node", "PodToNode", "NodeToPod")]})


@scenario
def target_that_only_the_hosts_cannot_reach():
    f = Fleet(THREE, minutes(12), networks=BOTH, targets=("gateway",), probes={"icmp": 15})
    f.loss_in = lambda network, step, src, dst, *_: 1.0 if (network, dst) == ("Node", "gateway") and step >= minutes(5) else 0.0
    return Scenario([f], expect={9: [alert("KubecanaryTargetLoss", **dict(target("gateway"), network="Node"))]})
