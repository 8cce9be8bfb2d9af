"""From the Authorization header of a request to what its caller may reach (RFC 6750 2.1, SMART App Launch 2.2).

The token is looked for in the header and nowhere else: what stands in a URL or form is written into logs.
"""

from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping, Sequence

from fhir_server.access import principal
from fhir_server.access.granted import Granted
from fhir_server.model.errors import Unauthenticated
from fhir_server.settings import Search
from profiles.definitions.registry import Definitions
from smart_auth.errors import OAuthError
from smart_auth.external import External
from smart_auth.tokens import Bearer, TokenCheck

KEPT = 2_000


class Gate:
    """Lets requests in.

    Args:
        check: Knows the tokens of this server.
        epoch: Tells whether what was known of tokens still holds.
        definitions: FHIR definitions of now.
        search: How the criteria of scopes are read.
        realm: What `WWW-Authenticate` names; the FHIR base.
        external: Issuers of others whose tokens are accepted.
    """

    def __init__(
        self,
        check: TokenCheck,
        epoch: Callable[[], Awaitable[int]],
        definitions: Callable[[], Definitions],
        *,
        search: Search,
        realm: str,
        external: Sequence[External] = (),
    ) -> None:
        self._check = check
        self._epoch = epoch
        self._definitions = definitions
        self._search = search
        self._realm = realm
        self._external = tuple(external)
        self._compiled: OrderedDict[str, tuple[Bearer, Definitions, Granted]] = OrderedDict()

    async def scope(self, headers: Mapping[str, str]) -> Granted:
        """Return what the caller may reach.

        Args:
            headers: Request headers by lower-case name; a header that is there twice is refused before this.

        Raises:
            Unauthenticated: No token, or none that is valid.
        """
        scheme, _, text = headers.get("authorization", "").partition(" ")
        text = text.strip()
        if not scheme:
            raise self._refused("Show an access token: Authorization: Bearer …", "")
        if scheme.lower() != "bearer" or not text:
            raise self._refused("The Authorization header must be 'Bearer' and an access token.", "invalid_request")
        try:
            bearer = await self._bearer(text)
        except OAuthError as error:
            raise self._refused(error.description, error.code) from error
        return self._granted(bearer)

    async def _bearer(self, text: str) -> Bearer:
        for issuer in self._external:
            if issuer.is_theirs(text):
                return await issuer.check(text)
        return await self._check.check(text, await self._epoch())

    def _granted(self, bearer: Bearer) -> Granted:
        """Return the compiled grant, the same one as long as the token check finds the same."""
        definitions = self._definitions()
        kept = self._compiled.get(bearer.token.id)
        if kept and kept[0] is bearer and kept[1] is definitions:
            self._compiled.move_to_end(bearer.token.id)
            return kept[2]
        granted = Granted(principal.of(bearer), definitions, self._search)
        self._compiled[bearer.token.id] = bearer, definitions, granted
        if len(self._compiled) > KEPT:
            self._compiled.popitem(last=False)
        return granted

    def _refused(self, text: str, code: str) -> Unauthenticated:
        challenge = f'Bearer realm="{self._realm}"' + (f', error="{code}"' if code else "")
        return Unauthenticated(text, expression="http.Authorization", headers={"WWW-Authenticate": challenge})
