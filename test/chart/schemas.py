# SPDX-License-Identifier: Apache-2.0
"""JSON schemas for kubeconform, made from what the pinned modules hold: Kubernetes' own OpenAPI document, and CRDs.

Nothing is fetched from the network but the modules. Strict: a field that the API does not know is an error.
"""
import json
import re
import subprocess
from pathlib import Path


def _strict(node):
    """The node with unknown fields refused, where it names its fields at all; OpenAPI's own extensions are dropped."""
    if isinstance(node, list):
        return [_strict(item) for item in node]
    if not isinstance(node, dict):
        return node
    if node.get("x-kubernetes-int-or-string") or node.get("format") == "int-or-string":
        return {"type": ["string", "integer"]}
    out = {k: _strict(v) for k, v in node.items() if not k.startswith("x-kubernetes-") and k != "format"}
    if "properties" in node:
        out["properties"] = {name: _strict(value) for name, value in node["properties"].items()}
        if "additionalProperties" not in node and not node.get("x-kubernetes-preserve-unknown-fields"):
            out["additionalProperties"] = False
    return out


def kubernetes(openapi: Path, target: Path) -> int:
    """One file a kind of the API, KIND-GROUP-VERSION.json, with the definitions that it needs in one shared file."""
    definitions = json.loads(openapi.read_text())["definitions"]
    shared = {name: _strict(definition) for name, definition in definitions.items()}
    # Quantities and the like are strings to OpenAPI, but numbers are accepted.
    shared["io.k8s.apimachinery.pkg.api.resource.Quantity"] = {"type": ["string", "number"]}
    shared["io.k8s.apimachinery.pkg.util.intstr.IntOrString"] = {"type": ["string", "integer"]}
    text = json.dumps({"definitions": shared}).replace("#/definitions/", "_definitions.json#/definitions/")
    (target / "_definitions.json").write_text(text)
    made = 0
    for name, definition in definitions.items():
        for gvk in definition.get("x-kubernetes-group-version-kind", []):
            if "kind" not in definition.get("properties", {}):
                continue
            schema = {"allOf": [{"$ref": f"_definitions.json#/definitions/{name}"}], "required": ["apiVersion", "kind", "metadata"]}
            (target / _name(gvk["kind"], gvk["group"], gvk["version"])).write_text(json.dumps(schema))
            made += 1
    return made


def custom(crd: dict, target: Path) -> None:
    """The schemas of a CRD's versions; object metadata is any object."""
    for version in crd["spec"]["versions"]:
        schema = _strict(version["schema"]["openAPIV3Schema"])
        schema.setdefault("properties", {}).update({"apiVersion": {"type": "string"}, "kind": {"type": "string"}, "metadata": {"type": "object"}})
        (target / _name(crd["spec"]["names"]["kind"], crd["spec"]["group"], version["name"])).write_text(json.dumps(schema))


def _name(kind: str, group: str, version: str) -> str:
    """As kubeconform's template {{.ResourceKind}}{{.KindSuffix}}.json says it: the first part of the group only."""
    group = re.sub(r"\..*", "", group)
    return "-".join([kind.lower(), *([group] if group else []), version]) + ".json"


def load_yaml(kubectl, path: Path) -> dict:
    """YAML as a value, by kubectl: it needs no cluster to print a file that it patches with nothing."""
    argv = [kubectl, "patch", "--local", "--type=merge", "-p", "{}", "-o", "json", "-f", path]
    return json.loads(subprocess.run(argv, stdout=subprocess.PIPE, check=True).stdout)
