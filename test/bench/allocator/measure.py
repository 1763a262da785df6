# SPDX-License-Identifier: Apache-2.0
"""One program that sees N processors (test/system/with_cores.c), started, waited for until it idles, and its memory: the stand-in (standin.c) on each
allocator, and the agent in each flavour."""
import contextlib
import dataclasses
import json
import os
import pathlib
import re
import select
import subprocess
import sys
import time
from collections.abc import Iterator

ROOT = pathlib.Path(__file__).resolve().parents[3]
sys.path.insert(0, str(ROOT / "test/bench"))
import scrape  # noqa: E402
import tools  # noqa: E402
from netns import Wire  # noqa: E402

BUILD = ROOT / "build"
WITH_CORES = BUILD / "glibc/test/system/with_cores"
PATIENCE_S = 120  # a bound, nothing is measured by it
KINDS = {"resident": "Rss:", "pss": "Pss:", "private_dirty": "Private_Dirty:"}  # ours: the field of /proc/PID/smaps_rollup


@dataclasses.dataclass
class Seen:
    """One run of one program: what it came to, and kB by kind of memory. limit, arenas: 0 where the allocator does not tell."""
    cores: int
    threads: int
    limit: int
    arenas: int
    kb: dict[str, int]


@dataclasses.dataclass
class Work:
    """How much is done: rounds of each thread of the stand-in, targets of the agent."""
    rounds: int = 100
    targets: int = 100


def build() -> None:
    """What is measured beside the release programs: JEMALLOC, GLIBC and MUSL below, and with_cores."""
    for variant, programs in (("glibc", [JEMALLOC, GLIBC, WITH_CORES.relative_to(BUILD)]), ("musl", [MUSL])):
        subprocess.run([ROOT / "tools/deps/with", "make", "--no-print-directory", "-C", str(ROOT), f"V={variant}", *(f"build/{p}" for p in programs)],
                       check=True, stdout=sys.stderr)
    for row in ROWS:
        written(BUILD / row.program)


def written(program: pathlib.Path) -> None:
    """Code that is not on the disk yet would count as private and dirty."""
    with open(program, "rb") as file:
        os.fsync(file.fileno())


def memory(pid: int) -> dict[str, int]:
    fields = dict(line.split()[:2] for line in pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii").splitlines()[1:])
    return {kind: int(fields[field]) for kind, field in KINDS.items()}


def children(pid: int) -> list[int]:
    return [int(word) for word in pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()]


def child(pid: int) -> int:
    """with_cores has one, the program."""
    (one,) = children(pid)
    return one


@contextlib.contextmanager
def ended(process: subprocess.Popen) -> Iterator[subprocess.Popen]:
    """Afterwards with_cores and the program are gone, and what the program had open is free again."""
    try:
        yield process
    finally:
        with contextlib.ExitStack() as stack:
            programs = []
            for pid in children(process.pid) if process.poll() is None else []:
                with contextlib.suppress(ProcessLookupError):
                    programs.append(os.pidfd_open(pid))
                    stack.callback(os.close, programs[-1])
            process.kill()  # with_cores takes the program with it, but nobody else waits for that
            process.wait()
            for program in programs:
                select.select([program], [], [])
        for stream in (process.stdin, process.stdout):
            if stream:
                stream.close()


@dataclasses.dataclass
class StandIn:
    name: str
    group: str
    program: str  # below build/
    env: dict[str, str] = dataclasses.field(default_factory=dict)
    threads: int = 0  # 0: one for each processor

    def run(self, cores: int, work: Work, _: Wire | None) -> Seen:
        command = [str(WITH_CORES), str(cores), str(BUILD / self.program), str(self.threads or cores), str(work.rounds)]
        with ended(subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env={**clean_environment(), **self.env})) as process:
            self.line(process)  # "ready"
            kb = memory(child(process.pid))
            process.stdin.write(b"\n")
            process.stdin.flush()
            said = json.loads(self.line(process))
            return Seen(said["cores"], said["threads"], said["limit"], said["arenas"], kb)

    def line(self, process: subprocess.Popen[bytes]) -> bytes:
        if not select.select([process.stdout], [], [], PATIENCE_S)[0]:
            raise RuntimeError(f"{self.name}: says nothing within {PATIENCE_S} s")
        line = process.stdout.readline()
        if not line:
            raise RuntimeError(f"{self.name}: ended with {process.wait()} before it was ready")
        return line


