"""Who signs in to the demo country, and the app and the service that are registered there.

Passwords are made from the secret of the deployment: the same at every run on one record, and nothing that a stranger knows,
should somebody put a demo on a network.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import shake_128
from hmac import digest
from itertools import count
from typing import Literal

from fhir_server.demo.people import patient_id

_CONSONANTS, _VOWELS = "bdfghklmnprstvz", "aeiou"
_SYLLABLES = [consonant + vowel for consonant in _CONSONANTS for vowel in _VOWELS]


@dataclass(frozen=True, slots=True)
class Account:
    """Somebody who signs in.

    Attributes:
        login: What is typed.
        kind: patient, staff or administrator.
        references: Who this is in the record; empty for nobody.
        name: Where the record does not say it.
        about: What can be seen with this account.
    """

    login: str
    kind: Literal["patient", "staff", "administrator"]
    references: tuple[str, ...]
    about: str
    name: str = ""

    def passwords(self, secret: bytes) -> Iterator[str]:
        """Yield passwords of eight syllables, 50 bits each; the first one that may be chosen is the account's."""
        for attempt in count():
            key = digest(secret, f"demo {self.login} {attempt}".encode(), "sha256")
            drawn = [int.from_bytes(shake_128(key + bytes([place])).digest(8)) for place in range(8)]
            words = [_SYLLABLES[number % len(_SYLLABLES)] for number in drawn]
            yield "-".join("".join(words[start : start + 2]) for start in range(0, 8, 2))


ACCOUNTS = (
    Account("james", "patient", (f"Patient/{patient_id(4)}",), "a patient"),
    Account("clara", "patient", (f"Person/person-{patient_id(3)}",), "a mother who acts for her twins too"),
    Account("paul", "staff", ("Practitioner/dr01",), "a doctor at Port Meridia General Hospital"),
    Account("nora", "staff", ("Practitioner/dr24",), "a doctor with roles at facilities of two networks"),
    Account(
        "sal", "staff", ("Practitioner/dr03",), "a doctor at Saltmarsh, which shares where there is a relationship"
    ),
    Account("cora", "staff", ("Practitioner/dr04",), "a doctor at Cairn Hospital, in another network"),
    Account("hedy", "staff", ("Practitioner/hc01",), "a doctor at Seaview and an administrator at Saltmarsh"),
    Account("nils", "staff", ("Practitioner/dr11",), "a nurse at Port Meridia General Hospital"),
    Account("rose", "staff", ("Practitioner/fd01",), "the front desk of Seaview Family Practice"),
    Account("bill", "staff", ("Practitioner/bl01",), "billing at Port Meridia General Hospital"),
    Account("petra", "staff", ("Practitioner/po01",), "the privacy officer of Port Meridia General Hospital"),
    Account("regina", "staff", ("Practitioner/ad01",), "an administrator of the Northreach Region"),
    Account("sam", "staff", ("Practitioner/ad02",), "the administrator of a practice outside any network"),
    Account("admin", "administrator", (), "for what administrators may do", "Demo Administrator"),
)


@dataclass(frozen=True, slots=True)
class SampleApp:
    """A public app.

    Attributes:
        id: Its client_id.
        name: Its name.
        redirect_uris: Where answers go; on a loopback address every port will do.
        page: Path of the app's page on a server that serves it.
        answers: Path of the page where answers go there.
    """

    id: str = "sample-app"
    name: str = "Sample app"
    redirect_uris: tuple[str, ...] = ("http://127.0.0.1/", "http://127.0.0.1/callback", "http://127.0.0.1/index.html")
    page: str = "/sample-app/launch.html?client_id=sample-app"
    answers: str = "/sample-app/index.html"


@dataclass(frozen=True, slots=True)
class SampleBackend:
    """A backend service.

    Attributes:
        id: Its client_id.
        name: Its name.
        about: What it is for.
        scope: What it has.
        facilities: Organizations whose records it is for; empty for all.
        purpose: What it works for, empty where that is not said.
        advisory: Whether it only advises.
    """

    id: str = "sample-backend"
    name: str = "Sample backend"
    about: str = "for everything"
    scope: str = "system/*.cruds"
    facilities: tuple[str, ...] = ()
    purpose: str = ""
    advisory: bool = False

    @property
    def key(self) -> str:
        """File, below the data directory, of its private key."""
        return f"demo/{self.id}.jwk.json"


BACKENDS = (
    SampleBackend(),
    SampleBackend(
        "sample-laboratory", "Sample laboratory", "for records that Port Meridia keeps",
        "system/Patient.rs system/ServiceRequest.rs system/Observation.cruds system/DiagnosticReport.cruds",
        facilities=("port-meridia",), purpose="TREAT",
    ),
    SampleBackend(
        "sample-advisor", "Sample advisor", "reads Port Meridia and advises", "system/*.rs", facilities=("port-meridia",),
        purpose="TREAT", advisory=True,
    ),
)  # fmt: skip
"""The services of the demo."""
