# SPDX-License-Identifier: Apache-2.0
"""What the tests of the Kubernetes client share: the driver as a process whose lines are awaited, and the plain checks."""
import json
import queue
import subprocess
import sys
import threading
import time

PATIENCE = 30.0  # seconds that an event may take on a busy machine; nothing is asserted about its time


class Missing(Exception):
    """An event that did not come, or a check that failed."""


def check(got, want, what: str) -> None:
    if got != want:
        raise Missing(f"{what}: {got!r}, want {want!r}")


class Driver:
    """The program test/kube/driver.c. Lines of stdout are kept until they are taken; stderr (the log) is kept whole."""

    def __init__(self, program, kubeconfig, *namespaces):
        self.process = subprocess.Popen([program, kubeconfig, *namespaces], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=subprocess.PIPE, text=True, bufsize=1)
        self.lines, self.seen, self.log = queue.Queue(), [], []
        self.readers = [threading.Thread(target=self._read, args=(self.process.stdout, self.lines.put), daemon=True),
                        threading.Thread(target=self._read, args=(self.process.stderr, self.log.append), daemon=True)]
        for reader in self.readers:
            reader.start()

    @staticmethod
    def _read(stream, keep):
        for line in stream:
            keep(line.rstrip("\n"))

    def say(self, command: str) -> None:
        self.process.stdin.write(command + "\n")
        self.process.stdin.flush()

    def wait(self, begin: str, seconds: float = PATIENCE) -> str:
        """The next line that begins so; lines before it are dropped into `seen`."""
        end = time.monotonic() + seconds
        while True:
            try:
                line = self.lines.get(timeout=max(0.0, end - time.monotonic()))
            except queue.Empty:
                raise Missing(f"no line {begin!r}; last: {self.seen[-5:]}; log: {self.log[-8:]}") from None
            self.seen.append(line)
            if line.startswith(begin):
                return line

    def saw(self, begin: str) -> None:
        """As wait, but the line may have come already: answers and events arrive in any order."""
        if not any(line.startswith(begin) for line in self.seen):
            self.wait(begin)

    def result(self, command: str) -> dict:
        """Carries an action out and returns its result line as a dict."""
        self.say(command)
        words = self.wait("result ").split(" ")
        fields = dict(w.split("=", 1) for w in words[2:7])
        return {"status": int(words[1]), **fields, "message": " ".join(words[7:])}

    def stats(self) -> dict:
        self.say("stats")
        counters = dict(pair.split("=") for pair in self.wait("stats ").split(" ")[1:])
        out = {name: int(value) for name, value in counters.items()}
        while (line := self.wait("")) != "stats end":
            words = line.split(" ")
            if words[0] == "count":
                out[words[1]] = int(words[2])
        return out

    def sum(self) -> dict:
        """The sum of what the agents of default/mesh report."""
        self.say("sum")
        line = self.wait("sum ")
        pairs, why = line[4:].split(" why=", 1)
        fields = dict(pair.split("=", 1) for pair in pairs.split(" "))
        return {**{k: int(v) for k, v in fields.items() if k != "node"}, "node": fields["node"], "why": why}

    def until_sum(self, what: str, condition, seconds: float = PATIENCE) -> dict:
        """Asks for the sum until it satisfies the condition."""
        end = time.monotonic() + seconds
        while not condition(got := self.sum()):
            if time.monotonic() > end:
                raise Missing(f"{what}: {got}; log: {self.log[-8:]}")
            time.sleep(0.05)
        return got

    def until(self, what: str, condition, seconds: float = PATIENCE) -> dict:
        """Asks for the counters until they satisfy the condition."""
        end = time.monotonic() + seconds
        while True:
            stats = self.stats()
            if condition(stats):
                return stats
            if time.monotonic() > end:
                raise Missing(f"{what}: {stats}; log: {self.log[-8:]}")
            time.sleep(0.05)

    def end(self) -> None:
        """Ends it in good order; a sanitizer's finding or a leak is a failure."""
        try:
            self.process.stdin.close()
        except BrokenPipeError:
            pass
        code = self.process.wait(timeout=PATIENCE)
        for reader in self.readers:
            reader.join(timeout=PATIENCE)
        if code != 0 or any("Sanitizer" in line for line in self.log):
            raise Missing(f"the driver ended with {code}: " + "\n".join(self.log[-40:]))

    def kill(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()


def run_cases(cases) -> int:
    """Runs each case (a function, or a callable with __name__), prints one line each and the sum. No case at all is a failure: nothing was tested."""
    passed = failed = 0
    for case in cases:
        try:
            case()
            passed += 1
            print(f"ok {case.__name__}", flush=True)
        except (Missing, OSError, subprocess.SubprocessError, json.JSONDecodeError, KeyError) as failure:
            failed += 1
            print(f"not ok {case.__name__}\n    {failure}", flush=True)
    print(f"{passed} passed, {failed} failed", flush=True)
    return 1 if failed or not passed else 0


def only(cases, words):
    return [c for c in cases if not words or c.__name__ in words] or sys.exit("no such case")
