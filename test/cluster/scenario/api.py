# SPDX-License-Identifier: Apache-2.0
"""The Kubernetes API over the unix socket of a `kubectl proxy`: credentials, namespaces and addresses are its business."""
import http.client
import json
import socket
from urllib.parse import quote, urlencode

from testbed.shell import Failure

GROUPS = {
    "pods": "/api/v1", "configmaps": "/api/v1", "serviceaccounts": "/api/v1", "nodes": "/api/v1", "events": "/api/v1",
    "namespaces": "/api/v1", "services": "/api/v1", "secrets": "/api/v1", "daemonsets": "/apis/apps/v1",
    "deployments": "/apis/apps/v1", "leases": "/apis/coordination.k8s.io/v1", "roles": "/apis/rbac.authorization.k8s.io/v1",
    "rolebindings": "/apis/rbac.authorization.k8s.io/v1", "clusterroles": "/apis/rbac.authorization.k8s.io/v1",
    "clusterrolebindings": "/apis/rbac.authorization.k8s.io/v1", "probefleets": "/apis/kubecanary.io/v1alpha1",
    "podmonitors": "/apis/monitoring.coreos.com/v1", "prometheusrules": "/apis/monitoring.coreos.com/v1",
    "poddisruptionbudgets": "/apis/policy/v1", "customresourcedefinitions": "/apis/apiextensions.k8s.io/v1",
}
TIMEOUT = 30


class Missing(Failure):
    """The API answered 404."""


class _Connection(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("localhost", timeout=TIMEOUT)
        self.path = str(path)

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(TIMEOUT)
        self.sock.connect(self.path)


class Api:
    def __init__(self, socket_path):
        self.socket_path = socket_path

    def _exchange(self, method: str, path: str, data, headers: dict) -> tuple:
        """(Content-Encoding, bytes) of a good answer."""
        connection = _Connection(self.socket_path)
        try:
            connection.request(method, path, body=data, headers=headers)
            answer = connection.getresponse()
            body = answer.read()
        except (OSError, http.client.HTTPException) as e:
            raise Failure(f"{method} {path}: {e!r}") from e
        finally:
            connection.close()
        if answer.status == 404:
            raise Missing(f"{method} {path}: 404")
        if answer.status >= 300:
            raise Failure(f"{method} {path}: {answer.status} {body.decode('utf-8', 'replace')[:1000]}")
        return answer.headers.get("Content-Encoding", ""), body

    def call(self, method: str, path: str, body=None, content_type="application/json") -> str:
        data = None if body is None else json.dumps(body)
        return self._exchange(method, path, data, {"Content-Type": content_type} if data else {})[1].decode("utf-8", "replace")

    @staticmethod
    def path(kind: str, namespace: str = "", name: str = "") -> str:
        where = f"/namespaces/{namespace}" if namespace else ""
        return f"{GROUPS[kind]}{where}/{kind}" + (f"/{quote(name)}" if name else "")

    def get(self, kind: str, name: str, namespace: str = "") -> dict:
        return json.loads(self.call("GET", self.path(kind, namespace, name)))

    def find(self, kind: str, name: str, namespace: str = ""):
        """As get, but None where there is none."""
        try:
            return self.get(kind, name, namespace)
        except Missing:
            return None

    def list(self, kind: str, namespace: str = "", **query) -> list:
        """The objects of a kind; query: labelSelector=, fieldSelector=. An API that is not there has none."""
        try:
            return json.loads(self.call("GET", f"{self.path(kind, namespace)}?{urlencode(query)}"))["items"]
        except Missing:
            return []

    def merge(self, kind: str, name: str, patch: dict, namespace: str = "") -> dict:
        """JSON merge patch, as `kubectl patch --type=merge`."""
        return json.loads(self.call("PATCH", self.path(kind, namespace, name), patch, "application/merge-patch+json"))

    def delete(self, kind: str, name: str, namespace: str = "", now: bool = False) -> None:
        self.call("DELETE", self.path(kind, namespace, name) + ("?gracePeriodSeconds=0" if now else ""))

    def ask_pod(self, namespace: str, pod: str, port: int, path: str, **query) -> str:
        """HTTP GET to a pod, through the API server."""
        return self.call("GET", f"{self._in_pod(namespace, pod, port, path)}?{urlencode(query)}")

    def ask_pod_encoded(self, namespace: str, pod: str, port: int, path: str, encoding: str) -> tuple:
        """The same with Accept-Encoding: (Content-Encoding, bytes) of the answer as it is."""
        return self._exchange("GET", self._in_pod(namespace, pod, port, path), None, {"Accept-Encoding": encoding})

    @staticmethod
    def _in_pod(namespace: str, pod: str, port: int, path: str) -> str:
        return f"/api/v1/namespaces/{namespace}/pods/{pod}:{port}/proxy{path}"
