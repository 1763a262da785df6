# SPDX-License-Identifier: Apache-2.0
"""Other settings of the allocator under observation: nobody is replaced without the right to; a good change comes to one agent, and after its
three minutes to all; one that is worse, or that has agents killed for their memory, stops at the first. The three minutes pass beside the rest,
so these are several fleets."""
import json
import time

from testbed.shell import Failure, wait_for

from .allocators import FOREIGN, FOREIGN_PORT
from .context import FLEET, NAMESPACE, RELEASE, ROLLOUT_SECONDS
from .series import parse
from .steps import expect, same, step

STEPS = []
TRIAL = "trial"
OBSERVE_SECONDS = 180
OPERATOR_PORT = 9960
LOST = ("lost", "unreachable", "corrupt")
STOPPED = "AllocatorRolloutStopped"
EATEN_MIB = 32
TOLD = "kubecanary.io/allocator"
losses = {}  # fleet -> what was lost there so far


class Losses:
    """What the probes of a fleet's agents lost since this began. An agent that goes takes its counters with it: look() often."""

    def __init__(self, ctx, fleet: str):
        self.ctx, self.fleet, self.before, self.now = ctx, fleet, {}, {}
        self.look()
        self.before = dict(self.now)

    def look(self) -> None:
        for pod in self.ctx.agents(self.fleet):
            try:
                results = self.ctx.scrape(pod)["kubecanary_probe_results_total"]
            except Failure:
                continue  # it cannot be asked yet, or any more
            for labels, value in results:
                if labels["result"] in LOST:
                    self.now[pod["metadata"]["uid"], labels["destination_node"], labels["family"], labels["probe"], labels["result"]] = value

    def check(self) -> None:
        self.look()
        same(f"probes lost in {self.fleet}", {key: n for key, n in self.now.items() if n > self.before.get(key, 0)}, {})


def apply_fleet(ctx, name: str, spec: dict) -> None:
    fleet = {"apiVersion": "kubecanary.io/v1alpha1", "kind": "ProbeFleet", "metadata": {"name": name, "namespace": NAMESPACE}, "spec": spec}
    ctx.kubectl("apply", "-f", "-", stdin=json.dumps(fleet))


def trial_fleet(ctx, narenas: int, **rollout) -> None:
    probes = [{"name": "icmp", "type": "ICMP", "interval": "500ms", "timeout": "1s"}]
    apply_fleet(ctx, TRIAL, {"mesh": {"probes": probes}, "agent": {"allocator": {"type": "Jemalloc", "narenas": narenas, **rollout}}})


def row(ctx, fleet: str) -> dict:
    """status.allocatorRollouts of a fleet without overrides."""
    rows = ctx.api.get("probefleets", fleet, NAMESPACE).get("status", {}).get("allocatorRollouts", [])
    if len(rows) != 1:
        raise Failure(f"{rows}")
    return rows[0]


def wait_phase(ctx, fleet: str, phase: str, seconds: float = ROLLOUT_SECONDS, **more) -> dict:
    """Waits until the rollout is in that phase and has these members; looks what the fleet loses meanwhile."""
    def reached():
        losses[fleet].look()
        found = row(ctx, fleet)
        if found["phase"] != phase or {key: found.get(key) for key in more} != more:
            raise Failure(f"{found}")
        return found
    return wait_for(f"{fleet}: phase {phase} {more or ''}", reached, seconds=seconds, every=0.5)


def told(ctx, fleet: str) -> dict:
    """Node -> the settings that its agent was told, as their hash."""
    return {p["spec"].get("nodeName"): p["metadata"]["annotations"][TOLD] for p in ctx.agents(fleet)}


def stopped_series(ctx) -> list:
    page = parse(ctx.api.ask_pod(NAMESPACE, ctx.leader(), OPERATOR_PORT, "/metrics"))
    return [labels for labels, value in page.get("kubecanary_fleet_allocator_rollout_stopped", []) if value == 1]


def wait_event(ctx, fleet: str, reason: str, word: str) -> None:
    def there():
        notes = [e["message"] for e in ctx.api.list("events", NAMESPACE, fieldSelector=f"involvedObject.name={fleet},reason={reason}")]
        if not any(word in note for note in notes):
            raise Failure(f"{notes}")
        return True
    wait_for(f"an Event {reason} of {fleet}", there, seconds=30, every=0.5)


def strategy(ctx, fleet: str) -> str:
    return ctx.api.get("daemonsets", f"{fleet}-pod", NAMESPACE)["spec"]["updateStrategy"]["type"]


