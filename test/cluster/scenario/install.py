# SPDX-License-Identifier: Apache-2.0
"""From nothing to a fleet that probes: what README.md tells a newcomer to do, and what must be true then."""
import json

from testbed.shell import Failure, wait_for

from .context import CHILD_KINDS, FLEET, NAMESPACE, RELEASE
from .series import total
from .steps import expect, same, step

STEPS = []
RESTRICTED = {f"pod-security.kubernetes.io/{mode}": "restricted" for mode in ["enforce", "warn", "audit"]}
EXAMPLE = "crds/examples/mesh.yaml"
# The example with short windows, so that an alert takes seconds. Several per cent: two cores that run three nodes are not a network.
SHORT = {"alerting": {"lossPercent": 5, "for": "10s", "window": "30s"}, "metrics": {"scrapeInterval": "5s"}}


def install_chart(ctx) -> None:
    ctx.helm("install", RELEASE, "charts/kubecanary", "-n", NAMESPACE, "--create-namespace", *ctx.helm_options)


@step(STEPS, "a namespace that enforces the Restricted profile", vital=True)
def restricted_namespace(ctx):
    # The last step removes the resource definition, and with it every fleet there is.
    expect(ctx.owns_nodes or not ctx.api.find("customresourcedefinitions", "probefleets.kubecanary.io"),
           "this cluster has kubecanary already: its fleets would be lost at the end; take another cluster")
    ctx.kubectl("create", "namespace", NAMESPACE)
    ctx.kubectl("label", "namespace", NAMESPACE, *(f"{k}={v}" for k, v in RESTRICTED.items()))


@step(STEPS, "helm install, and two operators become ready", vital=True)
def install(ctx):
    install_chart(ctx)
    ctx.wait_operator()
    same("operators", len(ctx.operators()), 2)
    return f"{ctx.leader()} leads"


@step(STEPS, "helm test")
def helm_test(ctx):
    ctx.helm("test", RELEASE, "-n", NAMESPACE)


@step(STEPS, f"kubectl apply -f {EXAMPLE}: an agent becomes ready on every node", vital=True)
def apply_example(ctx):
    ctx.kubectl("apply", "-f", EXAMPLE)
    def appeared():
        return ctx.api.find("daemonsets", f"{FLEET}-pod", NAMESPACE)
    wait_for("the fleet's DaemonSet", appeared, seconds=30)
    ctx.wait_agents(len(ctx.nodes()))
    same("the agents' nodes", sorted(ctx.identities()), sorted(ctx.zones()))


@step(STEPS, "the status says so: Ready, not Degraded, and counts the nodes")
def status(ctx):
    ctx.wait_condition("Ready", "True")
    ctx.wait_condition("Degraded", "False")
    ctx.wait_condition("Progressing", "False")
    fleet = ctx.fleet()
    same("status.observedGeneration", fleet["status"]["observedGeneration"], fleet["metadata"]["generation"])
    nodes = fleet["status"]["nodes"]
    same("status.nodes", (nodes["desired"], nodes["ready"]), (len(ctx.nodes()),) * 2)
    return ctx.kubectl("get", "probefleet", FLEET, "-n", NAMESPACE, "--no-headers").stdout.strip()


@step(STEPS, "the status says what the agents say of themselves")
def reports(ctx):
    ctx.wait_condition("Reporting", "True")
    same("AllocatorEffective", ctx.wait_condition("AllocatorEffective", "True")["reason"], "NoSettings")
    nodes = len(ctx.nodes())

    def told():
        found = ctx.fleet()["status"]
        if found["nodes"].get("reporting") != nodes or found["agents"]["outdated"] or sum(one["agents"] for one in found["agents"]["memory"]) != nodes:
            raise Failure(f"{found.get('nodes')}, {found.get('agents')}")
        return found["agents"]
    found = wait_for("reports of every agent", told, seconds=90)
    memory = found["memory"]
    expect(all(0 < one["minBytes"] <= one["medianBytes"] <= one["maxBytes"] for one in memory), f"{memory}")
    expect(found["pairs"] > 0 and found["series"] > 0, f"{found}")
    return f"{memory}"


@step(STEPS, "the children carry their labels and an owner")
def labels(ctx):
    children, uid = ctx.children(), ctx.fleet()["metadata"]["uid"]
    wanted = [f"daemonsets/{FLEET}-pod", f"configmaps/{FLEET}-agent", f"configmaps/{FLEET}-peers-00", f"serviceaccounts/{FLEET}-agent"]
    if ctx.prometheus:
        wanted += [f"podmonitors/{FLEET}", f"prometheusrules/{FLEET}"]
    same("children", sorted(children), sorted(wanted))
    for name, child in children.items():
        have = child["metadata"]["labels"]
        same(f"{name}: managed-by", have.get("app.kubernetes.io/managed-by"), "kubecanary-operator")
        owners = [(o["uid"], o.get("controller")) for o in child["metadata"].get("ownerReferences", [])]
        same(f"{name}: owners", owners, [(uid, True)])


@step(STEPS, "the agents are within the Restricted profile, without a token, a capability or a writable root")
def profile(ctx):
    warnings = ctx.kubectl("label", "--dry-run=server", "--overwrite", "namespace", NAMESPACE,
                           "pod-security.kubernetes.io/enforce=restricted").stderr
    expect("violate" not in warnings, warnings)
    for pod in ctx.agents():
        spec, container = pod["spec"], pod["spec"]["containers"][0]
        same("automountServiceAccountToken", spec.get("automountServiceAccountToken"), False)
        tokens = [s for v in spec["volumes"] for s in v.get("projected", {}).get("sources", []) if "serviceAccountToken" in s]
        same("token volumes", tokens, [])
        security = container["securityContext"]
        same("read-only root", security.get("readOnlyRootFilesystem"), True)
        same("capabilities", security.get("capabilities"), {"drop": ["ALL"]})
        same("CPU limit", container.get("resources", {}).get("limits", {}).get("cpu"), None)


