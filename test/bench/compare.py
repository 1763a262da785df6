# SPDX-License-Identifier: Apache-2.0
"""Rounds of all contestants, as tables: what each costs, and what each says beside the truth. docs/measuring.md says what is counted."""
import contextlib
import dataclasses
import os
import signal
import statistics
import time

import scrape
import tools
from netns import Hold, Wire
from scrape import NoAnswer
from targets import spread

HOLD_US = 10000
SCRAPES = 10
COLUMNS = ("tool", "targets", "resident MB", "private MB", "CPU s/min", "us CPU/probe", "threads", "scrape CPU ms", "scrape kB")
TRUTH_COLUMNS = ("tool", "targets", "RTT error us", "held us, mean", "probes", "falsely lost", "%", "truly lost", "stamped by the kernel")


class Sample:
    """What one round of one tool showed."""

    def __init__(self) -> None:
        self.rss = self.private = self.cpu = 0.0
        self.threads = 0
        self.scrape_ms: float | None = None
        self.scrape_kb: float | None = None


def memory(pid: int) -> tuple[float, float]:
    rss = private = 0
    with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as file:
        for line in file:
            words = line.split()
            if words[0] == "Rss:":
                rss = int(words[1])
            elif words[0] in ("Private_Dirty:", "Private_Clean:"):
                private += int(words[1])
    return rss / 1024, private / 1024


def cpu_seconds(pid: int) -> float:
    """Processor time of all threads, in ns resolution: CLOCK_PROCESS_CPUTIME_ID of another process (MAKE_PROCESS_CPUCLOCK of Linux)."""
    return time.clock_gettime((~pid << 3) | 2)


def threads(pid: int) -> int:
    return len(os.listdir(f"/proc/{pid}/task"))


def measure(tool: tools.Tool, wire: Wire, count: int, seconds: float) -> Sample:
    sample = Sample()
    process = tool.start(wire, wire.addresses(count))
    try:
        tool.await_ready(process, wire)
        time.sleep(3)  # past the start: the window is steady state
        before = cpu_seconds(process.pid)
        began = time.monotonic()
        time.sleep(seconds)
        sample.cpu = (cpu_seconds(process.pid) - before) / (time.monotonic() - began) * 60
        with scrape.Kept(wire, tool.port) if tool.port else contextlib.nullcontext() as kept:
            if kept:
                sizes = [kept.size()]  # the one that a connection is made for
                before, began = cpu_seconds(process.pid), time.monotonic()
                sizes += [kept.size() for _ in range(SCRAPES)]
                probing = sample.cpu / 60 * (time.monotonic() - began)
                taken = cpu_seconds(process.pid) - before - probing
                sample.scrape_ms = taken / SCRAPES * 1000 if taken > 0 else None  # it had no more to give: that is not free of charge, but unknown
                sample.scrape_kb = sizes[-1] / 1000
        sample.rss, sample.private = memory(process.pid)
        sample.threads = threads(process.pid)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    return sample


def row(name: str, count: int, samples: list[Sample]) -> tuple[str, ...]:
    cpu = [s.cpu for s in samples]
    return (name, str(count), spread([s.rss for s in samples], 2), spread([s.private for s in samples], 2), spread(cpu, 2),
            spread([c / 60 / count * 1e6 for c in cpu], 1), str(samples[-1].threads),
            spread([s.scrape_ms for s in samples if s.scrape_ms is not None], 2),
            "-" if samples[-1].scrape_kb is None else f"{samples[-1].scrape_kb:.0f}")


@dataclasses.dataclass
class Compared:
    """What one round of one tool said, beside the truth."""
    error_us: float
    held_us: float
    probes: float
    false: float  # loss that was none
    lost: int
    by_kernel: float | None  # of the answers


def against_truth(tool: tools.Tool, wire: Wire, count: int, seconds: float) -> Compared:
    with Hold(wire, HOLD_US) as hold:
        before, after = tool.measured(wire, wire.addresses(count, "198.20.0.1"), seconds, hold.mark)
    said = after.since(before)
    if not said.answered:
        raise NoAnswer("no probe was answered in the window")
    held = statistics.mean(hold.truth.held(round(before.past), round(after.past)))
    return Compared(said.rtt_s / said.answered * 1e6 - held, held, said.ended, max(0, said.lost - hold.truth.lost), hold.truth.lost,
                    None if said.by_kernel is None else said.by_kernel / said.answered)


