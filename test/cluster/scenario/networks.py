# SPDX-License-Identifier: Apache-2.0
"""A fleet in both networks: an agent in the pods' network and one in the hosts' on every node, and four ways between two nodes."""
import collections
import json

from testbed.shell import Failure, run, wait_for

from .context import FLEET, NAMESPACE, ROLLOUT_SECONDS
from .install import RESTRICTED, SHORT
from .steps import expect, same, step

STEPS = []
NETWORKS = ["Pod", "Node"]
WAYS = ["Node", "NodeToPod", "Pod", "PodToNode"]
SETS = {"Pod": f"{FLEET}-pod", "Node": f"{FLEET}-node"}
LOST = ("lost", "unreachable", "corrupt")


def agents(ctx, network: str) -> list:
    return [p for p in ctx.agents() if p["metadata"]["labels"]["kubecanary.io/network"] == network]


def scrapes(ctx) -> list:
    return [ctx.scrape(p) for p in ctx.agents()]


def wait_sets(ctx) -> None:
    """Waits until both DaemonSets are rolled out on all nodes, and their pods of before are gone."""
    count = len(ctx.nodes())

    def rolled_out():
        for name in SETS.values():
            daemonset = ctx.api.find("daemonsets", name, NAMESPACE)
            if not daemonset:
                raise Failure(f"there is no {name}")
            status = daemonset["status"]
            got = [status.get(k, 0) for k in ("desiredNumberScheduled", "numberReady", "updatedNumberScheduled")]
            if status.get("observedGeneration") != daemonset["metadata"]["generation"] or got != [count] * 3:
                raise Failure(f"{name}: {status}")
        pods = ctx.api.list("pods", NAMESPACE, labelSelector=f"kubecanary.io/fleet={FLEET}")
        if len(pods) != count * len(SETS):
            raise Failure(f"{len(pods)} pods")
        return True
    wait_for("both DaemonSets rolled out", rolled_out, seconds=ROLLOUT_SECONDS, every=0.3)


def results(ctx) -> dict:
    """network -> result -> count, over all agents and pairs."""
    found = {way: collections.Counter() for way in WAYS}
    for series in scrapes(ctx):
        for labels, value in series["kubecanary_probe_results_total"]:
            found[labels["network"]][labels["result"]] += value
    return found


def wait_all_ways(ctx) -> None:
    """Waits until each pair has received an answer of each probe and family on each of the four ways."""
    fleet = ctx.fleet()["spec"]["mesh"]
    count = len(ctx.nodes()) * (len(ctx.nodes()) - 1) * len(fleet["probes"]) * len(fleet.get("ipFamilies", ["IPv4", "IPv6"]))

    def received():
        have = collections.Counter()
        for series in scrapes(ctx):
            for labels, value in series["kubecanary_probe_results_total"]:
                have[labels["network"]] += labels["result"] == "received" and value > 0
        if have != dict.fromkeys(WAYS, count):
            raise Failure(f"{dict(have)} of {count} each")
        return True
    wait_for("answers of every pair, probe and family on all four ways", received, seconds=90, every=0.5)


def nothing_lost(ctx) -> str:
    found = results(ctx)
    same("probes lost", {way: sum(found[way][r] for r in LOST) for way in WAYS}, dict.fromkeys(WAYS, 0))
    return ", ".join(f"{way} {found[way]['received']:.0f}" for way in WAYS) + " received"


@step(STEPS, "the network Node in a namespace that enforces the Restricted profile: its pods are refused, the status says so, and the others go on",
      vital=True)
def refused(ctx):
    before = ctx.identities()
    ctx.change({"mesh": {"networks": NETWORKS}, **SHORT})

    def said():
        condition = ctx.condition("Ready")
        words = [f"DaemonSet {SETS['Node']}: none of its pods is there", "Pod Security level privileged"]
        if condition.get("status") != "False" or not all(word in condition["message"] for word in words):
            raise Failure(f"{condition}")
        return condition["message"]
    message = wait_for("a condition that names the DaemonSet and the level", said, seconds=ROLLOUT_SECONDS, every=0.3)
    same("agents in the network Node", agents(ctx, "Node"), [])
    same("agents in the network Pod", ctx.identities(), before)
    return message


@step(STEPS, "with the level privileged and ping sockets for the agents' group, both DaemonSets roll out; the status counts nodes, not agents",
      vital=True)
def rolls_out(ctx):
    ctx.kubectl("label", "--overwrite", "namespace", NAMESPACE, *(f"{k}=privileged" for k in RESTRICTED))
    if ctx.owns_nodes:  # a network namespace of our own has no ping sockets for anybody; systemd gives them to all on a real node
        for machine in ctx.testbed.machines():
            run([*machine.inside(), "sysctl", "-qw", "net.ipv4.ping_group_range=65532 65532"])
    ctx.kubectl("rollout", "restart", f"daemonset/{SETS['Node']}", "-n", NAMESPACE)  # the controller would wait longer and longer
    wait_sets(ctx)
    ctx.wait_condition("Ready", "True")
    ctx.wait_condition("Degraded", "False")
    nodes = ctx.fleet()["status"]["nodes"]
    same("status.nodes", (nodes["desired"], nodes["ready"]), (len(ctx.nodes()),) * 2)
    for pod in agents(ctx, "Node"):
        same("addresses", sorted(a["ip"] for a in pod["status"]["podIPs"]), sorted(
            a["address"] for n in ctx.nodes() if n["metadata"]["name"] == pod["spec"]["nodeName"]
            for a in n["status"]["addresses"] if a["type"] == "InternalIP"))


