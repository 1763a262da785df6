# SPDX-License-Identifier: Apache-2.0
"""Everything goes again, in the order in which a user would do it; and it can be installed anew."""
import json

from testbed.shell import Failure, wait_for

from .context import FLEET, NAMESPACE, RELEASE
from .install import EXAMPLE, install_chart, nothing_left
from .steps import step

STEPS = []
GONE_SECONDS = 90
OWN = ["deployments", "serviceaccounts", "roles", "rolebindings", "poddisruptionbudgets", "services", "pods", "secrets"]


@step(STEPS, "the fleet is deleted: its children go with it")
def delete(ctx):
    ctx.kubectl("delete", "probefleet", FLEET, "-n", NAMESPACE)
    wait_for("the end of all children", lambda: nothing_left(ctx), seconds=GONE_SECONDS, every=0.3)


@step(STEPS, "... and Prometheus forgets its targets and rules", prometheus=True)
def forgotten(ctx):
    def gone():
        ctx.poke_prometheus()
        targets = [labels for labels, _ in ctx.prometheus.targets() if labels.get("fleet") == FLEET]
        groups = [g["name"] for g in ctx.prometheus.groups() if g["name"].endswith(f".{FLEET}")]
        if targets or groups:
            raise Failure(f"{targets} {groups}")
        return True
    wait_for("the end of targets and rules", gone, seconds=180, every=1)


@step(STEPS, "helm uninstall: nothing of the release is left but the resource definition")
def uninstall(ctx):
    ctx.helm("uninstall", RELEASE, "-n", NAMESPACE)

    def gone():
        chart = f"app.kubernetes.io/instance={RELEASE}"
        left = {kind: [o["metadata"]["name"] for o in ctx.api.list(kind, NAMESPACE, labelSelector=chart)] for kind in OWN}
        for kind in ["clusterroles", "clusterrolebindings"]:
            left[kind] = [o["metadata"]["name"] for o in ctx.api.list(kind, labelSelector=chart)]
        left = {kind: names for kind, names in left.items() if names}
        if left:
            raise Failure(json.dumps(left))
        return True
    wait_for("the end of the release's objects", gone, seconds=GONE_SECONDS, every=0.3)
    return f"kept: {ctx.api.get('customresourcedefinitions', 'probefleets.kubecanary.io')['metadata']['name']}"


@step(STEPS, "helm install and kubectl apply once more: ready as the first time")
def again(ctx):
    install_chart(ctx)
    ctx.wait_operator()
    ctx.kubectl("apply", "-f", EXAMPLE)
    wait_for("the fleet's DaemonSet", lambda: ctx.api.find("daemonsets", f"{FLEET}-pod", NAMESPACE), seconds=30)
    ctx.wait_agents(len(ctx.nodes()))
    ctx.wait_condition("Ready", "True")


@step(STEPS, "everything is removed; the namespace is deleted within its time")
def remove(ctx):
    ctx.kubectl("delete", "probefleet", FLEET, "-n", NAMESPACE)
    wait_for("the end of all children", lambda: nothing_left(ctx), seconds=GONE_SECONDS, every=0.3)
    ctx.helm("uninstall", RELEASE, "-n", NAMESPACE)
    ctx.kubectl("delete", "crd", "probefleets.kubecanary.io")
    ctx.kubectl("delete", "namespace", NAMESPACE, "--timeout=120s")
