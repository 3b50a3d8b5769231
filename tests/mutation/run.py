"""The mutation run: forged files of every format, each answered by one clear error.

    python tests/mutation/run.py [--cases N] [--seed S] [--jobs J] [TARGET ...]
    python tests/mutation/run.py --seed S --replay NUMBER TARGET

The mutators know their format and keep most of a file right (checksums,
lengths, nesting), so that what they spoil is reached. Child processes with
limits on memory and time read the files; any outcome but a good result or a
one-line ValueError, TypeError or FileNotFoundError is a finding: another
exception, a crash, a hang, a slow case, growing memory. Findings are printed
with what makes them again, their files are kept, and the exit code is 1.
"""

from __future__ import annotations

import argparse
import json
import os
import secrets
import struct
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1]
# Not this directory, whose modules have common names; the checkout only if pyxglm is not installed.
sys.path[0] = str(TESTS)
sys.path.append(str(TESTS.parent))

from mutation import child  # noqa: E402

#: Seconds that a case may sleep, or compute, before it counts as a hang. A process that
#: waits for a processor of a busy machine does neither.
HANG = 20.0
#: Looks at a process, all of which must find it asleep.
LOOKS = 25
#: Cases for one process; a new one starts afresh.
CHUNK = 5000
#: After so many findings a target is given up.
ENOUGH = 10


@dataclass
class Job:
    """A range of cases of one target, and the process at it."""

    target: str
    start: int
    stop: int
    process: subprocess.Popen[str] | None = None
    status: Path | None = None
    at: int = -1
    moved: float = 0.0  # when it was first seen at that case,
    used: float = 0.0  # and the processor time it had used by then
    asleep: int = 0
    hung: bool = False

    @property
    def output(self) -> Path:
        """Where the process prints to."""
        return self.status.with_name(f"{self.status.name}.out")


@dataclass
class Report:
    """What a run found out about one target."""

    cases: int = 0
    seconds: float = 0.0
    outcomes: Counter[str] = field(default_factory=Counter)
    messages: Counter[str] = field(default_factory=Counter)
    findings: list[dict[str, object]] = field(default_factory=list)


class Run:
    """All jobs of a run, a few at a time."""

    def __init__(self, module: str, seed: int, keep: Path, jobs: int, hang: float = HANG) -> None:
        self.module, self.seed, self.keep, self.jobs, self.hang = module, seed, keep, jobs, hang
        self.reports: dict[str, Report] = {}

    def run(self, targets: Sequence[str], cases: int, chunk: int = CHUNK) -> dict[str, Report]:
        """Run `cases` cases of each target."""
        self.reports = {target: Report() for target in targets}
        waiting = [
            Job(target, start, min(start + chunk, cases))
            for target in targets
            for start in range(0, cases, chunk)
        ]
        running: list[Job] = []
        with tempfile.TemporaryDirectory() as place:
            while waiting or running:
                while waiting and len(running) < self.jobs:
                    job = waiting.pop(0)
                    if len(self.reports[job.target].findings) < ENOUGH:
                        self._start(job, Path(place))
                        running.append(job)
                time.sleep(0.02)
                for job in [job for job in running if self._done(job)]:
                    running.remove(job)
                    waiting[:0] = self._finish(job)
        return self.reports

    def _start(self, job: Job, place: Path) -> None:
        job.status = place / f"{job.target}-{job.start}"
        job.status.write_bytes(struct.pack("<q", job.start))
        job.moved = time.monotonic()
        arguments = [self.module, job.target, self.seed, job.start, job.stop, job.status]
        with job.output.open("w") as out:
            job.process = subprocess.Popen(
                [
                    sys.executable,
                    "-X",
                    "faulthandler",
                    "-m",
                    "mutation.child",
                    *map(str, arguments),
                ],
                stdout=out,
                stderr=subprocess.STDOUT,
                text=True,
                env={
                    **os.environ,
                    "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
                    "PYTHONMALLOC": "malloc",  # where `used_memory` counts
                },
            )

    def _done(self, job: Job) -> bool:
        """Tell whether a process has ended; end it if it does not move."""
        if job.process.poll() is not None:
            return True
        at = struct.unpack("<q", job.status.read_bytes())[0]
        now = time.monotonic()
        try:
            state, used = process_state(job.process.pid)
        except FileNotFoundError:
            return False  # it is about to end
        if at != job.at:
            job.at, job.moved, job.used = at, now, used
        job.asleep = job.asleep + 1 if state == "S" and now - job.moved > self.hang else 0
        if job.asleep > LOOKS or used - job.used > self.hang:
            job.hung = True
            job.process.kill()
            job.process.wait()
        return job.hung

    def _finish(self, job: Job) -> Iterator[Job]:
        """Take what a process printed; if it died of a case, go on behind that case."""
        report = self.reports[job.target]
        output = job.output.read_text(errors="replace").splitlines()
        at = struct.unpack("<q", job.status.read_bytes())[0]
        ended = False
        for line in output:
            try:
                entry = json.loads(line)
            except json.JSONDecodeError:
                continue
            if "outcomes" in entry:
                ended = True
                report.outcomes.update(entry["outcomes"])
                report.messages.update(entry["messages"])
            else:
                self._keep(job.target, entry)
        if ended and job.process.returncode == 0:
            report.cases += job.stop - job.start
            return
        report.cases += at + 1 - job.start
        kind = "hang" if job.hung else "crash"
        detail = f"exit {job.process.returncode}: " + " | ".join(output[-12:])
        self._keep(job.target, {"case": at, "kind": kind, "detail": detail})
        if at + 1 < job.stop:
            yield Job(job.target, at + 1, job.stop)

    def _keep(self, name: str, finding: dict[str, object]) -> None:
        """Print a finding and store the files that make it."""
        report = self.reports[name]
        report.findings.append(finding)
        if len(report.findings) > ENOUGH:
            return
        place = self.keep / f"{name}-{self.seed}-{finding['case']}"
        place.mkdir(parents=True, exist_ok=True)
        target = child.load_target(self.module, name)
        child.write_files(place, child.case_files(target, name, self.seed, int(finding["case"])))
        (place / "finding.json").write_text(json.dumps(finding, indent=2))
        print(f"FOUND {name} case {finding['case']}: {finding['kind']}; files in {place}")
        print(f"      again: --seed {self.seed} --replay {finding['case']} {name}")
        print(f"      {str(finding.get('message') or finding.get('detail'))[-300:]}", flush=True)


