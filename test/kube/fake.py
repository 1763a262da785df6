# SPDX-License-Identifier: Apache-2.0
"""An API server that misbehaves on purpose: HTTPS, lists and watches from plain dicts, and rules that answer a request instead of it."""
import gzip
import json
import queue
import ssl
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

KINDS = {"probefleets": "ProbeFleet", "nodes": "Node", "pods": "Pod", "daemonsets": "DaemonSet", "configmaps": "ConfigMap",
         "serviceaccounts": "ServiceAccount", "podmonitors": "PodMonitor", "prometheusrules": "PrometheusRule"}
END = object()


def status(code: int, reason: str, message: str = "said so", **details) -> dict:
    return {"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code, "reason": reason, "message": message,
            "details": details}


class Request:
    """One request, as a rule sees it."""

    def __init__(self, handler, body: bytes):
        url = urlsplit(handler.path)
        self.handler, self.method, self.body, self.headers = handler, handler.command, body, handler.headers
        self.query = {k: v[0] for k, v in parse_qs(url.query).items()}
        parts = url.path.split("/")
        self.plural = next((p for p in parts if p in KINDS), "")
        self.path, self.watch = url.path, self.query.get("watch") == "1"

    def answer(self, code: int, body, headers=None, raw=False) -> bool:
        data = body if raw else json.dumps(body).encode()
        self.handler.send_response(code)
        self.handler.send_header("Content-Type", "application/json")
        self.handler.send_header("Content-Length", str(len(data)))
        for name, value in (headers or {}).items():
            self.handler.send_header(name, value)
        self.handler.end_headers()
        self.handler.wfile.write(data)
        return True

    def drop(self) -> bool:
        """Ends the connection without an answer."""
        self.handler.close_connection = True
        return True


class Fake:
    def __init__(self, certificate, key):
        self.objects = {plural: {} for plural in KINDS}
        self.version, self.rules, self.requests, self.streams = 100, [], [], {}
        self.lock = threading.Condition()
        fake = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_any(self):
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                fake.serve(Request(self, body))

            do_GET = do_PATCH = do_POST = do_PUT = do_DELETE = handle_any

            def log_message(self, *_):
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, *_):
                pass  # a client that goes away is no news

            def get_request(self):
                connection, address = super().get_request()
                return fake.context.wrap_socket(connection, server_side=True, do_handshake_on_connect=False), address

        self.context = None
        self.use(certificate, key)
        self.server = Server(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def use(self, certificate, key) -> None:
        """Another certificate for the connections to come."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        self.context = context

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self.server.server_port}"

    def close(self) -> None:
        for stream in list(self.streams.values()):
            stream.put(END)
        self.server.shutdown()
        self.server.server_close()

    # --- what a test does -------------------------------------------------------------------------------------------------------

    def rule(self, when, do, times: int = 1):
        """The next `times` requests for which when(request) holds are answered by do(request)."""
        with self.lock:
            self.rules.append([when, do, times])

    def put(self, plural: str, name: str, **fields) -> dict:
        self.version += 1
        meta = {"name": name, "resourceVersion": str(self.version), "uid": f"uid-{name}", "labels": {"kubecanary.io/fleet": "mesh"}}
        if plural != "nodes":
            meta["namespace"] = "default"
        self.objects[plural][name] = {"apiVersion": "v1", "kind": KINDS[plural], "metadata": meta, **fields}
        return self.objects[plural][name]

    def line(self, kind: str, thing) -> bytes:
        return json.dumps({"type": kind, "object": thing}).encode() + b"\n"

    def send(self, plural: str, data) -> None:
        """Bytes (or END) into the open watch of that kind; waits until there is one."""
        with self.lock:
            if not self.lock.wait_for(lambda: plural in self.streams, timeout=30):
                raise OSError(f"no watch of {plural}")
            self.streams[plural].put(data)
            if data is END:
                del self.streams[plural]

    def event(self, plural: str, kind: str, name: str) -> None:
        self.send(plural, self.line(kind, self.put(plural, name)))

    def count(self, when) -> int:
        return sum(1 for request in self.requests if when(request))

    # --- what it does by itself -------------------------------------------------------------------------------------------------

    def serve(self, request: Request) -> None:
        with self.lock:
            self.requests.append(request)
            rule = next((r for r in self.rules if r[2] > 0 and r[0](request)), None)
            if rule:
                rule[2] -= 1
        if rule:
            rule[1](request)
        elif request.watch:
            self.stream(request)
        elif request.method == "GET" and request.path.endswith("/" + request.plural):
            self.list(request)
        else:
            request.answer(404, status(404, "NotFound"))

    def list(self, request: Request, more: str = "") -> bool:
        items = [{k: v for k, v in o.items() if k not in ("kind", "apiVersion")} for o in self.objects[request.plural].values()]
        body = {"kind": KINDS[request.plural] + "List", "apiVersion": "v1", "items": items,
                "metadata": {"resourceVersion": str(self.version), **({"continue": more} if more else {})}}
        if "gzip" in request.headers.get("Accept-Encoding", ""):
            return request.answer(200, gzip.compress(json.dumps(body).encode()), {"Content-Encoding": "gzip"}, raw=True)
        return request.answer(200, body)

    def stream(self, request: Request) -> None:
        pieces = queue.Queue()
        handler = request.handler
        handler.send_response(200)
        handler.send_header("Content-Type", "application/json")
        handler.send_header("Transfer-Encoding", "chunked")
        handler.end_headers()
        with self.lock:
            self.streams[request.plural] = pieces
            self.lock.notify_all()
        while (piece := pieces.get()) is not END:
            handler.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
            handler.wfile.flush()
        handler.wfile.write(b"0\r\n\r\n")
