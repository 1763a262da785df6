# SPDX-License-Identifier: Apache-2.0
"""CoreDNS on the cluster, as the Service that every kubelet names to its pods."""
import json

from . import images
from .plan import DNS
from .shell import say

NAMESPACE = "kube-system"
NODE = "n1"
PORT = 1053  # it runs as nobody in particular
READY_SECONDS = 90
COREFILE = f""".:{PORT} {{
    errors
    ready :8181
    kubernetes cluster.local in-addr.arpa ip6.arpa
}}
"""


def _objects() -> list:
    meta, labels = {"name": "coredns", "namespace": NAMESPACE}, {"k8s-app": "kube-dns"}
    may = [{"apiGroups": [""], "resources": ["services", "pods", "namespaces"], "verbs": ["list", "watch"]},
           {"apiGroups": ["discovery.k8s.io"], "resources": ["endpointslices"], "verbs": ["list", "watch"]}]
    container = {"name": "coredns", "image": images.COREDNS, "imagePullPolicy": "Never", "args": ["-conf", "/etc/coredns/Corefile"],
                 "readinessProbe": {"httpGet": {"path": "/ready", "port": 8181}, "periodSeconds": 1},
                 "volumeMounts": [{"name": "config", "mountPath": "/etc/coredns"}]}
    pod = {"serviceAccountName": "coredns", "dnsPolicy": "Default", "nodeSelector": {"kubernetes.io/hostname": NODE}, "containers": [container],
           "volumes": [{"name": "config", "configMap": {"name": "coredns"}}]}
    return [
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": meta},
        {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": {"name": "system:coredns"}, "rules": may},
        {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding", "metadata": {"name": "system:coredns"},
         "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "system:coredns"},
         "subjects": [{"kind": "ServiceAccount", **meta}]},
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta, "data": {"Corefile": COREFILE}},
        {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": meta,
         "spec": {"replicas": 1, "selector": {"matchLabels": labels}, "template": {"metadata": {"labels": labels}, "spec": pod}}},
        {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "kube-dns", "namespace": NAMESPACE, "labels": labels},
         "spec": {"selector": labels, "clusterIP": DNS, "ipFamilyPolicy": "PreferDualStack",
                  "ports": [{"name": name, "protocol": protocol, "port": 53, "targetPort": PORT}
                            for name, protocol in (("dns", "UDP"), ("dns-tcp", "TCP"))]}},
    ]


def up(testbed) -> None:
    testbed.must_be_up()
    say("starting CoreDNS")
    testbed.load([images.coredns()], [NODE])
    testbed.control.kubectl("apply", "-f", "-", stdin=json.dumps({"apiVersion": "v1", "kind": "List", "items": _objects()}))
    testbed.control.kubectl("rollout", "status", "deployment/coredns", "-n", NAMESPACE, f"--timeout={READY_SECONDS}s")
