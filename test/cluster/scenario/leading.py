# SPDX-License-Identifier: Apache-2.0
"""The operator dies, or stands still, at any moment, alone or all of them: no child changes by it, and another one takes over."""
import signal
import time

from testbed.shell import Failure, wait_for

from .changes import without_restart
from .context import NAMESPACE, RELEASE
from .steps import expect, same, step

STEPS = []
TAKE_OVER_SECONDS = 90
QUIET_SECONDS = 3  # after which a leader of old would have written what it had in hand


def versions(ctx) -> dict:
    return {key: child["metadata"]["resourceVersion"] for key, child in ctx.children().items()}


def wait_successor(ctx, holders: set) -> str:
    """Waits until the lease is held by none of these; returns the leader's pod."""
    def other():
        if ctx.holder() in holders | {""}:
            raise Failure(f"{ctx.holder()!r} holds it")
        return ctx.leader()
    return wait_for("another leader", other, seconds=TAKE_OVER_SECONDS, every=0.2)


def change_interval(ctx, interval: str) -> None:
    probes = [dict(p, interval=interval) if p["name"] == "icmp" else p for p in ctx.fleet()["spec"]["mesh"]["probes"]]
    without_restart(ctx, {"mesh": {"probes": probes}})


@step(STEPS, "the leader's pod is deleted at once: the other takes over and carries out the next change")
def take_over(ctx):
    ctx.wait_operator()
    leader, holder, before = ctx.leader(), ctx.holder(), versions(ctx)
    started = time.monotonic()
    ctx.api.delete("pods", leader, NAMESPACE, now=True)
    successor = wait_successor(ctx, {holder})
    took = time.monotonic() - started
    same("children, after the take-over and before the change", versions(ctx), before)
    change_interval(ctx, "2s")
    return f"{successor} after {took:.0f} s"


@step(STEPS, "the leader stands still (SIGSTOP): the other takes over; awake again, the first one writes nothing", nodes=True)
def frozen(ctx):
    ctx.wait_operator()
    leader, holder = ctx.leader(), ctx.holder()
    started = time.monotonic()
    ctx.signal_operator(leader, signal.SIGSTOP)
    try:
        successor = wait_successor(ctx, {holder})
        took = time.monotonic() - started
        change_interval(ctx, "1s")
        ctx.wait_condition("Ready", "True")
        before, second = versions(ctx), ctx.holder()
    finally:
        ctx.signal_operator(leader, signal.SIGCONT)
    end = time.monotonic() + QUIET_SECONDS
    while time.monotonic() < end:
        same("children after the first one woke up", versions(ctx), before)
    same("the lease's holder", ctx.holder(), second)
    ctx.wait_operator()
    return f"{successor} after {took:.0f} s"


@step(STEPS, "all operators are killed and start again: no child is written anew")
def restarted(ctx):
    ctx.wait_operator()
    ctx.wait_condition("Ready", "True")
    before, identities, holder = versions(ctx), ctx.identities(), ctx.holder()
    for pod in ctx.operators():
        if ctx.owns_nodes:
            ctx.signal_operator(pod["metadata"]["name"], signal.SIGKILL)
        else:
            ctx.api.delete("pods", pod["metadata"]["name"], NAMESPACE, now=True)
    wait_successor(ctx, {holder})
    ctx.wait_operator()
    # It has read the cluster and settled when it has carried out a change; this one is of agent.yaml alone.
    ctx.wait_generation(ctx.change({"metrics": {"seriesLimit": 40000}}))
    after = versions(ctx)
    written = sorted(key for key in before if after.get(key) != before[key])
    expect(len(written) == 1 and written[0].startswith("configmaps/") and written[0].endswith("-agent"), f"written anew: {written}")
    same("the agents' pods and restarts", ctx.identities(), identities)


@step(STEPS, "the Deployment is restarted by kubectl: no gap in the agents")
def rollout(ctx):
    identities = ctx.identities()
    ctx.kubectl("rollout", "restart", "deployment", RELEASE, "-n", NAMESPACE)
    ctx.wait_operator()
    wait_for("two operators", lambda: len(ctx.operators()) == 2, seconds=60, every=0.3)
    ctx.wait_condition("Ready", "True")
    same("the agents' pods and restarts", ctx.identities(), identities)
