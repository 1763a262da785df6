# SPDX-License-Identifier: Apache-2.0
"""Starts the demo in namespaces of its own (user, network, mount, pid), hands signals on to it, and takes it all down when it ends."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

INNER = Path(__file__).with_name("demo.py")
GRACE_S = 10  # that the demo has to end by itself after a signal


def unshare_command():
    """setpriv: should we be killed, the kernel kills unshare; --kill-child: then also everything in the namespaces."""
    command = ["setpriv", "--pdeathsig", "KILL", "unshare", "--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]
    if os.geteuid() != 0:
        command += ["--user", "--map-root-user"]
    return command


def check_namespaces():
    """None, or why this machine does not let us."""
    tried = subprocess.run(unshare_command() + ["true"], capture_output=True, text=True, check=False)
    if tried.returncode == 0:
        return None
    lines = ["this needs network, mount and pid namespaces, which this machine refuses:", "    " + tried.stderr.strip(),
             "Run it as root (sudo make demo), or let ordinary users make namespaces:",
             "    sysctl user.max_user_namespaces=10000 user.max_net_namespaces=10000 kernel.unprivileged_userns_clone=1"]
    return "\n".join(lines)


def inner_pid(unshare_pid):
    """The demo itself, as our pid namespace sees it; None while (or when) there is none."""
    try:
        children = Path(f"/proc/{unshare_pid}/task/{unshare_pid}/children").read_text(encoding="ascii").split()
    except OSError:
        return None
    return int(children[0]) if children else None


class Launcher:
    def __init__(self):
        self.child = None
        self.ending = None

    def on_signal(self, signo, _frame):
        """The demo ends in good order, or in GRACE_S without."""
        self.ending = self.ending or (signo, time.monotonic())
        pid = inner_pid(self.child.pid) if self.child else None
        try:
            if pid:
                os.kill(pid, signal.SIGINT)
            elif self.child:
                self.child.kill()
        except ProcessLookupError:
            pass

    def run(self, arguments):
        # From here on no signal may find us without a handler: what it would leave is the namespaces' first process.
        for signo in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(signo, self.on_signal)
        self.child = subprocess.Popen(unshare_command() + arguments)
        while True:
            try:
                status = self.child.wait(timeout=0.5)
                break
            except subprocess.TimeoutExpired:
                if self.ending and time.monotonic() - self.ending[1] > GRACE_S:
                    self.child.kill()
        if self.ending:
            return 128 + self.ending[0]
        return status if status >= 0 else 128 - status


def main():
    os.environ["PATH"] = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"
    problem = check_namespaces()
    if problem:
        sys.exit(f"demo: {problem}")
    sys.exit(Launcher().run([sys.executable, str(INNER)] + sys.argv[1:]))


if __name__ == "__main__":
    main()
