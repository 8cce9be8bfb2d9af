"""Strings (FHIRPath N1, 5.6), with the encodings and escapes of the later drafts."""

import base64
import binascii
import html
import json
import re
from collections.abc import Callable, Mapping

from profiles.fhirpath.errors import FhirPathError, shown
from profiles.fhirpath.functions.row import EMPTY, Function, Gives, boolean, named, text, whole
from profiles.fhirpath.scope import Scope
from profiles.fhirpath.values import Items, system


def _on_text(name: str, work: Callable[..., Items], gives: Gives, least: int = 0, most: int = 0) -> Function:
    """Return a function of a string and of string arguments, empty where one of them is."""

    def run(items: Items, scope: Scope, *arguments: Items) -> Items:
        subject = text(items, f"{name}()")
        others = [text(argument, f"The argument of {name}()") for argument in arguments]
        if subject is None or None in others:
            return EMPTY
        return work(scope, subject, *others)

    return Function(run, least, most, takes="String", gives=gives)


def _index_of(scope: Scope, subject: str, part: str) -> Items:
    return [subject.find(part)]


def _last_index_of(scope: Scope, subject: str, part: str) -> Items:
    return [subject.rfind(part)]


def _substring(items: Items, scope: Scope, start: Items, length: Items | None = None) -> Items:
    subject, first = text(items, "substring()"), whole(start, "The start of substring()")
    if subject is None or first is None or not 0 <= first < len(subject):
        return EMPTY
    most = None if length is None else whole(length, "The length of substring()")
    return [subject[first:] if most is None else subject[first : first + max(most, 0)]]


def _replace(scope: Scope, subject: str, pattern: str, substitution: str) -> Items:
    places = subject.count(pattern)
    scope.fits(len(subject) + places * (len(substitution) - len(pattern)))
    return [subject.replace(pattern, substitution)]


def _matches(scope: Scope, subject: str, pattern: str) -> Items:
    scope.spend(len(subject) >> 4)
    return boolean(scope.model.pattern(pattern).search(_unicode(subject)) is not None)


def _matches_full(scope: Scope, subject: str, pattern: str) -> Items:
    scope.spend(len(subject) >> 4)
    return boolean(scope.model.pattern(pattern).fullmatch(_unicode(subject)) is not None)


_GROUP = re.compile(r"\\(.)|\$([0-9]{1,2})", re.ASCII | re.DOTALL)


def _replace_matches(scope: Scope, subject: str, pattern: str, substitution: str) -> Items:
    """Replace what a pattern matches; `$1` in the substitution is the text of its first group."""
    if not pattern:
        return [subject]
    pieces: list[str] = []
    place = length = 0
    for match in scope.model.pattern(pattern).finditer(_unicode(subject)):
        start, end = match.span()
        groups = match.groups("")

        def group(found: re.Match[str], start: int = start, end: int = end, groups: tuple[str, ...] = groups) -> str:
            if found[1] is not None:
                return found[1]
            number = int(found[2])
            return subject[start:end] if not number else groups[number - 1] if number <= len(groups) else ""

        written = _GROUP.sub(group, substitution) if "$" in substitution or "\\" in substitution else substitution
        pieces += [subject[place:start], written]
        length += start - place + len(written)
        place = end
        scope.spend(2)
        scope.fits(length)
    return scope.text("".join([*pieces, subject[place:]]))


def _unicode(subject: str) -> str:
    """Return a text that has bytes: half a surrogate pair, which JSON can carry, has none."""
    return subject if subject.isascii() else subject.encode("utf-8", "replace").decode()


def _to_chars(scope: Scope, subject: str) -> Items:
    return scope.held(list(subject))


def _split(scope: Scope, subject: str, separator: str) -> Items:
    return scope.held(list(subject.split(separator) if separator else subject))


