"""What a write demands of the current version: the conditions If-Match and If-None-Match (RFC 9110 13.1, R4 3.1.0.5)."""

from dataclasses import dataclass

from fhir_server.model.errors import PreconditionFailed

ANY = "*"


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


def _names(tags: tuple[str, ...], version: int | None) -> bool:
    return version is not None and (ANY in tags or str(version) in tags)
