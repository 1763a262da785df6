# SPDX-License-Identifier: Apache-2.0
"""The contestants: how each is started on N addresses, how it is known to be running, how it is scraped, what it says was measured."""
import dataclasses
import pathlib
import re
import resource
import subprocess
import tempfile
import time
from collections.abc import Callable

import scrape
from netns import Wire
from scrape import NoAnswer

ROOT = pathlib.Path(__file__).resolve().parents[2]


DESCRIPTORS = 16384  # smokeping_prober has a socket for each target


@dataclasses.dataclass
class Said:
    """What a tool says of its probes since it began."""
    ended: float
    lost: float
    answered: float
    rtt_s: float  # of the answered, in sum
    past: float  # answers that it has dealt with, those among them that it lost: which of the network's answers its sum is of
    by_kernel: float | None = None  # of the answered: timed by the kernel at both ends

    def since(self, before: "Said") -> "Said":
        def less(a: float | None, b: float | None) -> float | None:
            return None if a is None or b is None else a - b
        return Said(*(less(a, b) for a, b in zip(dataclasses.astuple(self), dataclasses.astuple(before))))


class Tool:
    name = version = ""
    port = 0  # of its metrics; 0: it has none
    ours = False

    def command(self, addresses: list[str], folder: pathlib.Path) -> list[str]:
        raise NotImplementedError

    def start(self, wire: Wire, addresses: list[str]) -> subprocess.Popen[bytes]:
        self._folder = tempfile.TemporaryDirectory(prefix="kc-bench-")
        command = self.command(addresses, pathlib.Path(self._folder.name))
        resource.setrlimit(resource.RLIMIT_NOFILE, (DESCRIPTORS, DESCRIPTORS))
        return subprocess.Popen(wire.inside(*command), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def await_ready(self, process: subprocess.Popen[bytes], wire: Wire) -> None:
        """NoAnswer after a minute."""
        deadline = time.monotonic() + 60
        while self.port and not self.is_ready(wire):
            if process.poll() is not None or time.monotonic() > deadline:
                raise NoAnswer(f"not ready after a minute (exit {process.poll()})")
            time.sleep(0.1)

    def is_ready(self, wire: Wire) -> bool:
        try:
            with scrape.Kept(wire, self.port) as kept:
                return kept.size() > 0
        except NoAnswer:
            return False

    def metrics(self, wire: Wire) -> dict[str, float]:
        """One scrape, summed up by name and the label `result` or `source`."""
        sums: dict[str, float] = {}
        for name, labels, value in re.findall(r"^(\w+)(\{.*\})? (\S+)$", scrape.text(wire, self.port), re.MULTILINE):
            label = re.search(r'[{,](?:result|source)="(\w+)"', labels)
            key = f"{name}/{label[1]}" if label else name
            sums[key] = sums.get(key, 0) + float(value)
        return sums

    def measured(self, wire: Wire, addresses: list[str], seconds: float, mark: Callable[[], None]) -> tuple[Said, Said]:
        """What it says at the beginning and at the end of a window of so long. mark is called three seconds before: what is lost then is said in it."""
        process = self.start(wire, addresses)
        try:
            self.await_ready(process, wire)
            mark()
            time.sleep(3)
            before = self.said(wire)
            time.sleep(seconds)
            return before, self.said(wire)
        finally:
            process.kill()
            process.wait()

    def said(self, wire: Wire) -> Said:
        raise NotImplementedError


class Agent(Tool):
    port = 9961
    ours = True

    def __init__(self, name: str, program: pathlib.Path) -> None:
        self.name = name
        self.program = program
        self.version = output(str(program), "--version")

    def command(self, addresses: list[str], folder: pathlib.Path) -> list[str]:
        buckets = "50, 100, 150, 200, 300, 400, 500, 700, 1000, 1500, 2000, 3000, 4000, 5000, 7000, 10000, 20000, 50000, 100000, 200000, 500000, 1000000, 2000000"
        peers = "".join(f"- {{node: n{i:05}, zone: a, pod: [{address}], host: [], state: Ready}}\n" for i, address in enumerate(addresses))
        (folder / "agent.yaml").write_text(
            "generation: 1\nfleet: bench\nnetworks: [Pod]\nipFamilies: [IPv4]\ntopology: {type: Full}\n"
            "probes: [{name: icmp, type: ICMP, interval: 1s, timeout: 1s}]\ntargets: []\n"
            f"metrics: {{rttBucketsMicroseconds: [{buckets}], seriesLimit: 1000000}}\nports: {{http: {self.port}, tcp: 9962}}\n", encoding="ascii")
        (folder / "peers-00.yaml").write_text("slice: 0\nslices: 1\npeers:" + (f"\n{peers}" if peers else " []\n"), encoding="ascii")
        return [str(self.program), "--config", str(folder), "--node", "self", "--network", "Pod", "--listen", f":{self.port}"]

    def is_ready(self, wire: Wire) -> bool:
        """Nobody at the far end speaks the agents' protocol: each peer is probed when the agent's patience with it is over."""
        try:
            return 'kubecanary_peers{network="Pod",state="Pending"} 0\n' in scrape.text(wire, self.port)
        except NoAnswer:
            return False

    def said(self, wire: Wire) -> Said:
        sums = self.metrics(wire)
        results = {key.partition("/")[2]: n for key, n in sums.items() if key.startswith("kubecanary_probe_results_total/")}
        ended = sum(results.values())
        return Said(ended, ended - results["received"], sums["kubecanary_probe_rtt_seconds_count"], sums["kubecanary_probe_rtt_seconds_sum"],
                    ended - results["send_error"], sums.get("kubecanary_agent_timestamping_total/kernel", 0))


class Fping(Tool):
    name = "fping"
    mode = "-l"

    def __init__(self) -> None:
        self.program = unpacked("fping") / "usr/bin/fping"
        self.version = output(str(self.program), "-v")

    def command(self, addresses: list[str], folder: pathlib.Path) -> list[str]:
        (folder / "targets").write_text("\n".join(addresses) + "\n", encoding="ascii")
        return ["sh", "-c", f"exec {self.program} {self.mode} -q -p 1000 -i {0 if len(addresses) > 1000 else 1} $(cat {folder}/targets)"]

    def measured(self, wire: Wire, addresses: list[str], seconds: float, mark: Callable[[], None]) -> tuple[Said, Said]:
        """So many probes of each, which end by themselves: nothing is in flight when it sums up. It says a target's mean to 0.1 ms."""
        self.mode = f"-c {round(seconds)}"
        mark()
        with tempfile.TemporaryDirectory(prefix="kc-bench-") as folder:
            text = subprocess.run(wire.inside(*self.command(addresses, pathlib.Path(folder))), capture_output=True, text=True, check=False).stderr
        self.mode = "-l"
        said = Said(0, 0, 0, 0, 0)
        for sent, received, mean in re.findall(r"xmt/rcv/%loss = (\d+)/(\d+)/\d+%(?:, min/avg/max = \S+?/(\S+?)/)?", text):
            said.ended += int(sent)
            said.lost += int(sent) - int(received)
            said.answered += int(received)
            said.rtt_s += int(received) * float(mean or 0) / 1000
        said.past = said.ended
        if not said.answered:
            raise NoAnswer((text.strip().splitlines() or ["it said nothing"])[-1])
        return Said(0, 0, 0, 0, 0), said


class Smokeping(Tool):
    name = "smokeping_prober"
    port = 9374

    def __init__(self) -> None:
        self.program = unpacked("prometheus-smokeping-prober") / "usr/bin/prometheus-smokeping-prober"
        self.version = output(str(self.program), "--version")

    def command(self, addresses: list[str], folder: pathlib.Path) -> list[str]:
        hosts = "".join(f"  - {address}\n" for address in addresses)
        (folder / "config.yml").write_text(f"targets:\n- hosts:\n{hosts}  interval: 1s\n  network: ip4\n  protocol: icmp\n", encoding="ascii")
        return [str(self.program), f"--config.file={folder}/config.yml", "--log.level=error", f"--web.listen-address=127.0.0.1:{self.port}", "--no-privileged"]

    def said(self, wire: Wire) -> Said:
        """It counts what it sent and what came back; what is in flight is no loss over a window."""
        sums = self.metrics(wire)
        answered = sums["smokeping_response_duration_seconds_count"]
        return Said(sums["smokeping_requests_total"], sums["smokeping_requests_total"] - answered, answered,
                    sums["smokeping_response_duration_seconds_sum"], answered)


def output(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    line = ((done.stdout + done.stderr).strip().splitlines() or ["unknown"])[0]
    return line.removeprefix(f"{command[0]}: ")


def unpacked(package: str) -> pathlib.Path:
    return pathlib.Path(subprocess.run([ROOT / "tools/fetch-deb", package], check=True, stdout=subprocess.PIPE, text=True).stdout.strip())


def available() -> list[Tool]:
    release = ROOT / "build/release"
    return [Agent("kubecanary-agent", release / "kubecanary-agent"), Agent("kubecanary-agent-jemalloc", release / "kubecanary-agent-jemalloc"),
            Fping(), Smokeping()]