def wait_stopped(ctx, fleet: str, reason: str, word: str, before: dict) -> str:
    """Waits until the rollout stopped, and fails unless it says so everywhere and all agents but one are as before. Returns the other's node."""
    condition = ctx.wait_condition("Degraded", "True", name=fleet, reason=STOPPED)
    expect(word in condition["message"], f"{word!r} is not in {condition}")
    for kind in ("Ready", "Progressing"):
        ctx.wait_condition(kind, "False", name=fleet, reason=STOPPED)
    found = wait_phase(ctx, fleet, "Stopped", reason=reason)
    wait_event(ctx, fleet, STOPPED, word)
    labels = {"fleet_namespace": NAMESPACE, "fleet": fleet, "override": "", "reason": reason}
    same("series", [s for s in stopped_series(ctx) if s["fleet"] == fleet], [labels])
    same("strategy", strategy(ctx, fleet), "OnDelete")
    now = told(ctx, fleet)
    tried = [node for node, settings in now.items() if settings == found["settings"]]
    same("agents with the new settings", (len(tried), found["updated"]), (1, 1))
    others = {node: identity for node, identity in before.items() if node not in tried}
    end = time.monotonic() + 12  # the operator looks each ten seconds: what must not happen can only be watched for
    while time.monotonic() < end:
        losses[fleet].look()
        same("the others", {node: identity for node, identity in ctx.identities(fleet).items() if node not in tried}, others)
    return tried[0]


def wait_back(ctx, fleet: str, before: dict, tried: str) -> None:
    """Waits until all have the old settings again: the others as they are, and who had tried new ones anew."""
    wait_phase(ctx, fleet, "Complete")
    ctx.wait_sets({f"{fleet}-pod": len(before)}, fleet=fleet)
    ctx.wait_condition("Degraded", "False", name=fleet)
    ctx.wait_condition("Ready", "True", name=fleet)
    now = ctx.identities(fleet)
    same("agents that were replaced", [node for node in now if now[node] != before[node]], [tried])
    same("series", [s for s in stopped_series(ctx) if s["fleet"] == fleet], [])


@step(STEPS, "a rollout under observation, and an operator that may not delete pods: nobody is replaced, and the status says what it takes")
def without_the_right(ctx):
    trial_fleet(ctx, narenas=2)
    wait_for("its DaemonSet", lambda: ctx.api.find("daemonsets", f"{TRIAL}-pod", NAMESPACE), seconds=30)
    ctx.wait_sets({f"{TRIAL}-pod": len(ctx.nodes())}, fleet=TRIAL)
    losses[TRIAL] = Losses(ctx, TRIAL)
    wait_for("what all agents take", lambda: sum(m["afterAgents"] for m in row(ctx, TRIAL)["memory"]) == len(ctx.nodes()), seconds=90, every=0.5)
    before = ctx.identities(TRIAL)
    trial_fleet(ctx, narenas=1, rollout={})
    condition = ctx.wait_condition("Degraded", "True", name=TRIAL, reason="AllocatorRolloutForbidden")
    for word in ("spec.agent.allocator.rollout", "helm upgrade", "--set rbac.replaceAgents=true"):
        expect(word in condition["message"], f"{word!r} is not in {condition}")
    same("phase", row(ctx, TRIAL)["phase"], "Canary")
    wait_event(ctx, TRIAL, condition["reason"], "rbac.replaceAgents=true")
    same("agents", ctx.identities(TRIAL), before)
    return condition["message"]


@step(STEPS, "helm upgrade with rbac.replaceAgents=true: it goes on by itself with one agent, which is observed; the others are left alone", vital=True)
def granted(ctx):
    before, operators = ctx.identities(TRIAL), {p["metadata"]["uid"] for p in ctx.operators()}
    ctx.helm("upgrade", RELEASE, "charts/kubecanary", "-n", NAMESPACE, "--reuse-values", "--set", "rbac.replaceAgents=true")
    wait_for("the agent's observation", lambda: losses[TRIAL].look() or row(ctx, TRIAL).get("observedAt"), seconds=60, every=0.5)
    ctx.wait_condition("Degraded", "False", name=TRIAL)
    ctx.wait_condition("Progressing", "True", name=TRIAL, reason="AllocatorUnderObservation")
    now = ctx.identities(TRIAL)
    tried = [node for node in now if now[node] != before[node]]
    same("agents that were replaced", len(tried), 1)
    same("operators", {p["metadata"]["uid"] for p in ctx.operators()}, operators)
    return f"{tried[0]} tries first"


