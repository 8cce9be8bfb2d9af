"""What a profile asks of an element by extensions of its ElementDefinition: a value, or the languages of a narrative."""

import re
from collections.abc import Callable, Iterator
from typing import Any

from profiles.validate.messages import shown
from profiles.validate.profile.items import Item
from profiles.validate.profile.visit import Visit

Json = dict[str, Any]
Check = Callable[[Item, Visit], None]

_R5 = "http://hl7.org/fhir/5.0/StructureDefinition/extension-ElementDefinition."
MUST_HAVE_VALUE = f"{_R5}mustHaveValue"
VALUE_ALTERNATIVES = f"{_R5}valueAlternatives"
LANGUAGES = "http://hl7.org/fhir/StructureDefinition/narrative-language-control"

_SECTION = re.compile(r"""<div\s[^>]{0,2000}?\blang\s*=\s*["']([^"']{1,100})["']""")


def compile(row: Json, before: Json, url: str, path: str) -> list[Check]:  # noqa: A001 - the word for it
    """Return the checks of what extensions of an element's definition ask.

    Args:
        row: The element in the profile.
        before: The same in what it is compared with.
        url: The profile, for messages.
        path: The element, for messages.
    """
    rows = row.get("extension", ())
    if not rows or rows == before.get("extension"):
        return []
    found: list[Check] = []
    if True in _said(rows, MUST_HAVE_VALUE):
        found.append(_valued((), url, path))
    alternatives = tuple(str(one) for one in _said(rows, VALUE_ALTERNATIVES))
    if alternatives:
        found.append(_valued(alternatives, url, path))
    found += [_languages(str(rule), url) for rule in _said(rows, LANGUAGES)]
    return found


def _said(rows: list[Json], url: str) -> Iterator[Any]:
    for row in rows:
        if row.get("url") == url:
            yield next((value for key, value in row.items() if key.startswith("value")), None)


def _valued(alternatives: tuple[str, ...], url: str, path: str) -> Check:
    def check(item: Item, visit: Visit) -> None:
        if item.value is not None:
            return
        rows = item.part("extension")
        if not any(isinstance(row, dict) and row.get("url") in alternatives for row in rows or ()):
            others = f", or the extension {' or '.join(alternatives)}" if alternatives else ""
            visit.report("value-missing", item.where, path=path, others=others, url=url)

    return check


def _languages(rule: str, url: str) -> Check:
    def check(item: Item, visit: Visit) -> None:
        div = item.part("div")
        if not isinstance(div, str):
            return
        sections = _SECTION.findall(div.partition(">")[2])
        visit.shared.outside += 1
        wanted = visit.resource[0].get("language") if rule == "_resource" else rule
        if rule == "_no" and sections:
            visit.report("languages-prohibited", item.where, found=shown(", ".join(sections)), url=url)
        elif rule == "_yes" and not sections:
            visit.report("languages-required", item.where, url=url)
        elif not rule.startswith(("_no", "_yes")) and isinstance(wanted, str) and wanted not in sections:
            found = shown(", ".join(sections)) or "none"
            visit.report("language-missing", item.where, language=shown(wanted), found=found, url=url)

    return check
