"""`fhir-server user`: the people who sign in, who they are in the record, and how they get in again."""

from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from fhir_server.cli.administering import administered, password_from_outside
from fhir_server.cli.options import AsJson, DataDir, complain, print_json
from smart_auth.records import PersonKind, User

if TYPE_CHECKING:
    from fhir_server.main import Service
    from smart_auth.language import Language
    from smart_auth.realm import Realm

app = typer.Typer(
    help="The people who sign in: patients, those who act for them, staff, administrators.", no_args_is_help=True
)

Login = Annotated[str, typer.Argument(help="What the person types to sign in, such as an e-mail address.")]
References = Annotated[
    list[str], typer.Argument(help="Patient/ID, RelatedPerson/ID, Person/ID, Practitioner/ID or PractitionerRole/ID.")
]
Links = Annotated[
    list[str] | None,
    typer.Option(
        "--link",
        help="Who the person is in the record; may be given several times. A Person stands for all that it joins, a "
        "Practitioner brings the roles of now.",
    ),
]
Name = Annotated[str, typer.Option("--name", help="What is shown.", show_default="the name in the record")]
Email = Annotated[str, typer.Option("--email", help="Where letters go.", show_default="the login, if it is an address")]
Kind = Annotated[
    PersonKind | None,
    typer.Option("--kind", help="What the person may do at most.", show_default="what the links say"),
]
OfKind = Annotated[PersonKind | None, typer.Option("--kind", help="Only these.", show_default="everybody")]
Invite = Annotated[bool, typer.Option("--invite", help="Write a letter with a link to choose a password.")]
PrintLink = Annotated[bool, typer.Option("--print-link", help="Print that link, to be handed over in person.")]
Tongue = Annotated[str, typer.Option("--language", help="Language of the letter, such as de.")]
FromStdin = Annotated[bool, typer.Option("--password-stdin", help="Read the password from stdin.")]
Remove = Annotated[bool, typer.Option("--remove", help="Take these links back, with all that was granted for them.")]
SecondFactor = Annotated[
    bool, typer.Option("--second-factor", help="Take the second factor away; for who has lost the authenticator app.")
]


