# SPDX-License-Identifier: Apache-2.0
"""Nodes as network namespaces around one bridge, which has a namespace of its own: nothing is made in the machine's own network.
Names carry this process's id, so that several runs do not meet; everything is removed on the way out, also after a failure."""
import ctypes
import os
import socket
import subprocess
import threading

CLONE_NEWNET = 0x40000000
LIBC = ctypes.CDLL(None, use_errno=True)


def sh(*words, text=None):
    """Runs a command; its output, or an exception that holds it."""
    done = subprocess.run(words, input=text, capture_output=True, text=True, timeout=60, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(words)}: exit {done.returncode}: {done.stderr.strip()}{done.stdout.strip()}")
    return done.stdout


class Node:
    """One namespace: an IPv4 and an IPv6 address on the bridge."""

    def __init__(self, name, space, number):
        self.name = name
        self.space = space
        self.v4 = f"198.18.{number // 200}.{number % 200 + 10}"
        self.v6 = f"fd00:6b63::{number + 0x10:x}"
        self.number = number

    def more(self, i):
        """More IPv4 addresses of this node, as destinations of many targets: 0 <= i < 254."""
        return f"198.19.{self.number}.{i + 1}"

    def enter(self, *words):
        """The command line that runs words in this namespace."""
        return ["nsenter", f"--net=/run/netns/{self.space}", "--", *words]

    def run(self, *words, text=None):
        return sh(*self.enter(*words), text=text)

    def nft(self, rules):
        """Puts a table in force in place of the one before; "" removes it."""
        self.run("nft", "-f", "-", text="table inet test {}\ndelete table inet test\n" + rules)

    def within(self, work):
        """What work() returns or raises, called by a thread that is in this namespace: a socket stays where it was made."""
        result = []

        def call():
            try:
                with open(f"/run/netns/{self.space}", "rb") as space:
                    if LIBC.setns(space.fileno(), CLONE_NEWNET) != 0:
                        raise OSError(ctypes.get_errno(), "setns")
                result.append(work())
            except OSError as e:
                result.append(e)

        thread = threading.Thread(target=call)
        thread.start()
        thread.join()
        if isinstance(result[0], Exception):
            raise result[0]
        return result[0]

    def connect(self, address, port, rcvbuf=0, timeout=10):
        """A TCP connection that is made in this namespace."""
        def work():
            s = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_STREAM)
            s.settimeout(timeout)
            if rcvbuf:
                s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, rcvbuf)
            try:
                s.connect((address, port))
            except OSError:
                s.close()
                raise
            return s
        return self.within(work)

    def udp(self, address, port=0, timeout=10):
        """A UDP socket of this namespace on that address."""
        def work():
            s = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM)
            s.settimeout(timeout)
            s.bind((address, port))
            return s
        return self.within(work)


class Pod(Node):
    """A namespace behind a node's, as a pod's is: addresses of a network of the node's own, to which the others have routes by way of the node."""

    def __init__(self, node, space):
        super().__init__(node.name, space, node.number)
        self.v4, self.v4_gateway = f"198.19.{node.number + 200}.2", f"198.19.{node.number + 200}.1"
        self.v6, self.v6_gateway = f"fd00:6b63:1:{node.number:x}::2", f"fd00:6b63:1:{node.number:x}::1"


class Net:
    """with Net("n1", "n2") as net: net["n1"] ..."""

    serial = 0

    def __init__(self, *names):
        Net.serial += 1
        self.prefix = f"kcs{os.getpid()}-{Net.serial}"
        self.bridge = f"{self.prefix}-br"
        self.nodes = {n: Node(n, f"{self.prefix}-{n}", i) for i, n in enumerate(names)}
        self.made = []

    def __getitem__(self, name):
        return self.nodes[name]

    def __enter__(self):
        try:
            self._make(self.bridge)
            self._in(self.bridge, "ip", "link", "add", "br0", "type", "bridge", "mcast_snooping", "0")
            self._in(self.bridge, "ip", "link", "set", "br0", "up")
            for i, node in enumerate(self.nodes.values()):
                self._add(node, i)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        for space in reversed(self.made):
            subprocess.run(["ip", "netns", "del", space], check=False)
        self.made = []

    def pods(self):
        """Name -> Pod, one behind each node."""
        found = {name: Pod(node, f"{node.space}-pod") for name, node in self.nodes.items()}
        for name, pod in found.items():
            self._add_pod(self.nodes[name], pod)
        for a in self.nodes.values():
            for name, pod in found.items():
                if name != a.name:
                    a.run("ip", "route", "add", f"{pod.v4_gateway[:-1]}0/24", "via", self.nodes[name].v4)
                    a.run("ip", "-6", "route", "add", f"{pod.v6_gateway[:-1]}/64", "via", self.nodes[name].v6)
        return found

    def _add_pod(self, node, pod):
        self._make(pod.space)
        node.run("sysctl", "-qw", "net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1")
        node.run("ip", "link", "add", "pod0", "type", "veth", "peer", "name", "eth0", "netns", pod.space)
        pod.run("sysctl", "-qw", "net.ipv4.ping_group_range=65532 65532")
        for space, link, v4, v6 in ((node, "pod0", pod.v4_gateway, pod.v6_gateway), (pod, "eth0", pod.v4, pod.v6)):
            space.run("ip", "link", "set", link, "up")
            space.run("ip", "addr", "add", f"{v4}/24", "dev", link)
            space.run("ip", "addr", "add", f"{v6}/64", "dev", link, "nodad")
        pod.run("ip", "route", "add", "default", "via", pod.v4_gateway)
        pod.run("ip", "-6", "route", "add", "default", "via", pod.v6_gateway)

    def _make(self, space):
        sh("ip", "netns", "add", space)
        self.made.append(space)
        self._in(space, "ip", "link", "set", "lo", "up")

    @staticmethod
    def _in(space, *words):
        return sh("nsenter", f"--net=/run/netns/{space}", "--", *words)

    def _add(self, node, i):
        self._make(node.space)
        self._in(self.bridge, "ip", "link", "add", f"p{i}", "type", "veth", "peer", "name", "eth0", "netns", node.space)
        self._in(self.bridge, "ip", "link", "set", f"p{i}", "master", "br0", "up")
        node.run("sysctl", "-qw", "net.ipv4.ping_group_range=65532 65532")
        node.run("ip", "link", "set", "eth0", "up")
        node.run("ip", "addr", "add", f"{node.v4}/15", "dev", "eth0")
        node.run("ip", "addr", "add", f"{node.v6}/64", "dev", "eth0", "nodad")
        node.run("ip", "route", "add", "local", f"198.19.{i}.0/24", "dev", "lo")
