# SPDX-License-Identifier: Apache-2.0
"""HTTP targets: an agent and its helper kubecanary-http, what is counted, and what becomes of either when the other ends."""
import contextlib
import json
import os
import pathlib
import signal
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "http"))

from agent import RESULTS, Agent, wait  # noqa: E402
from cases_life import expect  # noqa: E402
from net import Net  # noqa: E402
from servers import Certificates, Server, late, raw, reply  # noqa: E402

LONG = 3600.0
LONG_BUNDLE = "-----BEGIN CERTIFICATE-----\nMAcwADAAAwEA\n-----END CERTIFICATE-----\n" + "x" * 16000  # the rest is a comment


def target(name, url, interval="100ms", timeout="5s", **more):
    """A line of agent.yaml; JSON is YAML."""
    return json.dumps({"name": name, "type": "HTTP", "url": url, "interval": interval, "timeout": timeout, **more})


@contextlib.contextmanager
def agent_in(binary, *options, helper=True):
    with Net("n1") as net, Agent(binary, net["n1"], *options, helper=helper) as a:
        yield a


def serve(a, answer, **options):
    return a.node.within(lambda: Server(answer, **options))


def configure(a, *targets, generation=1):
    a.files.agent(generation=generation, mesh=False, targets="[" + ", ".join(targets) + "]").peers([a.node]).write()


def children(a):
    """(pid, name, state) of each child process, zombies included."""
    found = []
    for pid in pathlib.Path(f"/proc/{a.process.pid}/task/{a.process.pid}/children").read_text().split():
        with contextlib.suppress(FileNotFoundError):
            text = pathlib.Path(f"/proc/{pid}/stat").read_text()
            found.append((int(pid), text[text.index("(") + 1:text.rindex(")")], text[text.rindex(")") + 2]))
    return found


def descriptors(a):
    return len(os.listdir(f"/proc/{a.process.pid}/fd"))


def ended(m, name):
    return sum(m.sum("kubecanary_probe_results_total", target=name, result=r) for r in (*RESULTS, "unexpected"))


def check_invariant(m):
    for labels, sent in m.all("kubecanary_probe_sent_total"):
        name = labels["target"]
        flying = m.one("kubecanary_probes_in_flight", target=name)
        expect(sent == ended(m, name) + flying, name, "sent", sent, "ended", ended(m, name), "in flight", flying)


def check_counts(m):
    """What hangs together in every scrape, of HTTP targets only."""
    check_invariant(m)
    for labels, _ in m.all("kubecanary_probe_sent_total"):
        name = labels["target"]
        answers = m.sum("kubecanary_http_status_total", target=name)
        for phase in ("dns", "connect", "tls", "first_byte", "total"):
            expect(m.one("kubecanary_http_phase_seconds_count", target=name, phase=phase) == answers, name, phase, answers)
        parts = sum(m.one("kubecanary_http_phase_seconds_sum", target=name, phase=p) for p in ("dns", "connect", "tls", "first_byte"))
        expect(parts <= m.one("kubecanary_http_phase_seconds_sum", target=name, phase="total") + 1e-9, name, "phases exceed the whole")
        received = m.one("kubecanary_probe_results_total", target=name, result="received")
        expect(m.one("kubecanary_probe_rtt_seconds_count", target=name) == received, name, received)
        unexpected = m.one("kubecanary_http_errors_total", target=name, **{"class": "status"})
        late_ = m.one("kubecanary_probe_results_total", target=name, result="late")
        expect(answers == received + late_ + unexpected, name, "answers", answers, received, late_, unexpected)


def wait_ended(a, names, n=5):
    def done():
        m = a.metrics()
        check_counts(m)
        return m if all(ended(m, name) >= n for name in names) else None
    return wait(f"{n} results of {names}", done)


