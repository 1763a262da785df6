# SPDX-License-Identifier: Apache-2.0
"""Two nodes in namespaces whose only way to each other is a TUN device each, with both ends in the test's hand."""
import contextlib
import fcntl
import os
import socket
import stat
import struct
import tempfile

from net import Net

TUNSETIFF = 0x400454CA
IFF_TUN_NO_PI = 0x1001


def open_tun(name):
    """A TUN device of the namespace that the calling thread is in."""
    device, folder = "/dev/net/tun", None
    if not os.path.exists(device):
        folder = tempfile.mkdtemp(prefix="kubecanary-netem-")
        device = os.path.join(folder, "tun")
        os.mknod(device, 0o600 | stat.S_IFCHR, os.makedev(10, 200))
    try:
        fd = os.open(device, os.O_RDWR | os.O_NONBLOCK)
    finally:
        if folder:
            os.unlink(device)
            os.rmdir(folder)
    fcntl.ioctl(fd, TUNSETIFF, struct.pack("16sH22x", name, IFF_TUN_NO_PI))
    return fd


class Link(Net):
    """with Link("n1", "n2") as link: link["n1"] ... as of Net; link.fds[i]: the device of the i-th node."""

    def __enter__(self):
        self.fds = []
        try:
            for node in self.nodes.values():
                self._join(node)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        for fd in self.fds:
            os.close(fd)
        self.fds = []
        super().__exit__()

    def _join(self, node):
        self._make(node.space)
        node.run("sysctl", "-qw", "net.ipv4.ping_group_range=65532 65532")
        with contextlib.suppress(RuntimeError):  # newer kernels send SYNs again at 1, 2, 3 s; as all others here: at 1, 3, 7 s
            node.run("sysctl", "-qw", "net.ipv4.tcp_syn_linear_timeouts=0")
        self.fds.append(node.within(lambda: open_tun(b"tun0")))
        node.run("ip", "link", "set", "tun0", "up")
        node.run("ip", "addr", "add", f"{node.v4}/15", "dev", "tun0")
        node.run("ip", "addr", "add", f"{node.v6}/64", "dev", "tun0", "nodad")

    def sides(self):
        """Of each node: the descriptor of its device, and its addresses as bytes."""
        return [(fd, {socket.inet_aton(n.v4), socket.inet_pton(socket.AF_INET6, n.v6)}) for fd, n in zip(self.fds, self.nodes.values())]
