# SPDX-License-Identifier: Apache-2.0
"""One round: all is well, a link loses packets, an alert names it, the link is repaired, the alert resolves. And the verdict on it."""

import time

LOSS_PERCENT = 20
WELL_S = 20    # that all must be well, without an alert, before the loss
HOLD_S = 20    # that the alert is watched after it fired: is another pair blamed, too?
FIRE_S = 150   # until the alert must have fired: window, `for`, evaluations, and time for a busy machine
RESOLVE_S = 180
DRAW_S = 1

# From the fleet's own recording rules; both address families together.
LOSS = ('sum by (source_node, destination_node) (pair:kubecanary_probe_lost:increase{probe="icmp"}) / '
        '(sum by (source_node, destination_node) (pair:kubecanary_probe_results:increase{probe="icmp"}) > 0)')
RTT = ('histogram_quantile(0.5, sum by (le, source_node, destination_node) '
       '(rate(kubecanary_probe_rtt_seconds_bucket{probe="icmp", destination_node!=""}[30s])))')


def pair_of(labels):
    return frozenset((labels.get("source_node"), labels.get("destination_node")))


class Story:
    def __init__(self, fleet, prometheus, screen):
        self.fleet, self.prometheus, self.screen = fleet, prometheus, screen
        self.alerts = []

    def look(self):
        for child in (self.fleet.operator, self.prometheus.child):
            child.check()
        self.alerts = self.prometheus.alerts()
        self.screen.draw(self.prometheus.by_pair(LOSS), self.prometheus.by_pair(RTT), self.alerts)

    def until(self, test, seconds):
        """Looks again and again; whether test() came true in that time."""
        end = time.monotonic() + seconds
        while True:
            self.look()
            if test():
                return True
            if time.monotonic() >= end:
                return False
            time.sleep(DRAW_S)

    def firing(self):
        return [labels for state, labels, _ in self.alerts if state == "firing"]

    def wait_for_pairs(self, nodes):
        pairs = len(nodes) * (len(nodes) - 1)
        return self.until(lambda: len(self.prometheus.by_pair(LOSS)) == pairs, 90)


class Round:
    """expected: the pair that the alert must name; injected: the pair that gets the loss. The same, but in the demo's own test."""

    def __init__(self, story, expected, injected):
        self.story, self.expected, self.injected = story, frozenset(expected), injected
        self.say = story.screen.say
        self.problems = []
        self.blamed = set()  # pairs named by an alert that fired
        self.times = {}

    def watch(self):
        """After each look: who has been blamed so far?"""
        for labels in self.story.firing():
            pair = pair_of(labels) if labels["alertname"] == "KubecanaryPairLoss" else None
            if pair == self.expected:
                self.blamed.add(pair)
            else:
                what = " ".join(sorted(pair)) if pair else labels["alertname"]
                self.problem(f"an alert fired that should not: {labels['alertname']} {what}")
        return False

    def problem(self, text):
        if text not in self.problems:
            self.problems.append(text)
            self.say(text, "31;1")

    def since(self, name):
        return time.monotonic() - self.times[name]

    def named(self, state):
        return any(s == state and labels["alertname"] == "KubecanaryPairLoss" and pair_of(labels) == self.expected
                   for s, labels, _ in self.story.alerts)

    def wait_state(self, state, seconds):
        def reached():
            self.watch()
            return self.named(state) or self.problems
        self.story.until(reached, seconds)
        return self.named(state)

    def lose(self):
        source, destination = self.injected
        self.story.fleet.lose(source, destination, LOSS_PERCENT)
        self.times["loss"] = time.monotonic()
        self.say(f"the link {source} - {destination} now loses {LOSS_PERCENT} % of what {source} sends", "33")
        a, b = sorted(self.expected)
        if self.wait_state("pending", FIRE_S):
            self.times["pending"] = self.since("loss")
            self.say(f"alert pending after {self.times['pending']:.0f} s: it fires if the loss lasts", "33")
        if self.wait_state("firing", FIRE_S):
            self.times["firing"] = self.since("loss")
            self.say(f"alert FIRING after {self.times['firing']:.0f} s: it names {a} and {b}; is anybody else blamed?", "31;1")
            self.story.until(self.watch, HOLD_S)
        elif not self.problems:
            self.problem(f"no alert fired for {a} and {b} in {FIRE_S} s")

    def repair(self):
        self.story.fleet.repair(self.injected[1])
        self.times["repair"] = time.monotonic()
        self.say("the link is repaired; the alert goes when the loss has been out of its window for a while", "32")
        if self.problems:
            return  # the verdict is known

        def quiet():
            self.watch()
            return not self.story.alerts
        if self.story.until(quiet, RESOLVE_S):
            self.times["resolved"] = self.since("repair")
            self.say(f"alert resolved {self.times['resolved']:.0f} s after the repair", "32")
        else:
            self.problem(f"alerts are still there {RESOLVE_S} s after the repair")

    def run(self):
        self.say(f"all is well; in {WELL_S} s a link will lose packets")
        self.story.until(self.watch, WELL_S)
        self.lose()
        self.repair()
        return not self.problems