@step(STEPS, "every pair is probed on all four ways, and nothing is lost")
def all_ways(ctx):
    wait_all_ways(ctx)
    return nothing_lost(ctx)


@step(STEPS, "a second fleet in the network Node finds the hosts' ports taken, and its status says so")
def no_place(ctx):
    other = {"apiVersion": "kubecanary.io/v1alpha1", "kind": "ProbeFleet", "metadata": {"name": "other", "namespace": NAMESPACE},
             "spec": {"mesh": {"networks": ["Node"], "probes": [{"name": "icmp", "type": "ICMP"}]}}}
    ctx.kubectl("apply", "-f", "-", stdin=json.dumps(other))

    def said():
        conditions = ctx.api.get("probefleets", "other", NAMESPACE).get("status", {}).get("conditions", [])
        degraded = next((c for c in conditions if c["type"] == "Degraded"), {})
        if degraded.get("reason") != "AgentsNotScheduled" or "free ports" not in degraded["message"]:
            raise Failure(f"{conditions}")
        return degraded["message"]
    message = wait_for("a condition that says so", said, seconds=60, every=0.3)
    ctx.kubectl("delete", "probefleet", "other", "-n", NAMESPACE)
    wait_for("the end of its pods", lambda: not ctx.api.list("pods", NAMESPACE, labelSelector="kubecanary.io/fleet=other"), seconds=60, every=0.3)
    return message


@step(STEPS, "both DaemonSets are rolled at once: nothing is lost")
def rolled(ctx):
    before = {p["metadata"]["uid"] for p in ctx.agents()}
    for name in SETS.values():
        ctx.kubectl("rollout", "restart", f"daemonset/{name}", "-n", NAMESPACE)
    worst = collections.Counter()

    def renewed():
        # A pod that goes takes its counters with it: look at all that can still be asked.
        for pod in ctx.agents():
            try:
                series = ctx.scrape(pod)["kubecanary_probe_results_total"]
            except Failure:
                continue  # it has no file, or no socket, yet or any more
            for labels, value in series:
                if labels["result"] in LOST and value:
                    worst[labels["network"], labels["source_node"], labels["destination_node"], labels["probe"]] = value
        left = before & {p["metadata"]["uid"] for p in ctx.agents()}
        if left:
            raise Failure(f"{len(left)} of {len(before)} pods are still the old ones")
        return True
    wait_for("new agents in both networks on all nodes", renewed, seconds=180, every=0.5)
    wait_sets(ctx)
    wait_all_ways(ctx)
    same("probes lost on the way", dict(worst), {})
    return nothing_lost(ctx)


@step(STEPS, "Prometheus scrapes the agents of both, and no alert fires", prometheus=True)
def scraped(ctx):
    def measured():
        ratios = ctx.prometheus.query(f'count by (network) (pair:kubecanary_probe_loss:ratio{{fleet="{FLEET}",namespace="{NAMESPACE}"}})')
        pods = sorted(labels["pod"] for labels, health in ctx.prometheus.targets() if labels.get("fleet") == FLEET and health == "up")
        if pods != sorted(p["metadata"]["name"] for p in ctx.agents()) or sorted(labels["network"] for labels, _ in ratios) != WAYS:
            ctx.poke_prometheus()
            raise Failure(f"{pods}, {ratios}")
        return True
    wait_for("a loss ratio of every way", measured, seconds=120, every=1)
    # An agent that was being rolled when it was scraped is pending for its five minutes, as is right; loss is not.
    said = [labels for state, labels in ctx.prometheus.alerts() if state == "firing" or "Loss" in labels["alertname"]]
    same("alerts", said, [])


@step(STEPS, "back to the network Pod: the other DaemonSet goes, nobody else is restarted, and nothing is lost")
def back(ctx):
    before = {p["metadata"]["uid"] for p in agents(ctx, "Pod")}
    ctx.change({"mesh": {"networks": ["Pod"]}})

    def gone():
        pods = [p["metadata"]["name"] for p in ctx.api.list("pods", NAMESPACE, labelSelector=f"kubecanary.io/fleet={FLEET},kubecanary.io/network=Node")]
        if pods or ctx.api.find("daemonsets", SETS["Node"], NAMESPACE):
            raise Failure(f"{pods}")
        return True
    wait_for("the end of the network Node", gone, seconds=60, every=0.3)
    ctx.wait_generation(ctx.fleet()["metadata"]["generation"])
    ctx.wait_condition("Ready", "True")
    same("agents", {p["metadata"]["uid"] for p in ctx.agents()}, before)
    lost = [s for series in scrapes(ctx) for s in series["kubecanary_probe_results_total"] if s[0]["result"] in LOST and s[1]]
    expect(not lost, f"{lost[:4]}")
    ctx.kubectl("label", "--overwrite", "namespace", NAMESPACE, *(f"{k}={v}" for k, v in RESTRICTED.items()))
