# SPDX-License-Identifier: Apache-2.0
"""The operator dies, at any moment, alone or all of them: no child changes by it, and another one takes over."""
import time

from testbed.shell import Failure, wait_for

from .changes import without_restart
from .context import NAMESPACE, RELEASE
from .steps import same, step

STEPS = []
TAKE_OVER_SECONDS = 60


def _versions(ctx) -> dict:
    return {key: child["metadata"]["resourceVersion"] for key, child in ctx.children().items()}


def _kill(ctx, pod: str) -> None:
    """Without any grace: the process gets no chance to give its lease back."""
    ctx.api.delete("pods", pod, NAMESPACE, now=True)


@step(STEPS, "the leader is killed: the other takes over and carries out the next change")
def take_over(ctx):
    ctx.wait_operator()
    leader, before = ctx.leader(), _versions(ctx)
    started = time.monotonic()
    _kill(ctx, leader)

    def other():
        now = ctx.leader()
        return now if now != leader else None
    successor = wait_for("another leader", other, seconds=TAKE_OVER_SECONDS, every=0.2)
    took = time.monotonic() - started
    probes = [dict(p, interval="2s") if p["name"] == "icmp" else p for p in ctx.fleet()["spec"]["mesh"]["probes"]]
    same("children, after the take-over and before the change", _versions(ctx), before)
    without_restart(ctx, {"mesh": {"probes": probes}})
    return f"{successor} after {took:.0f} s"


@step(STEPS, "all operators are killed and start again: no child is written anew")
def restarted(ctx):
    ctx.wait_operator()
    ctx.wait_condition("Ready", "True")
    before, identities = _versions(ctx), ctx.identities()
    killed = [pod["metadata"]["name"] for pod in ctx.operators()]
    transitions = ctx.lease()["spec"].get("leaseTransitions", 0)
    for pod in killed:
        _kill(ctx, pod)

    def new_leader():
        if ctx.leader() in killed or ctx.lease()["spec"].get("leaseTransitions", 0) == transitions:
            raise Failure("no new leader yet")
        return True
    wait_for("a new leader", new_leader, seconds=TAKE_OVER_SECONDS + 60, every=0.3)
    ctx.wait_operator()
    # It has read the cluster and settled when the status of a new generation is there; this one changes no child but agent.yaml.
    untouched = {key: value for key, value in before.items() if not key.endswith("-agent") or not key.startswith("configmaps/")}
    same("children", {key: value for key, value in _versions(ctx).items() if key in untouched}, untouched)
    generation = ctx.change({"metrics": {"seriesLimit": 40000}})
    ctx.wait_generation(generation)
    same("children but agent.yaml", {key: value for key, value in _versions(ctx).items() if key in untouched}, untouched)
    same("the agents' pods and restarts", ctx.identities(), identities)


@step(STEPS, "the Deployment is restarted by kubectl: no gap in the agents")
def rollout(ctx):
    identities = ctx.identities()
    ctx.kubectl("rollout", "restart", "deployment", RELEASE, "-n", NAMESPACE)
    ctx.wait_operator()
    wait_for("two operators", lambda: len(ctx.operators()) == 2, seconds=60, every=0.3)
    ctx.wait_condition("Ready", "True")
    same("the agents' pods and restarts", ctx.identities(), identities)
