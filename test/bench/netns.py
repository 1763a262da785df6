# SPDX-License-Identifier: Apache-2.0
"""Two network namespaces on a wire: the probers run in the near one, the far one answers for every address of 198.19.0.0/16. Beside it, when it
is wanted, a second wire on which everything takes a known time (hold.c), for 198.20.0.0/16."""
import ctypes
import dataclasses
import ipaddress
import json
import os
import pathlib
import socket
import subprocess

HOLD = pathlib.Path(__file__).resolve().parents[2] / "build/glibc/test/bench/hold"
CLONE_NEWNET = 0x40000000
libc = ctypes.CDLL(None, use_errno=True)


def run(*command: str) -> None:
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


def inside(namespace: str, *command: str) -> list[str]:
    return ["nsenter", f"--net=/run/netns/{namespace}", *command]


def enter(fd: int) -> None:
    if libc.setns(fd, CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "setns")


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
        # Nothing is lost here, so it sends as cubic does, which a namespace may not choose. bbr, where the machine has it, sets a timer for each segment.
        run(*self.inside("sysctl", "-qw", "net.ipv4.tcp_congestion_control=reno"))
        return self

    def __exit__(self, *_: object) -> None:
        for name in (self.near, self.far):
            subprocess.run(["ip", "netns", "del", name], check=False)

    def inside(self, *command: str) -> list[str]:
        return inside(self.near, *command)

    def socket(self) -> socket.socket:
        """A TCP socket of ours in the near namespace: a socket stays where it was made."""
        with open("/proc/self/ns/net", "rb") as home, open(f"/run/netns/{self.near}", "rb") as there:
            enter(there.fileno())
            try:
                return socket.socket(socket.AF_INET, socket.SOCK_STREAM)
            finally:
                enter(home.fileno())

    @staticmethod
    def addresses(count: int, first_address: str = "198.19.0.1") -> list[str]:
        first = ipaddress.IPv4Address(first_address)
        return [str(first + i) for i in range(count)]


@dataclasses.dataclass
class Truth:
    """What the network of known delay did."""
    held_us: list[float]  # each answer, in the order in which they left; 0: the kernel gave no stamp
    lost: int  # packets since the mark, on both ways

    def held(self, first: int, last: int) -> list[float]:
        """The answers with these numbers, counted from 0."""
        held = self.held_us[first:last]
        if not held or 0 in held:
            raise RuntimeError(f"hold: of the answers {first} to {last} (there were {len(self.held_us)}) {held.count(0)} have no stamp")
        return held


class Hold:
    """with Hold(wire, microseconds) as hold: 198.20.0.0/16 answers so late; then hold.truth is what it did. The addresses lie behind one neighbour
    whose frames are nobody's there: the far kernel lets them pass, and hold.c takes them from the device."""
    DEVICE, NEAR, FAR, FAR_MAC = "hold", "198.18.250.5", "198.18.250.6", "02:00:00:00:00:01"
    truth: Truth

    def __init__(self, wire: Wire, microseconds: int) -> None:
        self.wire, self.microseconds = wire, microseconds

    def __enter__(self) -> "Hold":
        near, far = self.wire.near, self.wire.far
        run("ip", "-n", near, "link", "add", self.DEVICE, "type", "veth", "peer", "name", self.DEVICE, "netns", far)
        for name in (near, far):
            run(*inside(name, "sysctl", "-qw", f"net.ipv6.conf.{self.DEVICE}.disable_ipv6=1"))
            run("ip", "-n", name, "link", "set", self.DEVICE, "up")
        run("ip", "-n", near, "addr", "add", f"{self.NEAR}/30", "dev", self.DEVICE)
        run("ip", "-n", near, "neigh", "add", self.FAR, "lladdr", self.FAR_MAC, "nud", "permanent", "dev", self.DEVICE)
        run("ip", "-n", near, "route", "add", "198.20.0.0/16", "via", self.FAR)
        command = inside(far, str(HOLD), self.DEVICE, str(self.microseconds))
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout
        if self._process.stdout.readline() != "ready\n":
            raise RuntimeError(f"hold ended with {self._process.wait()}")
        self.mark()
        return self

    def mark(self) -> None:
        """What is lost from now on counts; what was before is forgotten."""
        assert self._process.stdin
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        self._before = self._dropped()

    def __exit__(self, kind: object, *_: object) -> None:
        lines = self._process.communicate()[0].splitlines()
        if kind:  # what interrupted it is what is to be told
            run("ip", "-n", self.wire.near, "link", "del", self.DEVICE)
            return
        words = lines[0].split()
        said = {name: int(number) for name, number in zip(words[::2], words[1::2])}
        # What was not sent for want of room is among those that the device dropped.
        lost = said["dropped"] + self._dropped() - self._before
        self.truth = Truth([int(line) / 1000 for line in lines[1:]], lost)
        run("ip", "-n", self.wire.near, "link", "del", self.DEVICE)

    def _dropped(self) -> int:
        """Packets that one end sent and the other end's queue had no room for."""
        return sum(self._dropped_by(name) for name in (self.wire.near, self.wire.far))

    def _dropped_by(self, name: str) -> int:
        text = subprocess.run(["ip", "-n", name, "-s", "-j", "link", "show", "dev", self.DEVICE], check=True, capture_output=True, text=True).stdout
        return int(json.loads(text)[0]["stats64"]["tx"]["dropped"])
