# SPDX-License-Identifier: Apache-2.0
"""One node: a network, mount and pid namespace with containerd, kubelet and kube-proxy in it. The end of its first process is
the end of everything on it, the containers' shims included."""
import json
from pathlib import Path

from . import images, netns, paths, tools
from .host import Host
from .plan import CONTROL4, CONTROL6, DNS, PODS, Node, Plan
from .procs import Processes
from .shell import Failure, run, wait_for

CNI_PROGRAMS = "/usr/lib/cni"
START_SECONDS = 60


def _cni(node: Node) -> str:
    ranges = [[{"subnet": pods}] for pods in node.pods]
    bridge = {"type": "bridge", "bridge": "cni0", "isGateway": True, "ipMasq": False, "mtu": 1500,
              "ipam": {"type": "host-local", "dataDir": str(node.folder / "ipam"), "ranges": ranges,
                       "routes": [{"dst": "0.0.0.0/0"}, {"dst": "::/0"}]}}
    return json.dumps({"cniVersion": "1.0.0", "name": "test", "plugins": [bridge]})


def _containerd(node: Node) -> str:
    kind = run(["stat", "-f", "-c", "%T", node.folder]).stdout.strip()
    snapshotter = "native" if kind == "overlayfs" else "overlayfs"  # an overlay cannot lie on an overlay
    return f"""version = 3
root = "{node.folder}/root"
state = "{node.folder}/run"
disabled_plugins = ["io.containerd.nri.v1.nri", "io.containerd.tracing.processor.v1.otlp", "io.containerd.internal.v1.tracing"]
[grpc]
  address = "{node.socket}"
[plugins."io.containerd.cri.v1.images"]
  snapshotter = "{snapshotter}"
  [plugins."io.containerd.cri.v1.images".pinned_images]
    sandbox = "{images.PAUSE}"
[plugins."io.containerd.cri.v1.runtime"]
  # Without CAP_SYS_RESOURCE, as in many containers and small machines, a lower score than our own is refused.
  restrict_oom_score_adj = true
  # Its profile would be loaded into the kernel of the machine, and stay there.
  disable_apparmor = true
  [plugins."io.containerd.cri.v1.runtime".cni]
    bin_dirs = ["{CNI_PROGRAMS}"]
    conf_dir = "{node.folder}/cni"
[plugins."io.containerd.grpc.v1.cri"]
  stream_server_port = "0"
"""


def _kubelet(node: Node, cgroup: str) -> str:
    return f"""apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
failCgroupV1: false
cgroupDriver: cgroupfs
cgroupRoot: {cgroup}
failSwapOn: false
enforceNodeAllocatable: []
authentication: {{anonymous: {{enabled: true}}, webhook: {{enabled: false}}}}
authorization: {{mode: AlwaysAllow}}
clusterDNS: [{DNS}]
clusterDomain: cluster.local
resolvConf: {node.folder}/resolv.conf
volumePluginDir: {node.folder}/volume-plugins
readOnlyPort: 0
healthzPort: 0
evictionHard: {{"nodefs.available": "1%", "imagefs.available": "1%"}}
"""


class Machine:
    """A node's processes."""

    def __init__(self, node: Node, plan: Plan, processes: Processes):
        self.node, self.plan, self.processes = node, plan, processes

    def start(self, host: Host) -> None:
        """Starts all of it but the kubelet, which comes when the images are there."""
        folder = self.node.folder
        for name in ["cni", "var-log", "var-cni", "var-kubelet"]:
            (folder / name).mkdir(parents=True)
        if not Path(CNI_PROGRAMS, "bridge").exists():
            raise Failure("no CNI plugins on this machine (tools/install-packages cluster)")
        (folder / "cni" / "10-bridge.conflist").write_text(_cni(self.node), encoding="ascii")
        (folder / "containerd.toml").write_text(_containerd(self.node), encoding="ascii")
        (folder / "resolv.conf").write_text(f"nameserver {CONTROL4}\n", encoding="ascii")
        (folder / "kubelet.yaml").write_text(_kubelet(self.node, host.make_cgroup(self.node.name)), encoding="ascii")
        self._start_init()
        self._connect()
        self._run("containerd", tools.program("containerd"), "-c", folder / "containerd.toml")
        self._run("kube-proxy", tools.program("kube-proxy"), f"--kubeconfig={self.plan.kubeconfig}",
                  f"--hostname-override={self.node.name}", "--proxy-mode=iptables", f"--cluster-cidr={PODS}",
                  "--conntrack-max-per-core=0", "--healthz-bind-address=127.0.0.1:10256")

    def _start_init(self) -> None:
        node = self.node
        netns.make(node.netns)
        outer = self.processes.start(f"{node.name}-init", [
            *netns.inside(node.netns), "unshare", "--mount", "--pid", "--fork", "--mount-proc", "--kill-child", "--propagation",
            "private", paths.CLUSTER / "node-init", node.folder])

        def ready():
            self.processes.must_run(f"{node.name}-init")
            return (node.folder / "ready").exists()
        wait_for(f"{node.name}'s first process", ready, seconds=START_SECONDS, every=0.02)
        children = Path(f"/proc/{outer}/task/{outer}/children").read_text(encoding="ascii").split()
        self.processes.record(f"{node.name}-first", int(children[0]))

    def inside(self) -> list:
        """The words to put before a command so that it runs in the node's namespaces."""
        return ["nsenter", "-t", str(self.processes.must_run(f"{self.node.name}-first")), "-n", "-m", "-p"]

    def _run(self, name: str, *argv) -> None:
        env_path = f"{tools.program('containerd').parent}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
        # Nothing of the caller's environment: XDG_RUNTIME_DIR, of a user who is logged in, is no directory of the node.
        self.processes.start(f"{self.node.name}-{name}", [*self.inside(), "env", "-i", f"PATH={env_path}", *argv])

    def _connect(self) -> None:
        node, control = self.node, self.plan.control_netns
        run(["ip", "-n", control, "link", "add", f"v-{node.name}", "type", "veth", "peer", "name", "eth0", "netns", node.netns])
        routes = [f"route add {pods} via {address}" for other in self.plan.nodes if other != node
                  for pods, address in zip(other.pods, other.addresses)]
        netns.ip(node.netns, f"addr add {node.addresses[0]}/24 dev eth0", f"addr add {node.addresses[1]}/64 dev eth0 nodad",
                 "link set eth0 up", f"route add default via {CONTROL4}", f"route add default via {CONTROL6}", *routes)
        netns.ip(control, f"link set v-{node.name} master br0 up",
                 *(f"route add {pods} via {address}" for pods, address in zip(node.pods, node.addresses)))

    def wait_containerd(self) -> None:
        def ready():
            self.processes.must_run(f"{self.node.name}-containerd")
            return self.node.socket.exists() and self.ctr("version", check=False).returncode == 0
        wait_for(f"containerd on {self.node.name}", ready, seconds=START_SECONDS)

    def ctr(self, *words, check=True):
        return run([tools.program("ctr"), "-a", self.node.socket, "-n", "k8s.io", *words], check=check)

    def load(self, archive: Path) -> None:
        self.ctr("images", "import", archive)

    def start_kubelet(self) -> None:
        folder = self.node.folder
        self._run("kubelet", tools.program("kubelet"), f"--config={folder}/kubelet.yaml", f"--kubeconfig={self.plan.kubeconfig}",
                  f"--hostname-override={self.node.name}", f"--node-ip={','.join(self.node.addresses)}",
                  f"--root-dir={folder}/kubelet", f"--container-runtime-endpoint=unix://{self.node.socket}",
                  f"--cert-dir={folder}/pki")
