# SPDX-License-Identifier: Apache-2.0
"""What scrapes the contestants: a socket of this process in their namespace that is kept from one scrape to the next, as Prometheus keeps its own.
Nothing is started for it, and what comes is read as fast as it comes, 8 MB at once: as little as can be of what a scrape costs a contestant is this
end's doing. It ends when the contestant has seen its end, so that no two connections are there at once."""
import contextlib
import http.client
import re
import socket

from netns import Wire

SECONDS = 30
ROOM = 8 << 20
ACCEPT = "text/plain"
REQUEST = f"GET /metrics HTTP/1.1\r\nHost: bench\r\nAccept: {ACCEPT}\r\n\r\n".encode()
_buffer = bytearray(ROOM)


class NoAnswer(Exception):
    """A contestant that does not say what it should."""


def _connected(wire: Wire, port: int) -> socket.socket:
    s = wire.socket()
    try:
        s.settimeout(SECONDS)
        s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, ROOM)
        s.connect(("127.0.0.1", port))
    except BaseException:
        s.close()
        raise
    return s


def _finish(s: socket.socket) -> None:
    s.shutdown(socket.SHUT_WR)
    while s.recv_into(_buffer):
        pass


def _shape(head: bytes) -> tuple[int, int]:
    """Of the beginning of an answer: how long the headers are, and the body; -1: that is chunked, and ends with an empty chunk."""
    headers, there, _ = head.partition(b"\r\n\r\n")
    if not there or not headers.startswith(b"HTTP/1.1 200 "):
        raise NoAnswer(f"not an answer: {head[:80]!r}")
    length = re.search(rb"\r\nContent-Length: *(\d+)", headers, re.IGNORECASE)
    return len(headers) + 4, int(length[1]) if length else -1


class Kept:
    """A connection over which a contestant is scraped again and again."""

    def __init__(self, wire: Wire, port: int) -> None:
        try:
            self._socket = _connected(wire, port)
        except OSError as e:
            raise NoAnswer(str(e)) from e

    def __enter__(self) -> "Kept":
        return self

    def __exit__(self, *_: object) -> None:
        with self._socket, contextlib.suppress(OSError):
            _finish(self._socket)

    def size(self) -> int:
        """Scrapes and throws away; the bytes that came."""
        s = self._socket
        try:
            s.sendall(REQUEST)
            got, headers, body, tail = 0, 0, 0, b""
            while got == 0 or (got < headers + body if body >= 0 else got == headers or tail != b"0\r\n\r\n"):
                n = s.recv_into(_buffer)
                if n == 0:
                    raise NoAnswer(f"the connection ended after {got} bytes")
                if got == 0:
                    headers, body = _shape(bytes(_buffer[:min(n, 4096)]))
                got += n
                tail = (tail + bytes(_buffer[max(0, n - 5):n]))[-5:]
            return got
        except OSError as e:
            raise NoAnswer(str(e)) from e


def text(wire: Wire, port: int) -> str:
    """Scrapes and reads."""
    connection = http.client.HTTPConnection("127.0.0.1", port)
    try:
        connection.sock = _connected(wire, port)
        connection.putrequest("GET", "/metrics", skip_accept_encoding=True)
        connection.putheader("Accept", ACCEPT)
        connection.endheaders()
        answer = connection.getresponse()
        body = answer.read().decode()
        if connection.sock:
            _finish(connection.sock)
    except (OSError, http.client.HTTPException) as e:
        raise NoAnswer(str(e)) from e
    finally:
        connection.close()
    if answer.status != 200:
        raise NoAnswer(f"status {answer.status}")
    return body
