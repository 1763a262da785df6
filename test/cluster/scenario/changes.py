# SPDX-License-Identifier: Apache-2.0
"""Changes of the resource, one after the other. What only the agents' files hold changes without restarting a pod; what needs
a rollout gets one; whatever is not possible is refused or told, and the fleet goes on."""
import json
import time

from testbed.shell import Failure, run, wait_for

from .context import FLEET, NAMESPACE, ROLLOUT_SECONDS
from .series import total
from .steps import expect, same, step

STEPS = []
RESTORE_SECONDS = 60
PAUSE_SECONDS = 4  # several intervals of the fastest probes
LABEL = "kubecanary-e2e"


def probes(ctx) -> list:
    return ctx.fleet()["spec"]["mesh"]["probes"]


def without_restart(ctx, spec: dict) -> int:
    """Changes the spec, waits until every agent works by it, and fails if that took a restart of one. The new generation."""
    before, template = ctx.identities(), ctx.daemonset()["spec"]["template"]
    generation = ctx.change(spec)
    ctx.wait_generation(generation)
    same("the agents' pods and restarts", ctx.identities(), before)
    same("the pod template", ctx.daemonset()["spec"]["template"], template)
    return generation


def sent(ctx, **labels) -> dict:
    """Node -> probes sent so far."""
    return {node: total(series.get("kubecanary_probe_sent_total", []), **labels) for node, series in ctx.scrape_all().items()}


def wait_sent(ctx, more: float, **labels) -> None:
    """Waits until every agent has sent so many probes more than now."""
    before = sent(ctx, **labels)

    def enough():
        now = sent(ctx, **labels)
        if any(now[node] - before.get(node, 0) < more for node in now):
            raise Failure(f"sent {now}, before {before}")
        return True
    wait_for(f"{more:.0f} more probes of each agent", enough, seconds=90, every=0.5)


@step(STEPS, "an interval changed: carried out by the running agents")
def interval(ctx):
    changed = [dict(p, interval="500ms", timeout="400ms") if p["name"] == "icmp" else p for p in probes(ctx)]
    started = time.monotonic()
    without_restart(ctx, {"mesh": {"probes": changed}})
    took = time.monotonic() - started
    # By the agents' own counters: in the time of n ICMP probes a pair, the TCP probes of 5 s come to a tenth of that.
    before, before_tcp = sent(ctx, probe="icmp"), sent(ctx, probe="tcp")
    wait_sent(ctx, 5, probe="tcp")
    icmp = sum(sent(ctx, probe="icmp").values()) - sum(before.values())
    tcp = sum(sent(ctx, probe="tcp").values()) - sum(before_tcp.values())
    expect(7 < icmp / tcp < 16, f"{icmp:.0f} ICMP probes for {tcp:.0f} TCP probes; 500 ms and 5 s are 10 to 1")
    return f"in force everywhere after {took:.1f} s; {icmp / tcp:.1f} ICMP probes for one TCP probe"


@step(STEPS, "a probe added: carried out by the running agents, and the other counters go on")
def probe_added(ctx):
    before = sent(ctx, probe="icmp")
    without_restart(ctx, {"mesh": {"probes": [*probes(ctx), {"name": "tcp-fast", "type": "TCP", "interval": "1s", "timeout": "1s"}]}})
    wait_sent(ctx, 4, probe="tcp-fast")
    after = sent(ctx, probe="icmp")
    expect(all(after[node] >= before[node] for node in before), f"counters went back: {before} -> {after}")
    others = len(ctx.nodes()) - 1
    for node, series in ctx.scrape_all().items():
        have = {s[0]["destination_node"] for s in series["kubecanary_probe_sent_total"] if s[0]["probe"] == "tcp-fast"}
        same(f"destinations of {node}", len(have), others)


@step(STEPS, "targets added, by ICMP and TCP: carried out by the running agents")
def target_added(ctx):
    node = next(a["address"] for a in ctx.nodes()[0]["status"]["addresses"] if a["type"] == "InternalIP")
    api = ctx.api.get("services", "kubernetes", "default")["spec"]["clusterIP"]
    targets = [{"name": "node", "type": "ICMP", "address": node, "interval": "1s", "timeout": "1s"},
               {"name": "api", "type": "TCP", "address": api, "port": 443, "interval": "1s", "timeout": "1s"}]
    without_restart(ctx, {"targets": targets})

    def answered():
        for host, series in ctx.scrape_all().items():
            for name in ["node", "api"]:
                if total(series["kubecanary_probe_results_total"], target=name, result="received") < 3:
                    raise Failure(f"{name} from {host}: {[s for s in series['kubecanary_probe_results_total'] if s[0].get('target') == name]}")
        return True
    wait_for("answers of both targets on every node", answered, seconds=60, every=0.5)
    without_restart(ctx, {"targets": []})


