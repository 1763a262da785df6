# SPDX-License-Identifier: Apache-2.0
"""Probes of the other kinds, on the real cluster and read from Prometheus: STAMP over flows and large packets between the nodes, the cluster's
DNS, and its API server over HTTPS."""
import gzip

from testbed.shell import Failure, wait_for

from .changes import probes, without_restart
from .context import AGENT_PORT, FLEET, NAMESPACE
from .series import parse
from .steps import expect, same, step

STEPS = []
FLOWS = 8
MESH = [{"name": "udp", "type": "STAMP", "interval": "200ms", "timeout": "1s", "flows": FLOWS},
        {"name": "large", "type": "ICMP", "interval": "1s", "timeout": "1s", "payloadBytes": 1400, "dontFragment": True}]
SERVER = "kubernetes.default.svc"
WANTED = 2 * FLOWS  # answers of each pair: each flow has had its turn
ENDED_WELL = "received|late"


def targets(ctx) -> list:
    address = ctx.api.get("services", "kubernetes", "default")["spec"]["clusterIP"]
    authority = ctx.api.get("configmaps", "kube-root-ca.crt", NAMESPACE)["data"]["ca.crt"]
    return [{"name": "resolver", "type": "DNS", "server": ctx.dns(), "query": f"{SERVER}.cluster.local.", "expect": {"answer": [address]}},
            {"name": "api", "type": "HTTP", "url": f"https://{SERVER}/livez", "expect": {"status": [200, 401, 403]}, "caBundle": authority,
             "interval": "2s", "timeout": "2s"}]


def asked(ctx, expression: str) -> list:
    """An expression in which METRIC{...} stands as METRIC{FLEET,...}."""
    return ctx.prometheus.query(expression.replace("FLEET", f'fleet="{FLEET}",namespace="{NAMESPACE}"'))


def wait_answered(ctx, by: str, select: str, count: int, least: int) -> None:
    def answered():
        found = asked(ctx, f'sum by ({by}) (kubecanary_probe_results_total{{FLEET,result="received",{select}}}) >= {least}')
        if len(found) != count:
            raise Failure(f"{len(found)} of {count}")
        return True
    wait_for(f"{least} answers by {by} of {select}, in Prometheus", answered, seconds=90, every=0.5)


@step(STEPS, "STAMP over flows, large ICMP, the cluster's DNS and the API server's /livez: all is answered and nothing lost, by Prometheus",
      prometheus=True, dns=True)
def answered(ctx):
    before, nodes = probes(ctx), len(ctx.nodes())
    families = ctx.fleet()["spec"]["mesh"].get("ipFamilies", ["IPv4", "IPv6"])
    pairs = nodes * (nodes - 1) * len(families)
    try:
        without_restart(ctx, {"mesh": {"probes": MESH}, "targets": targets(ctx)})
        wait_answered(ctx, "source_node,destination_node,family", 'probe="udp"', pairs, WANTED)
        wait_answered(ctx, "source_node,destination_node,family", 'probe="large"', pairs, 3)
        wait_answered(ctx, "pod,target", 'target=~"resolver|api"', 2 * nodes, 3)
        bad = asked(ctx, f'kubecanary_probe_results_total{{FLEET,result!~"{ENDED_WELL}",probe=~"udp|large"}} > 0'
                         f' or kubecanary_probe_results_total{{FLEET,result!~"{ENDED_WELL}",target=~"resolver|api"}} > 0')
        same("probes that did not end well", bad, [])
        flows = asked(ctx, 'kubecanary_probe_flow_lost_total{FLEET,probe="udp"}')
        same("series of flows, and what they lost", (len(flows), sum(value for _, value in flows)), (pairs * FLOWS, 0))
        same("agents that got answers with NoError", len(asked(ctx, 'kubecanary_dns_replies_total{FLEET,target="resolver",rcode="NoError"} > 0')), nodes)
        same("agents that saw a certificate", len(asked(ctx, 'kubecanary_http_certificate_expiry_timestamp_seconds{FLEET,certificate="leaf"} > time()')), nodes)
        same("helpers started again", asked(ctx, "kubecanary_helper_restarts_total{FLEET} > 0"), [])
        received = {name: asked(ctx, f'sum(kubecanary_probe_results_total{{FLEET,result="received",{select}}})')[0][1] for name, select in
                    (("STAMP", 'probe="udp"'), ("large ICMP", 'probe="large"'), ("DNS", 'target="resolver"'), ("HTTPS", 'target="api"'))}
    finally:
        ctx.wait_generation(ctx.change({"mesh": {"probes": before}, "targets": []}))
    return ", ".join(f"{name} {value:.0f}" for name, value in received.items()) + " received"


@step(STEPS, "compressed metrics: whoever asks for gzip gets it, and Prometheus goes on scraping", prometheus=True)
def compressed(ctx):
    def scrapes():
        found = asked(ctx, "kubecanary_config_generation{FLEET}")
        if [value for _, value in found] != [ctx.fleet()["metadata"]["generation"]] * len(ctx.nodes()):
            raise Failure(f"{found}")
        return True
    try:
        without_restart(ctx, {"metrics": {"compression": "Gzip"}})
        wait_for("the new generation in Prometheus", scrapes, seconds=60, every=0.5)
        sizes = []
        for pod in ctx.agents():
            encoding, body = ctx.api.ask_pod_encoded(NAMESPACE, pod["metadata"]["name"], AGENT_PORT, "/metrics", "gzip")
            same("Content-Encoding", encoding, "gzip")
            text = gzip.decompress(body).decode()
            expect(parse(text)["kubecanary_probe_sent_total"], "no samples")
            sizes.append((len(text), len(body)))
    finally:
        without_restart(ctx, {"metrics": {"compression": None}})
    return f"{max(sizes)[0]} bytes as {max(sizes)[1]}"