def truth_row(name: str, count: int, compared: list[Compared]) -> tuple[str, ...]:
    by_kernel = [c.by_kernel * 100 for c in compared if c.by_kernel is not None]
    return (name, str(count), spread([c.error_us for c in compared], 1), spread([c.held_us for c in compared], 0), f"{compared[-1].probes:.0f}",
            spread([c.false for c in compared], 0), spread([c.false / max(c.probes, 1) * 100 for c in compared], 1),
            str(max(c.lost for c in compared)), f"{min(by_kernel):.1f} %" if by_kernel else "-")


class Bench:
    """Runs the rounds, prints the tables, and keeps what the last one and the verdict need."""

    def __init__(self, contestants: list[tools.Tool], wire: Wire, counts: list[int], rounds: int, seconds: float) -> None:
        self.contestants, self.wire, self.counts, self.rounds, self.seconds = contestants, wire, counts, rounds, seconds
        self.silent: dict[tuple[str, int], str] = {}  # who gave no answer, at how many targets, and what came instead
        self.cost: dict[tuple[str, int], list[Sample]] = {}
        self.truth: dict[tuple[str, int], list[Compared]] = {}

    def compare(self, columns: tuple[str, ...], measure_one, to_row, results) -> None:
        """A table: measure_one(tool, wire, count, seconds) of all, to_row(name, count, results) of each. Who was silent once is not waited for again."""
        print("| " + " | ".join(columns) + " |\n|" + "---|" * len(columns), flush=True)
        for count in self.counts:
            for _ in range(self.rounds):
                for tool in self.contestants:
                    key = tool.name, count
                    if key in self.silent:
                        continue
                    try:
                        result = measure_one(tool, self.wire, count, self.seconds)
                        results.setdefault(key, []).append(result)
                    except NoAnswer as e:
                        self.silent[key] = str(e)
            for tool in self.contestants:
                key = tool.name, count
                cells = to_row(*key, results[key]) if key in results else (tool.name, str(count), f"no answer: {self.silent[key]}")
                print("| " + " | ".join(cells) + " |", flush=True)

    def compare_cost(self) -> None:
        self.compare(COLUMNS, measure, row, self.cost)

    def compare_truth(self) -> None:
        print(f"\n# every packet held for {HOLD_US} us: what each tool says, less the truth", flush=True)
        self.compare(TRUTH_COLUMNS, against_truth, truth_row, self.truth)

    def told(self, name: str) -> dict[str, dict[int, list[float]]]:
        """As targets.table wants it."""
        cost = {count: self.cost.get((name, count), []) for count in self.counts}
        truth = {count: self.truth.get((name, count), []) for count in self.counts}
        return {"resident MB": {n: [s.rss for s in samples] for n, samples in cost.items()},
                "CPU s/min": {n: [s.cpu for s in samples] for n, samples in cost.items()},
                "scrape CPU ms": {n: [s.scrape_ms for s in samples if s.scrape_ms is not None] for n, samples in cost.items()},
                "RTT error us": {n: [c.error_us for c in compared] for n, compared in truth.items()},
                "false loss": {n: [c.false for c in compared] for n, compared in truth.items()}}

    def verdict(self) -> bool:
        """Says what is wrong with whom; false if it is with one of ours."""
        good = True
        for tool in self.contestants:
            for count in self.counts:
                key = tool.name, count
                lost = max((c.false for c in self.truth.get(key, [])), default=0)
                wrongs = [f"no answer: {self.silent[key]}"] if key in self.silent else []
                wrongs += [f"{lost:.0f} probes said to be lost that were not"] if lost else []
                for wrong in wrongs:
                    print(f"# {'FAILED ' if tool.ours else ''}{tool.name} at {count} targets: {wrong}", flush=True)
                good = good and not (tool.ours and wrongs)
        return good
