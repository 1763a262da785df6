# SPDX-License-Identifier: Apache-2.0
"""prometheus-operator beside the control plane, and one Prometheus 3 on the cluster that takes up every PodMonitor and
PrometheusRule of every namespace."""
import json

from . import images, netns, tools
from .plan import SERVER
from .shell import say, wait_for

NAMESPACE = "monitoring"
NODE = "n1"
POD = "prometheus-main-0"
READY_SECONDS = 180


def _objects() -> list:
    meta = {"name": "prometheus", "namespace": NAMESPACE}
    everything = {"matchLabels": {}}
    prometheus = {
        "apiVersion": "monitoring.coreos.com/v1", "kind": "Prometheus", "metadata": {"name": "main", "namespace": NAMESPACE},
        "spec": {"image": images.PROMETHEUS, "version": "v3.16.0", "imagePullPolicy": "Never", "replicas": 1,
                 "serviceAccountName": "prometheus", "nodeSelector": {"kubernetes.io/hostname": NODE},
                 "podMonitorSelector": {}, "podMonitorNamespaceSelector": everything, "ruleSelector": {},
                 "ruleNamespaceSelector": everything, "evaluationInterval": "5s", "scrapeInterval": "15s", "retention": "2h",
                 "securityContext": {"runAsUser": 65532, "runAsGroup": 65532, "fsGroup": 65532, "runAsNonRoot": True}}}
    may = [{"apiGroups": [""], "resources": ["pods", "services", "endpoints", "nodes"], "verbs": ["get", "list", "watch"]}]
    reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "prometheus"}
    subject = {"kind": "ServiceAccount", **meta}
    return [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}},
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": meta},
        {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": {"name": "prometheus"}, "rules": may},
        {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding", "metadata": {"name": "prometheus"},
         "roleRef": reference, "subjects": [subject]},
        prometheus,
    ]


class Monitoring:
    def __init__(self, testbed):
        self.testbed, self.control, self.pokes = testbed, testbed.control, 0

    def up(self) -> None:
        self.testbed.must_be_up()
        say("starting prometheus-operator and Prometheus")
        crds = tools.tool("prometheus-operator").path() / "share"
        self.testbed.load(images.monitoring(), [NODE])
        self.control.kubectl("apply", "--server-side", "-f", crds)
        self.control.kubectl("wait", "--for=condition=Established", "--timeout=60s", "-f", crds)
        self._start_operator()
        self.control.kubectl("apply", "-f", "-", stdin=json.dumps({"apiVersion": "v1", "kind": "List", "items": _objects()}))
        wait_for("Prometheus' readiness", self._is_ready, seconds=READY_SECONDS, every=0.5)

    def _start_operator(self) -> None:
        processes, pki = self.testbed.processes, self.control.pki
        if processes.pid("prometheus-operator"):
            return
        reloader = [f"--prometheus-config-reloader={images.RELOADER}", "--config-reloader-cpu-request=0", "--config-reloader-cpu-limit=0"]
        processes.start("prometheus-operator", [
            *netns.inside(self.testbed.plan.control_netns), tools.program("prometheus-operator"), f"--apiserver={SERVER}",
            f"--ca-file={pki}/ca.crt", f"--cert-file={pki}/admin.crt", f"--key-file={pki}/admin.key", *reloader])

    def poke(self) -> None:
        """Makes the kubelet look at Prometheus' mounted configuration at once, as any change of a pod does: by itself it does
        so within a minute or more, and what is tested is not that."""
        self.pokes += 1
        self.control.kubectl("annotate", "--overwrite", "pod", POD, "-n", NAMESPACE, f"kubecanary-test/poke={self.pokes}", check=False)

    def _is_ready(self) -> bool:
        self.testbed.processes.must_run("prometheus-operator")
        path = f"/api/v1/namespaces/{NAMESPACE}/pods/{POD}:9090/proxy/-/ready"
        return self.control.kubectl("get", "--raw", path, check=False).returncode == 0