def case_http_targets(binary):
    with agent_in(binary) as a, tempfile.TemporaryDirectory() as scratch:
        ca = Certificates(scratch)
        good, good_end = ca.leaf("good", f"IP:{a.node.v4},IP:{a.node.v6}", 90)
        old, old_end = ca.leaf("old", f"IP:{a.node.v4}", -3)
        with contextlib.ExitStack() as stack:
            def url(answer, scheme="http", host="127.0.0.1", **options):
                s = stack.enter_context(serve(a, answer, host=host, **options))
                return f"{scheme}://[{host}]:{s.port}/x" if ":" in host else f"{scheme}://{host}:{s.port}/x"
            def each(*words, **more):  # slowly: 64 can be under way before a sanitized helper has begun to listen
                return target(*words, interval="500ms", **more)
            configure(
                a,
                each("ok", url(reply(204, b""))),
                each("head", url(reply(200)), method="HEAD"),
                each("failing", url(reply(503))),
                each("welcome-401", url(reply(401)), expect={"status": [200, 401]}),
                each("no-200", url(reply(200)), expect={"status": [401]}),
                each("moved", url(reply(302, b"", "Location: /elsewhere"))),
                each("tls", url(reply(200), "https", a.node.v4, tls=good), caBundle=ca.ca),
                each("tls6", url(reply(200), "https", a.node.v6, tls=good), caBundle=ca.ca),
                each("expired", url(reply(200), "https", a.node.v4, tls=old), caBundle=ca.ca),
                each("expired-taken", url(reply(200), "https", a.node.v4, tls=old), insecureSkipVerify=True),
                each("refused", "http://127.0.0.1:9/"),
                each("garbage", url(raw(b"SSH-2.0-x\r\n"))),
                each("mute", url(raw())),
                each("slow", url(late(LONG, reply(200))), timeout="100ms"),
                target("late", url(late(1.0, reply(200))), timeout="700ms", interval="2s"),
                each("any", "http://localhost:9/"))
            a.start()
            m = wait_ended(a, ["ok", "head", "failing", "welcome-401", "no-200", "moved", "tls", "tls6", "expired", "expired-taken", "refused", "garbage",
                               "mute", "slow", "late", "any"], 3)
        for names, result, error in (
                ("ok head welcome-401 tls tls6 expired-taken", "received", None), ("failing no-200 moved", "unexpected", "status"),
                ("expired", "unexpected", "certificate"), ("refused any", "unreachable", "connect"), ("garbage", "corrupt", "protocol"),
                ("mute", "unreachable", "closed"), ("slow", "lost", "timeout"), ("late", "late", None)):
            for name in names.split():
                got = m.one("kubecanary_probe_results_total", target=name, result=result)
                expect(got == ended(m, name), name, "ended", ended(m, name), "of these", result, got)
                errors = {l["class"]: v for l, v in m.all("kubecanary_http_errors_total", target=name) if v}
                expect(set(errors) == ({error} if error else set()), name, errors)
        for name, status in (("ok", "2xx"), ("failing", "5xx"), ("welcome-401", "4xx"), ("moved", "3xx"), ("tls", "2xx")):
            for labels, value in m.all("kubecanary_http_status_total", target=name):
                expect((value > 0) == (labels["class"] == status), name, labels["class"], value)
        expiry = "kubecanary_http_certificate_expiry_timestamp_seconds"
        for name, end in (("tls", good_end), ("tls6", good_end), ("expired", old_end), ("expired-taken", old_end)):
            expect(m.one(expiry, target=name, certificate="leaf") == end, name, end, m.all(expiry, target=name))
            expect(m.one(expiry, target=name, certificate="chain") == min(end, ca.ca_end), name, m.all(expiry, target=name))
        expect(not m.all(expiry, target="ok"), "a date without TLS")
        expect(m.one("kubecanary_http_phase_seconds_sum", target="tls", phase="tls") > 0)
        families = {l["target"]: l.get("family", "") for l, _ in m.all("kubecanary_probe_sent_total")}
        expect(families["ok"] == "IPv4" and families["tls6"] == "IPv6" and families["any"] == "", families)
        expect(m.one("kubecanary_helper_up") == 1 and m.one("kubecanary_helper_restarts_total") == 0)
        expect(len([x for x in a.logged("HTTP target fails") if '"target":"expired"' in x and "expired" in x]) == 1, a.logged("HTTP target fails"))
        expect([c[1] for c in children(a)] == ["kubecanary-http"], children(a))


