"""The packages of npm that the tests use, installed as the lock file says, once for all workers of a test run."""

import fcntl
import shutil
import subprocess
from pathlib import Path

from tests.conftest import missing


def installed(folder: Path) -> Path:
    """Return where the packages of a folder are. Without npm, or without a registry, the tests are skipped, except in CI."""
    if shutil.which("npm") is None or shutil.which("node") is None:
        missing("node and npm are not there")
    modules = folder / "node_modules"
    stamp = modules / ".installed"
    lock = (folder / "package-lock.json").read_text(encoding="utf-8")
    with (folder / "package.json").open() as manifest:
        fcntl.flock(manifest, fcntl.LOCK_EX)
        if stamp.exists() and stamp.read_text(encoding="utf-8") == lock:
            return modules
        command = ["npm", "ci", "--ignore-scripts", "--prefer-offline", "--no-audit", "--no-fund"]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300, check=False)
        if done.returncode:
            missing(f"npm ci failed: {done.stderr[-1000:]}")
        stamp.write_text(lock, encoding="utf-8")
    return modules
