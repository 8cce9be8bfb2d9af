"""The packages of npm that the tests use, installed as the lock file says, once for all workers of a test run."""

import fcntl
import shutil
import subprocess
from pathlib import Path

from tests.conftest import missing

HERE = Path(__file__).parent
MODULES = HERE / "node_modules"
STAMP = MODULES / ".installed"


def installed() -> Path:
    """Return the folder with the packages. Without npm, or without a registry, the tests are skipped, except in CI."""
    if shutil.which("npm") is None or shutil.which("node") is None:
        missing("node and npm are not there")
    lock = (HERE / "package-lock.json").read_text(encoding="utf-8")
    with (HERE / "package.json").open() as manifest:
        fcntl.flock(manifest, fcntl.LOCK_EX)
        if STAMP.exists() and STAMP.read_text(encoding="utf-8") == lock:
            return MODULES
        command = ["npm", "ci", "--ignore-scripts", "--prefer-offline", "--no-audit", "--no-fund"]
        done = subprocess.run(command, cwd=HERE, capture_output=True, text=True, timeout=300, check=False)
        if done.returncode:
            missing(f"npm ci failed: {done.stderr[-1000:]}")
        STAMP.write_text(lock, encoding="utf-8")
    return MODULES
