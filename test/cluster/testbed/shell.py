# SPDX-License-Identifier: Apache-2.0
"""Running commands and waiting for conditions. Every wait has a deadline and says what it waited for."""
import subprocess
import sys
import time


class Failure(Exception):
    """Something that the user must read: one message, without a traceback."""


def say(text: str) -> None:
    """Progress, marked so that test/all shows it as it comes."""
    for line in text.splitlines():
        print(f"# {line}", file=sys.stderr, flush=True)


def tell(text: str) -> None:
    """What explains a failure: logs, states. Too much to be progress."""
    print(text, file=sys.stderr, flush=True)


def run(argv, *, stdin=None, check=True, timeout=300, env=None, cwd=None) -> subprocess.CompletedProcess:
    """Runs a command to its end. With check, a failure becomes a Failure with the end of what it printed."""
    argv = [str(a) for a in argv]
    try:
        done = subprocess.run(argv, input=stdin, capture_output=True, text=True, timeout=timeout, env=env, cwd=cwd)
    except FileNotFoundError as e:
        raise Failure(f"{argv[0]} is not on this machine (tools/install-packages cluster)") from e
    except subprocess.TimeoutExpired as e:
        raise Failure(f"{' '.join(argv)}: not done after {timeout} s") from e
    if check and done.returncode != 0:
        raise Failure(f"{' '.join(argv)}: exit {done.returncode}\n{(done.stderr or done.stdout).strip()[-4000:]}")
    return done


def wait_for(what: str, condition, *, seconds: float, every: float = 0.1):
    """Polls condition until it returns something true, and returns that. A Failure raised by condition is only the last
    reason; when the time is over it is told."""
    end = time.monotonic() + seconds
    reason = ""
    while True:
        try:
            value = condition()
            if value:
                return value
        except Failure as e:
            reason = f": {e}"
        if time.monotonic() > end:
            raise Failure(f"{what}: not within {seconds:.0f} s{reason}")
        time.sleep(every)
