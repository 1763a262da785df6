# SPDX-License-Identifier: Apache-2.0
"""/metrics and its neighbours as Prometheus, promtool and slow clients see them."""
import os
import re
import socket
import subprocess
import threading

from agent import Agent, Metrics, pair_key, wait
from cases_life import expect
from net import Net

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
OPENMETRICS = ("application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.7,application/openmetrics-text;version=0.0.1;q=0.6,"
               "text/plain;version=1.0.0;escaping=allow-utf-8;q=0.5,text/plain;version=0.0.4;q=0.4,*/*;q=0.3")
TARGETS = "[{name: \"open\", type: TCP, address: 198.18.0.11, port: 9962, interval: 100ms, timeout: 300ms}]"


def with_pair(binary, work, **options):
    with Net("n1", "n2") as net, Agent(binary, net["n1"]) as a, Agent(binary, net["n2"]) as b:
        for x in (b, a):  # so that a finds b there
            x.files.agent(**{"targets": TARGETS, **options}).peers([net["n1"], net["n2"]]).write()
            x.start()
        wait("it probes", lambda: a.report()["totals"]["received"] > 20)
        work(a)


def small_buffers(a):
    """So that a client which does not read holds the agent up after a few KiB, not after megabytes in the kernel."""
    a.node.run("sysctl", "-qw", "net.ipv4.tcp_wmem=4096 16384 16384")


def promtool():
    unpacked = subprocess.run([os.path.join(TOP, "tools/fetch-deb"), "prometheus"], capture_output=True, text=True, timeout=600, check=True)
    return os.path.join(unpacked.stdout.strip().splitlines()[-1], "usr/bin/promtool")


def families(text):
    """The names of the families in order, of lines that are no comment or a TYPE."""
    order = []
    for line in text.splitlines():
        if line.startswith("# TYPE "):
            order.append(line.split()[2])
    return order


