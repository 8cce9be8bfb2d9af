"""The one place that speaks with Authlib: its judgement of requests, with the deviations mended (docs/decisions/authlib.md).

Authlib reads, judges and writes in one synchronous step. Here it only judges: what it wants to look up was read before, and
what it grants is written afterwards, in one atomic step, by `token_endpoint` and `authorize`. So it needs no thread and no
second connection to the database, and its read-then-delete of codes is never used.

What is mended: PKCE with S256 for everybody; exact redirect URIs and no default one; no parameter twice; the client is
authenticated by `client_auth`, in its one way; scopes are compared by meaning; errors say nothing that a client sent.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NoReturn, cast

from authlib.oauth2 import OAuth2Error, OAuth2Request
from authlib.oauth2.rfc6749 import AuthorizationServer, ClientMixin, InvalidRequestError, InvalidScopeError
from authlib.oauth2.rfc6749.grants import AuthorizationCodeGrant, ClientCredentialsGrant, RefreshTokenGrant
from authlib.oauth2.rfc6749.requests import BasicOAuth2Payload
from authlib.oauth2.rfc7591 import ClientMetadataClaims
from authlib.oauth2.rfc7636 import CodeChallenge
from joserfc.errors import JoseError

from smart_auth import redirects
from smart_auth.errors import OAuthError
from smart_auth.exchange import Request, fields
from smart_auth.records import Client, Code, RefreshToken

AUTHORIZATION_CODE = "authorization_code"
REFRESH_TOKEN = "refresh_token"  # noqa: S105 - the name of a grant type
CLIENT_CREDENTIALS = "client_credentials"
GRANT_TYPES = (AUTHORIZATION_CODE, REFRESH_TOKEN, CLIENT_CREDENTIALS)

# Authlib refuses plain http by the URL of the request. Whether TLS is on is the deployment's question, not each request's.
_SOMEWHERE = "https://authorization.invalid/"
_UNKNOWN_RESPONSE_TYPE = "unknown"


@dataclass(frozen=True, slots=True)
class Known:
    """What was read for a request before it is judged.

    Attributes:
        client: The client that has proved itself, or at the authorization endpoint the one that is named.
        code: The code that was sent, if it is there and not used.
        refresh: The refresh token that was sent, if it is there.
        development: Whether `localhost` is a redirect host.
    """

    client: Client | None
    code: Code | None = None
    refresh: RefreshToken | None = None
    development: bool = False


class Refused(OAuthError):
    """A refusal at the authorization endpoint.

    Attributes:
        redirect_uri: Where it may be sent; empty where it must be shown to the person instead (RFC 6749 4.1.2.1).
    """

    def __init__(self, code: str, description: str, redirect_uri: str = "") -> None:
        super().__init__(code, description)
        self.redirect_uri = redirect_uri


def judge_authorization(request: Request, known: Known) -> None:
    """Return when a request at the authorization endpoint is one of a registered client in the right form.

    Raises:
        Refused: It is not.
    """
    named = fields(request.parameters)
    if named.get("response_type", "code") != "code":
        named["response_type"] = _UNKNOWN_RESPONSE_TYPE
    server = _Server(known)
    try:
        server.get_consent_grant(_request(named, "GET"))
    except OAuth2Error as error:
        code = str(error.error)
        uri = error.redirect_uri or ""
        if code == "unsupported_response_type":
            raise Refused(code, "The response_type must be code.", uri) from error
        raise Refused(code, error.get_error_description() or code, uri) from error


def judge_token(request: Request, known: Known) -> str:
    """Return the grant type of a request at the token endpoint that may be granted as far as OAuth goes.

    Raises:
        OAuthError: It may not.
    """
    grant_type = request.one("grant_type")
    if not grant_type:
        raise OAuthError("invalid_request", "The grant_type is missing.")
    if grant_type not in GRANT_TYPES:
        raise OAuthError("unsupported_grant_type", f"The grant_type must be one of {', '.join(GRANT_TYPES)}.")
    server = _Server(known)
    try:
        server.get_token_grant(_request(fields(request.parameters), "POST")).validate_token_request()
    except OAuth2Error as error:
        raise OAuthError(
            str(error.error), error.get_error_description() or _SENTENCES.get(str(error.error), "")
        ) from error
    return grant_type


def judge_registration(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """Return the known members of client metadata, where each is well-formed by itself (RFC 7591 2).

    Raises:
        OAuthError: `invalid_client_metadata` or `invalid_redirect_uri`, naming the member.
    """
    claims = ClientMetadataClaims(dict(metadata), {})
    try:
        claims.validate()
    except JoseError as error:
        member = str(getattr(error, "claim", "") or "metadata")
        code = "invalid_redirect_uri" if member == "redirect_uris" else "invalid_client_metadata"
        raise OAuthError(code, f"The member '{member}' is not well-formed.") from error
    except (TypeError, ValueError, AttributeError) as error:
        raise OAuthError("invalid_client_metadata", "A member of the metadata has the wrong type.") from error
    return cast("dict[str, Any]", claims.get_registered_claims())


_SENTENCES = {
    "invalid_grant": "The code or refresh token is not valid, has expired, was used before, or belongs to another client."
}


class _Client(ClientMixin):
    """A client, as Authlib wants to see one."""

    def __init__(self, record: Client) -> None:
        self.record = record

    def get_client_id(self) -> str:
        return self.record.id

    def get_default_redirect_uri(self) -> str:
        return ""

    def get_allowed_scope(self, scope: str | None) -> str:
        return scope or ""

    def check_redirect_uri(self, redirect_uri: str) -> bool:
        return redirects.matches(redirect_uri, self.record.redirect_uris)

    def check_client_secret(self, client_secret: str) -> bool:
        return False  # client_auth has done that

    def check_endpoint_auth_method(self, method: str, endpoint: str) -> bool:
        return method == self.record.auth_method

    def check_response_type(self, response_type: str) -> bool:
        return AUTHORIZATION_CODE in self.record.grant_types

    def check_grant_type(self, grant_type: str) -> bool:
        return grant_type in self.record.grant_types


class _Code:
    """A code, as Authlib wants to see one."""

    code_challenge_method = "S256"

    def __init__(self, record: Code) -> None:
        self.code_challenge = record.challenge
        self._redirect_uri = record.redirect_uri

    def get_redirect_uri(self) -> str:
        return self._redirect_uri


class _Refresh:
    """A refresh token, as Authlib wants to see one."""

    def __init__(self, record: RefreshToken) -> None:
        self._client_id = record.client_id

    def check_client(self, client: _Client) -> bool:
        return client.record.id == self._client_id


class _FormRequest(OAuth2Request):
    """A request whose parameters are all in its payload."""

    @property
    def form(self) -> dict[str, str]:
        return cast("dict[str, str]", self.payload.data)

    @property
    def args(self) -> dict[str, str]:
        return self.form


class _S256(CodeChallenge):
    """PKCE for every client, with S256 only. Authlib lets confidential clients do without, and knows `plain`."""

    DEFAULT_CODE_CHALLENGE_METHOD = "S256"
    SUPPORTED_CODE_CHALLENGE_METHOD = ("S256",)

    def validate_code_challenge(self, grant: Any, redirect_uri: str) -> None:
        sent = grant.request.payload.data
        if not sent.get("code_challenge"):
            raise InvalidRequestError("The code_challenge is missing: PKCE is required for every client (RFC 7636).")
        if sent.get("code_challenge_method") != "S256":
            raise InvalidRequestError("The code_challenge_method must be S256; without it, it would be plain.")
        super().validate_code_challenge(grant, redirect_uri)


class _CodeGrant(AuthorizationCodeGrant):
    @staticmethod
    def validate_authorization_redirect_uri(request: Any, client: Any) -> str:
        uri = request.payload.redirect_uri
        if not uri or not client.check_redirect_uri(uri):
            raise InvalidRequestError(
                "The redirect_uri is not one that was registered for this client, as it was written."
            )
        return str(uri)

    def query_authorization_code(self, code: str, client: Any) -> _Code | None:
        record = self.server.known.code
        return _Code(record) if record and record.client_id == client.record.id else None


class _RefreshGrant(RefreshTokenGrant):
    def authenticate_refresh_token(self, refresh_token: str) -> _Refresh | None:
        record = self.server.known.refresh
        return _Refresh(record) if record else None

    def _validate_token_scope(self, token: object) -> None:
        """Leave the scope to `token_endpoint`: it compares by meaning, where Authlib compares words."""


class _CredentialsGrant(ClientCredentialsGrant):
    def authenticate_token_endpoint_client(self) -> Any:
        client = super().authenticate_token_endpoint_client()
        if client.record.auth_method != "private_key_jwt":
            raise InvalidRequestError("A backend service proves itself with a client_assertion (private_key_jwt).")
        return client


class _Server(AuthorizationServer):
    """Authlib's server over what was read before; it is asked for its judgement only."""

    def __init__(self, known: Known) -> None:
        super().__init__()
        self.known = known
        self.register_grant(_CodeGrant, [_S256(required=True)])
        self.register_grant(_RefreshGrant)
        self.register_grant(_CredentialsGrant)

    def query_client(self, client_id: str) -> _Client | None:
        return _Client(self.known.client) if self.known.client and self.known.client.usable else None

    def authenticate_client(self, request: Any, methods: Any, endpoint: str = "token") -> _Client:
        if self.known.client is None:
            raise InvalidScopeError("The client was not authenticated.")
        request.auth_method = self.known.client.auth_method
        return _Client(self.known.client)

    def send_signal(self, name: str, *args: object, **kwargs: object) -> None:
        """Tell nobody: security events are written by the endpoints."""

    def create_oauth2_request(self, request: Any) -> Any:
        return request

    def save_token(self, token: object, request: object) -> NoReturn:
        raise AssertionError("Authlib judges here, it does not issue")


def _request(named: dict[str, str], method: str) -> _FormRequest:
    request = _FormRequest(method, _SOMEWHERE)
    request.payload = BasicOAuth2Payload(named)
    return request
