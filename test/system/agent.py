# SPDX-License-Identifier: Apache-2.0
"""The agent as a process without any privilege, its directory of files, and what it says over HTTP."""
import contextlib
import gzip
import http.client
import json
import os
import pathlib
import re
import shutil
import subprocess
import tempfile
import time

SAMPLE = re.compile(r'^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? (\S+)$')
LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\]|\\.)*)"')
DEFAULT_PROBES = "[{name: icmp, type: ICMP, interval: 100ms, timeout: 300ms}, {name: tcp, type: TCP, interval: 100ms, timeout: 300ms}]"
RESULTS = ("received", "late", "lost", "corrupt", "unreachable", "send_error")


def wait(what, condition, seconds=30):
    """Polls until the condition holds (its value is returned); an exception that names it after so many seconds."""
    end = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"not within {seconds} s: {what}")
        time.sleep(0.02)


def pair_key(labels):
    key = (labels["probe"], labels.get("destination_node") or labels["target"], labels["family"])
    if labels["network"] in ("PodToNode", "NodeToPod"):
        key += (labels["network"],)
    return key + (labels["address"],) if "address" in labels else key


class Metrics:
    """A scrape, parsed: name -> [(labels, value)]."""

    def __init__(self, text):
        self.samples = {}
        for line in text.splitlines():
            if not line or line.startswith("#"):
                continue
            m = SAMPLE.match(line)
            if not m:
                raise AssertionError(f"no sample line: {line!r}")
            labels = dict(LABEL.findall(m[2] or ""))
            self.samples.setdefault(m[1], []).append((labels, float(m[3])))

    def all(self, name, **want):
        return [(l, v) for l, v in self.samples.get(name, []) if all(l.get(k, "") == w for k, w in want.items())]

    def sum(self, name, **want):
        return sum(v for _, v in self.all(name, **want))

    def one(self, name, **want):
        found = self.all(name, **want)
        if len(found) != 1:
            raise AssertionError(f"{name}{want}: {len(found)} samples, want 1")
        return found[0][1]

    def pairs(self):
        """(probe, destination or target, family) -> {sent, in_flight, received, late, lost ...}"""
        key, table = pair_key, {}
        for l, v in self.all("kubecanary_probe_sent_total"):
            table[key(l)] = {"sent": v}
        for l, v in self.all("kubecanary_probes_in_flight"):
            table[key(l)]["in_flight"] = v
        for l, v in self.all("kubecanary_probe_results_total"):
            table[key(l)][l["result"]] = v
        return table

    def check_invariant(self):
        for key, row in self.pairs().items():
            if row["sent"] != sum(row.values()) - row["sent"] or not set(RESULTS) <= set(row):
                raise AssertionError(f"{key}: sent is not results + in flight: {row}")


class Files:
    """A directory of agent.yaml and peers slices; `atomic`: laid out and swapped as the kubelet does it."""

    def __init__(self, path, atomic=False):
        self.path = pathlib.Path(path)
        self.atomic = atomic
        self.text = {}
        self.serial = 0

    def agent(self, generation=1, probes=DEFAULT_PROBES, targets="[]", limit=50000, mesh=True, tcp=9962, stamp=9964, peer=9963, topology="{type: Full}",
              paused=False, networks="[Pod]", compression=None):
        head = f"networks: {networks}\nipFamilies: [IPv4, IPv6]\ntopology: {topology}\nprobes: {probes}\n" if mesh else ""
        self.text["agent.yaml"] = (
            f"generation: {generation}\nfleet: mesh\npaused: {str(paused).lower()}\n{head}targets: {targets}\n"
            f"metrics: {{rttBucketsMicroseconds: [50, 100, 200, 500, 1000, 2000, 5000, 10000, 50000, 200000, 1000000], seriesLimit: {limit}{f', compression: {compression}' if compression else ''}}}\n"
            f"ports: {{http: 9961, tcp: {tcp}, peer: {peer}, stamp: {stamp}}}\n")
        return self

    def peers(self, nodes, slices=1, state=None, zones=None, hosts=None, host_state=None):
        """nodes: where the Pod network's agents are; hosts: name -> where the Node network's are; states by name."""
        for name in [n for n in self.text if n.startswith("peers-")]:
            del self.text[name]
        for s in range(slices):
            lines = [f"slice: {s}", f"slices: {slices}", "peers:"]
            for i, n in enumerate(nodes):
                if i % slices == s:
                    host = (hosts or {}).get(n.name)
                    more = f', host: [{host.v4}, "{host.v6}"]' if host else ""
                    other = f", hostState: {host_state[n.name]}" if n.name in (host_state or {}) else ""
                    lines.append(f'- {{node: {n.name}, zone: {(zones or {}).get(n.name, f"z{i}")}, pod: [{n.v4}, "{n.v6}"]{more}, '
                                 f'state: {(state or {}).get(n.name, "Ready")}{other}}}')
            self.text[f"peers-{s:02d}.yaml"] = "\n".join(lines) + ("\n" if len(lines) > 3 else " []\n")
        return self

    def write(self):
        if not self.atomic:
            for name, text in self.text.items():
                (self.path / name).write_text(text)
            return self
        self.serial += 1
        fresh = self.path / f"..{self.serial}"
        fresh.mkdir()
        for name, text in self.text.items():
            (fresh / name).write_text(text)
            with contextlib.suppress(FileExistsError):
                os.symlink(f"..data/{name}", self.path / name)
        os.symlink(fresh.name, self.path / "..data_tmp")
        old = self.path / f"..{self.serial - 1}"
        os.rename(self.path / "..data_tmp", self.path / "..data")
        shutil.rmtree(old, ignore_errors=True)
        return self


