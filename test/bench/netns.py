# SPDX-License-Identifier: Apache-2.0
"""Two network namespaces on a wire: the probers run in the near one, the far one answers for every address of 198.19.0.0/16."""
import ipaddress
import os
import subprocess


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
    def addresses(count: int) -> list[str]:
        first = ipaddress.IPv4Address("198.19.0.1")
        return [str(first + i) for i in range(count)]
