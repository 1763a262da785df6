# SPDX-License-Identifier: Apache-2.0
"""Series: those that an agent serves in text, and those that Prometheus holds. Both as a list of (labels, value)."""
import json
import re

from testbed.shell import Failure

_LINE = re.compile(r"([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)(?: \d+)?")
_LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')


class Series(dict):
    """Name -> list of (labels, value). A name without samples is a Failure: what waits for it goes on waiting."""

    def __missing__(self, name: str):
        raise Failure(f"no sample of {name}")


def parse(text: str) -> Series:
    """The text format of Prometheus."""
    found = Series()
    for line in text.splitlines():
        if not line or line.startswith("#"):
            continue
        match = _LINE.fullmatch(line)
        if not match:
            raise Failure(f"not a line of the text format: {line!r}")
        name, labels, value = match.groups()
        found.setdefault(name, []).append((dict(_LABEL.findall(labels or "")), float(value)))
    return found


def total(series: list, **labels) -> float:
    """The sum of the series that have these labels."""
    return sum(value for have, value in series if all(have.get(k) == v for k, v in labels.items()))


class Prometheus:
    """A Prometheus on the cluster, asked through the API server."""

    def __init__(self, api, namespace: str, pod: str, port: int = 9090):
        self.api, self.namespace, self.pod, self.port = api, namespace, pod, port

    def _get(self, path: str, **query):
        answer = json.loads(self.api.ask_pod(self.namespace, self.pod, self.port, path, **query))
        if answer.get("status") != "success":
            raise Failure(f"Prometheus {path}: {answer}")
        return answer["data"]

    def query(self, expression: str) -> list:
        return [(one["metric"], float(one["value"][1])) for one in self._get("/api/v1/query", query=expression)["result"]]

    def alerts(self) -> list:
        """(state, labels) of every alert that is pending or firing."""
        return [(one["state"], one["labels"]) for one in self._get("/api/v1/alerts")["alerts"]]

    def targets(self) -> list:
        """(labels, health) of every target that is scraped. `up` would not do: the last value of one that went with its
        configuration is found for five minutes more."""
        return [(one["labels"], one["health"]) for one in self._get("/api/v1/targets", state="active")["activeTargets"]]

    def groups(self) -> list:
        return self._get("/api/v1/rules")["groups"]
