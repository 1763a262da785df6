# SPDX-License-Identifier: Apache-2.0
"""What the chart's objects must never be, checked on the rendered objects: rights without bound, pods beside the Restricted profile."""

FORBIDDEN_RESOURCES = {"secrets", "pods/exec", "pods/attach", "pods/portforward", "pods/ephemeralcontainers", "nodes/proxy", "serviceaccounts/token",
                       "roles", "clusterroles", "rolebindings", "clusterrolebindings", "validatingwebhookconfigurations",
                       "mutatingwebhookconfigurations", "persistentvolumes", "jobs", "cronjobs"}
HOST_PORTS = range(9961, 9965)  # of the agents in the hosts' network
SAFE_SYSCTLS = {"net.ipv4.ping_group_range"}  # of those that the profile allows, the one that is needed
FORBIDDEN_VERBS = {"escalate", "bind", "impersonate", "approve", "sign"}


def violations(obj: dict) -> list:
    """The reasons why an object must not be there; an empty list is what is wanted."""
    kind = obj["kind"]
    if kind in ("Role", "ClusterRole"):
        return [f"rules[{i}]: {why}" for i, rule in enumerate(obj.get("rules") or []) for why in _rule(rule, kind, obj)]
    if kind in ("RoleBinding", "ClusterRoleBinding"):
        return [f"binds {s}" for s in obj["subjects"] if s["kind"] != "ServiceAccount" or s["name"] == "default"]
    if kind in ("Deployment", "DaemonSet"):
        host = kind == "DaemonSet" and obj["metadata"].get("labels", {}).get("kubecanary.io/network") == "Node"
        return _pod(obj["spec"]["template"]["spec"], host)
    if kind == "Pod":
        return _pod(obj["spec"])
    return []


def _rule(rule, kind, obj):
    for field in ("apiGroups", "resources", "verbs", "nonResourceURLs"):
        if any("*" in value for value in rule.get(field, [])):
            yield f"wildcard in {field}"
    for resource in FORBIDDEN_RESOURCES & set(rule.get("resources", [])):
        yield f"resource {resource}"
    for verb in FORBIDDEN_VERBS & set(rule.get("verbs", [])):
        yield f"verb {verb}"
    for_people = any(label.startswith("rbac.authorization.k8s.io/aggregate-to-") for label in obj["metadata"].get("labels", {}))
    if "deletecollection" in rule.get("verbs", []) and not for_people:
        yield "verb deletecollection"
    if "pods" in rule.get("resources", []) and {"create", "delete", "update"} & set(rule["verbs"]):
        yield "pods are the DaemonSet controller's to make"
    if kind == "ClusterRole" and "leases" in rule.get("resources", []):
        yield "the lease is in one namespace"


def _pod(spec, host=False):
    """The Restricted pod security profile, and a root file system that is only read. host: but for the host's network and the agents' ports."""
    found = [f"{field} is set" for field in ("hostNetwork", "hostPID", "hostIPC") if spec.get(field) and not (host and field == "hostNetwork")]
    security = spec.get("securityContext", {})
    if host and security.get("sysctls"):
        found.append("sysctls of a host")
    if security.get("runAsNonRoot") is not True:
        found.append("runAsNonRoot is not true")
    if security.get("seccompProfile", {}).get("type") != "RuntimeDefault":
        found.append("seccompProfile is not RuntimeDefault")
    if security.get("runAsUser") == 0:
        found.append("runAsUser is 0")
    found += [f"sysctl {s['name']}" for s in security.get("sysctls", []) if s["name"] not in SAFE_SYSCTLS]
    found += [f"volume {v['name']}" for v in spec.get("volumes", []) if not {"configMap", "emptyDir", "projected", "downwardAPI"} & set(v)]
    for container in spec["containers"] + spec.get("initContainers", []):
        own = container.get("securityContext", {})
        name = container["name"]
        if own.get("allowPrivilegeEscalation") is not False:
            found.append(f"{name}: allowPrivilegeEscalation is not false")
        if own.get("readOnlyRootFilesystem") is not True:
            found.append(f"{name}: readOnlyRootFilesystem is not true")
        if own.get("capabilities") != {"drop": ["ALL"]}:
            found.append(f"{name}: capabilities other than drop ALL")
        if own.get("privileged"):
            found.append(f"{name}: privileged")
        if "memory" not in container.get("resources", {}).get("limits", {}):
            found.append(f"{name}: no memory limit")
        found += [f"{name}: hostPort" for port in container.get("ports", [])
                  if "hostPort" in port and not (host and port["hostPort"] == port["containerPort"] and port["hostPort"] in HOST_PORTS)]
    return found


