"""From the Authorization header of a request to what its caller may reach (RFC 6750 2.1, SMART App Launch 2.2).

The token is looked for in the header and nowhere else: what stands in a URL or form is written into logs.
"""

import asyncio
import re
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping, Sequence

from fhir_server.access import principal
from fhir_server.access.granted import Granted
from fhir_server.access.grants import Grants
from fhir_server.model.errors import BadRequest, Unauthenticated
from fhir_server.model.request import FhirRequest, FhirResponse
from smart_auth.errors import OAuthError
from smart_auth.external import External
from smart_auth.tokens import Bearer, TokenCheck

Answer = Callable[[FhirRequest, Granted], Awaitable[FhirResponse]]

KEPT = 2_000
_TOKEN = re.compile(r"[A-Za-z0-9._~+/-]+=*", re.ASCII)  # RFC 6750 2.1


class Gate:
    """Lets requests in.

    Args:
        check: Knows the tokens of this server.
        epoch: Tells whether what was known of tokens still holds.
        grants: Compiles what callers reach.
        realm: What `WWW-Authenticate` names; the FHIR base.
        external: Issuers of others whose tokens are accepted.
    """

    def __init__(
        self,
        check: TokenCheck,
        epoch: Callable[[], Awaitable[int]],
        grants: Grants,
        *,
        realm: str,
        external: Sequence[External] = (),
    ) -> None:
        self._check = check
        self._epoch = epoch
        self._grants = grants
        self._realm = realm
        self._external = tuple(external)
        self._compiled: OrderedDict[str, tuple[Bearer, Granted]] = OrderedDict()

    async def through(self, request: FhirRequest, answer: Answer) -> FhirResponse:
        """Return the answer to a request of a caller who is let in.

        What is known of a token is relied upon while the database is asked whether that still holds, which saves a read the
        wait; only then the answer leaves. Whatever changes something waits for it first.

        Args:
            request: What is asked.
            answer: Answers a request within what the caller may reach.

        Raises:
            BadRequest: The Authorization header is not one access token.
            Unauthenticated: No token, or none that is valid.
            Unavailable: The database cannot be reached.
        """
        text = self._shown(request.headers)
        epoch = asyncio.ensure_future(self._epoch())
        kept = self._check.kept(text) if _only_reads(request) else None
        if kept:
            bearer, known = kept
            response = await answer(request, await self._granted(bearer, known))
            if await epoch == known:
                return response
        return await answer(request, await self._scope(text, epoch))

    async def scope(self, headers: Mapping[str, str]) -> Granted:
        """Return what the caller may reach.

        Args:
            headers: Request headers by lower-case name; one that was sent twice has both values, with a comma between.

        Raises:
            BadRequest: The Authorization header is not one access token.
            Unauthenticated: No token, or none that is valid.
            Unavailable: The database cannot be reached.
        """
        return await self._scope(self._shown(headers), self._epoch())

    def _shown(self, headers: Mapping[str, str]) -> str:
        """Return the token in the header."""
        shown = headers.get("authorization", "")
        if not shown:
            raise self._refused("Show an access token: Authorization: Bearer …", "")
        scheme, _, text = shown.partition(" ")
        if scheme.lower() != "bearer":
            raise self._refused("Only access tokens are accepted here: Authorization: Bearer …", "")
        if not _TOKEN.fullmatch(text):
            raise BadRequest(
                "The Authorization header must be sent once, as 'Bearer', one space and the access token.",
                expression="http.Authorization",
                headers=self._challenge("invalid_request"),
            )
        return text

    async def _scope(self, text: str, epoch: Awaitable[int]) -> Granted:
        """Return what the holder of a token may reach."""
        try:
            for issuer in self._external:
                if issuer.is_theirs(text):
                    return await self._granted(await issuer.check(text), await epoch)
            known = await epoch
            return await self._granted(await self._check.check(text, known), known)
        except OAuthError as error:
            raise self._refused(error.description, error.code) from error

    async def _granted(self, bearer: Bearer, epoch: int) -> Granted:
        """Return the compiled grant, the same one as long as the token check finds the same and nothing else has changed."""
        kept = self._compiled.get(bearer.token.id)
        granted = await self._grants.renewed(kept[1]) if kept and kept[0] is bearer else None
        if granted is None:
            granted = await self._grants.of(principal.of(bearer), epoch)
        self._compiled[bearer.token.id] = bearer, granted
        self._compiled.move_to_end(bearer.token.id)
        if len(self._compiled) > KEPT:
            self._compiled.popitem(last=False)
        return granted

    def _refused(self, text: str, code: str) -> Unauthenticated:
        return Unauthenticated(text, expression="http.Authorization", headers=self._challenge(code))

    def _challenge(self, code: str) -> dict[str, str]:
        """Return how to authenticate (RFC 6750 3)."""
        return {"WWW-Authenticate": f'Bearer realm="{self._realm}"' + (f', error="{code}"' if code else "")}


def _only_reads(request: FhirRequest) -> bool:
    """Return whether an answer to this request can be thrown away without a trace; operations may begin something."""
    return request.method == "GET" and not any(segment.startswith("$") for segment in request.path)
