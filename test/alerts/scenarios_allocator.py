# SPDX-License-Identifier: Apache-2.0
"""Settings of the allocator that have no effect, and rollouts of them that stopped."""
from mesh import Fleet, Operator, minutes
from scenarios import THREE, Scenario, alert, scenario


@scenario
def allocator_not_effective():
    f = Fleet(THREE, minutes(20))
    f.gauges = lambda step, n: {("kubecanary_allocator_effective", (("setting", "narenas"),)): 0 if n == "n1" else 1,
                                ("kubecanary_allocator_effective", (("setting", "conf"),)): 1}
    return Scenario([f], expect={9: [], 11: [alert("KubecanaryAllocatorNotEffective", setting="narenas")]})


@scenario
def allocator_of_another_image_not_effective():
    def operator(fleet, namespace):
        return Operator("kubecanary_fleet_allocator_ineffective_agents", [2] * minutes(20) + [0] * minutes(5), fleet=fleet, fleet_namespace=namespace,
                        setting="narenas")
    f = Fleet(THREE, minutes(25))
    fires = alert("KubecanaryAllocatorNotEffective", setting="narenas")
    return Scenario([f, operator("mesh", "kubecanary"), operator("mesh", "another"), operator("hash", "kubecanary")],
                    expect={9: [], 11: [fires], 19: [fires], 22: []})


STOPPED_TEXTS = {"summary": "Other settings of the agents' allocator came to some agents and to no more.",
                 "runbook_url": "https://kubecanary.io/runbooks/KubecanaryAllocatorRolloutStopped"}
STOPPED = ("The rollout of spec.agent.allocator in fleet kubecanary/mesh ({whose}) stopped: MemoryGrew. Some agents have the new settings, the others keep"
           " the old ones, and no other change of their pods is carried out, until other settings or another rollout are asked for. The fleet's condition"
           " Degraded says more.")


@scenario
def allocator_rollout_that_stopped():
    """It goes on while another operator takes over, whose series are others, and ends with the stop."""
    def stopped(fleet, namespace, cells, pod="kubecanary-6d4f-a", **labels):
        return Operator("kubecanary_fleet_allocator_rollout_stopped", cells, pod=pod, fleet=fleet, fleet_namespace=namespace, **labels)
    f = Fleet(THREE, minutes(40))
    why = {"override": "", "reason": "MemoryGrew"}
    of_override = {"override": "small", "reason": "OutOfMemory"}
    first = ["_"] * minutes(5) + [1] * minutes(10) + ["stale"]
    second = ["_"] * minutes(17) + [1] * minutes(8) + ["stale"]
    brief = ["_"] * minutes(5) + [1] + ["stale"]
    fires = alert("KubecanaryAllocatorRolloutStopped", reason="MemoryGrew")
    return Scenario([f, stopped("mesh", "kubecanary", first, **why), stopped("mesh", "kubecanary", second, pod="kubecanary-6d4f-b", **why),
                     stopped("mesh", "another", first, **of_override), stopped("hash", "kubecanary", first, **of_override),
                     stopped("mesh", "kubecanary", brief, override="brief", reason="MemoryGrew"),
                     stopped("mesh", "kubecanary", ["_"] * minutes(33) + [1] * minutes(7), **of_override)],
                    expect={5: [], 7: [fires], 14: [fires], 16: [fires], 24: [fires], 32: [],
                            36: [alert("KubecanaryAllocatorRolloutStopped", **of_override)]},
                    texts=[(7, "KubecanaryAllocatorRolloutStopped", fires, STOPPED_TEXTS | {"description": STOPPED.format(whose="the nodes of no override")}),
                           (36, "KubecanaryAllocatorRolloutStopped", alert("KubecanaryAllocatorRolloutStopped", **of_override),
                            STOPPED_TEXTS | {"description": STOPPED.format(whose="override small").replace("MemoryGrew", "OutOfMemory")})])
