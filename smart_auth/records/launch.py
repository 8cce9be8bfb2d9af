"""Where an app was opened, and what it asks for there."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

Json = Any


@dataclass(frozen=True, slots=True)
class LaunchContext:
    """What an app is told about where it was opened (SMART App Launch 2.2, 2.1.4).

    Attributes:
        patient: Id of the patient in context.
        encounter: Id of the encounter in context.
        fhir_context: Further resources, each an object with at least one of reference, canonical and identifier.
        intent: What the person wants to do.
        need_patient_banner: Whether the app must show who the patient is; `None` outside of an EHR.
        smart_style_url: Where the EHR's look is described.
        tenant: Which customer of the EHR.
        app_context: What a CDS Hooks card handed over.
    """

    patient: str = ""
    encounter: str = ""
    fhir_context: tuple[Mapping[str, Json], ...] = ()
    intent: str = ""
    need_patient_banner: bool | None = None
    smart_style_url: str = ""
    tenant: str = ""
    app_context: str = ""

    def parameters(self) -> dict[str, Json]:
        """Return the launch parameters of a token response; those that are not there are left out."""
        named: dict[str, Json] = {
            "patient": self.patient,
            "encounter": self.encounter,
            "fhirContext": [dict(one) for one in self.fhir_context],
            "intent": self.intent,
            "smart_style_url": self.smart_style_url,
            "tenant": self.tenant,
            "appContext": self.app_context,
        }
        given = {name: value for name, value in named.items() if value}
        if self.need_patient_banner is not None:
            given["need_patient_banner"] = self.need_patient_banner
        return given


@dataclass(frozen=True, slots=True)
class Launch:
    """An EHR launch that waits for its app (SMART App Launch 2.2, 2.0.9).

    Attributes:
        id: Digest of the `launch` parameter.
        client_id: The app that it was made for.
        user_id: The person who opened the app; only that person can use it.
        context: What the app will be told.
        expires: When it can no longer be used.
        used: When an authorization used it, or `None`.
    """

    id: str
    client_id: str
    user_id: str
    context: LaunchContext
    expires: datetime
    used: datetime | None = None


@dataclass(frozen=True, slots=True)
class AuthorizationRequest:
    """A request at the authorization endpoint that was found valid and waits for the person (RFC 6749 4.1.1).

    The pages carry only its handle, so nothing of it can be changed between being checked and being granted.

    Attributes:
        id: Digest of the handle.
        client_id: Who asks.
        redirect_uri: Where the answer goes.
        scope: What is asked for, as far as it is understood.
        state: Goes back byte for byte.
        challenge: PKCE S256 challenge.
        created: When it arrived; a session that is older does not satisfy `prompt=login`.
        expires: When it is forgotten.
        nonce: Goes into the id token.
        prompt: Words of `prompt`.
        max_age: Greatest age of the sign-in in seconds, or `None`.
        login_hint: Fills the sign-in form.
        launch_id: Digest of the launch parameter; empty for a standalone launch.
        session_id: Session of the person who answers it; set when the person is known, then nobody else can.
        context: What was chosen so far.
        answered: When the person decided, or `None`.
        ui_locales: Languages that the app wishes its person to be spoken to in.
    """

    id: str
    client_id: str
    redirect_uri: str
    scope: str
    state: str
    challenge: str
    created: datetime
    expires: datetime
    nonce: str = ""
    prompt: tuple[str, ...] = ()
    max_age: int | None = None
    login_hint: str = ""
    launch_id: str = ""
    session_id: str = ""
    context: LaunchContext = LaunchContext()
    answered: datetime | None = None
    ui_locales: str = ""
