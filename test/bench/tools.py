# SPDX-License-Identifier: Apache-2.0
"""The contestants: how each is started on N addresses, how it is known to be running, how it is scraped."""
import pathlib
import subprocess
import tempfile
import time

from netns import Wire

ROOT = pathlib.Path(__file__).resolve().parents[2]


class Tool:
    name = version = ""
    port = 0  # of its metrics; 0: it has none

    def command(self, addresses: list[str], folder: pathlib.Path) -> list[str]:
        raise NotImplementedError

    def start(self, wire: Wire, addresses: list[str]) -> subprocess.Popen[bytes]:
        self._folder = tempfile.TemporaryDirectory(prefix="kc-bench-")
        command = self.command(addresses, pathlib.Path(self._folder.name))
        return subprocess.Popen(wire.inside(*command), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def await_ready(self, process: subprocess.Popen[bytes], wire: Wire) -> None:
        deadline = time.monotonic() + 60
        while self.port and not self.scrape(wire):
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"{self.name} does not answer (exit {process.poll()})")
            time.sleep(0.1)

    def scrape(self, wire: Wire) -> int | None:
        """Bytes of one scrape; None without metrics, 0 when there is no answer."""
        if not self.port:
            return None
        url = f"http://127.0.0.1:{self.port}/metrics"
        done = subprocess.run(wire.inside("curl", "-sf", "-o", "/dev/null", "-w", "%{size_download}", url), capture_output=True, check=False)
        return int(done.stdout) if done.returncode == 0 else 0


class Agent(Tool):
    port = 9961

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
        (folder / "peers-00.yaml").write_text(f"slice: 0\nslices: 1\npeers:\n{peers}", encoding="ascii")
        return [str(self.program), "--config", str(folder), "--node", "self", "--network", "Pod", "--listen", f":{self.port}"]


    def await_ready(self, process: subprocess.Popen[bytes], wire: Wire) -> None:
        """Nobody at the far end speaks the agents' protocol: each peer is probed when the agent's patience with it is over."""
        super().await_ready(process, wire)
        deadline = time.monotonic() + 60
        while not self.probes_all(wire):
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"{self.name} does not probe everybody (exit {process.poll()})")
            time.sleep(0.5)

    def probes_all(self, wire: Wire) -> bool:
        done = subprocess.run(wire.inside("curl", "-sf", f"http://127.0.0.1:{self.port}/metrics"), capture_output=True, text=True, check=True)
        return 'kubecanary_peers{network="Pod",state="Pending"} 0\n' in done.stdout


class Fping(Tool):
    name = "fping"

    def __init__(self) -> None:
        self.program = unpacked("fping") / "usr/bin/fping"
        self.version = output(str(self.program), "-v")

    def command(self, addresses: list[str], folder: pathlib.Path) -> list[str]:
        (folder / "targets").write_text("\n".join(addresses) + "\n", encoding="ascii")
        return ["sh", "-c", f"exec {self.program} -l -q -p 1000 -i 1 $(cat {folder}/targets)"]


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