class Connection(http.client.HTTPConnection):
    def __init__(self, node, port):
        super().__init__("agent", port)
        self.node = node

    def connect(self):
        self.sock = self.node.connect(self.node.v4, self.port)


AROUND = pathlib.Path(__file__).resolve().parents[2] / "build/dev/test/system"


class Agent:
    """with Agent(binary, node) as a: files in a.files, the process from a.start() on. around: one of this folder's programs and its arguments, which
    runs the agent."""

    def __init__(self, binary, node, *options, atomic=False, env=None, helper=False, resolv=None, network="Pod", around=()):
        self.node = node
        self.around = [str(AROUND / around[0]), *around[1:]] if around else []
        self.options = options
        self.network = network
        self.dir = tempfile.mkdtemp(prefix="kubecanary-system-")
        os.chmod(self.dir, 0o755)
        self.binary = os.path.join(self.dir, "kubecanary-agent")
        shutil.copy(binary, self.binary)
        program = os.path.join(self.dir, "kubecanary-http")
        if isinstance(helper, str):  # a script in its place
            pathlib.Path(program).write_text(helper)
            os.chmod(program, 0o755)
        elif helper:  # a path, or the one beside the agent
            shutil.copy(helper if isinstance(helper, pathlib.Path) else os.path.join(os.path.dirname(os.path.abspath(binary)), "kubecanary-http"), program)
        os.mkdir(os.path.join(self.dir, "config"))
        self.files = Files(os.path.join(self.dir, "config"), atomic)
        self.log_path = os.path.join(self.dir, "log")
        self.resolv = os.path.join(self.dir, "resolv.conf") if resolv else None
        if resolv:
            pathlib.Path(self.resolv).write_text(resolv)
        self.env = {"ASAN_OPTIONS": "quarantine_size_mb=1:malloc_context_size=2", **(env or {})}
        self.process = None

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        if kind:
            print(f"# {self.node.name} said:\n" + "".join(f"#   {line}\n" for line in self.log().splitlines()[-15:]), end="")
        shutil.rmtree(self.dir, ignore_errors=True)

    def command(self, *options):
        # As it is scheduled elsewhere, whatever this program's own policy is (netem's emulator goes before everybody else).
        return ["chrt", "--other", "0", *self.around, "setpriv", "--reuid=65532", "--regid=65532", "--clear-groups", "--bounding-set=-all", "--inh-caps=-all",
                "--no-new-privs", "--", self.binary, *options]

    def names(self):
        """In a mount namespace with a resolv.conf of its own, if it has one."""
        script = 'mount --bind "$0" /etc/resolv.conf && exec "$@"'
        return ["unshare", "--mount", "sh", "-c", script, self.resolv] if self.resolv else []

    def start(self, ready=True):
        options = ["--config", str(self.files.path), "--node", self.node.name, "--network", self.network, "--listen", ":9961", *self.options]
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(self.node.enter(*self.names(), *self.command(*options)), stdout=log, stderr=log,
                                            stdin=subprocess.DEVNULL, env={**os.environ, **self.env})
        if ready:
            wait(f"{self.node.name} is ready", lambda: self.try_get("/readyz")[0] == 200)
        return self

    def try_get(self, path):
        try:
            return self.get(path)
        except OSError:
            return 0, {}, ""

    def get(self, path, method="GET", accept=None, encoding=None):
        """(status, headers, body); the body as it was before it was compressed"""
        if self.process.poll() is not None:
            raise AssertionError(f"the agent of {self.node.name} has ended: {self.process.returncode}")
        c = Connection(self.node, 9961)
        try:
            wishes = {"Accept": accept, "Accept-Encoding": encoding or "identity"}
            c.request(method, path, headers={k: v for k, v in wishes.items() if v})
            r = c.getresponse()
            body, headers = r.read(), {k.lower(): v for k, v in r.getheaders()}
            if headers.get("content-encoding") == "gzip" and method == "GET":
                body = gzip.decompress(body)
            return r.status, headers, body.decode()
        finally:
            c.close()

    def metrics(self):
        status, _, body = self.get("/metrics")
        if status != 200:
            raise AssertionError(f"/metrics: {status}")
        return Metrics(body)

    def report(self):
        return json.loads(self.get("/report")[2])

    def log(self):
        return pathlib.Path(self.log_path).read_text() if os.path.exists(self.log_path) else ""

    def logged(self, message):
        return [line for line in self.log().splitlines() if f'"msg":"{message}' in line]

    def status(self, key):
        for line in pathlib.Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            if line.startswith(key + ":"):
                return line.split(":", 1)[1].split()
        raise AssertionError(f"no {key}")
