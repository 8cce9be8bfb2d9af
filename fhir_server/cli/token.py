"""`fhir-server token`: an access token for the shell, to try requests with."""

import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from fhir_server.cli.administering import administered
from fhir_server.cli.options import AsJson, DataDir, print_json

if TYPE_CHECKING:
    from fhir_server.main import Service

Scope = Annotated[
    str,
    typer.Option(
        "--scope", help="What it reaches, as SMART scopes.", show_default="system/*.cruds; with --user user/*.cruds"
    ),
]
Login = Annotated[
    str, typer.Option("--user", help="Login of the person as whom requests are made.", show_default="nobody")
]
Role = Annotated[
    str, typer.Option("--role", help="What the person works as, such as PractitionerRole/ID.", show_default="the first")
]
Patient = Annotated[str, typer.Option("--patient", help="Id of the patient in context, for patient/ scopes.")]


DEFAULTS = {
    (False, False): "system/*.cruds",
    (False, True): "system/*.cruds",
    (True, False): "user/*.cruds",
    (True, True): "patient/*.cruds",
}
"""Scopes by whether there is a person, and a patient in context."""


def token(
    *,
    scope: Scope = "",
    user: Login = "",
    role: Role = "",
    patient: Patient = "",
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Print an access token that is valid for an hour, for requests from this shell.

    curl --oauth2-bearer "$(fhir-server token)" http://127.0.0.1:8080/fhir/Patient

    Who has it reaches what its scopes say, so treat it as a password. That it was made stands in the audit trail.
    """

    async def work(service: "Service") -> dict[str, Any]:
        from smart_auth import accounts, shell

        person = await accounts.find(service.realm, user) if user else None
        return await shell.token(service.realm, scope or DEFAULTS[bool(user), bool(patient)], person, patient, role)

    response = administered(data_dir, work)
    if as_json:
        print_json(response)
    else:
        sys.stdout.write(response["access_token"] + "\n")
