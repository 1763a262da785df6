# SPDX-License-Identifier: Apache-2.0
"""Real loss between two nodes, made by nftables on one of them: the alert names that pair and no other, and goes when the
link is well again."""
import time
from contextlib import contextmanager

from testbed.shell import Failure, run, wait_for

from .context import FLEET, NAMESPACE
from .steps import expect, same, step

STEPS = []
BAD = ("n1", "n2")
PER_CENT = 20
FIRING_SECONDS = 120
RESOLVED_SECONDS = 180
EVALUATIONS = 8  # of the rules, in which other alerts get the chance to come while that one fires
TABLE = "kubecanary_test"


@contextmanager
def lossy_link(ctx):
    """Drops PER_CENT of what passes from the one node's pods to the other's, both families. A probe of either direction needs
    that way once, so both directions of the pair lose PER_CENT."""
    machine = ctx.testbed.machine(BAD[0])
    other = ctx.testbed.plan.node(BAD[1])
    rules = [f"add table inet {TABLE}",
             f"add chain inet {TABLE} forward {{ type filter hook forward priority -10; }}"]
    for family, mine, theirs in zip(["ip", "ip6"], machine.node.pods, other.pods):
        rules.append(f"add rule inet {TABLE} forward {family} saddr {mine} {family} daddr {theirs} "
                     f"numgen random mod 100 < {PER_CENT} counter drop")
    run([*machine.inside(), "nft", "-f", "-"], stdin="\n".join(rules) + "\n")
    try:
        yield
    finally:
        run([*machine.inside(), "nft", "delete", "table", "inet", TABLE])


def _pair(labels: dict) -> tuple:
    return tuple(sorted([labels.get("source_node", ""), labels.get("destination_node", "")]))


def _of_fleet(ctx) -> list:
    return [(state, labels) for state, labels in ctx.prometheus.alerts() if labels.get("fleet") == FLEET]


def _only_bad_pair(ctx) -> list:
    """The firing alerts; fails when one, even pending, names anything but the bad pair."""
    alerts = _of_fleet(ctx)
    others = [(state, labels) for state, labels in alerts
              if labels["alertname"] != "KubecanaryPairLoss" or _pair(labels) != BAD or labels.get("namespace") != NAMESPACE]
    expect(not others, f"alerts that name something else: {others}")
    return [labels for state, labels in alerts if state == "firing"]


def _firing(ctx):
    alerts = _of_fleet(ctx)
    firing = [labels for state, labels in alerts if state == "firing"]
    if not firing:
        raise Failure(f"alerts: {alerts}")
    return firing


def _watch_others(ctx) -> None:
    """Goes on asking while the loss lasts: nothing else may become even pending."""
    seen = set()

    def over():
        _strict(ctx)
        seen.update(group["lastEvaluation"] for group in ctx.prometheus.groups() if group["name"].endswith(f".{FLEET}"))
        return len(seen) > EVALUATIONS
    wait_for(f"{EVALUATIONS} evaluations of the rules", over, seconds=300, every=1)


class _Wrong(Exception):
    """Not a Failure: wait_for must not wait until it goes away."""


def _strict(ctx) -> None:
    try:
        _only_bad_pair(ctx)
    except Failure as e:
        raise _Wrong(str(e)) from e


@step(STEPS, f"{PER_CENT} % loss between {BAD[0]} and {BAD[1]}: the alert fires for that pair and no other; repaired, it resolves",
      nodes=True, prometheus=True)
def loss(ctx):
    try:
        with lossy_link(ctx):
            started = time.monotonic()
            wait_for("a firing alert", lambda: _firing(ctx), seconds=FIRING_SECONDS, every=0.5)
            fired = time.monotonic() - started
            _strict(ctx)
            _watch_others(ctx)
            firing = _only_bad_pair(ctx)
            expect(firing, "the alert ended while the loss went on")
        repaired = time.monotonic()
        wait_for("the end of the alert", lambda: not _of_fleet(ctx), seconds=RESOLVED_SECONDS, every=0.5)
    except _Wrong as e:
        raise Failure(str(e)) from e
    directions = sorted({f"{labels['source_node']} -> {labels['destination_node']}" for labels in firing})
    return (f"fired after {fired:.0f} s for {', '.join(directions)}; {EVALUATIONS} evaluations later still alone; "
            f"resolved {time.monotonic() - repaired:.0f} s after the repair")


@step(STEPS, "the agents' counters agree: loss on that pair only", nodes=True)
def counters(ctx):
    lost = {}
    for series in ctx.scrape_all().values():
        for labels, value in series["kubecanary_probe_results_total"]:
            if labels["result"] in ("lost", "unreachable", "corrupt") and value:
                lost[_pair(labels)] = lost.get(_pair(labels), 0) + value
    same("pairs that lost probes", sorted(lost), [BAD])
    return f"{lost[BAD]:.0f} probes"
