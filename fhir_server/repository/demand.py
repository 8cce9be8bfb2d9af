"""What a write demands of the current version: the conditions If-Match and If-None-Match (RFC 9110 13.1, R4 3.1.0.5)."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from fhir_server.model.errors import BadRequest, PreconditionFailed

ANY = "*"
_TAG = re.compile(r'(?:W/)?"([^"]*)"', re.ASCII)
_TAGS = re.compile(rf"{_TAG.pattern}(?:\s*,\s*{_TAG.pattern})*|[0-9]+", re.ASCII)


@dataclass(frozen=True, slots=True)
class Demand:
    """Conditions of one write; none by default.

    Attributes:
        match: Version ids of which one must be current, or `*` for whatever is there; empty for no such condition.
        none_match: Version ids of which none may be current, or `*`, so that nothing may be there.
    """

    match: tuple[str, ...] = ()
    none_match: tuple[str, ...] = ()

    def check(self, version: int | None, what: str) -> None:
        """Refuse a write that does not fit.

        Args:
            version: The current version, `None` where nothing is there.
            what: How messages name the instance, such as `Patient/1`.

        Raises:
            PreconditionFailed: The current version is not what was demanded.
        """
        now = f"{what} is at version {version}" if version else f"{what} does not exist"
        if self.match and not _names(self.match, version):
            demanded = "an existing instance" if ANY in self.match else f"version {' or '.join(self.match)[:100]}"
            raise PreconditionFailed(
                f"If-Match demands {demanded}, but {now}. Read it again and repeat the change.",
                expression="http.If-Match",
            )
        if _names(self.none_match, version):
            raise PreconditionFailed(
                f"If-None-Match forbids this write, because {now}. Read it, and send the change without that header.",
                expression="http.If-None-Match",
            )


UNCONDITIONAL = Demand()


def demanded(headers: Mapping[str, str]) -> Demand:
    """Return what `If-Match` and `If-None-Match` of a write demand.

    Raises:
        BadRequest: One of them is neither `*` nor a list of ETags such as `W/"3"`.
    """
    match, none_match = headers.get("if-match", ""), headers.get("if-none-match", "")
    if not match and not none_match:
        return UNCONDITIONAL
    return Demand(_tags(match, "If-Match"), _tags(none_match, "If-None-Match"))


def names(header: str, version: int) -> bool:
    """Return whether an `If-None-Match` of a read names a version, or any."""
    return header.strip() == ANY or str(version) in _TAG.findall(header)


def _tags(header: str, name: str) -> tuple[str, ...]:
    text = header.strip()
    if text in {"", ANY}:
        return (ANY,) if text else ()
    if not _TAGS.fullmatch(text):
        raise BadRequest(
            f"The {name} header '{text[:40]}' is not a version. Send the ETag of the version that you changed, such as "
            'W/"3".',
            expression=f"http.{name}",
        )
    return tuple(_TAG.findall(text)) or (text,)


def _names(tags: tuple[str, ...], version: int | None) -> bool:
    return version is not None and (ANY in tags or str(version) in tags)
