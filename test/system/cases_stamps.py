# SPDX-License-Identifier: Apache-2.0
"""Where the kernel does not stamp packets, RTTs go by what there is, and the agent says so."""
from agent import Agent, wait
from cases_life import expect
from cases_probe import settled
from net import Net

PROBES = "[{name: icmp, type: ICMP, interval: 100ms, timeout: 300ms}, {name: udp, type: STAMP, flows: 2, interval: 100ms, timeout: 300ms}]"
SOURCES = ("kernel", "kernel_rx", "user")


def sources(m):
    return {s: m.one("kubecanary_agent_timestamping_total", source=s) for s in SOURCES}


def gained(agent):
    """What 30 probes of each pair bring: (RTTs by source, results, answers whose receipt was stamped)."""
    before = agent.metrics()
    settled({agent.node.name: agent}, 30)
    after = agent.metrics()
    rows = {r: sum(row[r] for row in after.pairs().values()) - sum(row[r] for row in before.pairs().values()) for r in ("received", "late", "lost", "corrupt")}
    stamped = "kubecanary_agent_receive_delay_seconds_count"
    return {s: sources(after)[s] - sources(before)[s] for s in SOURCES}, rows, after.one(stamped) - before.one(stamped)


def lacking(binary, what, source):
    """All RTTs of n1, whose kernel lacks that, are from the source; n2's beside it from both stamps of the kernel."""
    with Net("n1", "n2") as net, Agent(binary, net["n1"], around=["without_stamps", what] if what else ()) as a, Agent(binary, net["n2"]) as b:
        for agent in (a, b):
            agent.files.agent(probes=PROBES).peers([net["n1"], net["n2"]]).write()
            agent.start(ready=False)
        for agent in (a, b):
            wait(f"{agent.node.name} is ready", lambda agent=agent: agent.try_get("/readyz")[0] == 200)
        settled({"n1": a, "n2": b}, 5)  # the kernel begins to stamp receipts with the first packets
        for agent, want in ((a, source), (b, "kernel")):
            by, rows, stamped = gained(agent)
            print(f"# {agent.node.name}: {by}, {rows}")
            answered = rows["received"] + rows["late"]
            expect(rows["lost"] == rows["corrupt"] == 0 and answered >= 8 * 15, agent.node.name, rows)
            expect(by == {**dict.fromkeys(SOURCES, 0), want: answered}, agent.node.name, by, "not", answered, "by", want)
            expect(stamped == (0 if want == "user" else answered), agent.node.name, stamped, "receipts are stamped")


def case_kernel_stamps_at_both_ends(binary):
    lacking(binary, None, "kernel")


def case_no_stamps_of_sending(binary):
    lacking(binary, "tx", "kernel_rx")


def case_no_stamps_at_all(binary):
    lacking(binary, "all", "user")
