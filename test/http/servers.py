# SPDX-License-Identifier: Apache-2.0
"""Servers that answer as the test says, the certificates they show, and the names that lead to them."""
import contextlib
import os
import socket
import ssl
import struct
import subprocess
import threading
import time


class Certificates:
    """An authority and what it signs, made by openssl: file(name) is a certificate with its key, ca the authority's PEM text."""

    def __init__(self, scratch):
        self.dir = os.path.join(scratch, "certificates")
        os.mkdir(self.dir)
        self.made = {}
        with open(self.path("ca.cnf"), "w", encoding="ascii") as f:
            f.write("[ca]\ndefault_ca=x\n[x]\ndatabase=index\nnew_certs_dir=.\nrand_serial=yes\ndefault_md=sha256\npolicy=p\nunique_subject=no\n"
                    "[p]\ncommonName=supplied\n")
        with open(self.path("index"), "w", encoding="ascii"):
            pass
        self.ca_end = self.authority("ca", 40)
        self.authority("other", 40)
        self.ca = self.text("ca")

    def path(self, name):
        return os.path.join(self.dir, name)

    def text(self, name):
        with open(self.path(name + ".crt"), encoding="ascii") as f:
            return f.read()

    def openssl(self, *args):
        subprocess.run(["openssl", *args], check=True, capture_output=True, cwd=self.dir)

    def end(self, name):
        """The certificate's end in unix seconds, as openssl itself reads it."""
        done = subprocess.run(["openssl", "x509", "-in", self.path(name + ".crt"), "-noout", "-enddate"], capture_output=True, text=True, check=True)
        return int(ssl.cert_time_to_seconds(done.stdout.strip().split("=", 1)[1]))

    def authority(self, name, days):
        self.openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", f"/CN={name}", "-days", str(days),
                     "-keyout", f"{name}.key", "-out", f"{name}.crt")
        return self.end(name)

    def leaf(self, name, alt, days, by="ca"):
        """(file with key and certificate, its end); days may be negative: it has ended."""
        if name not in self.made:
            self.openssl("req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", f"/CN={name}",
                         "-keyout", f"{name}.key", "-out", f"{name}.csr")
            with open(self.path(name + ".ext"), "w", encoding="ascii") as f:
                f.write(f"subjectAltName={alt}\n")
            end = time.strftime("%y%m%d%H%M%SZ", time.gmtime(time.time() + days * 86400))
            self.openssl("ca", "-batch", "-notext", "-config", "ca.cnf", "-cert", f"{by}.crt", "-keyfile", f"{by}.key", "-startdate", "200101000000Z",
                         "-enddate", end, "-in", f"{name}.csr", "-extfile", f"{name}.ext", "-out", f"{name}.crt")
            with open(self.path(name + ".pem"), "w", encoding="ascii") as f:
                f.write(self.text(name))
                with open(self.path(name + ".key"), encoding="ascii") as key:
                    f.write(key.read())
            self.made[name] = self.end(name)
        return self.path(name + ".pem"), self.made[name]


class Server:
    """with Server(answer) as s: answer(connection, request bytes) on a thread for each connection; s.port, s.requests, s.closed (how many
    connections have ended). tls: a certificate's file. before_tls: seconds to wait before the handshake."""

    def __init__(self, answer, tls=None, before_tls=0.0, host="127.0.0.1", talk=True):
        self.answer, self.before_tls, self.talk = answer, before_tls, talk
        self.context = None
        if tls:
            self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self.context.load_cert_chain(tls)
        self.listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.listener.bind((host, 0))
        self.listener.listen(512)
        self.port = self.listener.getsockname()[1]
        self.requests, self.accepted, self.closed = [], 0, 0
        self.change = threading.Condition()
        self.over = threading.Event()
        threading.Thread(target=self.accept, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.over.set()
        with contextlib.suppress(OSError):
            self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()

    def accept(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            with self.change:
                self.accepted += 1
                self.change.notify_all()
            threading.Thread(target=self.serve, args=(connection,), daemon=True).start()

    def serve(self, connection):
        try:
            if self.before_tls:
                self.over.wait(self.before_tls)
            if self.context:
                connection = self.context.wrap_socket(connection, server_side=True)
            request = b""
            while self.talk and b"\r\n\r\n" not in request:
                piece = connection.recv(65536)
                if not piece:
                    break
                request += piece
            with self.change:
                self.requests.append(request)
            self.answer(connection, request)
        except OSError:
            pass  # the helper hung up, which is its right
        finally:
            connection.close()
            with self.change:
                self.closed += 1
                self.change.notify_all()

    def wait(self, what, condition, seconds=30):
        with self.change:
            if not self.change.wait_for(lambda: condition(self), seconds):
                raise AssertionError(f"not within {seconds} s: {what}")


def reply(status, body=b"ok\n", *headers, version="1.1"):
    """An answer with this status."""
    lines = [f"HTTP/{version} {status} -", f"Content-Length: {len(body)}", *headers, "", ""]
    text = "\r\n".join(lines).encode() + body

    def answer(connection, request):
        connection.sendall(text[:-len(body)] if request.startswith(b"HEAD") and body else text)
    return answer


def raw(*pieces, reset=False):
    """These bytes and the end."""
    def answer(connection, _):
        for piece in pieces:
            connection.sendall(piece)
        if reset:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    return answer


def late(seconds, then):
    def answer(connection, request):
        time.sleep(seconds)
        then(connection, request)
    return answer


def endless(head, piece):
    """head, then piece until the other side hangs up."""
    def answer(connection, _):
        connection.sendall(head)
        while True:
            connection.sendall(piece)
    return answer


class Names:
    """A name server on 127.0.0.1: every name that begins with `a.` leads to 127.0.0.1, `aaaa.` to ::1, `slow.` to 127.0.0.1 after `delay`
    seconds; what begins with `mute.` is not answered; nothing else exists."""
    delay = 0.3

    def __init__(self):
        self.socket = None

    def start(self):
        if self.socket is None:
            self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            self.socket.bind(("127.0.0.1", 53))
            threading.Thread(target=self.run, daemon=True).start()

    def run(self):
        while True:
            query, whom = self.socket.recvfrom(4096)
            first = query[13:13 + query[12]].decode()
            if first == "mute":
                continue
            threading.Timer(self.delay if first == "slow" else 0, self.say, (query, whom, first)).start()

    def say(self, query, whom, first):
        at = 12
        while query[at]:
            at += query[at] + 1
        question = query[12:at + 5]
        kind = struct.unpack(">H", query[at + 1:at + 3])[0]
        data = b""
        if kind == 1 and first in ("a", "slow"):
            data = socket.inet_aton("127.0.0.1")
        if kind == 28 and first == "aaaa":
            data = socket.inet_pton(socket.AF_INET6, "::1")
        known = first in ("a", "slow", "aaaa")
        answer = struct.pack(">HHHIH", 0xc00c, kind, 1, 60, len(data)) + data if data else b""
        self.socket.sendto(query[:2] + struct.pack(">HHHHH", 0x8180 if known else 0x8183, 1, 1 if data else 0, 0, 0) + question + answer, whom)
