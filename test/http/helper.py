# SPDX-License-Identifier: Apache-2.0
"""kubecanary-http as a process, and the messages (agent/http_wire.h) written and read by another hand than the program's own."""
import os
import socket
import struct
import subprocess
import tempfile

OUTCOMES = ("answered", "lookup", "connect", "tls", "certificate", "timeout", "closed", "protocol", "redirect", "local")
PHASES = ("dns", "connect", "tls", "first_byte", "total")
FD = 3


def probe(ident, url, ca="", timeout=20.0, head=False, follow=False, insecure=False, family=0):
    flags = (1 if follow else 0) | (2 if insecure else 0)
    return struct.pack(">4sBBBBQQII", b"kch2", 1, int(head), flags, family, ident, int(timeout * 1e9), len(url), len(ca)) + url.encode() + ca.encode()


ARE_YOU_THERE, HERE = b"kch2\3\0\0\0", b"kch2\4\0\0\0"


class Result:
    def __init__(self, data):
        magic, kind, outcome, self.status, self.id, self.code, length, self.errno, *rest = struct.unpack(">4sBBHQHBxHxx5Qqq", data[:80])
        assert magic == b"kch2" and kind == 2 and data[19] == data[22] == data[23] == 0 and len(data) == 80 + length, data
        self.outcome = OUTCOMES[outcome]
        self.ns = dict(zip(PHASES, rest[:5]))
        self.leaf_end, self.chain_end = rest[5:]
        self.text = data[80:].decode("ascii")

    def __repr__(self):
        return f"{self.outcome} {self.status} curl {self.code} errno {self.errno} {self.text!r} {self.ns} ends {self.leaf_end} {self.chain_end}"


class Helper:
    """with Helper(binary) as h: h.ask(url, ...) is one probe and its result."""

    def __init__(self, binary, env=None, options=()):
        self.ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.ours.settimeout(60)
        self.said = tempfile.TemporaryFile()
        clean = {k: v for k, v in os.environ.items() if k not in ("SSL_CERT_FILE", "SSL_CERT_DIR")}
        number = os.dup(theirs.fileno()) if theirs.fileno() == FD else theirs.fileno()
        self.process = subprocess.Popen([binary, *options], stdin=subprocess.DEVNULL, stdout=self.said, stderr=self.said, close_fds=False,
                                        env={"SSL_CERT_FILE": "/nonexistent", "SSL_CERT_DIR": "/nonexistent", **clean, **(env or {})},
                                        preexec_fn=lambda: os.dup2(number, FD, inheritable=True))
        theirs.close()
        self.next = 1

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        self.ours.close()
        if self.process.poll() is None:
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        if kind:
            print("".join(f"#   {line}\n" for line in self.log().splitlines()[-20:]), end="")
        self.said.close()

    def log(self):
        self.said.seek(0)
        return self.said.read().decode()

    def send(self, url, **options):
        ident, self.next = self.next, self.next + 1
        self.ours.send(probe(ident, url, **options))
        return ident

    def receive(self):
        data = self.ours.recv(65536)
        if not data:
            raise AssertionError("the helper has ended")
        return Result(data)

    def ask(self, url, **options):
        ident = self.send(url, **options)
        r = self.receive()
        if r.id != ident:
            raise AssertionError(f"the result of {r.id}, not of {ident}")
        return r

    def descriptors(self):
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))

    def status(self, key):
        with open(f"/proc/{self.process.pid}/status", encoding="ascii") as f:
            for line in f:
                if line.startswith(key + ":"):
                    return line.split(":", 1)[1].split()
        raise AssertionError(f"no {key}")
