"""The commit that results name: of the software, whatever was measured before."""

from __future__ import annotations

import re
import subprocess

from pyxglm.bench import machine


def test_results_do_not_change_the_commit_and_all_else_does(tmp_path):
    def git(*words):
        names = ("-c", "user.name=a", "-c", "user.email=a@b", "-c", "commit.gpgsign=false")
        command = ["git", *names, *words]
        subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)

    assert machine.commit(tmp_path) == "unknown"
    git("init")
    assert machine.commit(tmp_path) == "unknown"  # nothing is in it
    result, code = tmp_path / "benchmarks" / "results" / "x.json", tmp_path / "code.py"
    result.parent.mkdir(parents=True)
    for path in (result, code):
        path.write_text("1")
    git("add", ".")
    git("commit", "-m", "first")
    name = machine.commit(tmp_path)
    assert re.fullmatch(r"[0-9a-f]{7,}", name)
    result.write_text("2")
    (tmp_path / "new.py").write_text("")  # not of the repository
    assert machine.commit(tmp_path) == name
    code.write_text("2")
    assert machine.commit(tmp_path) == f"{name}-dirty"
