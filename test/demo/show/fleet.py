# SPDX-License-Identifier: Apache-2.0
"""The fleet: `kubecanary-operator local` and the agents that it runs; loss on the link between two of its nodes."""

import json
import statistics

from .children import Child, run, wait_for

LOSS_RULES = """
table inet kubecanary_demo {
  chain arriving {
    type filter hook prerouting priority -300;
    icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert } accept
    ip saddr %(ipv4)s numgen random mod 100 < %(percent)d drop
    ip6 saddr %(ipv6)s numgen random mod 100 < %(percent)d drop
  }
}
"""


class Fleet:
    def __init__(self, programs, resource, nodes, state):
        self.state = state
        command = [str(programs / "kubecanary-operator"), "local", "-f", str(resource), "--nodes", str(nodes), "--state", str(state),
                   "--agent", str(programs / "kubecanary-agent"), "--listen", "127.0.0.1:9960"]
        if (programs / "kubecanary-agent-jemalloc").exists():
            command += ["--agent-jemalloc", str(programs / "kubecanary-agent-jemalloc")]
        self.operator = Child("the operator", command, state.parent / "operator.log")

    def nodes(self):
        try:
            return json.loads((self.state / "nodes.json").read_text(encoding="utf-8"))
        except FileNotFoundError:
            return []

    def node(self, name):
        return next(n for n in self.nodes() if n["name"] == name)

    def is_ready(self):
        pods = [pod for node in self.nodes() for pod in node.get("pods", [])]
        rules = list((self.state / "rules").glob("*.yaml"))
        return bool(pods and rules and all(pod["ready"] for pod in pods) and len(pods) == len(self.nodes()))

    def wait_ready(self):
        wait_for("the agents to be ready", self.is_ready, [self.operator])

    def enter(self, node):
        return ["nsenter", f"--net={self.node(node)['netns']}"]

    def lose(self, source, destination, percent):
        """Of what arrives at the destination from the source. (What is dropped on its way out is an error of the sender, not loss.)"""
        rules = LOSS_RULES % {**self.node(source), "percent": percent}
        run(self.enter(destination) + ["nft", "-f", "-"], rules)

    def repair(self, destination):
        run(self.enter(destination) + ["nft", "delete", "table", "inet", "kubecanary_demo"])

    def memory_kib(self):
        """Resident memory of the agents: min, median, max."""
        sizes = []
        for node in self.nodes():
            for pod in node.get("pods", []):
                with open(f"/proc/{pod['pid']}/status", encoding="ascii") as f:
                    sizes += [int(line.split()[1]) for line in f if line.startswith("VmRSS:")]
        return min(sizes), statistics.median(sizes), max(sizes)
