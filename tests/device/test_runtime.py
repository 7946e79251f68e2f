"""The folder of OpenCL drivers: what it names is run, so nobody else may have put anything in."""

import os
import stat
import tempfile
from pathlib import Path

from mandel.device import runtime


def test_a_folder_that_others_made_ahead_is_not_used(tmp_path, monkeypatch):
    """attacks.md 2.2: any user could run code as any other by a folder named after the next processes."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    theirs = tmp_path / f"mandel-opencl-{os.getuid()}-{os.getpid()}"
    theirs.mkdir()
    theirs.chmod(0o777)
    (theirs / "x.icd").write_text("/evil.so")
    folders = {runtime._vendor_folder(Path("/lib/ours.so")) for _ in range(2)}
    assert len(folders) == 2
    for folder in map(Path, folders):
        facts = folder.stat()
        assert stat.S_IMODE(facts.st_mode) == 0o700 and facts.st_uid == os.geteuid() and folder != theirs
        assert (folder / "mandel-cpu.icd").read_text() == "/lib/ours.so\n" and not (folder / "x.icd").exists()
    assert [path.name for path in theirs.iterdir()] == ["x.icd"]
