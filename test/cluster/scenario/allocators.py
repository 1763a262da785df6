# SPDX-License-Identifier: Apache-2.0
"""What allocators are told, and what comes of it: by our agents, by those of some nodes, and by a program that is not ours."""
import json
import time

from testbed.shell import Failure, wait_for

from .context import FLEET, NAMESPACE, ROLLOUT_SECONDS
from .steps import expect, same, step

STEPS = []
LABEL = "kubecanary-e2e-size"
OVERRIDE = "few"
FOREIGN = "foreign"
FOREIGN_PORT = 9374
VERDICT_SECONDS = 120


def of_pods(ctx, metric: str, fleet: str = FLEET, **labels) -> list:
    """(labels, value) of a metric in Prometheus, of the pods that the fleet has now; a Failure as long as one of them has none."""
    select = ",".join(f'{key}="{value}"' for key, value in {"fleet": fleet, "namespace": NAMESPACE, **labels}.items())
    pods = {p["metadata"]["name"] for p in ctx.agents(fleet)}
    found = [(have, value) for have, value in ctx.prometheus.query(f"{metric}{{{select}}}") if have["pod"] in pods]
    if {have["pod"] for have, _ in found} != pods:
        raise Failure(f"{metric}: {found}, and the pods are {sorted(pods)}")
    return found


def in_effect(ctx) -> dict:
    """Node -> (allocator, arenas, jemalloc's option narenas or ""), as Prometheus has it of the agents that are there now."""
    allocators = {have["pod"]: have["allocator"] for have, _ in of_pods(ctx, "kubecanary_allocator_info")}
    arenas = {have["pod"]: value for have, value in of_pods(ctx, "kubecanary_allocator_arenas")}
    options = {have["pod"]: have["value"] for have, _ in
               ctx.prometheus.query(f'kubecanary_allocator_option_info{{fleet="{FLEET}",namespace="{NAMESPACE}",option="narenas"}}')}
    return {p["spec"]["nodeName"]: tuple(of.get(p["metadata"]["name"], "") for of in (allocators, arenas, options)) for p in ctx.agents()}


def wait_in_effect(ctx, wanted: dict) -> None:
    """wanted: node -> (allocator, arenas, option)."""
    def reported():
        found = in_effect(ctx)
        if found != wanted:
            raise Failure(f"it is {found}, expected {wanted}")
        refused = [have for have, value in ctx.prometheus.query(f'kubecanary_allocator_effective{{fleet="{FLEET}",namespace="{NAMESPACE}"}} == 0')
                   if have["pod"] in {p["metadata"]["name"] for p in ctx.agents()}]
        if refused:
            raise Failure(f"not in effect: {refused}")
        return True
    wait_for("allocators as wanted in every agent, by Prometheus", reported, seconds=90, every=0.5)


def resident(ctx) -> str:
    sizes = sorted(s["process_resident_memory_bytes"][0][1] / 2**20 for s in ctx.scrape_all().values())
    return f"{sizes[0]:.2f} to {sizes[-1]:.2f} MiB"


@step(STEPS, "Jemalloc with its defaults, then with narenas 1: what the agents say changes, in Prometheus and in the status", prometheus=True)
def narenas(ctx):
    ctx.wait_rollout(ctx.change({"agent": {"allocator": {"type": "Jemalloc"}}}), len(ctx.nodes()))

    def by_default():
        found = in_effect(ctx)
        if any((allocator, option) != ("jemalloc", f"{arenas:.0f}") for allocator, arenas, option in found.values()):
            raise Failure(f"{found}")
        return found
    before = wait_for("jemalloc in every agent, by Prometheus", by_default, seconds=90, every=0.5)
    # Four for each processor, and one where there is one.
    processors = [value for _, value in of_pods(ctx, "kubecanary_agent_cpus_allowed")]
    same("arenas", sorted(arenas for _, arenas, _ in before.values()), sorted(4 * n if n > 1 else 1 for n in processors))
    ctx.wait_condition("AllocatorEffective", "True")
    size = resident(ctx)
    ctx.wait_rollout(ctx.change({"agent": {"allocator": {"narenas": 1}}}), len(ctx.nodes()))
    wait_in_effect(ctx, dict.fromkeys(before, ("jemalloc", 1, "1")))
    same("setting", {(have["setting"], value) for have, value in of_pods(ctx, "kubecanary_allocator_effective")}, {("narenas", 1)})
    told = ctx.wait_condition("AllocatorEffective", "True")
    expect(told["reason"] == "SettingsEffective" and "jemalloc" in told["message"], f"{told}")
    return f"{sorted({f'{arenas:.0f}' for _, arenas, _ in before.values()})} arenas and {size} resident, then 1 and {resident(ctx)}"


