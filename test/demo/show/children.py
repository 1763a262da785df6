# SPDX-License-Identifier: Apache-2.0
"""Programs that the demo starts, and waiting for something to become true while they run."""

import os
import signal
import subprocess
import time


class Failed(Exception):
    """The demo cannot go on; the text says why."""


class Child:
    """A program with its output in a file. In a session of its own: the terminal's Ctrl-C is ours to deal with."""

    def __init__(self, name, command, log):
        self.name, self.log = name, log
        with open(log, "ab") as out:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=out, start_new_session=True)

    @property
    def pid(self):
        return self.process.pid

    def check(self):
        if self.process.poll() is not None:
            with open(self.log, encoding="utf-8", errors="replace") as f:
                tail = "".join(f.readlines()[-15:])
            raise Failed(f"{self.name} ended with {self.process.returncode}; its last words:\n{tail}")

    def stop(self, grace_s=8):
        if self.process.poll() is None:
            os.kill(self.process.pid, signal.SIGTERM)
            try:
                self.process.wait(timeout=grace_s)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()


def wait_for(what, test, children, timeout_s=60, pause_s=0.1):
    """Until test() is true; what it is that takes so long, when it takes too long."""
    until = time.monotonic() + timeout_s
    while True:
        value = test()
        if value:
            return value
        for child in children:
            child.check()
        if time.monotonic() > until:
            raise Failed(f"waited {timeout_s} s in vain for {what}")
        time.sleep(pause_s)


def run(command, text=None):
    """A command that must succeed."""
    done = subprocess.run(command, input=text, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise Failed(f"{' '.join(command)}: {done.stderr.strip()}")
    return done.stdout
