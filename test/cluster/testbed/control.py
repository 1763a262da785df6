# SPDX-License-Identifier: Apache-2.0
"""The control plane: etcd, API server, controller manager and scheduler in a network namespace of their own, with the bridge
to which the nodes are plugged in."""
import json

from . import netns, pki, tools
from .plan import CERTIFIED, CERTIFIED_NAMES, CONTROL4, CONTROL6, SERVER, SERVICES, Plan
from .procs import Processes
from .shell import Failure, run, wait_for

READY_SECONDS = 120


class ControlPlane:
    def __init__(self, plan: Plan, processes: Processes):
        self.plan, self.processes, self.pki = plan, processes, plan.state / "pki"

    def _start(self, name: str, *options) -> None:
        self.processes.start(name, [*netns.inside(self.plan.control_netns), tools.program(name), *options])

    def start(self) -> None:
        pki.make(self.pki, CERTIFIED, CERTIFIED_NAMES)
        self.plan.kubeconfig.write_text(pki.kubeconfig(self.pki, SERVER), encoding="ascii")
        netns.make(self.plan.control_netns)
        netns.ip(self.plan.control_netns, "link add br0 type bridge", f"addr add {CONTROL4}/24 dev br0",
                 f"addr add {CONTROL6}/64 dev br0 nodad", "link set br0 up")
        self._start_etcd()
        self._start_apiserver()
        self.wait_ready()
        self._start_controllers()
        self._make_nodes()
        self._start_proxy()

    def _start_etcd(self) -> None:
        client, peer = "http://127.0.0.1:2379", "http://127.0.0.1:2380"
        self._start("etcd", "--data-dir", self.plan.state / "etcd", "--listen-client-urls", client, "--advertise-client-urls", client,
                    "--listen-peer-urls", peer, "--unsafe-no-fsync", "--log-level=warn")

    def _start_apiserver(self) -> None:
        self._start("kube-apiserver", "--etcd-servers=http://127.0.0.1:2379", "--bind-address=::", f"--advertise-address={CONTROL4}",
                    "--secure-port=6443", f"--client-ca-file={self.pki}/ca.crt", f"--tls-cert-file={self.pki}/apiserver.crt",
                    f"--tls-private-key-file={self.pki}/apiserver.key", f"--service-account-key-file={self.pki}/sa.key",
                    f"--service-account-signing-key-file={self.pki}/sa.key",
                    "--service-account-issuer=https://kubernetes.default.svc", "--authorization-mode=Node,RBAC",
                    f"--service-cluster-ip-range={SERVICES}", "--allow-privileged=true",
                    "--enable-admission-plugins=OwnerReferencesPermissionEnforcement",
                    "--kubelet-preferred-address-types=InternalIP")

    def wait_ready(self) -> None:
        def ready():
            self.processes.must_run("etcd")
            self.processes.must_run("kube-apiserver")
            return self.kubectl("get", "--raw", "/readyz", check=False).returncode == 0
        wait_for("the API server's readiness", ready, seconds=READY_SECONDS)

    def _start_controllers(self) -> None:
        config = f"--kubeconfig={self.plan.kubeconfig}"
        self._start("kube-controller-manager", config, f"--service-account-private-key-file={self.pki}/sa.key",
                    f"--root-ca-file={self.pki}/ca.crt", "--use-service-account-credentials=true", "--leader-elect=false",
                    "--allocate-node-cidrs=false", f"--service-cluster-ip-range={SERVICES}",
                    f"--cluster-signing-cert-file={self.pki}/ca.crt", f"--cluster-signing-key-file={self.pki}/ca.key")
        self._start("kube-scheduler", config, "--leader-elect=false")

    def _make_nodes(self) -> None:
        """The Node objects come before their kubelets, with the ranges that the nodes' network configuration names."""
        nodes = [{"apiVersion": "v1", "kind": "Node",
                  "metadata": {"name": n.name, "labels": {"topology.kubernetes.io/zone": n.zone}},
                  "spec": {"podCIDR": n.pods[0], "podCIDRs": n.pods}} for n in self.plan.nodes]
        self.kubectl("create", "-f", "-", stdin=json.dumps({"apiVersion": "v1", "kind": "List", "items": nodes}))

    @property
    def api_socket(self):
        """A unix socket that serves the whole API to whoever may open it: network namespaces do not matter to it."""
        return self.plan.state / "api.sock"

    def _start_proxy(self) -> None:
        self.api_socket.unlink(missing_ok=True)
        self.processes.start("api-proxy", [*netns.inside(self.plan.control_netns), tools.program("kubectl"), "--kubeconfig",
                                           self.plan.kubeconfig, "proxy", f"--unix-socket={self.api_socket}"])
        wait_for("the API's socket", self.api_socket.exists, seconds=30)

    def kubectl_argv(self) -> list:
        return [*netns.inside(self.plan.control_netns), str(tools.program("kubectl")), "--kubeconfig", str(self.plan.kubeconfig)]

    def kubectl(self, *words, stdin=None, check=True, timeout=120):
        return run([*self.kubectl_argv(), *words], stdin=stdin, check=check, timeout=timeout)

    def wait_nodes(self, seconds: float) -> None:
        def ready():
            for name in self.processes.names():
                self.processes.must_run(name)
            nodes = json.loads(self.kubectl("get", "nodes", "-o", "json").stdout)["items"]
            states = {n["metadata"]["name"]: c["status"] for n in nodes for c in n["status"].get("conditions", [])
                      if c["type"] == "Ready"}
            waiting = [n.name for n in self.plan.nodes if states.get(n.name) != "True"]
            if waiting:
                raise Failure(f"not ready: {' '.join(waiting)}")
            return True
        wait_for("the readiness of all nodes", ready, seconds=seconds, every=0.3)
