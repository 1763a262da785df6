# SPDX-License-Identifier: Apache-2.0
"""A fleet as Prometheus sees it: the series that its agents' scrapes leave behind, step by step.

What happens is said by functions of (step, source, destination, probe, family); the counters follow. Values are in promtool's
notation: numbers, `_` where there was no scrape, `stale` where a series ended.
"""
from dataclasses import dataclass, field

STEP_SECONDS = 15
RESULTS = ("received", "late", "lost", "corrupt", "unreachable", "send_error")
OF_TARGETS = ("unexpected", "unresolved")  # results that only targets can have
PROBES = {"icmp": 15, "tcp": 3}  # probes in a step: every second, every five
# What the agent of a network calls the networks that it probes in, where the fleet has both: its own, and the other's addresses.
CROSSING = {"Pod": ("Pod", "PodToNode"), "Node": ("Node", "NodeToPod")}


def minutes(n: float) -> int:
    """The step at which n minutes have passed."""
    return int(n * 60 / STEP_SECONDS)


def selector(name: str, labels: dict) -> str:
    return name + "{" + ", ".join(f'{k}="{v}"' for k, v in sorted(labels.items())) + "}"


@dataclass
class Counter:
    """One series. `total` is what the agent holds, `cells` what was scraped."""
    total: int = 0
    cells: list = field(default_factory=list)


class Fleet:
    """nodes probe each other; results(step, src, dst, probe, family) -> {result: count} of that step, or {} for nothing sent."""

    def __init__(self, nodes, steps, fleet="mesh", namespace="kubecanary", families=("IPv4",), probes=PROBES, targets=(), networks=("Pod",)):
        self.networks = networks                                # an agent of each runs on each node
        self.nodes, self.steps, self.fleet, self.namespace = list(nodes), steps, fleet, namespace
        self.families, self.probes, self.targets = families, probes, targets
        self.pod_of = lambda step, node: f"{fleet}-pod-{node}"  # the pod that runs on a node at that step (in the network Pod)
        self.scraped = lambda step, node: True                  # does the scrape of that node's agent succeed?
        self.exists = lambda step, node: True                   # is the node (and so its agent) part of the fleet?
        self.probing = lambda step, src, dst: True              # does src keep series of dst?
        self.restarts = set()                                   # (step, node): the agent begins at 0 there
        self.born_before = True                                 # counters were there, and above 0, before the first step
        self.loss = lambda step, src, dst, probe, family: 0.0   # share of probes that end as `bad`
        self.loss_in = lambda network, *rest: self.loss(*rest)  # the same, by network
        self.bad = "lost"
        self.sends = lambda step, src, dst, probe: True         # does src send at all?
        self.answers = lambda step, src, dst, probe: True       # do probes end (or are all in flight)?
        self.gauges = lambda step, node: {}                     # {(name, ((label, value), ...)): value}

    def destinations(self, src):
        return [("destination_node", d) for d in self.nodes if d != src] + [("target", t) for t in self.targets]

    def _outcome(self, network, step, src, dst, probe, family, carry):
        """Results of one step; the fractional part of the loss is carried on, so that it is exact over time."""
        n = self.probes[probe]
        if not self.sends(step, src, dst, probe):
            return 0, {}
        if not self.answers(step, src, dst, probe):
            return n, {}
        exact = n * self.loss_in(network, step, src, dst, probe, family) + carry.get((network, src, dst, probe, family), 0.0)
        bad = min(n, int(exact + 1e-9))
        carry[(network, src, dst, probe, family)] = exact - bad if exact > 0 else 0.0
        return n, {"received": n - bad, self.bad: bad}

    def series(self):
        """{series in promtool's notation: [cells]}"""
        table, carry = {}, {}

        def put(name, labels, step, value):
            cells = table.setdefault(selector(name, labels), [])
            cells.extend(["_"] * (step - len(cells)))
            cells.append(value)

        counters = {}
        for step in range(self.steps):
            for node in self.nodes:
                for network in self.networks:
                    self._scrape(step, node, network, counters, carry, put)
        return {name: self._ended(cells) for name, cells in table.items()}

    def _ended(self, cells):
        """A series that is not in the next scrape is marked stale by Prometheus."""
        cells = cells + ["_"] * (self.steps - len(cells))
        return ["stale" if c == "_" and i and cells[i - 1] != "_" else c for i, c in enumerate(cells)]

    def _rows(self, network, src):
        """(network, kind, destination) of what the agent of a network probes; targets have the agent's own."""
        for kind, dst in self.destinations(src):
            both = len(self.networks) > 1 and kind == "destination_node"
            for name in CROSSING[network] if both else (network,):
                yield name, kind, dst

    def _scrape(self, step, node, network, counters, carry, put):
        if not self.exists(step, node):
            return
        pod = self.pod_of(step, node) if network == "Pod" else f"{self.fleet}-node-{node}"
        target = {"fleet": self.fleet, "namespace": self.namespace, "pod": pod, "instance": f"{pod}:9961", "job": "kubecanary-agent",
                  "container": "agent", "endpoint": "http", "node": node}
        scraped = self.scraped(step, node)
        put("up", target, step, 1 if scraped else 0)
        if (step, node) in self.restarts:
            for key in [k for k in counters if k[0] == node]:
                counters[key] = 0
        for name, kind, dst in self._rows(network, node):
            if not self.probing(step, node, dst):
                continue
            for probe in self.probes:
                for family in self.families:
                    sent, results = self._outcome(name, step, node, dst, probe, family, carry)
                    labels = dict(target, probe=probe, family=family, network=name, source_node=node, source_zone=f"zone-{node}")
                    labels[kind] = dst
                    if kind == "destination_node":
                        labels["destination_zone"] = f"zone-{dst}"
                    key = (node, dst, probe, family, name)
                    self._count(counters, key + ("sent",), sent, 1000)
                    possible = RESULTS + (OF_TARGETS if kind == "target" else ())
                    for result in possible:
                        self._count(counters, key + (result,), results.get(result, 0), 1000 if result == "received" else 0)
                    if scraped:
                        put("kubecanary_probe_sent_total", labels, step, counters[key + ("sent",)])
                        for result in possible:
                            put("kubecanary_probe_results_total", dict(labels, result=result), step, counters[key + (result,)])
        if scraped:
            for (name, extra), value in self.gauges(step, node).items():
                put(name, dict(target, **dict(extra)), step, value)

    def _count(self, counters, key, n, before):
        """A counter that is new shows 0 first (or what it was before the first step) and counts from the next scrape on."""
        if key not in counters:
            counters[key] = before if self.born_before else 0
        else:
            counters[key] += n


class Operator:
    """One series of the operator's, which is scraped in a namespace and from a pod of its own."""

    def __init__(self, name, cells, **labels):
        self.name, self.cells, self.labels = name, cells, labels

    def series(self):
        target = {"namespace": "elsewhere", "pod": "kubecanary-6d4f-a", "instance": "kubecanary-6d4f-a:9960", "job": "kubecanary-operator",
                  "container": "operator", "endpoint": "http"}
        return {selector(self.name, {**target, **self.labels}): self.cells}
