"""What a request means by the code systems and value sets that it names: its version parameters, supplements and options."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from terminology import issue, versions
from terminology.catalogue import Catalogue
from terminology.codesystem.provider import CodeSystemProvider
from terminology.codesystem.supplemented import Supplemented
from terminology.display import ANY_LANGUAGE, Languages
from terminology.issue import TxError, TxRefusal
from terminology.valueset.definition import Definition, Json, definition
from terminology.valueset.implicit import implicit
from terminology.versions import NO_RULES, ConflictingVersions, VersionRules

if TYPE_CHECKING:
    from terminology.valueset.member import Trail

YES = "true"


@dataclass(frozen=True, slots=True)
class Options:
    """What a request asks for when codes are checked (parameters of R5 ValueSet/$validate-code).

    Attributes:
        rules: Version parameters.
        languages: Of displays; empty where none were asked for.
        accepted: Of the request, for where nothing is said of displays.
        active_only: Whether inactive concepts are refused.
        abstract: Whether concepts that only group others are accepted.
        membership_only: Whether only being in the value set counts, and nothing is said of the code beyond it.
        lenient: Whether a wrong display is only worth a warning.
        infer: Whether the code system is to be found out where none is stated.
        supplements: Canonicals of code system supplements that are to be used.
    """

    rules: VersionRules = NO_RULES
    languages: Languages = ANY_LANGUAGE
    accepted: Languages = ANY_LANGUAGE
    active_only: bool = False
    abstract: bool = True
    membership_only: bool = False
    lenient: bool = False
    infer: bool = False
    supplements: tuple[str, ...] = ()

    def within(self, value_set: Definition) -> "Options":
        """Return them with what a value set itself asks for; the request goes before it."""
        asked: Mapping[str, tuple[str, ...]] = value_set.parameters
        stated = Languages.read(",".join(asked.get("displayLanguage", ())))
        of_set = Languages.read(value_set.language)
        rules = VersionRules.read(asked).rules if asked else ()
        supplements = dict.fromkeys((*self.supplements, *value_set.supplements, *asked.get("useSupplement", ())))
        return replace(
            self,
            rules=VersionRules((*self.rules.rules, *rules)) if rules else self.rules,
            languages=self.languages or stated or self.accepted or of_set,
            active_only=self.active_only or asked.get("activeOnly") == (YES,),
            supplements=tuple(supplements),
        )


class Systems:
    """Finds code systems and value sets for one request.

    Args:
        catalogue: Where they are.
        options: Of the request, with those of the value set.
    """

    def __init__(self, catalogue: Catalogue, options: Options) -> None:
        self._catalogue, self._options = catalogue, options
        self._found: dict[tuple[str, str], CodeSystemProvider | None] = {}
        self._versions: dict[str, Sequence[str]] = {}
        self._sets: dict[str, Definition] = {}
        self._contained: dict[str, Json] = {}

    def wanted(self, url: str, stated: str = "") -> str:
        """Return which version of a code system or value set is wanted.

        Raises:
            TxRefusal: Parameters of the request contradict each other.
        """
        try:
            return self._options.rules.wanted(url, stated).version
        except ConflictingVersions as error:
            names = {"system": url, "one": error.one.version, "other": error.other.version}
            raise TxRefusal(issue.CONFLICTING_VERSIONS.issue(**names)) from None

    async def find(self, url: str, stated: str = "") -> CodeSystemProvider | None:
        """Return the version of a code system that is meant, with its supplements; `None` where it is not here."""
        wanted = self.wanted(url, stated)
        if (url, wanted) not in self._found:
            found = await versions.code_system(self._catalogue, url, wanted) if url else None
            self._found[url, wanted] = await self._supplemented(found) if found else None
        return self._found[url, wanted]

    async def _supplemented(self, found: CodeSystemProvider) -> CodeSystemProvider:
        """Return a code system with the supplements that are asked for."""
        if not self._options.supplements:
            return found
        fitting = [
            one
            for one in await self._catalogue.supplements(found.head.url)
            if any(_named(one, name) for name in self._options.supplements) and _of_version(one, found.head.version)
        ]
        return Supplemented(found, fitting) if fitting else found

    async def versions(self, url: str) -> Sequence[str]:
        """Return the versions of a code system that are here, the oldest first."""
        if url not in self._versions:
            heads = [one.head for one in await self._catalogue.code_systems(url)]
            stated = next((head.version_algorithm for head in heads if head.version_algorithm), "")
            self._versions[url] = versions.ordered({head.version for head in heads if head.version}, stated)
        return self._versions[url]

    async def algorithm(self, url: str) -> str:
        """Return how versions of a code system are compared."""
        found = await self._catalogue.code_systems(url)
        return next((one.head.version_algorithm for one in found if one.head.version_algorithm), "")

    async def value_set(self, canonical: str, source: Definition | None = None) -> Definition:
        """Return a value set by its canonical, or by `#id` within another.

        Raises:
            TxError: It is not here.
            TxRefusal: It is of a version that the request does not allow, or the request contradicts itself.
        """
        if source is not None:
            self._contained.update(source.contained)
        if canonical in self._contained:
            return definition(self._contained[canonical])
        if canonical not in self._sets:
            url, stated = versions.split(canonical)
            wanted = self.wanted(url, stated)
            resource = await versions.value_set(self._catalogue, url, wanted) or await implicit(url, self._catalogue)
            if resource is None:
                name = f"{url}|{wanted}" if wanted else url
                raise TxError(issue.UNKNOWN_VALUE_SET.issue(value_set=name))
            version, algorithm = versions.of_resource(resource)
            for rule in self._options.rules.broken(url, version, algorithm):
                raise TxRefusal(issue.VERSION_CHECK.issue(version=version, system=url, required=rule.version))
            self._sets[canonical] = definition(resource)
        return self._sets[canonical]

    async def require(self, value_set: Definition) -> None:
        """See to it that the supplements that are asked for are here, for a code system that the value set uses.

        Raises:
            TxRefusal: Some are not.
        """
        if self._options.supplements:
            await self.require_for(*sorted(await self._reached(value_set)))

    async def require_for(self, *systems: str) -> None:
        """See to it that the supplements that are asked for are here, for some of several code systems.

        Raises:
            TxRefusal: Some are not.
        """
        missing = list(self._options.supplements)
        for system in systems if missing else ():
            for one in await self._catalogue.supplements(system):
                missing = [name for name in missing if not _named(one, name)]
        if missing:
            message = issue.SUPPLEMENT_MISSING if len(missing) == 1 else issue.SUPPLEMENTS_MISSING
            raise TxRefusal(message.issue(supplements=",".join(missing)))

    async def _reached(self, value_set: Definition) -> set[str]:
        """Return the code systems of a value set and of those that it imports."""
        return {part.system for one in await self.reached(value_set) for part in one.parts if part.system}

    async def reached(self, value_set: Definition, *, excludes: bool = True) -> Sequence[Definition]:
        """Return a value set and all that it imports, each once.

        Args:
            value_set: Which.
            excludes: Whether what it excludes counts.

        Raises:
            TxError: One is not here.
        """
        found = {id(value_set.resource): value_set}
        waiting = [value_set]
        while waiting:
            one = waiting.pop()
            for part in one.parts if excludes else one.includes:
                for other in part.imports:
                    imported = await self.value_set(other, one)
                    if id(imported.resource) not in found:
                        found[id(imported.resource)] = imported
                        waiting.append(imported)
        return tuple(found.values())

    async def is_value_set(self, url: str) -> bool:
        """Return whether what is given as a code system is a value set."""
        return bool(url) and bool(await self._catalogue.value_sets(url))

    async def supplement(self, url: str) -> str:
        """Return the canonical of what is given as a code system and is a supplement to one, or nothing."""
        for one in await self._catalogue.code_system_resources(url) if url else ():
            if one.get("content") == "supplement":
                return f"{url}|{one['version']}" if one.get("version") else url
        return ""

    def checked(self, provider: CodeSystemProvider, path: str, trail: "Trail") -> None:
        """Say where the version of a code system is refused by a parameter of the request."""
        head = provider.head
        for rule in self._options.rules.broken(head.url, head.version, head.version_algorithm):
            names = {"version": head.version, "system": head.url, "required": rule.version}
            trail.say(issue.VERSION_CHECK.issue(at(path, "version"), **names))

    async def absent(self, url: str, wanted: str, path: str, trail: "Trail") -> None:
        """Say that something is no code system, or none that is here."""
        where = at(path, "system")
        supplement = await self.supplement(url)
        if await self.is_value_set(url):
            trail.say(issue.SYSTEM_IS_VALUE_SET.issue(where, system=url))
        elif supplement:
            trail.say(issue.SYSTEM_IS_SUPPLEMENT.issue(where, system=supplement))
        else:
            await self.unknown(url, wanted, path, trail)

    async def unknown(self, url: str, wanted: str, path: str, trail: "Trail") -> None:
        """Say that a code system, or the version of it that is wanted, is not here."""
        where = at(path, "system")
        if not wanted:
            trail.unknown[url] = None
            trail.say(issue.UNKNOWN_SYSTEM.issue(where, system=url))
            return
        known = await self.versions(url)
        names = {"system": url, "version": wanted}
        if known:
            trail.unknown[f"{url}|{wanted}"] = None
            trail.say(issue.UNKNOWN_SYSTEM_VERSION.issue(where, **names, versions=versions.enumerated(known)))
        else:
            trail.unknown[url] = None
            trail.say(issue.NO_SYSTEM_VERSION.issue(where, **names))


def _named(supplement: Json, canonical: str) -> bool:
    """Return whether a supplement is the one that a canonical names."""
    url, version = versions.split(canonical)
    return supplement.get("url") == url and versions.matches(version, str(supplement.get("version") or ""))


def _of_version(supplement: Json, version: str) -> bool:
    """Return whether a supplement is for a version of its code system."""
    _, stated = versions.split(str(supplement.get("supplements") or ""))
    return versions.matches(stated, version)


def at(path: str, element: str) -> str:
    """Return where an element of something stands."""
    return f"{path}.{element}" if path else element
