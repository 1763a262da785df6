# SPDX-License-Identifier: Apache-2.0
"""What kubecanary-http says of servers that are well, slow, broken or hostile."""
import contextlib
import errno
import os
import resource
import shutil
import socket
import struct
import subprocess
import time

from helper import ARE_YOU_THERE, HERE, Helper, probe
from servers import Names, Server, endless, late, raw, reply

LONG = 3600.0  # a delay that nobody waits for
IN_FLIGHT = 64  # LIMIT_HTTP_IN_FLIGHT


class World:
    def __init__(self, binary, scratch, certificates, names):
        self.binary, self.scratch, self.certificates, self.names = binary, scratch, certificates, names

    def helper(self, **options):
        return Helper(self.binary, **options)

    def leaf(self, name="good", alt="DNS:a.example,IP:127.0.0.1", days=90, by="ca"):
        return self.certificates.leaf(name, alt, days, by)


def expect(condition, *what):
    if not condition:
        raise AssertionError(" ".join(str(w) for w in what))


def expect_outcome(r, outcome, status=None):
    expect(r.outcome == outcome and (status is None or r.status == status), f"want {outcome} {status or ''}, got {r}")
    expect(all(0 <= v <= r.ns["total"] for v in r.ns.values()), "a phase longer than the whole", r)
    expect((r.text == "") == (outcome == "answered"), "a text goes with an error", r)


def case_answers_with_a_status(w):
    with w.helper() as h:
        for status in (200, 204, 301, 401, 404, 500, 503):
            with Server(reply(status, b"" if status == 204 else b"ok\n")) as s:
                r = h.ask(f"http://127.0.0.1:{s.port}/some/path?x=1")
                expect_outcome(r, "answered", status)
                expect(r.ns["connect"] > 0 and r.ns["total"] > 0 and r.ns["tls"] == 0, r)
                expect(r.leaf_end == r.chain_end == 0, "dates without TLS", r)
                expect(s.requests[0].startswith(b"GET /some/path?x=1 HTTP/1.1\r\n"), s.requests)


def case_head(w):
    with w.helper() as h, Server(reply(200, b"a body that a HEAD has not")) as s:
        expect_outcome(h.ask(f"http://127.0.0.1:{s.port}/", head=True), "answered", 200)
        expect(s.requests[0].startswith(b"HEAD / "), s.requests)


def case_each_probe_connects_anew(w):
    def answer(connection, request):  # as often as it is asked
        while request:
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
            request = connection.recv(65536)
    with w.helper() as h, Server(answer) as s:
        for _ in range(5):
            expect_outcome(h.ask(f"http://127.0.0.1:{s.port}/"), "answered", 200)
        expect(s.accepted == 5, s.accepted)


def case_nothing_is_remembered_or_disclosed(w):
    home = os.path.join(w.scratch, "home")
    os.makedirs(home, exist_ok=True)
    with open(os.path.join(home, ".netrc"), "w", encoding="ascii") as f:
        f.write("machine 127.0.0.1 login me password secret\n")
    proxy = "http://127.0.0.1:9"
    env = {"HOME": home, "http_proxy": proxy, "HTTP_PROXY": proxy, "all_proxy": proxy, "ALL_PROXY": proxy, "https_proxy": proxy}
    with w.helper(env=env) as h, Server(reply(200, b"ok", "Set-Cookie: a=b; Path=/")) as s:
        for _ in range(2):
            expect_outcome(h.ask(f"http://127.0.0.1:{s.port}/"), "answered", 200)
        for request in s.requests:
            names = {line.split(b":")[0].lower() for line in request.split(b"\r\n")[1:] if line}
            expect(names == {b"host", b"user-agent", b"accept", b"connection"}, request)


def case_old_http(w):
    with w.helper() as h:
        with Server(reply(200, version="1.0")) as s:
            expect_outcome(h.ask(f"http://127.0.0.1:{s.port}/"), "answered", 200)
        with Server(raw(b"HTTP/1.0 200 OK\r\n\r\nuntil the end")) as s:
            expect_outcome(h.ask(f"http://127.0.0.1:{s.port}/"), "answered", 200)


def case_no_http(w):
    with w.helper() as h:
        for text in (b"hello, this is HTTP/0.9\n", b"SSH-2.0-OpenSSH_9.2\r\n", bytes(range(256)), b"HTTP/1.1 abc\r\n\r\n", b"HTTP/1.1 99999 -\r\n\r\n",
                     b"HTTP/1.1 200 OK\r\nContent-Length: -7\r\n\r\n"):
            with Server(raw(text)) as s:
                r = h.ask(f"http://127.0.0.1:{s.port}/")
                expect(r.outcome == "protocol", text, r)