def process_state(pid: int) -> tuple[str, float]:
    """Return whether a process runs (R) or sleeps (S), and its seconds of processor time."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return fields[0], (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def replay(module: str, name: str, seed: int, number: int) -> None:
    """Run one case in this process, and show what happens."""
    target = child.load_target(module, name)
    with tempfile.TemporaryDirectory() as place:
        child.write_files(Path(place), child.case_files(target, name, seed, number))
        print(*child.judge(target, Path(place)), sep="\n")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run from the command line; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("targets", nargs="*", metavar="TARGET", help="formats (default: all)")
    parser.add_argument("--cases", type=int, default=20_000, help="cases a format")
    parser.add_argument("--seed", type=int, default=None, help="default: another one each time")
    parser.add_argument("--jobs", type=int, default=min(os.cpu_count() or 1, 8))
    parser.add_argument("--chunk", type=int, default=CHUNK, help="cases a process")
    parser.add_argument("--replay", type=int, metavar="NUMBER", help="run one case here")
    parser.add_argument("--module", default="mutation.targets", help="where the targets are")
    parser.add_argument("--hang", type=float, default=HANG, help="seconds until a case hangs")
    parser.add_argument(
        "--keep", type=Path, default=Path(tempfile.gettempdir()) / "pyxglm-mutation-findings"
    )
    options = parser.parse_args(arguments)
    import importlib

    known = importlib.import_module(options.module).TARGETS
    if unknown := set(options.targets) - set(known):
        parser.error(f"unknown targets {sorted(unknown)}, known: {', '.join(known)}")
    seed = secrets.randbelow(2**31) if options.seed is None else options.seed
    if options.replay is not None:
        for name in options.targets:
            replay(options.module, name, seed, options.replay)
        return 0
    print(f"mutation run: seed {seed}, {options.cases} cases a format", flush=True)
    start = time.monotonic()
    run = Run(options.module, seed, options.keep, options.jobs, options.hang)
    reports = run.run(options.targets or list(known), options.cases, options.chunk)
    for name, report in reports.items():
        accepted = report.outcomes["accepted"] / max(sum(report.outcomes.values()), 1)
        print(
            f"{name}: {report.cases} cases, {accepted:.0%} accepted, "
            f"{len(report.messages)} kinds of answer, {len(report.findings)} findings"
        )
    total = sum(report.cases for report in reports.values())
    seconds = time.monotonic() - start
    print(f"{total} cases in {seconds:.0f} s ({total / seconds:.0f} a second), seed {seed}")
    return 1 if any(report.findings for report in reports.values()) else 0


if __name__ == "__main__":
    sys.exit(main())
