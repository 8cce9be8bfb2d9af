"""How alike two names are: spellings of one name, typing errors, and one name in two scripts."""

import re
import unicodedata
from enum import IntEnum
from functools import lru_cache

from terminology.words import fold

CLOSE, NEAR = 0.92, 0.85
"""Jaro-Winkler similarity of names with a typing error, and of names that may be one."""

_PREFIX, _SCALE = 4, 0.1  # Winkler: letters at the beginning count more
_APART = re.compile(r"[\s\-/.,'`()]+")
_UMLAUTS = (("ae", "a"), ("oe", "o"), ("ue", "u"))
_VOWELS = re.compile(r"[aeiouyhw]")
_TWICE = re.compile(r"(.)\1+")
_SOUNDS = (
    ("ngh", "n"), ("ng", "n"), ("sch", "s"), ("sh", "s"), ("ch", "k"), ("kh", "k"), ("ph", "p"), ("th", "t"), ("dh", "d"), ("gh", "g"), ("bh", "b"),
    ("tz", "s"), ("ts", "s"), ("zh", "z"), ("ck", "k"), ("c", "k"), ("q", "k"), ("x", "ks"), ("w", "v"), ("z", "s"), ("j", "g"), ("f", "p"),
)  # fmt: skip
_SPOKEN = re.compile(r"(KH|GH|SH|TH|PH|TS|CH|ZH|DH|BH|[BCDFGJKLMNPQRSTVWXZ])")
_SILENT = frozenset({"ARABIC", "HEBREW", "GREEK"})
"""Scripts in which a letter whose name begins with a vowel is one, or is not heard."""


class Likeness(IntEnum):
    """How alike two names are."""

    DIFFERENT = 0
    NEAR = 1
    CLOSE = 2
    SAME = 3


@lru_cache(maxsize=4096)
def spelt(name: str) -> str:
    """Return a name without case, accents, punctuation and the two ways to write an umlaut: Käthe, Kaethe and KATHE are one."""
    text = _APART.sub(" ", fold(name)).strip()
    for written, plain in _UMLAUTS:
        text = text.replace(written, plain)
    return text


@lru_cache(maxsize=4096)
def skeleton(name: str) -> str:
    """Return the consonants of a name as they sound, whatever its script: ليلى and Layla are `l`, כהן and Cohen `kn`."""
    text = "".join(letter if letter.isascii() else _consonant(letter) for letter in spelt(name))
    for written, plain in _SOUNDS:
        text = text.replace(written, plain)
    return _TWICE.sub(r"\1", _VOWELS.sub("", text).replace(" ", ""))


@lru_cache(maxsize=1024)
def _consonant(letter: str) -> str:
    """Return the sound of a letter of another script: its Unicode name begins with it (ARABIC LETTER LAM, HEBREW LETTER KAF)."""
    full = unicodedata.name(letter, "")
    script, _, name = full.partition(" LETTER ")
    name = name.removeprefix("FINAL ").removeprefix("SHORT ")
    if full.endswith("ANUSVARA"):
        return "n"
    is_silent = name[:1] in set("HY") or name == "TEH MARBUTA"
    if not name or is_silent or (name[0] in "AEIOU" and script.partition(" ")[0] in _SILENT):
        return ""
    found = _SPOKEN.search(name)
    return found[1].lower() if found else ""


def likeness(one: str, other: str) -> Likeness:
    """Return how alike two names are; what is written in different scripts is at most `CLOSE`."""
    mine, theirs = spelt(one), spelt(other)
    if mine == theirs:
        return Likeness.SAME
    if mine.isascii() != theirs.isascii():
        return Likeness.CLOSE if _sound_alike(skeleton(one), skeleton(other)) else Likeness.DIFFERENT
    alike = jaro_winkler(mine, theirs)
    if alike >= CLOSE:
        return Likeness.CLOSE
    return Likeness.NEAR if alike >= NEAR else Likeness.DIFFERENT


def _sound_alike(one: str, other: str) -> bool:
    """Return whether two skeletons are one; what is written as v may be a vowel (אורי, Uri)."""
    if one == other:
        return one != ""
    bare = one.replace("v", "")
    return len(bare) > 1 and bare == other.replace("v", "")


def jaro_winkler(one: str, other: str) -> float:
    """Return the Jaro-Winkler similarity of two texts, from 0 to 1."""
    if one == other:
        return 1.0
    if not one or not other:
        return 0.0
    window = max(len(one), len(other)) // 2 - 1
    taken = [False] * len(other)
    mine: list[str] = []
    for place, letter in enumerate(one):
        for found in range(max(0, place - window), min(len(other), place + window + 1)):
            if not taken[found] and other[found] == letter:
                taken[found] = True
                mine.append(letter)
                break
    if not mine:
        return 0.0
    theirs = [letter for letter, is_taken in zip(other, taken, strict=True) if is_taken]
    moved = sum(a != b for a, b in zip(mine, theirs, strict=True)) // 2
    common = len(mine)
    jaro = (common / len(one) + common / len(other) + (common - moved) / common) / 3
    prefix = 0
    for a, b in zip(one[:_PREFIX], other[:_PREFIX], strict=False):
        if a != b:
            break
        prefix += 1
    return jaro + prefix * _SCALE * (1 - jaro)
