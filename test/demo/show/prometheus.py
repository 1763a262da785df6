# SPDX-License-Identifier: Apache-2.0
"""A real Prometheus: its process, and the few questions that the demo asks it."""

import json
import urllib.error
import urllib.parse
import urllib.request

from .children import Child, wait_for

ADDRESS = "127.0.0.1:9090"


class Prometheus:
    def __init__(self, program, config, work):
        self.child = Child("Prometheus", [
            str(program), f"--config.file={config}", f"--storage.tsdb.path={work / 'tsdb'}", f"--web.listen-address={ADDRESS}",
            "--storage.tsdb.retention.time=2h", "--log.level=warn"], work / "prometheus.log")
        wait_for("Prometheus to be ready", self.is_ready, [self.child])

    @staticmethod
    def get(path, **parameters):
        query = "?" + urllib.parse.urlencode(parameters) if parameters else ""
        with urllib.request.urlopen(f"http://{ADDRESS}{path}{query}", timeout=10) as answer:
            return answer.read()

    def is_ready(self):
        try:
            return bool(self.get("/-/ready"))
        except (urllib.error.URLError, OSError):
            return False

    def version(self):
        return json.loads(self.get("/api/v1/status/buildinfo"))["data"]["version"].split("+")[0]

    def query(self, expression):
        """An instant vector as [(labels, value)]."""
        answer = json.loads(self.get("/api/v1/query", query=expression))
        return [(r["metric"], float(r["value"][1])) for r in answer["data"]["result"]]

    def scalar(self, expression):
        return sum(value for _, value in self.query(expression))

    def by_pair(self, expression):
        return {(labels["source_node"], labels["destination_node"]): value for labels, value in self.query(expression)}

    def alerts(self):
        """Pending and firing alerts: [(state, labels, value)]."""
        found = json.loads(self.get("/api/v1/alerts"))["data"]["alerts"]
        return [(a["state"], a["labels"], float(a["value"])) for a in found]
