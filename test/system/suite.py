# SPDX-License-Identifier: Apache-2.0
"""Runs cases: functions named case_..., which fail by an exception."""
import sys
import time
import traceback


def run(modules, parts, *arguments, note=""):
    """Every case of the modules whose name has one of the parts (none: every one) in it, or all cases of a module of that name (`cases_reason`);
    words are joined by spaces or underscores. Prints `ok` or `not ok` for each, with the note, and `N passed, N failed`; the exit status. A part
    that is in no name fails, and nothing is run."""
    wanted = [part.replace(" ", "_") for part in parts]
    cases = [(module.__name__, name, case) for module in modules for name, case in list(vars(module).items()) if name.startswith("case_")]
    unknown = [part for part, word in zip(parts, wanted) if not any(word == module or word in name for module, name, _ in cases)]
    if unknown:
        print("no case has in its name: " + ", ".join(unknown), file=sys.stderr)
        return 2
    passed = failed = 0
    for module, name, case in cases:
        if not parts or any(word == module or word in name for word in wanted):
            title, begun = name[5:].replace("_", " "), time.monotonic()
            try:
                case(*arguments)
                passed += 1
                print(f"ok {title} ({time.monotonic() - begun:.1f} s)", flush=True)
            except Exception as e:  # a failed case must not stop the others
                failed += 1
                print("".join(f"#   {line}\n" for line in traceback.format_exc().splitlines()), end="")
                print(f"not ok {title}: {e}{note}", flush=True)
    print(f"{passed} passed, {failed} failed")
    return 0 if failed == 0 and passed > 0 else 1
