# SPDX-License-Identifier: Apache-2.0
"""Real loss, made by nftables on a node: between two nodes, and on all links of one. The alert names what is at fault and
nothing else, and goes when the link is well again."""
import time
from contextlib import contextmanager

from testbed.shell import Failure, run, wait_for

from .context import FLEET, NAMESPACE
from .steps import expect, same, step

STEPS = []
BAD_PAIR = ("n1", "n2")
BAD_NODE = "n3"
PER_CENT = 20
FIRING_SECONDS = 120
RESOLVED_SECONDS = 180
EVALUATIONS = 5  # of the rules, in which other alerts get the chance to come while that one fires
TABLE = "kubecanary_test"


class Wrong(Exception):
    """An alert that names what is well. Not a Failure: wait_for must not wait until it goes away."""


@contextmanager
def loss_on(ctx, name: str, others: list, per_cent: int):
    """Drops per_cent of what passes from the node's pods to the other nodes' pods, in both families. A probe of either
    direction needs that way once, so both directions of a pair lose per_cent."""
    machine = ctx.testbed.machine(name)
    rules = [f"add table inet {TABLE}", f"add chain inet {TABLE} forward {{ type filter hook forward priority -10; }}"]
    for other in others:
        for family, mine, theirs in zip(["ip", "ip6"], machine.node.pods, ctx.testbed.plan.node(other).pods):
            rules.append(f"add rule inet {TABLE} forward {family} saddr {mine} {family} daddr {theirs} "
                         f"numgen random mod 100 <= {per_cent - 1} counter drop")
    run([*machine.inside(), "nft", "-f", "-"], stdin="\n".join(rules) + "\n")
    try:
        yield
    finally:
        run([*machine.inside(), "nft", "delete", "table", "inet", TABLE])


def pair(labels: dict) -> tuple:
    return tuple(sorted([labels.get("source_node", ""), labels.get("destination_node", "")]))


def names_pair(labels: dict) -> bool:
    return labels["alertname"] == "KubecanaryPairLoss" and pair(labels) == BAD_PAIR


def names_node(labels: dict) -> bool:
    return labels["alertname"] == "KubecanaryNodeLoss" and labels.get("node") == BAD_NODE


def _of_fleet(ctx) -> list:
    return [(state, labels) for state, labels in ctx.prometheus.alerts()
            if labels.get("fleet") == FLEET and labels.get("namespace") == NAMESPACE]


def _firing(ctx, is_right) -> list:
    """The labels of the alerts that fire; raises Wrong when one of them is not the right one. What is pending may be: the loss
    of a node is that of a pair until its second pair has lost something, and that is what `for` is there for."""
    alerts = _of_fleet(ctx)
    wrong = [(state, labels) for state, labels in alerts if state == "firing" and not is_right(labels)]
    if wrong:
        raise Wrong(f"alerts that name something else: {wrong}")
    return [labels for state, labels in alerts if state == "firing"]


def _watch_evaluations(ctx, is_right, must_fire=True) -> None:
    """Looks on over some evaluations of the rules; must_fire: while the loss lasts."""
    seen = set()

    def over():
        expect(_firing(ctx, is_right) or not must_fire, "the alert ended while the loss went on")
        seen.update(group["lastEvaluation"] for group in ctx.prometheus.groups() if group["name"].endswith(f".{FLEET}"))
        return len(seen) > EVALUATIONS
    wait_for(f"{EVALUATIONS} evaluations of the rules", over, seconds=300, every=0.5)


def provoke(ctx, is_right, name: str, others: list, per_cent: int) -> str:
    """Makes the loss, waits for the alert, looks that it stays alone, repairs, waits for its end."""
    try:
        with loss_on(ctx, name, others, per_cent):
            started = time.monotonic()
            wait_for("a firing alert", lambda: _firing(ctx, is_right), seconds=FIRING_SECONDS, every=0.5)
            fired = time.monotonic() - started
            _watch_evaluations(ctx, is_right)
            firing = _firing(ctx, is_right)
        repaired = time.monotonic()
        wait_for("the end of the alert", lambda: not _of_fleet(ctx), seconds=RESOLVED_SECONDS, every=0.5)
    except Wrong as e:
        raise Failure(str(e)) from e
    named = sorted({labels.get("node") or f"{labels['source_node']} -> {labels['destination_node']}" for labels in firing})
    return (f"fired after {fired:.0f} s for {', '.join(named)}, stayed alone for {EVALUATIONS} evaluations, "
            f"resolved {time.monotonic() - repaired:.0f} s after the repair")


@step(STEPS, f"{PER_CENT} % loss between {BAD_PAIR[0]} and {BAD_PAIR[1]}: the alert fires for that pair and no other, and resolves",
      nodes=True, prometheus=True)
def pair_loss(ctx):
    return provoke(ctx, names_pair, BAD_PAIR[0], [BAD_PAIR[1]], PER_CENT)


@step(STEPS, "the agents' counters agree: loss on that pair only", nodes=True)
def counters(ctx):
    lost = {}
    for series in ctx.scrape_all().values():
        for labels, value in series["kubecanary_probe_results_total"]:
            if labels["result"] in ("lost", "unreachable", "corrupt") and value:
                lost[pair(labels)] = lost.get(pair(labels), 0) + value
    same("pairs that lost probes", sorted(lost), [BAD_PAIR])
    return f"{lost[BAD_PAIR]:.0f} probes"


@step(STEPS, "all agents are rolled by kubectl: what leaves and comes is nobody's loss, and no alert fires", prometheus=True)
def rolled(ctx):
    before = ctx.identities()
    ctx.kubectl("rollout", "restart", f"daemonset/{FLEET}-pod", "-n", NAMESPACE)
    try:
        def renewed():
            _firing(ctx, lambda _: False)
            now = ctx.identities()
            return len(now) == len(before) and all(now[node][0] != before[node][0] for node in before)
        wait_for("new agents on all nodes", renewed, seconds=180, every=0.5)
        ctx.wait_agents(len(before))
        _watch_evaluations(ctx, lambda _: False, must_fire=False)
    except Wrong as e:
        raise Failure(str(e)) from e
    lost = sum(v for series in ctx.scrape_all().values() for labels, v in series["kubecanary_probe_results_total"]
               if labels["result"] in ("lost", "unreachable", "corrupt"))
    return f"{lost:.0f} probes lost by the new agents"


@step(STEPS, f"{BAD_NODE} cut off from all others: the alert names the node instead of its pairs, and resolves",
      nodes=True, prometheus=True)
def node_loss(ctx):
    others = [n for n in ctx.zones() if n != BAD_NODE]
    return provoke(ctx, names_node, BAD_NODE, others, 100)
