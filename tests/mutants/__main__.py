"""Takes each protection out, one by one, in a copy of the project, and runs the one test that must fail there.

`python -m tests.mutants`, or with parts of names for some of them. First each named test must pass with nothing taken
out; `--no-baseline` leaves that to a run of all tests on the same code, as CI does. Ends with status 1 where a mutant
survived, its text is not where it was, or a test is too slow or broken.
"""

import compileall
import os
import py_compile
import queue
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import xml.etree.ElementTree as ET
from dataclasses import dataclass
from pathlib import Path

from .protections import MUTANTS, Change, Mutant

ROOT = Path(__file__).resolve().parents[2]
LEFT_OUT = (".git", ".venv", "var", "__pycache__", ".*_cache", ".hypothesis")
AT_ONCE = 3  # more than the cores of a small machine: many tests wait
NO_BASELINE = "--no-baseline"
SLOWEST = 15.0  # seconds that a test may take where nothing else is busy
TRIES = 3  # what is about a race may miss it once: a mutant survives where its test passes each time
GIVEN_UP = 60  # seconds after which a test that hangs because of a mutant counts as failed


class Copy:
    """The project in a folder of its own, tested with the project's own environment."""

    def __init__(self, folder: Path):
        self.folder = folder
        self._whole: dict[Path, str] = {}  # files that are changed now, as they were
        shutil.copytree(ROOT, folder, ignore=shutil.ignore_patterns(*LEFT_OUT))
        # By content: by second and size, a mutant may be as old and as long as what it stands for.
        compileall.compile_dir(folder, quiet=2, invalidation_mode=py_compile.PycInvalidationMode.CHECKED_HASH)

    def change(self, changes: tuple[Change, ...]) -> str:
        """Make the changes. Return what is wrong, if a text does not stand exactly once in its file."""
        for change in changes:
            path = self.folder / change.file
            text = path.read_text()
            if (found := text.count(change.old)) != 1:
                return f"stands {found} times in {change.file}: {change.old!r}"
            self._whole.setdefault(path, text)
            path.write_text(text.replace(change.old, change.new))
        return ""

    def restore(self) -> None:
        """As it was copied: changes to the project meanwhile have no effect here."""
        for path, text in self._whole.items():
            path.write_text(text)
        self._whole.clear()

    def test(self, *tests: str) -> subprocess.CompletedProcess:
        environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1", "COLUMNS": "400"}
        command = [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "-p",
            "no:cacheprovider",
            f"--timeout={GIVEN_UP}",
            "--junitxml=report.xml",
            *tests,
        ]
        (self.folder / "report.xml").unlink(missing_ok=True)
        return subprocess.run(command, cwd=self.folder, env=environment, capture_output=True, text=True)

    def report(self) -> dict[str, tuple[bool, float]]:
        """Of the last run, by the tests' names: whether it passed, and its seconds with all that it needs."""
        cases = ET.parse(self.folder / "report.xml").iter("testcase")
        return {case.get("name", ""): (not len(case), float(case.get("time", 0))) for case in cases}


@dataclass(frozen=True)
class Verdict:
    mutant: Mutant
    killed: bool
    seconds: float
    words: str


def main(parts: list[str]) -> int:
    baseline = NO_BASELINE not in parts
    parts = [part for part in parts if part != NO_BASELINE]
    chosen = [each for each in MUTANTS if not parts or any(part in each.name for part in parts)]
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="mutants-") as folder:
        copies = [Copy(Path(folder) / str(number)) for number in range(AT_ONCE)]
        wrong = untouched(copies, sorted({each.test for each in chosen})) if baseline else []
        verdicts = [] if wrong else side_by_side(copies, chosen, judge)
    for line in wrong:
        print(line)
    survived = [verdict for verdict in verdicts if not verdict.killed]
    for verdict in survived:
        mutant = verdict.mutant
        print(f"\nSURVIVED: {mutant.name} (promise {mutant.promise}), {mutant.test}\n{verdict.words}")
    killed = len(verdicts) - len(survived)
    seconds = time.monotonic() - began
    print("mutants, where passed means killed:")
    print(f"{killed} passed, {len(survived) + len(wrong)} failed in {seconds:.2f}s")
    return 1 if survived or wrong or not verdicts else 0


def untouched(copies: list[Copy], tests: list[str]) -> list[str]:
    """Return what is wrong with the tests of the unchanged code: each must pass, and soon."""
    shares = [tests[number::AT_ONCE] for number in range(AT_ONCE)]
    wrong: list[str] = []

    def check(copy: Copy, share: list[str]) -> None:
        if not share:
            return
        done = copy.test(*share)
        if done.returncode:
            output = done.stdout[-4000:] + done.stderr[-1000:]
            wrong.append(f"with nothing taken out, tests end with status {done.returncode}:\n{output}")
            return
        for name, (_, seconds) in copy.report().items():
            if seconds > SLOWEST:
                print(f"slow: {name} took {seconds:.1f} s of {SLOWEST:.0f} s")

    side_by_side(copies, shares, check)
    return wrong


def judge(copy: Copy, mutant: Mutant) -> Verdict:
    began = time.monotonic()
    try:
        if problem := copy.change(mutant.changes):
            verdict = Verdict(mutant, False, 0.0, problem)
        else:
            done, weak = noticed(copy, mutant.test)
            # Only 1 means that tests ran and some failed: a mutant that cannot even be imported shows nothing.
            words = re.findall(r"^(?:FAILED|ERROR) \S.*? - (.*)", done.stdout, re.MULTILINE)
            killed = done.returncode == 1
            output = weak + (words or [""])[0] if killed else done.stdout[-2000:] + done.stderr[-500:]
            verdict = Verdict(mutant, killed, time.monotonic() - began, output)
    finally:
        copy.restore()
    outcome = "killed" if verdict.killed else "SURVIVED"
    words = verdict.words[:90] if verdict.killed else ""
    print(f"{outcome:<9}{verdict.seconds:5.1f} s  {mutant.name:<48}{words}", flush=True)
    return verdict


def noticed(copy: Copy, test: str) -> tuple[subprocess.CompletedProcess, str]:
    """Run the test until it fails, `TRIES` times at most. Return the last run, and a word where not the first."""
    for tried in range(1, TRIES):
        if (done := copy.test(test)).returncode:
            return done, f"(at run {tried} of {TRIES}) " if tried > 1 else ""
    return copy.test(test), f"(at run {TRIES} of {TRIES}) "


def side_by_side(copies: list[Copy], work: list, act) -> list:
    """`act(copy, each)` for all of the work, one thread for each copy. Answers in the order of the work's end."""
    todo: queue.SimpleQueue = queue.SimpleQueue()
    answers: list = []
    for each in work:
        todo.put(each)

    def run(copy: Copy) -> None:
        while True:
            try:
                each = todo.get_nowait()
            except queue.Empty:
                return
            answers.append(act(copy, each))

    threads = [threading.Thread(target=run, args=(copy,)) for copy in copies]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return answers


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
