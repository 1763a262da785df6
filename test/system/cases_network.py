# SPDX-License-Identifier: Apache-2.0
"""Both networks: on each node an agent in the node's namespace and one in a pod's behind it."""
import contextlib

from agent import Agent, wait
from cases_leave import leave, no_loss
from cases_life import expect
from net import Net

PROBES = ("[{name: icmp, type: ICMP, interval: 100ms, timeout: 300ms}, {name: tcp, type: TCP, interval: 100ms, timeout: 300ms}, "
          "{name: udp, type: STAMP, interval: 100ms, timeout: 300ms, flows: 2}]")
NAMES = ("n1", "n2")


def masquerade(pod):
    """What many a cluster does: what leaves a pod for anything but pods has the node's address."""
    return f"""table inet test {{ chain post {{ type nat hook postrouting priority 100;
        ip saddr {pod.v4} ip daddr 198.18.0.0/16 masquerade
        ip6 saddr {pod.v6} ip6 daddr fd00:6b63::/64 masquerade
    }}
    }}"""


@contextlib.contextmanager
def fleet(binary, masked=()):
    """(net, pods, agents): agents by (node, network), all running and ready."""
    with contextlib.ExitStack() as stack:
        net = stack.enter_context(Net(*NAMES))
        pods, agents = net.pods(), {}
        for name in masked:
            net[name].nft(masquerade(pods[name]))
        for network, places in (("Pod", pods), ("Node", net.nodes)):
            for name in NAMES:
                a = agents[name, network] = stack.enter_context(Agent(binary, places[name], network=network))
                a.files.agent(networks="[Pod, Node]", probes=PROBES).peers(pods.values(), hosts=net.nodes).write()
                a.start(ready=False)
        for a in agents.values():
            wait(f"{a.node.name} is ready", lambda a=a: a.try_get("/readyz")[0] == 200)
        yield net, pods, agents


def ended(a):
    """(network, probe, destination, family) -> probes ended, of any result"""
    m, table = a.metrics(), {}
    for l, v in m.all("kubecanary_probe_results_total"):
        key = (l["network"], l["probe"], l["destination_node"], l["family"])
        table[key] = table.get(key, 0) + v
    return table


def label(source, destination):
    return source if source == destination else f"{source}To{destination}"


def rows(agents, node, network, to=("Pod", "Node")):
    """The rows that this agent has to agents of these networks: the probed are the other nodes'."""
    return {(label(network, n), probe, other, family) for n in to for probe in ("icmp", "tcp", "udp") for other in NAMES if other != node
            for family in ("IPv4", "IPv6")}


def advance(agents, sent, to=("Pod", "Node")):
    """Awaits that each row of each agent to such agents has that many more results."""
    begun = {key: ended(a) for key, a in agents.items()}
    for key, a in agents.items():
        wait(f"{sent} probes of {key}", lambda a=a, key=key: all(v - begun[key].get(row, 0) >= sent for row, v in ended(a).items()
                                                                 if row in rows(agents, *key, to)), seconds=60)


def case_both_networks(binary):
    """All four ways, each a row of its own, also where a pod's packets leave with its node's address."""
    with fleet(binary, masked=("n1",)) as (_, _, agents):
        advance(agents, 20)
        no_loss(*agents.values())
        for key, a in agents.items():
            expect(set(ended(a)) == rows(agents, *key), key, set(ended(a)) ^ rows(agents, *key))
            m = a.metrics()
            for network in ("Pod", "Node"):
                expect(m.one("kubecanary_peers", network=network, state="Ready") == 1, key, network)
                expect(m.one("kubecanary_coverage_peers", network=network) == 1, key, network)
            expect(m.sum("kubecanary_peer_ignored_total", reason="foreign") == 0 and m.sum("kubecanary_peer_ignored_total", reason="limited") == 0, key)
            expect(m.sum("kubecanary_peer_expired_total") == 0, key, "probed somebody who had not answered")
            expect(a.report()["peers"]["Ready"] == 1, a.report())


def case_one_agent_of_two_leaves(binary):
    """It says nothing of the other: rows to that one go on, rows to the one that left stop, and nothing is lost, until it is back."""
    with fleet(binary, masked=("n2",)) as (_, _, agents):
        advance(agents, 5)
        for network, other in (("Pod", "Node"), ("Node", "Pod")):
            left = agents["n2", network]
            leave(left)
            stay = {key: a for key, a in agents.items() if a is not left}
            watch = {key: a for key, a in stay.items() if key[0] == "n1"}
            for key, a in watch.items():
                m = a.metrics()
                expect(m.one("kubecanary_peers", network=network, state="Leaving") == 1, key, network, "does not know that it left")
                expect(m.one("kubecanary_peers", network=other, state="Ready") == 1, key, other, "is not probed any more")
            before = {key: ended(a) for key, a in watch.items()}
            advance(watch, 20, to=(other,))
            for key, a in watch.items():
                now = ended(a)
                for row in rows(agents, *key, (network,)):
                    expect(now[row] - before[key][row] <= 5, key, row, "went on")  # what was in flight
            no_loss(*stay.values())
            left.start()
            advance(agents, 20)
            no_loss(*agents.values())


def case_check_of_both_networks(binary):
    with fleet(binary) as (_, _, agents):
        a = agents["n1", "Node"]
        out = a.node.run(a.binary, "--config", str(a.files.path), "--node", "n1", "--network", "Node", "--check")
        expect("12 pairs," in out and "6 pairs of the mesh in the network NodeToPod" in out and "6 pairs of the mesh in the network Node\n" in out, out)