def case_closed_early(w):
    with w.helper() as h:
        for answer in (raw(), raw(reset=True), raw(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort"),
                       raw(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzzz\r\n"), raw(b"HTTP/1.1 200 OK\r\nContent-L", reset=True)):
            with Server(answer) as s:
                expect_outcome(h.ask(f"http://127.0.0.1:{s.port}/"), "closed")


def case_refused(w):
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))  # nobody listens
        with w.helper() as h:
            expect_outcome(h.ask(f"http://127.0.0.1:{s.getsockname()[1]}/"), "connect")


def case_no_route_is_local(w):
    with w.helper() as h:
        r = h.ask("http://198.18.0.1/")  # this network has the loopback only
        expect_outcome(r, "local")
        expect(r.errno == errno.ENETUNREACH, r)
        r = h.ask("http://[fd00:6b63::1]/")
        expect_outcome(r, "local")
        expect(r.errno in (errno.ENETUNREACH, errno.EADDRNOTAVAIL), r)


def case_no_answer_in_time(w):
    with w.helper() as h, Server(late(LONG, reply(200))) as s:
        r = h.ask(f"http://127.0.0.1:{s.port}/", timeout=0.2)
        expect_outcome(r, "timeout", 0)
        expect(r.ns["total"] >= 200_000_000 and r.ns["connect"] > 0 and r.ns["first_byte"] == 0, r)


def case_a_body_that_stalls(w):
    def answer(connection, _):
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort")
        time.sleep(LONG)
    with w.helper() as h, Server(answer) as s:
        r = h.ask(f"http://127.0.0.1:{s.port}/", timeout=0.3)
        expect_outcome(r, "timeout", 200)
        expect(r.ns["first_byte"] > 0, r)


def case_slow_first_byte(w):
    with w.helper() as h, Server(late(0.3, reply(200))) as s:
        r = h.ask(f"http://127.0.0.1:{s.port}/")
        expect_outcome(r, "answered", 200)
        expect(r.ns["first_byte"] >= 300_000_000, r)
        expect(sum(v for k, v in r.ns.items() if k != "total") <= r.ns["total"], "phases add up to more than the whole", r)


def case_endless_body(w):
    with w.helper() as h, Server(endless(b"HTTP/1.1 200 OK\r\n\r\n", b"x" * 65536)) as s:
        expect_outcome(h.ask(f"http://127.0.0.1:{s.port}/"), "answered", 200)
        s.wait("it hangs up", lambda s: s.closed == 1)


def case_endless_headers(w):
    with w.helper() as h:
        for piece in (b"X-A: " + b"y" * 1000 + b"\r\n", b"x" * 65536, b"HTTP/1.1 100 Continue\r\n\r\n"):
            with Server(endless(b"HTTP/1.1 200 OK\r\n" if piece[:1] != b"H" else b"", piece)) as s:
                r = h.ask(f"http://127.0.0.1:{s.port}/")
                expect(r.outcome == "protocol", piece[:20], r)
                s.wait("it hangs up", lambda s: s.closed == 1)


def case_many_headers(w):
    """What ends is refused too, if it is more than anybody needs."""
    with w.helper() as h:
        for lines, outcome in ((500, "answered"), (900, "protocol")):
            with Server(raw(b"HTTP/1.1 200 OK\r\n", b"X-A: " + b"y" * 93 + b"\r\n", *[b"X-A: " + b"y" * 93 + b"\r\n"] * lines, b"\r\n")) as s:
                expect_outcome(h.ask(f"http://127.0.0.1:{s.port}/"), outcome)


def case_redirects_are_not_followed(w):
    with w.helper() as h, Server(reply(302, b"", "Location: /elsewhere")) as s:
        expect_outcome(h.ask(f"http://127.0.0.1:{s.port}/"), "answered", 302)
        expect(s.accepted == 1, s.accepted)


def case_redirects_are_followed(w):
    with Server(reply(200)) as there, Server(reply(307, b"", f"Location: http://127.0.0.1:{there.port}/x")) as s, w.helper() as h:
        expect_outcome(h.ask(f"http://127.0.0.1:{s.port}/", follow=True), "answered", 200)
        expect(there.requests[0].startswith(b"GET /x "), there.requests)


def case_redirects_in_circles(w):
    with w.helper() as h, Server(reply(302, b"", "Location: /")) as s:
        expect_outcome(h.ask(f"http://127.0.0.1:{s.port}/", follow=True), "redirect", 302)
        expect(s.accepted == 6, s.accepted)


def case_redirects_to_other_schemes(w):
    with w.helper() as h:
        for where in ("file:///etc/passwd", "ftp://127.0.0.1/", "gopher://127.0.0.1/", "http://[::bad/"):
            with Server(reply(302, b"", f"Location: {where}")) as s:
                expect_outcome(h.ask(f"http://127.0.0.1:{s.port}/", follow=True), "redirect", 302)


def case_other_schemes(w):
    with w.helper() as h:
        for url in ("file:///etc/passwd", "ftp://127.0.0.1/", "http://", "http://[::bad/"):
            r = h.ask(url)
            expect(r.outcome in ("protocol", "local", "lookup") and r.status == 0, url, r)


# --- TLS -----------------------------------------------------------------------------------------

def case_own_ca(w):
    file, end = w.leaf()
    with w.helper() as h, Server(reply(200), tls=file) as s:
        r = h.ask(f"https://127.0.0.1:{s.port}/", ca=w.certificates.ca)
        expect_outcome(r, "answered", 200)
        expect(r.leaf_end == end, "the leaf ends", end, r)
        expect(r.chain_end == w.certificates.ca_end, "the authority ends first", w.certificates.ca_end, r)
        expect(r.ns["tls"] > 0, r)


def case_no_ca_trusts_nobody(w):
    file, end = w.leaf()
    with w.helper() as h, Server(reply(200), tls=file) as s:
        r = h.ask(f"https://127.0.0.1:{s.port}/")
        expect_outcome(r, "certificate", 0)
        expect(r.leaf_end == end, "the date is known all the same", r)


def case_the_systems_store(w):
    file, _ = w.leaf()
    with w.helper(env={"SSL_CERT_FILE": w.certificates.path("ca.crt")}) as h, Server(reply(200), tls=file) as s:
        expect_outcome(h.ask(f"https://127.0.0.1:{s.port}/"), "answered", 200)
        # A bundle of one's own is instead of it, not beside it.
        expect_outcome(h.ask(f"https://127.0.0.1:{s.port}/", ca=w.certificates.text("other")), "certificate", 0)
    trusted = os.path.join(w.scratch, "trusted")
    os.makedirs(trusted, exist_ok=True)
    shutil.copy(w.certificates.path("ca.crt"), trusted)
    subprocess.run(["openssl", "rehash", trusted], check=True, capture_output=True)
    subprocess.run(["mount", "--bind", trusted, "/etc/ssl/certs"], check=True)  # what a distribution's libraries look into
    try:
        with w.helper(env={"SSL_CERT_DIR": "/etc/ssl/certs"}) as h, Server(reply(200), tls=file) as s:
            expect_outcome(h.ask(f"https://127.0.0.1:{s.port}/"), "answered", 200)
            expect_outcome(h.ask(f"https://127.0.0.1:{s.port}/", ca=w.certificates.text("other")), "certificate", 0)
    finally:
        subprocess.run(["umount", "/etc/ssl/certs"], check=True)


def case_expired(w):
    file, end = w.leaf("expired", days=-3)
    with w.helper() as h, Server(reply(200), tls=file) as s:
        r = h.ask(f"https://127.0.0.1:{s.port}/", ca=w.certificates.ca)
        expect_outcome(r, "certificate", 0)
        expect(r.leaf_end == end and end < time.time(), r)
        expect("expired" in r.text, r)


def case_wrong_name(w):
    file, end = w.leaf("wrong", alt="DNS:b.example")
    with w.helper() as h, Server(reply(200), tls=file) as s:
        r = h.ask(f"https://127.0.0.1:{s.port}/", ca=w.certificates.ca)
        expect_outcome(r, "certificate", 0)
        expect(r.leaf_end == end, r)


def case_insecure_takes_anything(w):
    with w.helper() as h:
        for name in ("expired", "wrong"):
            file, end = w.leaf(name, **({"days": -3} if name == "expired" else {"alt": "DNS:b.example"}))
            with Server(reply(200), tls=file) as s:
                r = h.ask(f"https://127.0.0.1:{s.port}/", insecure=True)
                expect_outcome(r, "answered", 200)
                expect(r.leaf_end == end, r)


def case_a_bundle_that_is_none(w):
    file, _ = w.leaf()
    with w.helper() as h, Server(reply(200), tls=file) as s:
        for ca in ("nonsense", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"):
            expect_outcome(h.ask(f"https://127.0.0.1:{s.port}/", ca=ca), "certificate", 0)


def case_slow_handshake(w):
    file, _ = w.leaf()
    with w.helper() as h:
        with Server(reply(200), tls=file, before_tls=0.3) as s:
            r = h.ask(f"https://127.0.0.1:{s.port}/", ca=w.certificates.ca)
            expect_outcome(r, "answered", 200)
            expect(r.ns["tls"] >= 250_000_000, r)
        with Server(reply(200), tls=file, before_tls=LONG) as s:
            r = h.ask(f"https://127.0.0.1:{s.port}/", ca=w.certificates.ca, timeout=0.3)
            expect_outcome(r, "timeout", 0)
            expect(r.ns["tls"] == 0 and r.ns["total"] >= 300_000_000, r)


def case_no_tls_there(w):
    with w.helper() as h:
        for text in (b"HTTP/1.1 400 Bad Request\r\n\r\n", bytes(range(256)), struct.pack(">BHH", 22, 0x0303, 40) + bytes(40)):
            with Server(raw(text), talk=False) as s:
                expect_outcome(h.ask(f"https://127.0.0.1:{s.port}/", ca=w.certificates.ca), "tls", 0)
        with Server(raw(), talk=False) as s:
            r = h.ask(f"https://127.0.0.1:{s.port}/", ca=w.certificates.ca)
            expect(r.outcome in ("tls", "closed") and r.status == 0, r)


# --- names and families --------------------------------------------------------------------------

def case_names(w):
    w.names.start()
    file, _ = w.leaf()
    with w.helper() as h, Server(reply(200), tls=file) as s:
        r = h.ask(f"https://a.example:{s.port}/", ca=w.certificates.ca)
        expect_outcome(r, "answered", 200)
        expect(f"Host: a.example:{s.port}\r\n".encode() in s.requests[0], s.requests)
        r = h.ask("http://nobody.example/")
        expect_outcome(r, "lookup", 0)


def case_slow_names(w):
    w.names.start()
    with w.helper() as h, Server(reply(200)) as s:
        for _ in range(2):  # looked up each time
            r = h.ask(f"http://slow.example:{s.port}/", family=4)
            expect_outcome(r, "answered", 200)
            expect(r.ns["dns"] >= Names.delay * 1e9, r)
        r = h.ask("http://mute.example/", timeout=0.3)
        expect(r.outcome in ("timeout", "lookup") and r.status == 0 and r.ns["connect"] == 0, r)


def case_families(w):
    w.names.start()
    with w.helper() as h, Server(reply(200), host="::1") as six, Server(reply(404)) as four:
        expect_outcome(h.ask(f"http://[::1]:{six.port}/"), "answered", 200)
        expect_outcome(h.ask(f"http://aaaa.example:{six.port}/", family=6), "answered", 200)
        expect_outcome(h.ask(f"http://a.example:{four.port}/", family=4), "answered", 404)
        expect_outcome(h.ask(f"http://aaaa.example:{six.port}/", family=4), "lookup", 0)
        expect_outcome(h.ask(f"http://a.example:{four.port}/", family=6), "lookup", 0)
        expect_outcome(h.ask(f"http://aaaa.example:{six.port}/"), "answered", 200)
        expect_outcome(h.ask(f"http://a.example:{four.port}/"), "answered", 404)


# --- the helper as a process ---------------------------------------------------------------------

def case_ends_with_the_agent(w):
    with w.helper() as h, Server(late(LONG, reply(200))) as s:
        for _ in range(3):
            h.send(f"http://127.0.0.1:{s.port}/")
        s.wait("three are under way", lambda s: s.accepted == 3)
        h.ours.close()
        expect(h.process.wait(30) == 0, h.process.returncode)


def case_no_probe(w):
    for message in (b"", b"hello", probe(1, "")[:31], probe(1, "http://127.0.0.1/") + b"x", probe(1, "http://127.0.0.1/" + "x" * 2000)):
        with w.helper() as h:
            if message:
                h.ours.send(message)
                expect(h.process.wait(30) == 1, message, h.process.returncode)
                expect('"msg":"the agent cannot be understood"' in h.log(), h.log())
            else:
                h.ours.shutdown(socket.SHUT_WR)
                expect(h.process.wait(30) == 0, h.process.returncode)


def case_needs_its_socket(w):
    with w.helper(options=["--nonsense"]) as h:
        expect(h.process.wait(30) == 2, h.process.returncode)
    with open(os.devnull, "rb") as null:
        pid = os.fork()
        if pid == 0:
            os.dup2(null.fileno(), 3)
            os.dup2(null.fileno(), 2)
            os.execv(w.binary, [w.binary])
        expect(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 1, "it took another descriptor for the agent")


def case_not_more_than_so_many(w):
    with w.helper() as h, Server(late(LONG, reply(200))) as s:
        for _ in range(IN_FLIGHT):
            h.send(f"http://127.0.0.1:{s.port}/", timeout=60)
        s.wait("all are under way", lambda s: s.accepted == IN_FLIGHT)
        r = h.ask(f"http://127.0.0.1:{s.port}/")
        expect_outcome(r, "local", 0)
        expect(r.errno == errno.EMFILE, r)


def case_no_descriptor_left(w):
    with w.helper() as h, Server(reply(200)) as s:
        expect_outcome(h.ask(f"http://127.0.0.1:{s.port}/"), "answered", 200)
        resource.prlimit(h.process.pid, resource.RLIMIT_NOFILE, (h.descriptors(), h.descriptors()))
        r = h.ask(f"http://127.0.0.1:{s.port}/")
        expect_outcome(r, "local")
        expect(r.errno == errno.EMFILE, r)


def case_says_that_it_is_there(w):
    """At once, whatever it waits for, and as often as it is asked."""
    with w.helper() as h, Server(late(LONG, reply(200))) as s:
        for n in range(3):
            h.ours.send(ARE_YOU_THERE)
            expect(h.ours.recv(100) == HERE)
            h.send(f"http://127.0.0.1:{s.port}/", timeout=60)
            s.wait("it is under way", lambda s, n=n: s.accepted == n + 1)


def case_one_hanging_server_delays_nobody(w):
    with w.helper() as h, Server(late(LONG, reply(200))) as bad, Server(reply(200)) as good:
        for _ in range(IN_FLIGHT - 1):
            h.send(f"http://127.0.0.1:{bad.port}/", timeout=60)
        bad.wait("they hang", lambda s: s.accepted == IN_FLIGHT - 1)
        for _ in range(20):
            expect_outcome(h.ask(f"http://127.0.0.1:{good.port}/"), "answered", 200)


def case_an_agent_that_does_not_read(w):
    """Results wait until they are asked for; none is lost."""
    with w.helper() as h, Server(reply(200)) as s:
        sent, h.next = set(), 1
        h.ours.setblocking(False)
        while len(sent) < 2000:
            try:
                sent.add(h.send(f"http://127.0.0.1:{s.port}/", timeout=60))
            except BlockingIOError:
                h.next -= 1
                before = s.closed
                with contextlib.suppress(AssertionError):
                    s.wait("it still works", lambda s, n=before: s.closed > n, 0.5)
                if s.closed == before:
                    break
        expect(len(sent) > IN_FLIGHT, "it took", len(sent))
        h.ours.settimeout(60)
        outcomes = {}
        while sent:
            r = h.receive()
            expect(r.id in sent, "a result twice", r.id)
            sent.remove(r.id)
            outcomes[r.outcome] = outcomes.get(r.outcome, 0) + 1
        expect(set(outcomes) <= {"answered", "local"}, outcomes)


def case_nothing_is_left(w):
    """Descriptors are as before, whatever the answers were; memory does not grow with the probes."""
    file, _ = w.leaf()
    with w.helper() as h, Server(reply(200), tls=file) as good, Server(raw()) as bad, Server(endless(b"HTTP/1.1 200 OK\r\n\r\n", b"x" * 65536)) as much:
        urls = [f"https://127.0.0.1:{good.port}/", f"http://127.0.0.1:{bad.port}/", f"http://127.0.0.1:{much.port}/", "http://127.0.0.1:1/"]

        def rounds(n):
            for _ in range(n):
                for url in urls:
                    h.ask(url, ca=w.certificates.ca)
        rounds(20)
        descriptors, memory = h.descriptors(), int(h.status("VmRSS")[0])
        rounds(100)
        expect(h.descriptors() == descriptors, descriptors, h.descriptors())
        grown = int(h.status("VmRSS")[0]) - memory
        # A leak of one handle (20 KiB and more) a probe would be 8 MiB. The sanitizers' quarantine grows, up to what it was told.
        expect(grown < 4096 or "asan" in open(f"/proc/{h.process.pid}/maps", encoding="ascii").read(), f"{grown} KiB more after 400 probes")


def case_many_at_once(w):
    file, _ = w.leaf()
    with w.helper() as h, Server(reply(200), tls=file) as s:
        for _ in range(5):
            sent = {h.send(f"https://127.0.0.1:{s.port}/", ca=w.certificates.ca, timeout=60) for _ in range(IN_FLIGHT)}
            while sent:
                r = h.receive()
                expect_outcome(r, "answered", 200)
                sent.remove(r.id)
