"""Kinds of faults found in use; `pytest.mark.found("…")` marks the tests for each. The run counts them by kind."""

from collections import Counter

import pytest

# A kind of fault → what must hold now.
FOUND = {
    "hosts": "host names hosts, instances names instances, never one for the other",
    "away": "a part that was away or hung is used again within ten seconds, and blocks no other part meanwhile",
    "forms": "forms take what browsers send, and a form posted unchanged changes nothing",
    "output": "what a host or a command says reaches people whole and at its place",
    "packages": "packages in the formats that pipelines make; releases that cannot be half removed",
    "removal": "what is gone for good can be got rid of, and its history stays",
    "builds": "a build is complete or refused, may be built again, and is never two",
    "keys": "keys and hosts are taken as people have them",
    "time": "arithmetic on moments, never on clock times",
    "settings": "every setting is parsed at the start; whatever says TLS is verified",
    "waiting": "looks at build servers and waiting clients outlive what passes",
    "ssh": "SSH servers that are older, newer or odder; what can be asked before the stop is asked before it",
}


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items):
    for item in items:
        for marker in item.iter_markers("found"):
            (kind,) = marker.args
            if kind not in FOUND:
                raise pytest.UsageError(f"{item.nodeid}: no such kind: {kind}")
            item.user_properties.append(("found", kind))


def pytest_terminal_summary(terminalreporter):
    counted: dict[str, Counter] = {}
    for outcome in ("passed", "failed", "error", "skipped"):
        for report in terminalreporter.stats.get(outcome, ()):
            for name, kind in getattr(report, "user_properties", ()):
                if name == "found":
                    counted.setdefault(kind, Counter())[outcome] += 1
    if not counted:
        return
    terminalreporter.section("found in use")
    for kind, text in FOUND.items():
        counts = ", ".join(f"{count} {outcome}" for outcome, count in counted.get(kind, {}).items())
        terminalreporter.write_line(f"{kind:9} {counts or '0':22} {text}")
