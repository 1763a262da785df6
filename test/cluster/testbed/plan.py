# SPDX-License-Identifier: Apache-2.0
"""Names and addresses of one cluster. All addresses are inside namespaces that the cluster made, so two clusters may use the
same ones; what the machine shares (namespaces, cgroups) carries a name that follows from the state directory."""
import hashlib
from dataclasses import dataclass
from pathlib import Path

from .shell import Failure

PODS = "198.19.0.0/16,fd00:19::/48"
SERVICES = "10.96.0.0/16,fd00:96::/112"
DNS = "10.96.0.10"
CONTROL4, CONTROL6 = "198.18.0.1", "fd00:18::1"
SERVER = f"https://{CONTROL4}:6443"
CERTIFIED = ["127.0.0.1", CONTROL4, CONTROL6, "10.96.0.1", "fd00:96::1"]
CERTIFIED_NAMES = ["localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local"]
ZONES = "abcdefghi"
MAX_NODES = 9
MAX_SOCKET_PATH = 100  # sun_path holds 108, and containerd appends to it


@dataclass(frozen=True)
class Node:
    number: int
    state: Path
    prefix: str

    name = property(lambda self: f"n{self.number}")
    zone = property(lambda self: ZONES[self.number - 1])
    netns = property(lambda self: f"{self.prefix}-{self.name}")
    folder = property(lambda self: self.state / self.name)
    socket = property(lambda self: self.folder / "c.sock")
    addresses = property(lambda self: [f"198.18.0.{10 + self.number}", f"fd00:18::{10 + self.number}"])
    pods = property(lambda self: [f"198.19.{self.number}.0/24", f"fd00:19:0:{self.number}::/64"])


@dataclass(frozen=True)
class Plan:
    state: Path
    count: int

    def __post_init__(self):
        if not 1 <= self.count <= MAX_NODES:
            raise Failure(f"{self.count} nodes: 1 to {MAX_NODES} are possible")
        if len(str(self.state / "n1" / "c.sock")) > MAX_SOCKET_PATH:
            raise Failure(f"{self.state}: the path is too long for a socket; choose another with --state")

    @property
    def prefix(self) -> str:
        return "kc-" + hashlib.sha256(str(self.state).encode()).hexdigest()[:6]

    @property
    def control_netns(self) -> str:
        return f"{self.prefix}-cp"

    @property
    def kubeconfig(self) -> Path:
        return self.state / "admin.kubeconfig"

    @property
    def nodes(self) -> list:
        return [Node(number, self.state, self.prefix) for number in range(1, self.count + 1)]

    def node(self, name: str) -> Node:
        for node in self.nodes:
            if node.name == name:
                return node
        raise Failure(f"no node {name}; there are: {' '.join(n.name for n in self.nodes)}")
