# SPDX-License-Identifier: Apache-2.0
"""The demo itself, inside its namespaces: PROGRAMS_DIRECTORY PROMETHEUS. Its files are in a tmpfs that only it can see."""

import os
import signal
import sys
from itertools import combinations
from pathlib import Path

from show.children import Failed, run
from show.fleet import Fleet
from show.prometheus import Prometheus
from show.screen import Screen
from show.story import Round, Story

NODES = 5
TOP = Path(__file__).resolve().parents[2]


def private_directory(*needed):
    """A tmpfs over a directory that holds nothing we need."""
    for name in ("/mnt", "/media", "/srv", "/opt"):
        place = Path(name)
        if place.is_dir() and not any(place in path.resolve().parents for path in needed):
            run(["mount", "-t", "tmpfs", "-o", "mode=0755", "kubecanary-demo", name])
            return place
    raise Failed("no directory to put a tmpfs on: /mnt, /media, /srv and /opt are missing or in use")


def pair_from(name, default):
    pair = tuple(os.environ.get(name, default).split(","))
    if len(pair) != 2 or not set(pair) <= {f"n{i + 1}" for i in range(NODES)}:
        raise Failed(f"{name} must be two of n1 ... n{NODES}, as in n2,n4")
    return pair


def summary(fleet, prometheus, rounds):
    """The numbers of it all, as lines."""
    low, middle, high = fleet.memory_kib()
    sent = prometheus.scalar("sum(kubecanary_probe_sent_total)")
    lines = [f"{len(fleet.nodes())} agents, resident memory {low / 1024:.1f} / {middle / 1024:.1f} / {high / 1024:.1f} MiB (min / median / max)",
             f"{sent:.0f} probes sent"]
    for r in rounds:
        t = r.times
        parts = [f"pending after {t['pending']:.0f} s"] if "pending" in t else []
        parts += [f"firing after {t['firing']:.0f} s"] if "firing" in t else []
        parts += [f"resolved {t['resolved']:.0f} s after the repair"] if "resolved" in t else []
        if parts:
            lines.append(f"loss between {' and '.join(r.injected)}: alert {', '.join(parts)}")
    return lines


def rounds_to_do(once):
    first = pair_from("DEMO_PAIR", "n2,n4")
    yield first, pair_from("DEMO_INJECT", ",".join(first))
    names = [f"n{i + 1}" for i in range(NODES)]
    while not once:
        for pair in combinations(names, 2):
            yield pair, pair


def play(programs, prometheus_program, once):
    """Returns the exit status."""
    run(["ip", "link", "set", "lo", "up"])
    work = private_directory(TOP, programs, prometheus_program)
    state = work / "fleet"
    state.mkdir()
    print(f"demo: starting {NODES} nodes and Prometheus", flush=True)
    fleet = Fleet(programs, TOP / "test/demo/fleet.yaml", NODES, state)
    fleet.wait_ready()
    prometheus = Prometheus(prometheus_program, state / "prometheus.yml", work)
    names = [node["name"] for node in fleet.nodes()]
    screen = Screen(f"kubecanary  {NODES} nodes, {NODES * (NODES - 1)} pairs, Prometheus {prometheus.version()}", names)
    story = Story(fleet, prometheus, screen)
    screen.say("the agents are ready, Prometheus has the fleet's rules")
    screen.say("waiting for the first measurements")
    if not story.wait_for_pairs(names):
        raise Failed("Prometheus has no loss ratio of some pairs")
    done, good = [], True
    try:
        for expected, injected in rounds_to_do(once):
            done.append(Round(story, expected, injected))
            good = done[-1].run() and good
    except KeyboardInterrupt:
        print("\ndemo: stopped; everything that it made goes now", flush=True)
        return 130
    finally:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        print("\n" + "\n".join("  " + line for line in summary(fleet, prometheus, done)), flush=True)
        prometheus.child.stop()
        fleet.operator.stop()
    print("demo: the alert named the right pair, and no other" if good else "demo: FAILED: " + "; ".join(p for r in done for p in r.problems))
    return 0 if good else 1


def main():
    try:
        return play(Path(sys.argv[1]), Path(sys.argv[2]), os.environ.get("DEMO_EXIT", "") not in ("", "0"))
    except KeyboardInterrupt:
        return 130
    except Failed as failure:
        print(f"demo: {failure}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
