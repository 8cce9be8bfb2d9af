"""Versions of packages and definitions, ordered as semantic versioning says (semver.org §11).

Not every published version is semantic: `20240101`, `1.0`, `4.0.1.2` and `STU3` occur. They are ordered part by part,
numbers as numbers, and never refused.
"""

import re

Key = tuple[tuple[tuple[int, int, str], ...], int, tuple[tuple[int, int, str], ...]]

_PARTS = re.compile(r"[.]")
WILD = frozenset({"x", "X", "*"})
ANY = frozenset({"", "*", "x", "latest", "current", "dev"})


def order(version: str) -> Key:
    """Return what sorts versions from the oldest to the newest: a pre-release comes before its release."""
    plain = version.partition("+")[0]
    core, dash, label = plain.partition("-")
    return _parts(core), 0 if dash else 1, _parts(label)


def satisfies(version: str, wanted: str) -> bool:
    """Return whether a version is what a dependency asks for: that one, one of `4.0.x`, or any for `latest`."""
    if wanted in ANY or version == wanted:
        return True
    parts = wanted.split(".")
    if parts[-1] not in WILD:
        return False
    fixed = [part for part in parts if part not in WILD]
    return version.partition("-")[0].split(".")[: len(fixed)] == fixed


def _parts(text: str) -> tuple[tuple[int, int, str], ...]:
    """Numbers sort below words, as semver has it for the parts of a pre-release."""
    return tuple(
        (0, int(part), "") if part.isascii() and part.isdigit() and len(part) < 20 else (1, 0, part)
        for part in _PARTS.split(text)
        if part
    )