def _join(items: Items, scope: Scope, separator: Items | None = None) -> Items:
    between = "" if separator is None else text(separator, "The separator of join()") or ""
    pieces: list[str] = []
    for item in items:
        value = system(item)
        if isinstance(value, str):
            pieces.append(value)
        elif value is not None:
            raise FhirPathError(
                "execution",
                f"join() takes Strings, but found {named(value)}. Turn them into some with select(toString()).",
            )
    if not pieces:
        return EMPTY
    scope.fits(sum(map(len, pieces)) + len(between) * len(pieces))
    return [between.join(pieces)]


_CODES: Mapping[str, tuple[Callable[[bytes], bytes], Callable[[bytes], bytes]]] = {
    "base64": (base64.b64encode, lambda data: base64.b64decode(data, validate=True)),
    "urlbase64": (base64.urlsafe_b64encode, lambda data: base64.b64decode(data, altchars=b"-_", validate=True)),
    "hex": (binascii.hexlify, binascii.unhexlify),
}


def _code(name: str, code: str) -> tuple[Callable[[bytes], bytes], Callable[[bytes], bytes]]:
    if code not in _CODES:
        raise FhirPathError("execution", f"{name}() knows base64, urlbase64 and hex, but not '{shown(code)}'.")
    return _CODES[code]


def _encode(scope: Scope, subject: str, code: str) -> Items:
    return scope.text(_code("encode", code)[0](subject.encode("utf-8", "replace")).decode())


def _decode(scope: Scope, subject: str, code: str) -> Items:
    try:
        return scope.text(_code("decode", code)[1](subject.encode("utf-8", "replace")).decode())
    except FhirPathError:
        raise
    except ValueError:
        return EMPTY


def _escape(scope: Scope, subject: str, target: str) -> Items:
    match target:
        case "html":
            return scope.text(html.escape(subject))
        case "json":
            return scope.text(json.dumps(subject, ensure_ascii=False)[1:-1])
    raise FhirPathError("execution", f"escape() knows html and json, but not '{shown(target)}'.")


def _unescape(scope: Scope, subject: str, target: str) -> Items:
    match target:
        case "html":
            return scope.text(html.unescape(subject))
        case "json":
            quoted = re.sub(r'(?<!\\)((?:\\\\)*)"', r"\1\\" + '"', subject)
            try:
                return scope.text(json.loads(f'"{quoted}"', strict=False))
            except ValueError:
                return EMPTY
    raise FhirPathError("execution", f"unescape() knows html and json, but not '{shown(target)}'.")


ROWS: Mapping[str, Function] = {
    "indexOf": _on_text("indexOf", _index_of, "Integer", 1, 1),
    "lastIndexOf": _on_text("lastIndexOf", _last_index_of, "Integer", 1, 1),
    "substring": Function(_substring, 1, 2, takes="String", gives="String"),
    "startsWith": _on_text("startsWith", lambda _, one, other: boolean(one.startswith(other)), "Boolean", 1, 1),
    "endsWith": _on_text("endsWith", lambda _, one, other: boolean(one.endswith(other)), "Boolean", 1, 1),
    "contains": _on_text("contains", lambda _, one, other: boolean(other in one), "Boolean", 1, 1),
    "upper": _on_text("upper", lambda scope, one: scope.text(one.upper()), "String"),
    "lower": _on_text("lower", lambda scope, one: scope.text(one.lower()), "String"),
    "replace": _on_text("replace", _replace, "String", 2, 2),
    "matches": _on_text("matches", _matches, "Boolean", 1, 1),
    "matchesFull": _on_text("matchesFull", _matches_full, "Boolean", 1, 1),
    "replaceMatches": _on_text("replaceMatches", _replace_matches, "String", 2, 2),
    "length": _on_text("length", lambda _, one: [len(one)], "Integer"),
    "toChars": _on_text("toChars", _to_chars, "String"),
    "split": _on_text("split", _split, "String", 1, 1),
    "join": Function(_join, 0, 1, gives="String"),
    "trim": _on_text("trim", lambda _, one: [one.strip()], "String"),
    "encode": _on_text("encode", _encode, "String", 1, 1),
    "decode": _on_text("decode", _decode, "String", 1, 1),
    "escape": _on_text("escape", _escape, "String", 1, 1),
    "unescape": _on_text("unescape", _unescape, "String", 1, 1),
}