@step(STEPS, "every ordered pair of nodes is probed, by each probe and family, and nothing is lost")
def pairs(ctx):
    zones = ctx.zones()
    fleet = ctx.fleet()
    names = [p["name"] for p in fleet["spec"]["mesh"]["probes"]]
    families = fleet["spec"]["mesh"].get("ipFamilies", ["IPv4", "IPv6"])
    count = len(zones) * (len(zones) - 1) * len(names) * len(families)

    def all_received():
        received = {}
        for series in ctx.scrape_all().values():
            for have, value in series["kubecanary_probe_results_total"]:
                key = tuple(have.get(k) for k in ["probe", "family", "source_node", "destination_node"])
                same(f"zones of {key}", (have["source_zone"], have["destination_zone"]), (zones[key[2]], zones[key[3]]))
                if have["result"] == "received":
                    received[key] = value
        silent = [key for key, value in received.items() if not value]
        if len(received) != count or silent:
            raise Failure(f"{len(received)} of {count} series; nothing received yet: {silent[:6]}")
        return True
    wait_for("an answer for every pair", all_received, seconds=60, every=0.5)
    for node, series in ctx.scrape_all().items():
        for result in ["lost", "corrupt", "unreachable", "send_error"]:
            same(f"{result} on {node}", total(series["kubecanary_probe_results_total"], result=result), 0)
    return f"{count} series"


@step(STEPS, "sent = results + in flight, in every scrape of every agent")
def invariant(ctx):
    scrapes = 0
    for _ in range(10):
        for node, series in ctx.scrape_all().items():
            for have, sent in series["kubecanary_probe_sent_total"]:
                results = sum(v for labels_, v in series["kubecanary_probe_results_total"] if have.items() <= labels_.items())
                flying = sum(v for labels_, v in series["kubecanary_probes_in_flight"] if have.items() <= labels_.items())
                same(f"{node} {have}", sent, results + flying)
            scrapes += 1
    return f"{scrapes} scrapes"


@step(STEPS, "prometheus-operator and Prometheus 3 take up the PodMonitor: all agents are scraped", prometheus=True)
def targets(ctx):
    ctx.change(SHORT)
    count = len(ctx.nodes())

    def up():
        found = [(labels_, health) for labels_, health in ctx.prometheus.targets()
                 if (labels_.get("fleet"), labels_.get("namespace")) == (FLEET, NAMESPACE)]
        pods = sorted(labels_.get("pod") for labels_, health in found if health == "up")
        if pods != sorted(p["metadata"]["name"] for p in ctx.agents()) or len(pods) != count:
            ctx.poke_prometheus()
            raise Failure(f"targets: {found}")
        return True
    wait_for(f"{count} targets that are up", up, seconds=120, every=1)


@step(STEPS, "... and the PrometheusRule: its rules are loaded and evaluated without an error", prometheus=True)
def rules(ctx):
    name = f"kubecanary.{NAMESPACE}.{FLEET}"

    def healthy():
        group = next((g for g in ctx.prometheus.groups() if g["name"] == name), None)
        if not group:
            ctx.poke_prometheus()
            raise Failure(f"no group {name}")
        bad = [(r["name"], r["health"], r.get("lastError")) for r in group["rules"] if r["health"] != "ok"]
        loss = next((r for r in group["rules"] if r["name"] == "KubecanaryPairLoss"), {})
        if bad or loss.get("duration") != 10:
            ctx.poke_prometheus()
            raise Failure(f"{bad or loss}")
        return len(group["rules"])
    return f"{wait_for('healthy rules with the new `for`', healthy, seconds=120, every=1)} rules"


@step(STEPS, "no alert while all is well", prometheus=True)
def quiet(ctx):
    def measured():
        ratios = ctx.prometheus.query(f'pair:kubecanary_probe_loss:ratio{{fleet="{FLEET}",namespace="{NAMESPACE}"}}')
        expected = len(ctx.nodes()) * (len(ctx.nodes()) - 1)
        pairs_ = {(labels_["source_node"], labels_["destination_node"]) for labels_, _ in ratios}
        if len(pairs_) != expected:
            raise Failure(f"ratios of {len(pairs_)} of {expected} pairs")
        return ratios
    ratios = wait_for("a loss ratio of every pair", measured, seconds=90, every=0.5)
    same("highest loss", max(value for _, value in ratios), 0)
    same("alerts", ctx.prometheus.alerts(), [])


@step(STEPS, "the agents' memory")
def memory(ctx):
    resident = sorted(series["process_resident_memory_bytes"][0][1] / 2**20 for series in ctx.scrape_all().values())
    daemonset = ctx.daemonset()
    limit = daemonset["spec"]["template"]["spec"]["containers"][0].get("resources", {}).get("limits", {}).get("memory")
    threads = sorted(series["kubecanary_agent_threads"][0][1] for series in ctx.scrape_all().values())
    same("threads", set(threads), {1.0})
    return f"resident {resident[0]:.2f} / {resident[len(resident) // 2]:.2f} / {resident[-1]:.2f} MiB (min, median, max), limit {limit}"


def nothing_left(ctx):
    """Fails as long as anything of the fleet is there."""
    left = {kind: [o["metadata"]["name"] for o in ctx.api.list(kind, NAMESPACE, labelSelector=f"kubecanary.io/fleet={FLEET}")]
            for kind in [*CHILD_KINDS, "pods"]}
    left = {kind: names for kind, names in left.items() if names}
    if left:
        raise Failure(json.dumps(left))
    return True
