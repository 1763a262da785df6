# SPDX-License-Identifier: Apache-2.0
"""What the demo looks like: on a terminal a table that is drawn anew in its place, elsewhere a line now and then."""

import math
import os
import re
import shutil
import sys
import time

GREEN, YELLOW, RED, BOLD, DIM = "32", "33", "31;1", "1", "2"
LINE_EVERY_S = 5
EVENTS_SHOWN = 7
ALERTS_SHOWN = 6
CELL = 13  # columns: with five nodes a line has 76


def clock(seconds):
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"


def rtt_text(seconds):
    if seconds is None or math.isnan(seconds):
        return "-"
    return f"{seconds * 1e6:.0f} us" if seconds < 1e-3 else f"{seconds * 1e3:.1f} ms"


def alert_subject(labels):
    if "destination_node" in labels:
        return f"{labels['source_node']} -> {labels['destination_node']}"
    return labels.get("node") or labels.get("pod") or ""


def by_subject(alerts):
    """Alerts of one name, state and subject together: {(state, name, subject): [what each says]}."""
    found = {}
    for state, labels, value in sorted(alerts, key=lambda a: (a[0], sorted(a[1].items()))):
        probe = " ".join(labels[key] for key in ("probe", "family") if key in labels)
        share = f"{value:.0%}" if "Loss" in labels["alertname"] else ""
        found.setdefault((state, labels["alertname"], alert_subject(labels)), []).append(f"{probe} {share}".strip())
    return found


def clip(line, columns):
    """The line without what would not fit: a line that wraps would spoil the next drawing. Colours take no room."""
    out, room = [], columns
    for part in re.split(r"(\x1b\[[0-9;]*m)", line):
        if not part.startswith("\x1b"):
            part = part[:room]
            room -= len(part)
        out.append(part)
    return "".join(out)


class Screen:
    def __init__(self, title, nodes):
        self.title, self.nodes = title, nodes
        self.live = sys.stdout.isatty() and os.environ.get("TERM", "dumb") != "dumb"
        self.start = time.monotonic()
        self.events = []
        self.drawn = 0
        self.line_at = 0.0

    def seconds(self):
        return time.monotonic() - self.start

    def paint(self, text, code):
        return f"\x1b[{code}m{text}\x1b[0m" if self.live else text

    def say(self, text, code=""):
        """Something that happened, for the story below the table."""
        line = f"{clock(self.seconds()):>6}  {text}"
        self.events.append(self.paint(line, code) if code else line)
        if not self.live:
            print(line, flush=True)

    # --- the table ---

    def cell(self, source, destination, loss, rtt):
        if source == destination:
            return self.paint(f"{'.':>{CELL}}", DIM)
        value = loss.get((source, destination))
        if value is None:  # nothing measured is not 0 %
            return self.paint(f"{'-':>{CELL}}", DIM)
        code = GREEN if value <= 0.01 else RED
        return f"{self.paint(f'{value:6.1%}', code)}{self.paint(f'{rtt_text(rtt.get((source, destination))):>{CELL - 6}}', DIM)}"

    def table(self, loss, rtt):
        yield self.paint("  from \\ to" + "".join(f"{name:>{CELL}}" for name in self.nodes), BOLD)
        for source in self.nodes:
            yield f"  {self.paint(f'{source:<9}', BOLD)}" + "".join(self.cell(source, d, loss, rtt) for d in self.nodes)

    def alert_lines(self, alerts):
        if not alerts:
            yield self.paint("  none", GREEN)
        groups = by_subject(alerts)
        for (state, name, subject), details in list(groups.items())[:ALERTS_SHOWN]:
            code = RED if state == "firing" else YELLOW
            yield f"  {self.paint(f'{state:<8}', code)} {name}  {self.paint(subject, BOLD)}  {', '.join(details)}"
        if len(groups) > ALERTS_SHOWN:
            yield f"  and {len(groups) - ALERTS_SHOWN} more"

    def frame(self, loss, rtt, alerts):
        yield f"{self.paint(self.title, BOLD)}  {self.paint(clock(self.seconds()), DIM)}"
        yield self.paint("loss and median round trip of ICMP probes, as Prometheus has them", DIM)
        yield from self.table(loss, rtt)
        yield ""
        yield self.paint("alerts", BOLD)
        yield from self.alert_lines(alerts)
        yield ""
        yield from self.events[-EVENTS_SHOWN:]

    def draw(self, loss, rtt, alerts):
        if not self.live:
            self.draw_line(loss, rtt, alerts)
            return
        columns, rows = shutil.get_terminal_size()
        lines = [clip(line, columns - 1) for line in self.frame(loss, rtt, alerts)][:rows - 1]
        up = f"\x1b[{self.drawn}A" if self.drawn else ""
        sys.stdout.write(up + "\r" + "".join(f"{line}\x1b[K\n" for line in lines) + "\x1b[J")
        sys.stdout.flush()
        self.drawn = len(lines)

    def draw_line(self, loss, rtt, alerts):
        if self.seconds() < self.line_at:
            return
        self.line_at = self.seconds() + LINE_EVERY_S
        worst = max(loss, key=loss.get, default=None)
        times = sorted(v for v in rtt.values() if not math.isnan(v))
        text = f"{len(loss)} pairs"
        if worst:
            text += f", most loss {loss[worst]:.1%} ({worst[0]} -> {worst[1]})"
        if times:
            text += f", median round trip {rtt_text(times[len(times) // 2])}"
        firing = sum(state == "firing" for state, _, _ in alerts)
        print(f"{clock(self.seconds()):>6}  {text}, alerts: {len(alerts) - firing} pending, {firing} firing", flush=True)
