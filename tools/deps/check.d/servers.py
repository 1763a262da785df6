# SPDX-License-Identifier: Apache-2.0
"""A DNS server that knows one name and an HTTPS server, both on the loopback of a namespace of their own, for tools/deps/check.

`servers.py CERTIFICATE KEY`: prints "ready" when both listen.
"""
import http.server
import socket
import ssl
import struct
import sys
import threading

NAME = b"\x03api\x04test\x00"


def answer(query):
    """One A record 127.0.0.1 for api.test, no record for another type, no such name otherwise."""
    question = query[12 : query.index(b"\x00", 12) + 5]
    known = question[:-4].lower() == NAME
    kind = struct.unpack("!H", question[-4:-2])[0]
    records = b""
    if known and kind == 1:
        records = b"\xc0\x0c" + struct.pack("!HHIH", 1, 1, 60, 4) + socket.inet_aton("127.0.0.1")
    flags = 0x8580 if known else 0x8583
    return query[:2] + struct.pack("!HHHHH", flags, 1, 1 if records else 0, 0, 0) + question + records


def serve_dns(sock):
    while True:
        query, peer = sock.recvfrom(512)
        sock.sendto(answer(query), peer)


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Length", "3")
        self.end_headers()
        self.wfile.write(b"ok\n")

    def log_message(self, *args):
        pass


def main():
    dns = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    dns.bind(("127.0.0.1", 53))
    threading.Thread(target=serve_dns, args=(dns,), daemon=True).start()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(sys.argv[1], sys.argv[2])
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 6443), Handler)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    print("ready", flush=True)
    server.serve_forever()


main()