@app.command()
def add(
    login: Login,
    *,
    name: Name = "",
    kind: Kind = None,
    link: Links = None,
    email: Email = "",
    invite: Invite = False,
    language: Tongue = "en",
    print_link: PrintLink = False,
    password_stdin: FromStdin = False,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Let a person sign in. Whoever is linked must be in the record already.

    The password is chosen by the person with a link (--invite, --print-link), or read from stdin or the keyboard.
    """
    _one_at_most(invite=invite, print_link=print_link, password_stdin=password_stdin)
    password = "" if invite or print_link else password_from_outside(from_stdin=password_stdin)
    tongue = _language(language)

    async def work(service: "Service") -> tuple[User, dict[str, str]]:
        from fhir_server.cli.linking import looked_up
        from smart_auth import accounts
        from smart_auth.administration import Unacceptable
        from smart_auth.messages import is_address

        realm, who = service.realm, await looked_up(service.repository, link or [])
        address = email or (login if is_address(login) else "")
        if invite and not address:
            raise Unacceptable("There is no address to invite to. Give one with --email, or use --print-link.")
        wanted = accounts.NewUser(login, name or who.name, kind or who.kind, who.links, address, password)
        user = await accounts.add(realm, wanted)
        if invite:
            return user, {"invited": await _invited(realm, user, tongue)}
        return user, {"link": await accounts.help_in(realm, user.login, "link")} if print_link else {}

    _tell(*administered(data_dir, work), "is added", as_json=as_json)


@app.command(name="list")
def list_(*, kind: OfKind = None, data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """List the people who can sign in, and those who are disabled."""

    async def work(service: "Service") -> list[User]:
        from smart_auth import accounts

        return [*await accounts.every(service.realm, kind)]

    users = administered(data_dir, work)
    if as_json:
        print_json({"users": [described(user) for user in users]})
        return
    table = Table("login", "name", "kind", "in the record", "letters to", "state")
    for user in users:
        links = "\n".join(link.reference for link in user.links)
        table.add_row(*map(escape, (user.login, user.name, user.kind, links, user.email, _state(user))))
    Console().print(table)


@app.command()
def change(
    login: Login,
    *,
    name: Annotated[str, typer.Option("--name", help="What is shown.", show_default="as it is")] = "",
    email: Annotated[str, typer.Option("--email", help="Where letters go.", show_default="as it is")] = "",
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Change what a person is called, or where letters go. The address of before is told by a letter."""

    async def work(service: "Service") -> User:
        from smart_auth import accounts

        return await accounts.change(service.realm, login, name=name, email=email)

    _tell(administered(data_dir, work), {}, "is changed", as_json=as_json)


@app.command()
def disable(login: Login, *, data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """Keep a person out at once: sessions end, apps lose what they were granted."""
    _change(login, "disable", "is disabled", data_dir, as_json=as_json)


@app.command()
def enable(login: Login, *, data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """Let a disabled person sign in again. Apps have to ask anew."""
    _change(login, "enable", "can sign in", data_dir, as_json=as_json)


@app.command()
def link(
    login: Login, references: References, *, remove: Remove = False, data_dir: DataDir = None, as_json: AsJson = False
) -> None:
    """Say who a person is in the record, beside what was said before; --remove takes it back.

    A RelatedPerson lets the person act for its patient; link several for several patients. Link a Practitioner again when
    roles have been added.
    """

    async def work(service: "Service") -> tuple[User, dict[str, str]]:
        from fhir_server.cli.linking import looked_up
        from smart_auth import accounts

        if remove:
            return await accounts.unlink(service.realm, login, set(references)), {}
        who = await looked_up(service.repository, references)
        return await accounts.link(service.realm, login, who.links), {}

    _tell(*administered(data_dir, work), "is linked anew", as_json=as_json)


@app.command()
def reset(
    login: Login,
    *,
    print_link: PrintLink = False,
    password_stdin: FromStdin = False,
    second_factor: SecondFactor = False,
    language: Tongue = "en",
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Write a person a letter with a link to choose another password, which is valid for a day.

    The password of now is valid until then. To keep somebody out at once, disable the account.
    """
    _one_at_most(print_link=print_link, password_stdin=password_stdin)
    password, tongue = password_from_outside(from_stdin=True) if password_stdin else "", _language(language)

    async def work(service: "Service") -> tuple[User, dict[str, str]]:
        from smart_auth import accounts

        realm = service.realm
        if second_factor:
            await accounts.remove_second_factor(realm, login)
        if password_stdin:
            return await accounts.set_password(realm, login, password), {}
        given = await accounts.help_in(realm, login, "link" if print_link else "letter", tongue)
        return await accounts.find(realm, login), {"link" if print_link else "written": given}

    _tell(*administered(data_dir, work), "is reset", as_json=as_json)


def described(user: User) -> dict[str, Any]:
    """Return a person for scripts; no secrets."""
    return {
        "id": user.id,
        "login": user.login,
        "name": user.name,
        "kind": user.kind,
        "email": user.email,
        "links": [
            {"reference": link.reference, **({"patient": link.patient} if link.patient else {})} for link in user.links
        ],
        "password": bool(user.password),
        "secondFactor": bool(user.totp),
        "disabled": user.disabled,
    }


def _change(login: str, what: str, said: str, data_dir: Any, *, as_json: bool) -> None:
    async def work(service: "Service") -> User:
        from smart_auth import accounts

        change = {"disable": accounts.disable, "enable": accounts.enable}[what]
        return await change(service.realm, login)

    _tell(administered(data_dir, work), {}, said, as_json=as_json)


def _tell(user: User, more: dict[str, str], said: str, *, as_json: bool) -> None:
    if as_json:
        print_json({**described(user), **more})
        return
    say = partial(Console(highlight=False).print, soft_wrap=True, markup=False)
    say(f"{user.login} ({user.name}, {user.kind}) {said}.")
    for one in user.links:
        say(f"  {one.reference}{f', for Patient/{one.patient}' if one.reference.startswith('RelatedPerson') else ''}")
    for key, text in {"invited": "Invited by a letter to", "written": "A letter went to"}.items():
        if key in more:
            say(f"{text} {more[key]}.")
    if "link" in more:
        say(f"This page lets the person choose a password, once, within a day:\n{more['link']}")


async def _invited(realm: "Realm", user: User, language: "Language") -> str:
    from smart_auth import accounts
    from smart_auth.messages import Undelivered

    try:
        return await accounts.invite(realm, user.login, language)
    except Undelivered as error:
        text = (
            f"{user.login} is added, but not invited: {error} When that is mended: fhir-server user reset {user.login}"
        )
        raise Undelivered(text) from error


def _language(tag: str) -> "Language":
    from smart_auth.language import Languages

    known = Languages().all
    if tag not in known:
        complain(f"--language is one of {', '.join(known)}.")
        raise typer.Exit(2)
    return known[tag]


def _state(user: User) -> str:
    if user.disabled:
        return "disabled"
    return "active" if user.password else "no password yet"


def _one_at_most(**ways: bool) -> None:
    chosen = [f"--{name.replace('_', '-')}" for name, taken in ways.items() if taken]
    if len(chosen) > 1:
        complain(f"Use one of {', '.join(chosen)}.")
        raise typer.Exit(2)
