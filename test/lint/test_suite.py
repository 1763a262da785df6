# SPDX-License-Identifier: Apache-2.0
"""test/system/suite.py: which cases a word on the command line means."""
import contextlib
import io
import sys
import types

from common import ROOT, contains, equal

sys.path.insert(0, str(ROOT / "test/system"))
import suite  # noqa: E402


def run_of(*parts):
    """The exit status, the cases that ran, and what was said on standard error."""
    ran = []
    modules = []
    for name, cases in (("cases_reason", ("one_bad_flow", "no_route")), ("cases_dns", ("forged", "a_flow_of_dns"))):
        module = types.ModuleType(name)
        for case in cases:
            setattr(module, f"case_{case}", lambda c=case: ran.append(c))
        modules.append(module)
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()) as err:
        status = suite.run(modules, parts)
    return status, ran, err.getvalue()


def check_names_with_spaces_or_underscores(_folder):
    for part in ("one bad flow", "one_bad_flow", "bad flow", "one bad"):
        equal(run_of(part)[:2], (0, ["one_bad_flow"]), part)


def check_parts_and_modules(_folder):
    equal(run_of()[:2], (0, ["one_bad_flow", "no_route", "forged", "a_flow_of_dns"]))
    equal(run_of("flow")[:2], (0, ["one_bad_flow", "a_flow_of_dns"]))
    equal(run_of("dns")[:2], (0, ["a_flow_of_dns"]), "a module is named as a whole")
    equal(run_of("cases_dns")[:2], (0, ["forged", "a_flow_of_dns"]))
    equal(run_of("forged", "no_route")[:2], (0, ["no_route", "forged"]))


def check_what_no_case_has(_folder):
    for parts in (("nosuch",), ("forged", "nosuch"), ("cases",)):
        status, ran, err = run_of(*parts)
        equal((status, ran), (2, []), parts)
        contains(err, f"no case has in its name: {parts[-1]}")


def cases():
    yield "names with spaces or underscores", check_names_with_spaces_or_underscores
    yield "parts of names, and modules", check_parts_and_modules
    yield "what no case has in its name", check_what_no_case_has