@step(STEPS, "Prometheus has followed: the new probe's series, and the generation", prometheus=True)
def followed(ctx):
    generation, count = ctx.fleet()["metadata"]["generation"], len(ctx.nodes())

    def there():
        have = ctx.prometheus.query(f'kubecanary_config_generation{{fleet="{FLEET}"}}')
        pairs = ctx.prometheus.query(f'kubecanary_probe_sent_total{{fleet="{FLEET}",probe="tcp-fast",family="IPv4"}} > 0')
        if [v for _, v in have] != [generation] * count or len(pairs) != count * (count - 1):
            raise Failure(f"generations {[v for _, v in have]}, {len(pairs)} pairs")
        return True
    wait_for("the new state in Prometheus", there, seconds=60, every=0.5)


def _restored(ctx, kind: str, name: str, before: dict, data):
    def back():
        now = ctx.api.find(kind, name, NAMESPACE)
        if not now or now["metadata"]["resourceVersion"] == before["metadata"]["resourceVersion"]:
            raise Failure("not touched yet" if now else "not there")
        if data(now) != data(before):
            raise Failure(f"it is {json.dumps(data(now))[:300]}")
        return now
    return wait_for(f"{kind}/{name} as before", back, seconds=RESTORE_SECONDS, every=0.2)


@step(STEPS, "children edited by hand come back")
def children_edited(ctx):
    edits = {("configmaps", f"{FLEET}-agent"): ({"data": {"agent.yaml": "generation: 0\n"}}, lambda o: o["data"]),
             ("configmaps", f"{FLEET}-peers-00"): ({"data": {"peers-00.yaml": None}}, lambda o: o.get("data")),
             ("daemonsets", f"{FLEET}-pod"): ({"spec": {"template": {"spec": {"terminationGracePeriodSeconds": 77}}}},
                                              lambda o: o["spec"]["template"])}
    if ctx.prometheus:
        edits["prometheusrules", FLEET] = ({"spec": {"groups": []}}, lambda o: o["spec"])
        edits["podmonitors", FLEET] = ({"spec": {"selector": {"matchLabels": {"wrong": "yes"}}}}, lambda o: o["spec"]["selector"])
    for (kind, name), (patch, data) in edits.items():
        before = ctx.api.get(kind, name, NAMESPACE)
        ctx.api.merge(kind, name, patch, NAMESPACE)
        _restored(ctx, kind, name, before, data)
    ctx.wait_agents(len(ctx.nodes()))
    return f"{len(edits)} children"


@step(STEPS, "children deleted by hand come back")
def children_deleted(ctx):
    before = ctx.children()
    for child in before:
        kind, name = child.split("/")
        ctx.api.delete(kind, name, NAMESPACE)

    def back():
        now = ctx.children()
        missing = sorted(c for c in before if c not in now or now[c]["metadata"]["uid"] == before[c]["metadata"]["uid"])
        if missing:
            raise Failure(f"not again: {missing}")
        return True
    wait_for("all children", back, seconds=RESTORE_SECONDS, every=0.2)
    ctx.wait_agents(len(ctx.nodes()))
    return f"{len(before)} children"


@step(STEPS, "paused: probing stops, without a restart; unpaused, it goes on and no counter is lost")
def paused(ctx):
    without_restart(ctx, {"paused": True})
    wait_for("the last probe's result", lambda: not any(total(s["kubecanary_probes_in_flight"]) for s in ctx.scrape_all().values()),
             seconds=30, every=0.2)
    frozen = sent(ctx)
    end, looks = time.monotonic() + PAUSE_SECONDS, 0
    while time.monotonic() < end:  # what must not happen can only be watched for
        same("probes sent while paused", sent(ctx), frozen)
        looks += 1
    without_restart(ctx, {"paused": False})
    wait_sent(ctx, 10)
    expect(all(value > frozen[node] for node, value in sent(ctx).items()), "the counters began anew")
    return f"{sum(frozen.values()):.0f} probes before the pause and in {looks} looks at it"


@step(STEPS, "a nodeSelector: agents on those nodes only, and back")
def node_selector(ctx):
    names = [n["metadata"]["name"] for n in ctx.nodes()]
    chosen = names[:2]
    for name in chosen:
        ctx.api.merge("nodes", name, {"metadata": {"labels": {LABEL: "yes"}}})
    try:
        ctx.wait_rollout(ctx.change({"placement": {"nodeSelector": {LABEL: "yes"}}}), len(chosen))
        same("nodes with an agent", sorted(ctx.identities()), sorted(chosen))
        wait_for("status.nodes", lambda: ctx.fleet()["status"]["nodes"].get("desired") == len(chosen), seconds=60, every=0.3)
        ctx.wait_condition("Ready", "True")
    finally:
        generation = ctx.change({"placement": {"nodeSelector": None}})
        for name in chosen:
            ctx.api.merge("nodes", name, {"metadata": {"labels": {LABEL: None}}})
    ctx.wait_rollout(generation, len(names))
    ctx.wait_condition("Ready", "True")


