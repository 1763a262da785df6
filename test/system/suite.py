# SPDX-License-Identifier: Apache-2.0
"""Runs cases: functions named case_..., which fail by an exception."""
import time
import traceback


def run(modules, parts, *arguments, note=""):
    """Every case of the modules whose name has one of the parts (none: every one) in it. Prints `ok` or `not ok` for each, with the note, and
    `N passed, N failed`; the exit status."""
    passed = failed = 0
    for module in modules:
        for name, case in list(vars(module).items()):
            if not name.startswith("case_") or (parts and not any(p in name for p in parts)):
                continue
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