def case_helper_is_there_while_needed(binary):
    with agent_in(binary) as a, serve(a, reply(200)) as s:
        icmp = '{name: self, type: ICMP, address: 127.0.0.1, interval: 100ms, timeout: 300ms}'
        configure(a, icmp)
        a.start()
        m = a.metrics()
        expect(m.one("kubecanary_helper_wanted") == 0 and m.one("kubecanary_helper_up") == 0 and children(a) == [], children(a))
        before, generation = descriptors(a), 1
        for _ in range(2):
            generation += 1
            configure(a, icmp, target("web", f"http://127.0.0.1:{s.port}/"), generation=generation)
            wait("it is probed", lambda n=len(s.requests): len(s.requests) >= n + 3)
            expect(len(children(a)) == 1, children(a))
            generation += 1
            configure(a, icmp, generation=generation)
            wait("the helper has ended", lambda: a.metrics().one("kubecanary_helper_wanted") == 0 and children(a) == [])
        m = a.metrics()
        expect(m.one("kubecanary_helper_restarts_total") == 0, "that is no restart")
        expect(m.one("kubecanary_probe_results_total", target="self", result="lost") == 0)
        wait("no descriptor is left", lambda: descriptors(a) <= before)  # one may have been of a scrape


def case_helper_is_killed(binary):
    with agent_in(binary) as a, serve(a, reply(200)) as good, serve(a, late(LONG, reply(200))) as hanging:
        configure(a, target("good", f"http://127.0.0.1:{good.port}/"), target("hanging", f"http://127.0.0.1:{hanging.port}/", timeout="30s"))
        a.start()
        wait("it is probed", lambda: a.metrics().one("kubecanary_probe_results_total", target="good", result="received") >= 3)
        before = descriptors(a)
        for n in (1, 2):
            wait("probes are under way", lambda: a.metrics().one("kubecanary_probes_in_flight", target="hanging") >= 5)
            (pid, _, _), = children(a)
            os.kill(pid, signal.SIGKILL)
            wait("it is noticed", lambda: a.metrics().one("kubecanary_helper_up") == 0)
            wait("it is started again", lambda n=n: a.metrics().one("kubecanary_helper_restarts_total") == n)
            received = a.metrics().one("kubecanary_probe_results_total", target="good", result="received")
            wait("it is probed again", lambda r=received: a.metrics().one("kubecanary_probe_results_total", target="good", result="received") > r + 3)
            expect([c[2] != "Z" for c in children(a)] == [True] and children(a)[0][0] != pid, children(a))
        m = a.metrics()
        check_counts(m)
        for name in ("good", "hanging"):
            failed = m.one("kubecanary_probe_results_total", target=name, result="send_error")
            expect(failed > 0 and failed == m.one("kubecanary_http_errors_total", target=name, **{"class": "local"}), name, failed)
            expect(m.one("kubecanary_probe_results_total", target=name, result="lost") == 0, name, "lost what was not")
        wait("no descriptor is left", lambda: descriptors(a) <= before)  # some may be of scrapes that just ended
        expect(len(a.logged("helper ended by itself")) == 2, a.logged("helper"))
        expect_no_target_blamed(a)
        expect(not a.logged("HTTP probes are not made"), "that is told already")


def expect_no_target_blamed(a):
    """What is our helper's fault is said of it, and of no target."""
    expect(not [x for x in a.logged("HTTP target fails") if "helper" in x or "at once" in x], a.logged("HTTP target fails"))


def send_errors(m):
    """By errno, of all HTTP probes; those that there were."""
    return {labels["errno"]: n for labels, n in m.all("kubecanary_probe_send_errors_total") if labels["probe"] == "http" and n}


