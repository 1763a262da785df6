# SPDX-License-Identifier: Apache-2.0
"""What the steps act on: a cluster (ours, or one that is there), kubectl and helm on it, the fleet under test."""
import json
import os
from dataclasses import dataclass, field

from testbed import paths
from testbed.procs import of_container
from testbed.shell import Failure, run, tell, wait_for

from .api import Api
from .series import Prometheus, parse

NAMESPACE = "kubecanary"
RELEASE = "kubecanary"
FLEET = "mesh"
AGENT_PORT = 9961
CHILD_KINDS = ["daemonsets", "configmaps", "serviceaccounts", "podmonitors", "prometheusrules"]
ROLLOUT_SECONDS = 120


@dataclass
class Context:
    api: Api
    kubectl_argv: list
    helm_argv: list
    environment: dict
    prometheus: Prometheus = None
    testbed: object = None
    helm_options: list = field(default_factory=list)
    poke_prometheus: object = lambda: None  # makes a Prometheus of ours read its configuration at once
    foreign_image: str = ""  # test/cluster/foreign, where the nodes have it

    @property
    def owns_nodes(self) -> bool:
        return self.testbed is not None

    def kubectl(self, *words, stdin=None, check=True):
        return run([*self.kubectl_argv, *words], stdin=stdin, check=check, env=self.environment, cwd=paths.TREE)

    def helm(self, *words, check=True):
        return run([*self.helm_argv, *words], check=check, env=self.environment, cwd=paths.TREE)

    def dns(self) -> str:
        """The address of the cluster's DNS, where its Service has the usual name; else ""."""
        service = self.api.find("services", "kube-dns", "kube-system")
        return service["spec"]["clusterIP"] if service else ""

    # The fleet.

    def fleet(self) -> dict:
        return self.api.get("probefleets", FLEET, NAMESPACE)

    def change(self, spec: dict) -> int:
        """Merges into the fleet's spec; returns the new generation."""
        return self.api.merge("probefleets", FLEET, {"spec": spec}, NAMESPACE)["metadata"]["generation"]

    def condition(self, kind: str, name: str = FLEET) -> dict:
        """A condition of a fleet that the operator gave to its newest generation; {} if there is none yet."""
        fleet = self.api.get("probefleets", name, NAMESPACE)
        for condition in fleet.get("status", {}).get("conditions", []):
            if condition["type"] == kind and condition.get("observedGeneration") == fleet["metadata"]["generation"]:
                return condition
        return {}

    def wait_condition(self, kind: str, status: str, seconds: float = ROLLOUT_SECONDS, name: str = FLEET, reason: str = "") -> dict:
        last = {}

        def reached():
            last.clear()
            last.update(self.condition(kind, name))
            if last.get("status") != status or (reason and last["reason"] != reason):
                raise Failure(f"it is {last}")
            return dict(last)
        return wait_for(f"condition {kind}={status} {reason}".strip(), reached, seconds=seconds, every=0.3)

    def children(self) -> dict:
        """All objects of the fleet: kind/name -> object."""
        found = {}
        for kind in CHILD_KINDS:
            for one in self.api.list(kind, NAMESPACE, labelSelector=f"kubecanary.io/fleet={FLEET}"):
                found[f"{kind}/{one['metadata']['name']}"] = one
        return found

    def agents(self, fleet: str = FLEET) -> list:
        """The agents' pods that are not on their way out."""
        pods = self.api.list("pods", NAMESPACE, labelSelector=f"kubecanary.io/fleet={fleet}")
        return sorted((p for p in pods if "deletionTimestamp" not in p["metadata"]), key=lambda p: p["spec"].get("nodeName", ""))

    def identities(self, fleet: str = FLEET) -> dict:
        """Node -> what changes when its agent is restarted in any way. A pod that has just been made has neither node nor containers yet."""
        return {p["spec"].get("nodeName"): (p["metadata"]["uid"], [c["restartCount"] for c in p["status"].get("containerStatuses", [])])
                for p in self.agents(fleet)}

    def daemonset(self) -> dict:
        return self.api.get("daemonsets", f"{FLEET}-pod", NAMESPACE)

    def wait_agents(self, count: int, seconds: float = ROLLOUT_SECONDS) -> None:
        """Waits until the newest state of the DaemonSet is carried out on exactly count nodes."""
        self.wait_sets({f"{FLEET}-pod": count}, seconds)

    def wait_sets(self, sets: dict, seconds: float = ROLLOUT_SECONDS, fleet: str = FLEET) -> None:
        """Waits until the newest state of each DaemonSet of a fleet is carried out on exactly so many nodes, and it has no other agents."""
        keys = ["desiredNumberScheduled", "currentNumberScheduled", "numberReady", "updatedNumberScheduled"]

        def rolled_out():
            for name, count in sets.items():
                daemonset = self.api.get("daemonsets", name, NAMESPACE)
                status = daemonset["status"]
                got = {key: status.get(key, 0) for key in keys}
                if status.get("observedGeneration") != daemonset["metadata"]["generation"] or got != dict.fromkeys(keys, count):
                    raise Failure(f"{name} is {got}")
            agents = len(self.agents(fleet))
            if agents != sum(sets.values()):
                raise Failure(f"{agents} pods")
            return True
        wait_for(f"agents ready in their DaemonSets' newest state, {sets}", rolled_out, seconds=seconds, every=0.3)

    def wait_rollout(self, generation: int, count: int) -> None:
        """Waits until the operator has carried out this generation of the fleet, and the cluster what it wrote."""
        def carried_out():
            status = self.fleet().get("status", {})
            if status.get("observedGeneration", 0) < generation:
                raise Failure(f"status.observedGeneration is {status.get('observedGeneration')}")
            return True
        wait_for(f"generation {generation} in the status", carried_out, seconds=ROLLOUT_SECONDS, every=0.2)
        self.wait_agents(count)

    def nodes(self) -> list:
        return self.api.list("nodes")

    def zones(self) -> dict:
        return {n["metadata"]["name"]: n["metadata"]["labels"].get("topology.kubernetes.io/zone", "") for n in self.nodes()}

    def scrape(self, pod: dict) -> dict:
        return parse(self.api.ask_pod(NAMESPACE, pod["metadata"]["name"], AGENT_PORT, "/metrics"))

    def scrape_all(self) -> dict:
        """Node -> the series of its agent."""
        return {p["spec"]["nodeName"]: self.scrape(p) for p in self.agents()}

    def wait_generation(self, generation: int, seconds: float = 90) -> None:
        """Waits until every agent works by this generation of the fleet."""
        def all_there():
            have = {node: series["kubecanary_config_generation"][0][1] for node, series in self.scrape_all().items()}
            if not have or set(have.values()) != {float(generation)}:
                raise Failure(f"they are at {have}")
            return True
        wait_for(f"generation {generation} in every agent", all_there, seconds=seconds, every=0.3)

    # The operator.

    def operators(self) -> list:
        pods = self.api.list("pods", NAMESPACE, labelSelector="app.kubernetes.io/name=kubecanary-operator")
        return [p for p in pods if "deletionTimestamp" not in p["metadata"]]

    def lease(self) -> dict:
        leases = self.api.list("leases", NAMESPACE)
        if len(leases) != 1:
            raise Failure(f"{len(leases)} leases in {NAMESPACE}: {[one['metadata']['name'] for one in leases]}")
        return leases[0]

    def holder(self) -> str:
        """The identity that holds the lease: another one for each start of an operator."""
        return self.lease()["spec"].get("holderIdentity") or ""

    def leader(self) -> str:
        """The name of the operator's pod that holds the lease."""
        holder = self.holder()
        for pod in self.operators():
            if pod["metadata"]["name"] in holder:
                return pod["metadata"]["name"]
        raise Failure(f"the lease's holder {holder!r} is none of {[p['metadata']['name'] for p in self.operators()]}")

    def wait_operator(self, seconds: float = ROLLOUT_SECONDS) -> None:
        def ready():
            deployment = self.api.get("deployments", RELEASE, NAMESPACE)
            status, wanted = deployment.get("status", {}), deployment["spec"]["replicas"]
            if status.get("observedGeneration") != deployment["metadata"]["generation"] or status.get("readyReplicas", 0) != wanted:
                raise Failure(f"{status.get('readyReplicas', 0)} of {wanted} ready")
            return self.leader()
        wait_for("the operator's readiness", ready, seconds=seconds, every=0.3)

    def signal_operator(self, pod: str, number: int) -> None:
        """Sends a signal to the operator's process in this pod: only where the nodes are ours."""
        status = self.api.get("pods", pod, NAMESPACE)["status"]["containerStatuses"][0]
        pids = of_container(status["containerID"])
        if not pids:
            raise Failure(f"no process of {pod}")
        for pid in pids:
            os.kill(pid, number)

    # For whoever reads a failure.

    def explain(self) -> None:
        for words in (["get", "pods,daemonsets,probefleets", "-n", NAMESPACE, "-o", "wide"],
                      ["get", "events", "-n", NAMESPACE, "--sort-by=.lastTimestamp"],
                      ["get", "probefleets", "-n", NAMESPACE, "-o", "jsonpath={.items[*].status}"],
                      ["logs", "-n", NAMESPACE, "-l", "app.kubernetes.io/name=kubecanary-operator", "--prefix", "--tail=15"],
                      ["logs", "-n", NAMESPACE, "-l", f"kubecanary.io/fleet={FLEET}", "--prefix", "--tail=8"]):
            done = self.kubectl(*words, check=False)
            lines = (done.stdout + done.stderr).strip().splitlines()[-40:]
            tell(f"--- kubectl {' '.join(words)}\n" + "\n".join(lines))
        if self.testbed:
            self.testbed.print_logs()


def as_list(objects: list) -> str:
    return json.dumps({"apiVersion": "v1", "kind": "List", "items": objects})