class OurAgent(tools.Agent):
    """In a namespace of its own, N targets by ICMP once a second, scraped 20 times."""
    group = "agent"
    SCRAPES = 20

    def __init__(self, name: str, program: str, env: dict[str, str] | None = None) -> None:
        self.name, self.program = name, BUILD / "release" / program
        self.env = env or {}
        self.cores = 0

    def command(self, addresses: list[str], folder: pathlib.Path) -> list[str]:
        command = super().command([], folder)
        targets = "".join(f"- {{name: t{i}, type: ICMP, address: {a}, interval: 1s, timeout: 1s}}\n" for i, a in enumerate(addresses))
        file = folder / "agent.yaml"
        file.write_text(file.read_text(encoding="ascii").replace("targets: []\n", f"targets:\n{targets}"), encoding="ascii")
        return ["env", "-u", "MALLOC_CONF", *(f"{k}={v}" for k, v in self.env.items()), str(WITH_CORES), str(self.cores), *command]

    def run(self, cores: int, work: Work, wire: Wire | None) -> Seen:
        assert wire
        self.cores = cores
        with ended(self.start(wire, wire.addresses(work.targets))) as process:
            self.await_ready(process, wire)
            deadline = time.monotonic() + PATIENCE_S
            while (said := self.metrics(wire)).get("kubecanary_probe_results_total/received", 0) < work.targets:
                if process.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError(f"{self.name}: does not probe (exit {process.poll()})")
                time.sleep(0.05)
            for _ in range(self.SCRAPES):
                with scrape.Kept(wire, self.port) as kept:  # one connection each, none of which stays
                    kept.size()
            limit = int(said["kubecanary_allocator_arenas"])
            return Seen(int(said["kubecanary_node_cpus"]), int(said["kubecanary_agent_threads"]), limit, 0, memory(child(process.pid)))

    def reload(self, generation: int) -> None:
        file = pathlib.Path(self._folder.name) / "agent.yaml"
        file.write_text(re.sub("^generation: .*", f"generation: {generation}", file.read_text(encoding="ascii")), encoding="ascii")

    def await_ready(self, process: subprocess.Popen[bytes], wire: Wire) -> None:
        tools.Tool.await_ready(self, process, wire)  # no peers to be patient with


def clean_environment() -> dict[str, str]:
    """What would change the result is set by a row or not at all."""
    return {k: v for k, v in os.environ.items() if not k.startswith(("MALLOC_", "GLIBC_TUNABLES"))}


JEMALLOC, GLIBC, MUSL = "glibc/test/bench/allocator/standin", "glibc/test/bench/allocator/standin-system", "musl/test/bench/allocator/standin"
ROWS = [
    StandIn("jemalloc", "jemalloc", JEMALLOC),
    StandIn("jemalloc, narenas:1", "jemalloc", JEMALLOC, {"MALLOC_CONF": "narenas:1"}),
    StandIn("jemalloc, narenas:1, no tcache, no decay", "jemalloc", JEMALLOC, {"MALLOC_CONF": "narenas:1,tcache:false,dirty_decay_ms:0"}),
    StandIn("jemalloc, narenas:1, 4 threads", "jemalloc", JEMALLOC, {"MALLOC_CONF": "narenas:1"}, 4),
    StandIn("glibc", "system", GLIBC),
    StandIn("glibc, arena_max=1", "system", GLIBC, {"GLIBC_TUNABLES": "glibc.malloc.arena_max=1"}),
    StandIn("musl", "system", MUSL),
    StandIn("musl, 4 threads", "system", MUSL, threads=4),
    OurAgent("our agent, System", "kubecanary-agent"),
    OurAgent("our agent, Jemalloc", "kubecanary-agent-jemalloc"),
    OurAgent("our agent, Jemalloc, narenas:1", "kubecanary-agent-jemalloc", {"MALLOC_CONF": "narenas:1"}),
]