def case_promtool_accepts(binary):
    def work(a):
        status, headers, body = a.get("/metrics")
        expect(status == 200 and headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8", status, headers)
        expect(headers["vary"] == "Accept, Accept-Encoding", headers)  # for whoever caches between
        done = subprocess.run([promtool(), "check", "metrics"], input=body, capture_output=True, text=True, timeout=60, check=False)
        expect(done.returncode == 0 and done.stderr == "", done.returncode, done.stdout, done.stderr)
    with_pair(binary, work)


def case_openmetrics(binary):
    def work(a):
        status, headers, body = a.get("/metrics", accept=OPENMETRICS)
        expect(status == 200 and headers["content-type"] == "application/openmetrics-text; version=1.0.0; charset=utf-8", headers)
        expect(body.endswith("\n# EOF\n") and body.count("# EOF") == 1, body[-100:])
        for line in body.splitlines():
            m = re.match(r"# TYPE (\S+) (\S+)$", line)
            expect(not m or not (m[2] in ("counter", "info") and re.search("_(total|info)$", m[1])), line)
        Metrics(body).check_invariant()
    with_pair(binary, work)


def case_families_stand_together(binary):
    def work(a):
        for accept in (None, OPENMETRICS):
            body = a.get("/metrics", accept=accept)[2]
            names = families(body)
            expect(len(names) == len(set(names)), "a family twice", names)
            now, last = None, {}
            for i, line in enumerate(body.splitlines()):
                if line.startswith("# TYPE "):
                    now = line.split()[2]
                elif line and not line.startswith("#"):
                    name = re.match(r"[a-zA-Z0-9_:]+", line)[0]
                    expect(now and name.startswith(now), f"{name} stands in {now}")
                    key = line.rsplit(" ", 1)[0]
                    expect(key not in last, f"twice: {key}, lines {last.get(key)} and {i}")
                    last[key] = i
    with_pair(binary, work)


def case_every_metric_is_there(binary):
    names = """kubecanary_probe_sent_total kubecanary_probe_results_total kubecanary_probe_duplicates_total kubecanary_probe_reordered_total
        kubecanary_probe_rtt_seconds_bucket kubecanary_probe_rtt_seconds_sum kubecanary_probe_rtt_seconds_count kubecanary_probes_in_flight
        kubecanary_coverage_peers kubecanary_peers kubecanary_agent_schedule_delay_seconds_bucket kubecanary_agent_receive_delay_seconds_bucket
        kubecanary_agent_timestamping_total kubecanary_config_generation kubecanary_config_last_reload_successful kubecanary_allocator_info
        kubecanary_allocator_arenas kubecanary_agent_threads kubecanary_node_cpus kubecanary_agent_cpus_allowed kubecanary_build_info
        kubecanary_series_limited
        process_cpu_seconds_total process_resident_memory_bytes process_virtual_memory_bytes process_open_fds process_max_fds
        process_start_time_seconds kubecanary_agent_stamp_reflected_total kubecanary_agent_stamp_refused_total
        kubecanary_agent_stamp_stateless_total kubecanary_agent_stamp_sessions""".split()

    def work(a):
        m = a.metrics()
        expect(not [n for n in names if n not in m.samples], "missing:", [n for n in names if n not in m.samples])
        labels = m.all("kubecanary_probe_sent_total", destination_node="n2")[0][0]
        expect(set(labels) == {"probe", "source_node", "source_zone", "destination_node", "destination_zone", "network", "family"}, labels)
        labels = m.all("kubecanary_probe_sent_total", target="open")[0][0]
        expect(labels == {"probe": "tcp", "source_node": "n1", "source_zone": "z0", "target": "open", "network": "Pod", "family": "IPv4"}, labels)
        expect(m.one("kubecanary_coverage_peers") == 1 and m.one("kubecanary_peers", state="Ready") == 1)
        why = len(m.all("kubecanary_probe_unreachable_total")) + len(m.all("kubecanary_probe_send_errors_total"))
        expect(m.one("kubecanary_series") == len(m.all("kubecanary_probe_sent_total")) * 24 + why, m.one("kubecanary_series"), why)
    with_pair(binary, work)


def case_invariant_at_100_scrapes(binary):
    targets = ", ".join(f"{{name: t{i}, type: {'ICMP' if i % 2 else 'TCP, port: 9962'}, address: 198.19.1.{i + 1}, interval: 100ms, timeout: 300ms}}"
                        for i in range(150))

    def work(a):
        sent = []
        for i in range(100):
            m = Metrics(a.get("/metrics", accept=OPENMETRICS if i % 2 else None)[2])
            m.check_invariant()
            sent.append(m.sum("kubecanary_probe_sent_total"))
            pairs = m.pairs()
            for labels, value in m.all("kubecanary_probe_rtt_seconds_count"):
                row = pairs[pair_key(labels)]
                expect(value == row["received"], "histogram and counter differ", labels, value, row)
        expect(sent == sorted(sent) and sent[0] < sent[-1], "counters went back", sent)
    with_pair(binary, work, targets=f"[{targets}]")


def case_gzip_only_where_it_is_asked_for(binary):
    """By the fleet and by the client."""
    def work(a):
        for accept in (None, OPENMETRICS):
            _, headers, body = a.get("/metrics", accept=accept, encoding="gzip")
            expect("content-encoding" not in headers and body, "the fleet says nothing of it", headers)
        a.files.agent(generation=2, targets=TARGETS, compression="Gzip").write()
        wait("the reload", lambda: a.report()["generation"] == 2)
        for encoding, compressed in (("gzip", True), ("deflate, gzip;q=0.5, br", True), ("gzip;q=0", False), ("identity", False), ("*", True),
                                     ("gzip;q=0.5, identity;q=0.9", False), ("br", False)):
            for accept in (None, OPENMETRICS):
                status, headers, body = a.get("/metrics", accept=accept, encoding=encoding)
                expect(status == 200 and (headers.get("content-encoding") == "gzip") == compressed, encoding, headers)
                expect(headers["content-type"].startswith("application/openmetrics-text" if accept else "text/plain"), headers)
                Metrics(body).check_invariant()
        for path in ("/healthz", "/report", "/readyz"):
            headers = a.get(path, encoding="gzip")[1]
            expect("content-encoding" not in headers and "vary" not in headers, path, headers)
        _, headers, _ = a.get("/metrics", method="HEAD", encoding="gzip")
        expect(headers.get("content-encoding") == "gzip", headers)
        a.files.agent(generation=3, targets=TARGETS).write()
        wait("the reload", lambda: a.report()["generation"] == 3)
        expect("content-encoding" not in a.get("/metrics", encoding="gzip")[1], "and back")
    with_pair(binary, work)


def case_gzip_has_the_same_numbers(binary):
    """Of an agent that stands still: all but what the agent itself goes on with."""
    def settled(text):
        return [line for line in text.splitlines() if not re.match(r"(# \S+ )?(process_|kubecanary_(agent_|allocator_|peer_))", line)]

    def work(a):
        a.files.agent(generation=2, targets=TARGETS, compression="Gzip", paused=True).write()
        wait("nothing is in flight", lambda: a.report()["generation"] == 2 and a.report()["totals"]["inFlight"] == 0)
        for accept in (None, OPENMETRICS):
            plain = a.get("/metrics", accept=accept)
            packed = a.get("/metrics", accept=accept, encoding="gzip")
            expect("content-encoding" not in plain[1] and packed[1]["content-encoding"] == "gzip", packed[1])
            expect(len(settled(plain[2])) > 100 and settled(plain[2]) == settled(packed[2]), "the two differ")
    with_pair(binary, work)


def case_slow_reader_sees_one_moment(binary):
    """A client that reads a little at a time, while probes and reloads go on, still gets one consistent picture."""
    targets = ", ".join(f"{{name: t{i}, type: ICMP, address: 198.19.1.{i + 1}, interval: 100ms, timeout: 300ms}}" for i in range(200))

    def work(a):
        small_buffers(a)
        s = a.node.connect(a.node.v4, 9961, rcvbuf=2048)
        s.sendall(b"GET /metrics HTTP/1.0\r\n\r\n")
        s.settimeout(20)
        data = s.recv(1000)
        for generation in (2, 3):
            a.files.agent(generation=generation, targets=f"[{targets[:len(targets) // 2].rsplit(', {', 1)[0]}]").write()
            wait("the reload", lambda g=generation: a.report()["generation"] == g)
        before = a.report()["totals"]["sent"]
        wait("probes", lambda: a.report()["totals"]["sent"] > before + 200)
        while True:
            piece = s.recv(4096)
            if not piece:
                break
            data += piece
        s.close()
        m = Metrics(data.split(b"\r\n\r\n", 1)[1].decode())
        expect(m.one("kubecanary_config_generation") == 1, "the scrape began before the reloads")
        expect(len(m.all("kubecanary_probe_sent_total", family="IPv4", probe="icmp")) == 201, "pairs are missing")
        m.check_invariant()
    with_pair(binary, work, targets=f"[{targets}]")


LONG = f"[{', '.join(f'{{name: t{i}, type: ICMP, address: 198.19.1.{i + 1}, interval: 1s, timeout: 1s}}' for i in range(200))}]"  # an answer that fits no buffer


def stall(a):
    """Four clients of the node's own address that ask and do not read. Their answers have begun: all places are taken."""
    small_buffers(a)
    stalled = []
    for _ in range(4):
        stalled.append(a.node.connect(a.node.v4, 9961, rcvbuf=2048))
        stalled[-1].sendall(b"GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n")
        stalled[-1].recv(1, socket.MSG_PEEK)
    return stalled


def case_stalled_clients_keep_nobody_out(binary):
    """Clients that ask and do not read: the oldest scrape makes room for who does, and its client can see that it was cut."""
    def work(a):
        stalled = stall(a)
        body = wait("a place", lambda: (lambda r: r[2] if r[0] == 200 else None)(a.get("/metrics")))
        Metrics(body).check_invariant()
        whole = 0
        for s in stalled:
            data = b""
            s.settimeout(20)
            while not data.endswith(b"\r\n0\r\n\r\n") and (piece := s.recv(65536)):
                data += piece
            whole += data.endswith(b"\r\n0\r\n\r\n")
            s.close()
        expect(whole == 3, whole, "of four answers are whole, one had to make room")
        expect(wait("it is over", lambda: a.get("/metrics")[0] == 200))
    with_pair(binary, work, targets=LONG)


def case_one_address_has_all_scrapes(binary):
    """A scrape of another address need not wait for any of them: one is broken off at once."""
    def work(a):
        stalled = stall(a)
        with a.node.connect("127.0.0.1", 9961) as other:
            other.sendall(b"GET /metrics HTTP/1.0\r\n\r\n")
            other.settimeout(20)
            data = b""
            while piece := other.recv(65536):
                data += piece
        expect(data.startswith(b"HTTP/1.1 200 "), data[:200])
        Metrics(data.split(b"\r\n\r\n", 1)[1].decode()).check_invariant()
        for s in stalled:
            s.close()
    with_pair(binary, work, targets=LONG)


def case_many_clients(binary):
    def work(a):
        errors = []

        def scrape():
            try:
                for _ in range(20):
                    status, _, body = a.get("/metrics")
                    if status == 503:  # more at once than LIMIT_SCRAPES: said, not hidden
                        continue
                    Metrics(body).check_invariant()
            except (OSError, AssertionError) as e:
                errors.append(e)

        threads = [threading.Thread(target=scrape) for _ in range(4)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        expect(not errors, errors)
        expect(a.get("/healthz")[0] == 200)
    with_pair(binary, work)


def case_head_and_others(binary):
    def work(a):
        status, headers, body = a.get("/metrics", method="HEAD")
        expect(status == 200 and body == "" and headers["content-type"].startswith("text/plain; version=0.0.4"), status, headers, body)
        expect(a.get("/nothing")[0] == 404)
        expect(a.get("/metrics", method="POST")[0] == 405)
        report = a.report()
        expect(report["node"] == "n1" and report["generation"] == 1 and report["lossRatio"] == 0 and report["ready"], report)
        expect(report["threads"] == 1 and report["residentBytes"] > 0 and report["allocator"]["effective"], report)
    with_pair(binary, work)


def case_series_limit(binary):
    targets = ", ".join(f"{{name: t{i}, type: ICMP, address: 198.19.1.{i + 1}, interval: 1s, timeout: 1s}}" for i in range(60))

    def work(a):
        m = a.metrics()
        expect(m.one("kubecanary_series_limited") == 1, "64 pairs with 24 series each are more than 1,000")
        counts = m.all("kubecanary_probe_rtt_seconds_count")
        expect(len(counts) == 4 and not any("destination_node" in l or "target" in l for l, _ in counts), "by zone: 2 probes, 2 families", counts)
        expect(len(m.all("kubecanary_probe_sent_total")) == 64)
        wait("answers in the zone's histogram", lambda: a.metrics().sum("kubecanary_probe_rtt_seconds_count", probe="icmp", family="IPv4") > 3)
        a.files.agent(targets=f"[{targets}]", generation=2).write()
        wait("the reload", lambda: a.report()["generation"] == 2)
        expect(a.metrics().one("kubecanary_series_limited") == 0 and a.metrics().all("kubecanary_probe_rtt_seconds_bucket"))
    with_pair(binary, work, targets=f"[{targets}]", limit=1000)