def case_helper_that_hangs(binary):
    """The program itself, stopped: what it was given is no target's loss. It is ended, and another one started."""
    with agent_in(binary) as a, serve(a, reply(200)) as good, serve(a, late(LONG, reply(200))) as hanging:
        configure(a, target("good", f"http://127.0.0.1:{good.port}/", timeout="1s"), target("hanging", f"http://127.0.0.1:{hanging.port}/", timeout="1s"),
                  target("fast", f"http://127.0.0.1:{good.port}/fast", timeout="60ms"))
        a.start()
        wait("it is probed", lambda: a.metrics().one("kubecanary_probe_results_total", target="good", result="received") >= 5)
        wait("who hangs is lost", lambda: a.metrics().one("kubecanary_probe_results_total", target="hanging", result="lost") >= 5)
        expect(a.metrics().sum("kubecanary_probe_results_total", result="send_error") == 0, a.metrics().all("kubecanary_probe_results_total", result="send_error"))
        (pid, _, _), = children(a)
        os.kill(pid, signal.SIGSTOP)
        before = a.metrics()
        m = wait("it is told", lambda: (lambda m: m if all(m.one("kubecanary_probe_results_total", target=t, result="send_error") >= 20
                 for t in ("good", "hanging", "fast")) else None)(a.metrics()))
        check_counts(m)
        for name in ("good", "fast"):
            expect(m.one("kubecanary_probe_results_total", target=name, result="lost") == before.one("kubecanary_probe_results_total", target=name, result="lost"),
                   name, "lost what was not")
        lost, most = (f("kubecanary_probe_results_total", target="hanging", result="lost") for f in (m.one, before.one))
        expect(lost <= most + before.one("kubecanary_probes_in_flight", target="hanging") / 2 + 1, lost, most, "only what had hung while it was there")
        expect(send_errors(m) == {"EAGAIN": m.sum("kubecanary_probe_results_total", result="send_error")}, send_errors(m))
        expect(m.one("kubecanary_agent_skipped_probes_total") == 0, "the agent was held up")
        wait("another one is there", lambda: a.metrics().one("kubecanary_helper_restarts_total") == 1)
        expect("no answer for 10 s" in a.logged("helper is killed")[0], a.logged("helper"))
        expect(len(a.logged("killed helper has ended")) == 1 and not a.logged("helper ended by itself"), a.logged("helper"))
        received = a.metrics().one("kubecanary_probe_results_total", target="good", result="received")
        wait("it is probed again", lambda: a.metrics().one("kubecanary_probe_results_total", target="good", result="received") > received + 3)
        expect(children(a)[0][0] != pid)
        wait("that is told", lambda: a.logged("HTTP probes are made again"))
        expect(len(a.logged("HTTP probes are not made")) == 1 and "does not answer" in a.logged("HTTP probes are not made")[0], a.logged("HTTP probes"))
        expect_no_target_blamed(a)


def case_send_errors_of_http_have_an_errno(binary):
    with agent_in(binary) as a:
        configure(a, target("nowhere", "http://203.0.113.1/"))
        a.start()
        m = wait("some have ended", lambda: (lambda m: m if ended(m, "nowhere") >= 5 else None)(a.metrics()))
        check_counts(m)
        expect(send_errors(m) == {"ENETUNREACH": ended(m, "nowhere")}, send_errors(m))
        expect(len([x for x in a.logged("HTTP target fails") if '"target":"nowhere","class":"local"' in x]) == 1, a.logged("HTTP target fails"))


def case_helper_ends_with_the_agent(binary):
    for signo in (signal.SIGTERM, signal.SIGKILL):
        with agent_in(binary, "--grace", "100ms") as a, serve(a, late(LONG, reply(200))) as s:
            configure(a, target("web", f"http://127.0.0.1:{s.port}/", timeout="30s"))
            a.start()
            wait("probes are under way", lambda a=a: a.metrics().one("kubecanary_probes_in_flight", target="web") >= 3)
            (pid, _, _), = children(a)
            a.process.send_signal(signo)
            code = a.process.wait(30)
            expect(code == (0 if signo == signal.SIGTERM else -signo), signo, code)
            wait("the helper has ended", lambda pid=pid: not os.path.exists(f"/proc/{pid}") or pathlib.Path(f"/proc/{pid}/stat").read_text().split()[2] == "Z")


def case_helper_reload_keeps_probes(binary):
    """Probes in flight over reloads, and counters too."""
    with agent_in(binary) as a, serve(a, late(0.5, reply(200))) as s:
        web = target("web", f"http://127.0.0.1:{s.port}/", timeout="10s")
        configure(a, web)
        a.start()
        sent = 0
        for generation in range(2, 8):
            wait("probes are under way", lambda: a.metrics().one("kubecanary_probes_in_flight", target="web") >= 3)
            configure(a, web, target("other", "http://127.0.0.1:9/", expect={"status": [200, 200 + generation]}), generation=generation)
            wait("it is in force", lambda g=generation: a.metrics().one("kubecanary_config_generation") == g)
            m = a.metrics()
            check_counts(m)
            expect(m.one("kubecanary_probe_sent_total", target="web") >= sent, "counters fell")
            sent = m.one("kubecanary_probe_sent_total", target="web")
        m = wait_ended(a, ["web"], sent)
        received = m.one("kubecanary_probe_results_total", target="web", result="received")
        expect(received == ended(m, "web"), "received", received, "of", ended(m, "web"))
        expect(len(children(a)) == 1 and m.one("kubecanary_helper_restarts_total") == 0)