@step(STEPS, "an override for one node: two DaemonSets, each node in exactly one, each agent with its own allocator; and back", prometheus=True)
def overrides(ctx):
    nodes = sorted(n["metadata"]["name"] for n in ctx.nodes())
    other, rest = nodes[0], nodes[1:]
    ctx.api.merge("nodes", other, {"metadata": {"labels": {LABEL: "small"}}})
    try:
        override = {"name": OVERRIDE, "nodeSelector": {LABEL: "small"}, "allocator": {"type": "System"}}
        ctx.change({"placement": {"overrides": [override]}})
        wait_for("the override's DaemonSet", lambda: ctx.api.find("daemonsets", f"{FLEET}-pod-{OVERRIDE}", NAMESPACE), seconds=60, every=0.3)
        ctx.wait_sets({f"{FLEET}-pod": len(rest), f"{FLEET}-pod-{OVERRIDE}": 1})
        sets = sorted((p["spec"]["nodeName"], p["metadata"]["labels"].get("kubecanary.io/override", "")) for p in ctx.agents())
        same("agents", sets, [(other, OVERRIDE), *((node, "") for node in rest)])
        wait_in_effect(ctx, {other: ("musl", 1, ""), **dict.fromkeys(rest, ("jemalloc", 1, "1"))})
        ctx.wait_condition("AllocatorEffective", "True")
        ctx.wait_condition("Ready", "True")
        same("status.nodes.ready", ctx.fleet()["status"]["nodes"]["ready"], len(nodes))
    finally:
        generation = ctx.change({"placement": {"overrides": None}, "agent": {"allocator": {"type": "System", "narenas": None}}})
        ctx.api.merge("nodes", other, {"metadata": {"labels": {LABEL: None}}})
    wait_for("the end of the override's DaemonSet", lambda: not ctx.api.find("daemonsets", f"{FLEET}-pod-{OVERRIDE}", NAMESPACE), seconds=60, every=0.3)
    ctx.wait_rollout(generation, len(nodes))
    return f"{other} apart from {' '.join(rest)}"


def foreign_fleet(ctx, variable: str) -> None:
    # With its rules: Prometheus' reloader sees a change of its configuration at once only together with one of the folder of rules.
    agent = {"image": ctx.foreign_image, "program": "Exporter", "args": [str(FOREIGN_PORT)], "metricsPort": FOREIGN_PORT,
             "allocator": {"type": "Jemalloc", "narenas": 1, "variable": variable}}
    fleet = {"apiVersion": "kubecanary.io/v1alpha1", "kind": "ProbeFleet", "metadata": {"name": FOREIGN, "namespace": NAMESPACE},
             "spec": {"agent": agent, "metrics": {"scrapeInterval": "5s"}}}
    ctx.kubectl("apply", "-f", "-", stdin=json.dumps(fleet))


def variables(ctx) -> list:
    """What each of the foreign program's pods is told, the name of its node apart."""
    return [{e["name"]: e.get("value") for e in p["spec"]["containers"][0]["env"] if e["name"] != "NODE_NAME"} for p in ctx.agents(FOREIGN)]


def wait_variables(ctx, wanted: dict[str, str]) -> None:
    """A verdict may be there while pods of the settings before still run."""
    wait_for(f"{wanted} in every pod", lambda: variables(ctx) == [wanted] * len(ctx.nodes()), seconds=ROLLOUT_SECONDS, every=0.3)
    ctx.wait_sets({f"{FOREIGN}-pod": len(ctx.nodes())}, fleet=FOREIGN)


@step(STEPS, "a program that is not ours, whose jemalloc has a prefix: it gets the right variable, and the status says that it is in effect",
      foreign=True, prometheus=True)
def foreign(ctx):
    foreign_fleet(ctx, "JE_MALLOC_CONF")
    told = ctx.wait_condition("AllocatorEffective", "True", name=FOREIGN)
    expect(told["reason"] == "SettingsEffective" and "jemalloc" in told["message"], f"{told}")
    ctx.wait_condition("Ready", "True", name=FOREIGN)
    wait_variables(ctx, {"JE_MALLOC_CONF": "narenas:1"})

    def scraped():
        try:
            return {value for _, value in of_pods(ctx, "jemalloc_opt_narenas", FOREIGN)}
        except Failure:
            ctx.poke_prometheus()
            raise
    same("jemalloc_opt_narenas in Prometheus", wait_for("the program's own metrics in Prometheus", scraped, seconds=120, every=1), {1})
    return told["message"]


@step(STEPS, "... a variable that it does not read: AllocatorEffective is False, with the setting, within two minutes; mended, it is True again",
      foreign=True)
def wrong_variable(ctx):
    started = time.monotonic()
    foreign_fleet(ctx, "MALLOC_CONF")
    told = ctx.wait_condition("AllocatorEffective", "False", seconds=VERDICT_SECONDS, name=FOREIGN)
    took = time.monotonic() - started
    expect(told["reason"] == "SettingNotEffective" and "narenas: wanted 1, is " in told["message"], f"{told}")
    wait_variables(ctx, {"MALLOC_CONF": "narenas:1"})
    foreign_fleet(ctx, "JE_MALLOC_CONF")
    wait_variables(ctx, {"JE_MALLOC_CONF": "narenas:1"})
    ctx.wait_condition("AllocatorEffective", "True", seconds=VERDICT_SECONDS, name=FOREIGN)
    return f"after {took:.0f} s: {told['message']}"


@step(STEPS, "... and the fleet of that program goes without a trace", foreign=True)
def foreign_gone(ctx):
    ctx.kubectl("delete", "probefleet", FOREIGN, "-n", NAMESPACE)
    wait_for("the end of its pods", lambda: not ctx.api.list("pods", NAMESPACE, labelSelector=f"kubecanary.io/fleet={FOREIGN}"),
             seconds=ROLLOUT_SECONDS, every=0.3)
