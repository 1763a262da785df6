# SPDX-License-Identifier: Apache-2.0
"""Network namespaces: making, entering and removing them. Entered by nsenter: `ip netns exec` would mount /sys anew, and then
there are no cgroups below it."""
import subprocess
from pathlib import Path

from .procs import end_namespace
from .shell import run

FORWARDING = ["net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1", "net.ipv6.conf.all.accept_dad=0",
              "net.ipv6.conf.default.accept_dad=0"]


def inside(name: str) -> list:
    """The words to put before a command so that it runs in the network namespace."""
    return ["nsenter", f"--net=/run/netns/{name}"]


def exists(name: str) -> bool:
    return Path("/run/netns", name).exists()


def ip(name: str, *lines: str) -> None:
    run(["ip", "-n", name, "-batch", "-"], stdin="\n".join(lines) + "\n")


def make(name: str) -> None:
    run(["ip", "netns", "add", name])
    run([*inside(name), "sysctl", "-qw", *FORWARDING])
    ip(name, "link set lo up")


def remove_all(prefix: str) -> None:
    for name in sorted(p.name for p in Path("/run/netns").glob(f"{prefix}-*")):
        end_namespace(name)
        subprocess.run(["ip", "netns", "del", name], check=True)
