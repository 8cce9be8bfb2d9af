"""What was probably meant by a canonical that is not known: another version of it, or a profile with a similar name."""

from difflib import SequenceMatcher

from profiles.snapshot.source import STRUCTURE, Source

LONGEST = 200
CLOSE = 0.8
"""Least similarity (0 to 1) of two names, and of two URLs, for one to be taken for the other."""


def near(source: Source, canonical: str) -> str:
    """Return the canonical of a StructureDefinition that is at hand and nearest to one that is not; empty where none is near."""
    url, _, version = canonical.partition("#")[0].partition("|")
    if version and (found := source.find(url)) is not None:
        known = found.structure.get("version")
        return f"{url}|{known}" if known else url
    best, score = "", CLOSE
    for known in _urls(source):
        measured = _likeness(url, known)
        if measured > score or (measured == score and (not best or known < best)):
            best, score = known, measured
    return best


def _urls(source: Source) -> list[str]:
    installed = (found.entry.url for found in source.library.all(STRUCTURE))
    return [*dict.fromkeys((*source.definitions.structures, *installed))]


def _likeness(one: str, other: str) -> float:
    """Return how alike two URLs are: as whole texts, of which the ends count most, for their beginnings often are the same."""
    if max(len(one), len(other)) > LONGEST:
        return 0.0
    matcher = SequenceMatcher(None, _end(one), _end(other), autojunk=False)
    if matcher.real_quick_ratio() < CLOSE or matcher.quick_ratio() < CLOSE or (end := matcher.ratio()) < CLOSE:
        return 0.0
    whole = SequenceMatcher(None, one, other, autojunk=False).ratio()
    return (end + whole) / 2 if whole >= CLOSE else 0.0


def _end(url: str) -> str:
    return url.rpartition("/")[2].lower()
