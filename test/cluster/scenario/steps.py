# SPDX-License-Identifier: Apache-2.0
"""Steps, and running them: each is reported with its time, and the last line counts them. A step fails by a Failure; what it
returns is told beside its title."""
import time
import traceback
from dataclasses import dataclass

from testbed.shell import Failure, say


@dataclass(frozen=True)
class Step:
    title: str
    work: object
    vital: bool   # nothing after it makes sense when it fails
    needs: tuple  # of NEEDS


# What a step can need that not every cluster has: whether this one does, and what to say where it does not.
NEEDS = {
    "nodes": (lambda context: context.owns_nodes, "the nodes of this cluster are not ours to change"),
    "prometheus": (lambda context: context.prometheus, "no Prometheus given (--prometheus NAMESPACE/POD:PORT)"),
    "dns": (lambda context: context.dns(), "there is no Service kube-dns in kube-system"),
    "foreign": (lambda context: context.foreign_image, "the image of another program is only on the nodes of a cluster of our own"),
}


def step(steps: list, title: str, *, vital=False, **needs):
    """Decorator: appends the function to steps. needs: names of NEEDS, each with True."""
    def register(work):
        steps.append(Step(title, work, vital, tuple(name for name in NEEDS if needs.pop(name, False))))
        expect(not needs, f"{title}: nothing is known of {list(needs)}")
        return work
    return register


def expect(truth, message: str) -> None:
    if not truth:
        raise Failure(message)


def same(what: str, got, wanted) -> None:
    expect(got == wanted, f"{what}: {got!r}, expected {wanted!r}")


def _why_not(one: Step, context) -> str:
    for name in one.needs:
        has, reason = NEEDS[name]
        if not has(context):
            return reason
    return ""


def run(steps: list, context) -> bool:
    """Runs all steps; true if none failed. A step that this cluster cannot carry out is told and counted as skipped; on a
    cluster of our own there is none."""
    passed = failed = left_out = 0
    stopped = ""
    for number, one in enumerate(steps, 1):
        why = _why_not(one, context)
        if why:
            left_out += 1
            print(f"ok      - # SKIP {one.title}: {why}", flush=True)
            continue
        say(f"[{number}/{len(steps)}] {one.title}")
        started = time.monotonic()
        try:
            expect(not stopped, f"not reached, because this failed: {stopped}")
            remark = one.work(context)
        except Exception as e:  # a step that breaks is a step that failed: the ones after it still run
            failed += 1
            reason = str(e) if isinstance(e, Failure) else traceback.format_exc()
            print(f"not ok  - {one.title} ({time.monotonic() - started:.1f} s)\n    " + reason.replace("\n", "\n    "), flush=True)
            if failed == 1:
                context.explain()
            stopped = stopped or (one.title if one.vital else "")
            continue
        passed += 1
        print(f"ok      - {one.title} ({time.monotonic() - started:.1f} s){': ' + remark if remark else ''}", flush=True)
    print(f"{passed} passed, {failed} failed" + (f", {left_out} skipped" if left_out else ""), flush=True)
    return failed == 0