def _refused(ctx, spec: dict, *words: str) -> str:
    fleet = {"apiVersion": "kubecanary.io/v1alpha1", "kind": "ProbeFleet", "metadata": {"name": "refused", "namespace": NAMESPACE},
             "spec": spec}
    done = run([*ctx.kubectl_argv, "apply", "-f", "-"], stdin=json.dumps(fleet), check=False, env=ctx.environment)
    expect(done.returncode != 0, f"accepted: {json.dumps(spec)}")
    message = done.stderr.strip()
    expect(all(word in message for word in words), f"{message!r} does not name {words}")
    return message


@step(STEPS, "what is not carried out, or cannot be meant, is refused by the schema with its field")
def refused(ctx):
    probe = {"name": "p", "type": "ICMP", "interval": "1s", "timeout": "1s"}
    mesh = {"networks": ["Pod"], "probes": [probe]}
    _refused(ctx, {"mesh": dict(mesh, topology={"type": "Full", "degree": 3})}, "topology", "degree")
    _refused(ctx, {"mesh": dict(mesh, networks=["Host"])}, "networks")
    _refused(ctx, {"mesh": dict(mesh, probes=[dict(probe, flows=2)])}, "probes[0]", "flows")
    _refused(ctx, {"mesh": dict(mesh, probes=[dict(probe, interval="1ms")])}, "probes[0]")
    _refused(ctx, {"mesh": dict(mesh, probes=[probe, probe])}, "probes[1]")
    _refused(ctx, {"mesh": mesh, "placement": {"nodeSelector": {"no label": "a"}}}, "placement.nodeSelector")
    _refused(ctx, {"mesh": mesh, "placement": {"nodeSelector": {"a": "no value"}}}, "placement.nodeSelector")
    _refused(ctx, {"mesh": mesh, "placement": {"tolerations": [{"key": "a/b/c", "operator": "Exists"}]}}, "tolerations[0].key")
    for wrong in ({"variable": "JE_MALLOC_CONF"}, {"conf": "tcache"}, {"conf": "tcache:false,prof:true"}, {"conf": "stats_print:true"}):
        _refused(ctx, {"mesh": mesh, "agent": {"allocator": dict(wrong, type="Jemalloc")}}, "agent.allocator." + next(iter(wrong)))
    _refused(ctx, {"mesh": mesh, "targets": [{"name": "t", "type": "TCP", "address": "192.0.2.1"}]}, "targets[0]", "port")
    _refused(ctx, {"mesh": mesh, "targets": [{"name": "t", "type": "ICMP", "address": "not an address"}]}, "targets[0]")
    return _refused(ctx, {"mesh": mesh, "targets": [{"name": "t", "type": "SMTP", "address": "192.0.2.1"}]}, "targets[0].type").splitlines()[0][:160]


def _versions(ctx) -> dict:
    return {key: child["metadata"]["resourceVersion"] for key, child in ctx.children().items()}


def _degraded(ctx, spec: dict, repaired: dict, path: str) -> str:
    """What the operator says of this change; until it is taken back nothing else changes."""
    children, agents = _versions(ctx), ctx.identities()
    ctx.change(spec)
    try:
        told = ctx.wait_condition("Degraded", "True", seconds=30)
        expect(path in told["message"], f"the message does not name the field: {told}")
        wait_sent(ctx, 6)
        same("the agents' pods and restarts", ctx.identities(), agents)
        same("the children", _versions(ctx), children)
    finally:
        generation = ctx.change(repaired)
    ctx.wait_condition("Degraded", "False", seconds=30)
    ctx.wait_generation(generation)
    return f"{told['reason']}: {told['message']}"


@step(STEPS, "what only the operator can refuse: Degraded with the field's path, and the fleet goes on as it was")
def degraded(ctx):
    target = {"type": "ICMP", "address": "192.0.2.1", "interval": "1s", "timeout": "1s"}
    twice = {"targets": [dict(target, name="one"), dict(target, name="two")]}
    told = _degraded(ctx, twice, {"targets": []}, "spec.targets[1].address")
    missing = {"placement": {"priorityClassName": "not-there"}}
    _degraded(ctx, missing, {"placement": {"priorityClassName": None}}, "spec.placement.priorityClassName")
    return told


@step(STEPS, "an image that does not exist: Degraded names it, agents go on where they are; repaired, all are ready again")
def bad_image(ctx):
    ctx.change({"agent": {"image": "localhost/kubecanary-agent:never-built"}})
    told = ctx.wait_condition("Degraded", "True", seconds=ROLLOUT_SECONDS)
    expect("never-built" in told["message"], f"the message does not name the image: {told}")
    running = [p for p in ctx.agents() if all(c["ready"] for c in p["status"].get("containerStatuses", [{"ready": False}]))]
    same("agents that go on", len(running), len(ctx.nodes()) - 1)
    ctx.wait_rollout(ctx.change({"agent": {"image": None}}), len(ctx.nodes()))
    ctx.wait_condition("Degraded", "False", seconds=60)
    return f"{told['reason']}: {told['message']}"