def _daemonset(network, **pod):
    return {"kind": "DaemonSet", "metadata": {"labels": {"kubecanary.io/network": network}}, "spec": {"template": {"spec": {"containers": [], **pod}}}}


# Objects that must be found out, each with the reason; a check that lets one through is no check.
WRONG = [
    ("wildcard in verbs", {"kind": "Role", "metadata": {}, "rules": [{"apiGroups": [""], "resources": ["pods"], "verbs": ["*"]}]}),
    ("wildcard in apiGroups", {"kind": "Role", "metadata": {}, "rules": [{"apiGroups": ["*"], "resources": ["pods"], "verbs": ["get"]}]}),
    ("resource secrets", {"kind": "ClusterRole", "metadata": {}, "rules": [{"apiGroups": [""], "resources": ["secrets"], "verbs": ["get"]}]}),
    ("verb bind", {"kind": "Role", "metadata": {}, "rules": [{"apiGroups": ["x"], "resources": ["y"], "verbs": ["bind"]}]}),
    ("verb deletecollection", {"kind": "Role", "metadata": {}, "rules": [{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["deletecollection"]}]}),
    ("binds", {"kind": "RoleBinding", "metadata": {}, "subjects": [{"kind": "ServiceAccount", "name": "default"}]}),
    ("binds", {"kind": "RoleBinding", "metadata": {}, "subjects": [{"kind": "Group", "name": "system:authenticated"}]}),
    ("hostNetwork is set", {"kind": "Pod", "metadata": {}, "spec": {"hostNetwork": True, "containers": []}}),
    ("hostNetwork is set", _daemonset("Pod", hostNetwork=True)),
    ("hostPID is set", _daemonset("Node", hostNetwork=True, hostPID=True)),
    ("sysctls of a host", _daemonset("Node", securityContext={"sysctls": [{"name": "net.ipv4.ping_group_range", "value": "0 1"}]})),
    ("c: hostPort", _daemonset("Node", containers=[{"name": "c", "ports": [{"containerPort": 22, "hostPort": 22}]}])),
    ("c: hostPort", _daemonset("Pod", containers=[{"name": "c", "ports": [{"containerPort": 9961, "hostPort": 9961}]}])),
    ("c: no memory limit", _daemonset("Node", containers=[{"name": "c"}])),
    ("sysctl net.core.somaxconn", {"kind": "DaemonSet", "metadata": {}, "spec": {"template": {"spec": {
        "securityContext": {"sysctls": [{"name": "net.core.somaxconn", "value": "1"}]}, "containers": []}}}}),
    ("volume v", {"kind": "Pod", "metadata": {}, "spec": {"volumes": [{"name": "v", "hostPath": {"path": "/"}}], "containers": []}}),
    ("c: capabilities", {"kind": "Pod", "metadata": {}, "spec": {"containers": [
        {"name": "c", "securityContext": {"capabilities": {"drop": ["ALL"], "add": ["NET_RAW"]}}}]}}),
    ("c: no memory limit", {"kind": "Pod", "metadata": {}, "spec": {"containers": [{"name": "c"}]}}),
]