def case_helper_has_no_more_room(binary):
    """Targets that hang use up what there is; that is told, and does not look like loss elsewhere."""
    with agent_in(binary) as a, serve(a, late(LONG, reply(200))) as s:
        configure(a, *[target(f"hanging-{i}", f"http://127.0.0.1:{s.port}/{i}", timeout="20s") for i in range(8)])
        a.start()
        m = wait("some are refused", lambda: (lambda m: m if m.sum("kubecanary_http_errors_total", **{"class": "local"}) > 20 else None)(a.metrics()))
        check_counts(m)
        expect(m.sum("kubecanary_probes_in_flight") <= 64, m.sum("kubecanary_probes_in_flight"))
        expect(m.sum("kubecanary_probe_results_total", result="send_error") == m.sum("kubecanary_http_errors_total", **{"class": "local"}))
        expect(send_errors(m) == {"EMFILE": m.sum("kubecanary_probe_results_total", result="send_error")}, send_errors(m))
        expect(len(a.logged("HTTP probes are not made")) == 1 and "too many HTTP probes at once" in a.logged("HTTP probes are not made")[0], a.logged("HTTP probes"))
        expect_no_target_blamed(a)


def case_helper_is_not_installed(binary):
    with agent_in(binary, helper=False) as a:
        configure(a, target("web", "http://127.0.0.1:9/"), '{name: self, type: ICMP, address: 127.0.0.1, interval: 100ms, timeout: 300ms}')
        a.start()
        wait("that is told", lambda: a.logged("helper ended by itself"))
        m = wait("the others are probed", lambda: (lambda m: m if m.one("kubecanary_probe_results_total", target="self", result="received") > 3 else None)(a.metrics()))
        expect(m.one("kubecanary_helper_wanted") == 1 and m.one("kubecanary_helper_up") == 0)
        expect(m.one("kubecanary_probe_results_total", target="web", result="send_error") == ended(m, "web") > 0)
        expect('"exitStatus":127' in a.logged("helper ended by itself")[0], a.logged("helper"))
        expect_no_target_blamed(a)


# --- helpers that somebody has taken over --------------------------------------------------------

SCRIPT = """#!/usr/bin/python3
import socket, struct, time
agent = socket.socket(fileno=3)
def result(ident, outcome=0, status=200, total=5000000, first=1000000, text=b""):
    return struct.pack(">4sBBHQHB5sQQQQQqq", b"kch2", 2, outcome, status, ident, 0, len(text), bytes(5), 0, 1000, 0, first, total, 0, 0) + text
def probes():
    while True:
        data = agent.recv(65536)
        if not data:
            return
        yield struct.unpack(">Q", data[8:16])[0]
"""


def case_helper_that_lies(binary):
    """Results of nobody's probes, and the same one twice, count for nothing; a result that is true in form counts once."""
    script = SCRIPT + """
for ident in probes():
    agent.send(result(ident ^ 1))
    agent.send(result(0))
    agent.send(result(ident))
    agent.send(result(ident, status=500))
"""
    with agent_in(binary, helper=script) as a:
        configure(a, target("web", "http://127.0.0.1:9/"))
        a.start()
        wait("results", lambda: a.metrics().one("kubecanary_probe_results_total", target="web", result="received") >= 10)
        m = a.metrics()
        check_counts(m)
        expect(m.one("kubecanary_http_status_total", target="web", **{"class": "5xx"}) == 0)
        expect(m.one("kubecanary_probe_duplicates_total", target="web") == 0)
        expect(m.one("kubecanary_agent_unmatched_packets_total") >= 3 * m.one("kubecanary_probe_results_total", target="web", result="received") - 3)
        expect(m.one("kubecanary_helper_restarts_total") == 0)


