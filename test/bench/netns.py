# SPDX-License-Identifier: Apache-2.0
"""Two network namespaces on a wire: the probers run in the near one, the far one answers for every address of 198.19.0.0/16. Or, in its
place, a device of known delay (hold.c) for 198.20.0.0/16."""
import ipaddress
import os
import pathlib
import subprocess
import time

HOLD = pathlib.Path(__file__).resolve().parents[2] / "build/glibc/test/bench/hold"


def run(*command: str) -> None:
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


class Wire:
    NEAR, FAR = "198.18.250.1", "198.18.250.2"

    def __init__(self) -> None:
        self.near = f"kc-bench-{os.getpid()}-a"
        self.far = f"kc-bench-{os.getpid()}-b"

    def __enter__(self) -> "Wire":
        for name in (self.near, self.far):
            run("ip", "netns", "add", name)
            run("ip", "-n", name, "link", "set", "lo", "up")
        run("ip", "-n", self.near, "link", "add", "wire", "type", "veth", "peer", "name", "wire", "netns", self.far)
        for name, address in ((self.near, self.NEAR), (self.far, self.FAR)):
            run("ip", "-n", name, "addr", "add", f"{address}/30", "dev", "wire")
            run("ip", "-n", name, "link", "set", "wire", "up")
        run("ip", "-n", self.near, "route", "add", "198.19.0.0/16", "via", self.FAR)
        run("ip", "-n", self.far, "route", "add", "local", "198.19.0.0/16", "dev", "lo")
        run(*self.inside("sysctl", "-qw", "net.ipv4.ping_group_range=0 2147483647"))
        return self

    def __exit__(self, *_: object) -> None:
        for name in (self.near, self.far):
            subprocess.run(["ip", "netns", "del", name], check=False)

    def inside(self, *command: str) -> list[str]:
        return ["nsenter", f"--net=/run/netns/{self.near}", *command]

    @staticmethod
    def addresses(count: int, first_address: str = "198.19.0.1") -> list[str]:
        first = ipaddress.IPv4Address(first_address)
        return [str(first + i) for i in range(count)]


class Hold:
    """with Hold(wire, microseconds) as hold: 198.20.0.0/16 answers exactly so late. hold.mark() at both ends of a window, then hold.truth()."""
    DEVICE = "hold"

    def __init__(self, wire: Wire, microseconds: int) -> None:
        self.wire, self.microseconds = wire, microseconds
        self._marks: list[list[int]] = []

    def __enter__(self) -> "Hold":
        command = self.wire.inside(str(HOLD), self.DEVICE, str(self.microseconds))
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1)
        while subprocess.run(["ip", "-n", self.wire.near, "link", "set", self.DEVICE, "up"], stderr=subprocess.DEVNULL, check=False).returncode:
            if self._process.poll() is not None:
                raise RuntimeError(f"hold ended with {self._process.returncode}")
            time.sleep(0.01)
        run("ip", "-n", self.wire.near, "route", "add", "198.20.0.0/16", "dev", self.DEVICE)
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate()

    def mark(self) -> None:
        assert self._process.stdin and self._process.stdout
        self._process.stdin.write("\n")
        self._marks.append([int(word) for word in self._process.stdout.readline().split()])

    def truth(self) -> tuple[int, float]:
        """Between the first and the last mark: packets that were answered, and the mean of what they were held for, in us."""
        (_, answered, error_ns), (_, answered_then, error_ns_then) = self._marks[-1], self._marks[0]
        n = answered - answered_then
        return n, self.microseconds + (error_ns - error_ns_then) / max(n, 1) / 1000
