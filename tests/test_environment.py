"""What a result says of the code that made it."""

import os
import subprocess

from common.runs import environment


def test_asking_for_the_commit_takes_no_lock_of_the_users_repository(tmp_path, monkeypatch):
    """Git would refresh the index of a file whose time has changed, under its lock."""

    def git(*words):
        subprocess.run(["git", "-C", str(tmp_path), *words], check=True, capture_output=True)

    git("init", "-q")
    (tmp_path / "code").mkdir()
    (tmp_path / "code/file.py").write_text("x = 1\n")
    git("add", ".")
    git("-c", "user.name=a", "-c", "user.email=a@b", "commit", "-qm", "first")
    index = tmp_path / ".git/index"
    before = index.read_bytes()
    os.utime(tmp_path / "code/file.py", (1, 1))
    monkeypatch.setattr(environment, "__file__", str(tmp_path / "code/common/runs/environment.py"))
    commit = environment.commit()
    assert len(commit) == 12
    assert index.read_bytes() == before
    (tmp_path / "code/file.py").write_text("x = 2\n")
    assert environment.commit() == f"{commit}+"