def case_helper_that_talks_nonsense(binary):
    for what in ('b"x"', 'b"x" * 1000', "result(ident)[:79]", "result(ident, outcome=10)", "result(ident, first=6000000)",
                 "result(ident, total=10 ** 18, first=0)", "result(ident, status=0)", 'result(ident, text=b"y")[:-1]'):
        with agent_in(binary, helper=SCRIPT + f"for ident in probes():\n    agent.send({what})\n") as a:
            configure(a, target("web", "http://127.0.0.1:9/"), '{name: self, type: ICMP, address: 127.0.0.1, interval: 100ms, timeout: 300ms}')
            a.start()
            wait(f"{what} is noticed", lambda a=a: a.logged("helper is killed"))
            wait("it is started again", lambda a=a: a.metrics().one("kubecanary_helper_restarts_total") >= 1)
            expect(a.logged("killed helper has ended") and not a.logged("helper ended by itself"), a.logged("helper"))
            m = a.metrics()
            check_invariant(m)
            expect(m.one("kubecanary_probe_results_total", target="web", result="received") == 0, what)
            expect(m.one("kubecanary_probe_results_total", target="web", result="send_error") > 0, what)
            expect(m.one("kubecanary_probe_results_total", target="self", result="lost") == 0, what)


def case_helper_that_does_not_listen(binary):
    """Its socket fills up; what is in it and what had no room in it never left, and nothing else suffers."""
    ca = LONG_BUNDLE
    with agent_in(binary, helper=SCRIPT + "time.sleep(3600)\n") as a:
        configure(a, target("web", "https://127.0.0.1:9/", timeout="4s", caBundle=ca), '{name: self, type: ICMP, address: 127.0.0.1, interval: 100ms, timeout: 300ms}')
        a.start()
        m = wait("its socket is full", lambda: (lambda m: m if m.one("kubecanary_probe_results_total", target="web", result="send_error") > 40 else None)(
            a.metrics()))
        check_invariant(m)
        expect(m.one("kubecanary_probe_results_total", target="web", result="send_error") == ended(m, "web"))
        expect(send_errors(m) == {"EAGAIN": ended(m, "web")}, send_errors(m))
        expect(m.one("kubecanary_probe_results_total", target="self", result="lost") == 0)
        expect(m.one("kubecanary_agent_skipped_probes_total") == 0, "the agent was held up")
        wait("it is killed", lambda: a.logged("helper is killed"))
        expect("no room for a question" in a.logged("helper is killed")[0], a.logged("helper is killed"))
        expect(len(a.logged("HTTP probes are not made")) == 1, a.logged("HTTP probes"))
        expect_no_target_blamed(a)


def gated(gate, body):
    """A helper that does nothing until the file `gate` is there, and then what body says."""
    os.chmod(gate.parent, 0o755)  # the helper runs as nobody
    return SCRIPT + f"import os\nwhile not os.path.exists({str(gate)!r}):\n    time.sleep(0.02)\n" + body


def case_helper_that_listens_late(binary):
    """Its socket was full when it was to be asked; then it reads all of it. A question that was never with it is no question that it did not answer: it is
    asked then, so that what its targets do not answer is their loss, and it lives on."""
    with tempfile.TemporaryDirectory() as scratch:
        gate = pathlib.Path(scratch) / "open"
        script = gated(gate, """while True:
    data = agent.recv(65536)
    if not data:
        break
    if data == struct.pack(">4sB3x", b"kch2", 3):
        agent.send(struct.pack(">4sB3x", b"kch2", 4))
""")
        with agent_in(binary, helper=script) as a:
            configure(a, target("web", "https://127.0.0.1:9/", timeout="4s", caBundle=LONG_BUNDLE))
            a.start()
            wait("its socket is full", lambda: a.metrics().one("kubecanary_probe_results_total", target="web", result="send_error") > 0)
            gate.touch()
            m = wait("the first is lost", lambda: (lambda m: m if m.one("kubecanary_probe_results_total", target="web", result="lost") > 0 else None)(a.metrics()))
            failed = m.one("kubecanary_probe_results_total", target="web", result="send_error")
            m = wait("more are lost, for longer than it would have had for an answer", lambda: (lambda m: m if m.one(
                "kubecanary_probe_results_total", target="web", result="lost") > 100 else None)(a.metrics()))
            check_counts(m)
            expect(m.one("kubecanary_probe_results_total", target="web", result="send_error") == failed, "that it was there was not seen")
            expect(m.one("kubecanary_helper_restarts_total") == 0 and not a.logged("helper is killed"), a.logged("helper"))