@step(STEPS, "meanwhile a change that takes more than maxResidentBytes: it stops at the first agent, and says so; nothing is lost")
def too_much(ctx):
    losses[FLEET] = Losses(ctx, FLEET)
    before = ctx.identities()
    ctx.change({"agent": {"allocator": {"type": "Jemalloc", "narenas": 1, "rollout": {"maxResidentBytes": 100000}}}})
    tried = wait_stopped(ctx, FLEET, "AboveMaxResident", "maxResidentBytes", before)
    memory = row(ctx, FLEET)["memory"]
    same("agents before and after", [sum(m.get(key, 0) for m in memory) for key in ("beforeAgents", "afterAgents")], [len(before), 1])
    ctx.change({"agent": {"allocator": {"type": "System", "narenas": None}}})
    wait_back(ctx, FLEET, before, tried)
    losses[FLEET].check()
    ctx.change({"agent": {"allocator": {"rollout": None}}})
    ctx.wait_condition("Ready", "True")
    return f"on {tried}, {memory}"


@step(STEPS, "meanwhile a memory limit at which the kernel kills the agent: it stops at the first, and says so", foreign=True)
def killed(ctx):
    def eater(limit: str):
        agent = {"image": ctx.foreign_image, "program": "Exporter", "args": [str(FOREIGN_PORT), str(EATEN_MIB)], "metricsPort": FOREIGN_PORT,
                 "allocator": {"type": "Jemalloc", "variable": "JE_MALLOC_CONF", "narenas": 1, "rollout": {}},
                 "resources": {"limits": {"memory": limit}}}
        apply_fleet(ctx, FOREIGN, {"agent": agent})

    eater(f"{2 * EATEN_MIB}Mi")
    wait_for("its DaemonSet", lambda: ctx.api.find("daemonsets", f"{FOREIGN}-pod", NAMESPACE), seconds=30)
    ctx.wait_sets({f"{FOREIGN}-pod": len(ctx.nodes())}, fleet=FOREIGN)
    ctx.wait_condition("Ready", "True", name=FOREIGN)
    losses[FOREIGN] = Losses(ctx, "nobody")  # it probes nothing
    before = ctx.identities(FOREIGN)
    eater(f"{EATEN_MIB // 2}Mi")
    tried = wait_stopped(ctx, FOREIGN, "OutOfMemory", "killed for its memory", before)
    statuses = [c for p in ctx.agents(FOREIGN) if p["spec"]["nodeName"] == tried for c in p["status"]["containerStatuses"]]
    ends = {state["terminated"]["reason"] for c in statuses for state in (c["state"], c["lastState"]) if "terminated" in state}
    same("how its container ended", ends, {"OOMKilled"})
    eater(f"{2 * EATEN_MIB}Mi")
    wait_back(ctx, FOREIGN, before, tried)
    ctx.kubectl("delete", "probefleet", FOREIGN, "-n", NAMESPACE)
    wait_for("the end of its pods", lambda: not ctx.api.list("pods", NAMESPACE, labelSelector=f"kubecanary.io/fleet={FOREIGN}"),
             seconds=ROLLOUT_SECONDS, every=0.3)
    return f"on {tried}"


@step(STEPS, "after three minutes the good change comes to all; the status has the memory before and after, and nothing was lost")
def completes(ctx):
    observed = row(ctx, TRIAL)
    wait_phase(ctx, TRIAL, "Complete", seconds=OBSERVE_SECONDS + ROLLOUT_SECONDS, updated=len(ctx.nodes()))
    ctx.wait_sets({f"{TRIAL}-pod": len(ctx.nodes())}, fleet=TRIAL)
    ctx.wait_condition("Ready", "True", name=TRIAL)
    same("strategy", strategy(ctx, TRIAL), "RollingUpdate")

    def measured():
        losses[TRIAL].look()
        found = row(ctx, TRIAL)
        if [sum(m.get(key, 0) for m in found["memory"]) for key in ("beforeAgents", "afterAgents")] != [len(ctx.nodes())] * 2:
            raise Failure(f"{found}")
        return found
    found = wait_for("the memory of all, before and after", measured, seconds=90, every=0.5)
    same("settings", set(told(ctx, TRIAL).values()), {found["settings"]})
    same("the row", {key: found[key] for key in ("settings", "before", "startedAt")}, {key: observed[key] for key in ("settings", "before", "startedAt")})
    expect(found["before"] != found["settings"], f"{found}")
    expect(all(m["beforeMedianBytes"] > 0 and m["afterMedianBytes"] > 0 for m in found["memory"]), f"{found}")
    losses[TRIAL].check()
    ctx.kubectl("delete", "probefleet", TRIAL, "-n", NAMESPACE)
    wait_for("the end of its pods", lambda: not ctx.api.list("pods", NAMESPACE, labelSelector=f"kubecanary.io/fleet={TRIAL}"),
             seconds=ROLLOUT_SECONDS, every=0.3)
    ctx.helm("upgrade", RELEASE, "charts/kubecanary", "-n", NAMESPACE, "--reuse-values", "--set", "rbac.replaceAgents=false")
    return ", ".join(f"{m['cpus']} cores: {m['beforeMedianBytes']} then {m['afterMedianBytes']} bytes" for m in found["memory"])