def case_helper_that_comes_too_late(binary):
    """A probe ends once: what was lost while its helper was there is no error of ours when the helper ends afterwards, nor whatever it still says of it."""
    script = SCRIPT + """
import os, select
waiting, talk = [], False
while True:
    if os.path.exists({gate!r}):
        if {ends}:
            break
        talk = True
    while talk and waiting:
        agent.send(result(waiting.pop(0), outcome=1, status=0))
    if not select.select([agent], [], [], 0.02)[0]:
        continue
    data = agent.recv(65536)
    if not data:
        break
    if data == struct.pack(">4sB3x", b"kch2", 3):
        agent.send(struct.pack(">4sB3x", b"kch2", 4))
    else:
        waiting.append(struct.unpack(">Q", data[8:16])[0])
"""
    for ends, result, error in ((True, "send_error", "local"), (False, "unreachable", "lookup")):
        with tempfile.TemporaryDirectory() as scratch:
            gate = pathlib.Path(scratch) / "open"
            os.chmod(scratch, 0o755)  # the helper runs as nobody
            with agent_in(binary, helper=script.replace("{gate!r}", repr(str(gate))).replace("{ends}", str(ends))) as a:
                configure(a, target("web", "http://127.0.0.1:9/", timeout="100ms"))
                a.start()
                before = wait("some are lost", lambda a=a: (lambda m: m if m.one("kubecanary_probe_results_total", target="web", result="lost") >= 5 else None)(
                    a.metrics())).one("kubecanary_probe_results_total", target="web", result=result)
                gate.touch()
                m = wait(f"more are {result}", lambda a=a, n=before, r=result: (lambda m: m if m.one("kubecanary_probe_results_total", target="web", result=r) > n else None)(
                    a.metrics()))
                check_counts(m)
                expect(m.one("kubecanary_http_errors_total", target="web", **{"class": error}) == m.one("kubecanary_probe_results_total", target="web", result=result),
                       error, m.all("kubecanary_http_errors_total"), m.all("kubecanary_probe_results_total"))


def case_helper_reload_leaves_what_was_asked(binary):
    """A probe under way is asked, and its answer judged, by the plan that it was made by: those that the helper has, and those that its socket has
    had no room for."""
    with tempfile.TemporaryDirectory() as scratch:
        gate = pathlib.Path(scratch) / "open"
        script = gated(gate, """while True:
    data = agent.recv(65536)
    if not data:
        break
    agent.send(result(struct.unpack(">Q", data[8:16])[0], status=201 if b"/old" in data else 202))
""")
        ca = LONG_BUNDLE
        with agent_in(binary, helper=script) as a:
            configure(a, target("web", "https://127.0.0.1:9/old", timeout="60s", caBundle=ca, expect={"status": [201]}))
            a.start()
            wait("more are under way than its socket holds", lambda: a.metrics().one("kubecanary_probes_in_flight", target="web") >= 30)
            configure(a, target("web", "https://127.0.0.1:9/new", interval="1s", timeout="60s", expect={"status": [202]}), generation=2)
            wait("it is in force", lambda: a.metrics().one("kubecanary_config_generation") == 2)
            before = a.metrics()
            expect(before.one("kubecanary_probes_in_flight", target="web") >= 30, "they were forgotten")
            gate.touch()
            m = wait("all have ended, new ones too", lambda: (lambda m: m if m.one("kubecanary_probes_in_flight", target="web") == 0
                     and m.one("kubecanary_probe_sent_total", target="web") > before.one("kubecanary_probe_sent_total", target="web") else None)(a.metrics()))
            check_counts(m)
            expect(m.one("kubecanary_probe_results_total", target="web", result="received") == ended(m, "web"), m.all("kubecanary_probe_results_total", target="web"))


def case_helper_that_answers_late(binary):
    """The time is what the helper says; more than the timeout is late, whatever the clock says here."""
    with agent_in(binary, helper=SCRIPT + "for ident in probes():\n    agent.send(result(ident, total=5050 * 10 ** 6))\n") as a:
        configure(a, target("web", "http://127.0.0.1:9/", timeout="5s"))
        a.start()
        wait("results", lambda: a.metrics().one("kubecanary_probe_results_total", target="web", result="late") >= 5)
        m = a.metrics()
        check_counts(m)
        expect(ended(m, "web") == m.one("kubecanary_probe_results_total", target="web", result="late"))
