"""The command `fhir-server`. Each sub-command is one file; what it needs is imported when it runs, so `--help` is quick."""

import typer

from fhir_server.cli import audit, client, definitions, facility, jobs, keys, package, shard, terminology, user
from fhir_server.cli.backup import backup, restore
from fhir_server.cli.config import config
from fhir_server.cli.demo import demo
from fhir_server.cli.doctor import doctor
from fhir_server.cli.init import init
from fhir_server.cli.load import load
from fhir_server.cli.migrate import migrate
from fhir_server.cli.policy import policy
from fhir_server.cli.reindex import reindex
from fhir_server.cli.serve import serve
from fhir_server.cli.token import token
from fhir_server.cli.validate import validate
from fhir_server.cli.worker import worker

app = typer.Typer(
    name="fhir-server",
    help="A FHIR R4 server on MongoDB. Every command works on a data directory, also while a server runs on it.",
    no_args_is_help=True,
    pretty_exceptions_show_locals=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

app.command()(init)
app.command()(serve)
app.command()(worker)
app.command()(load)
app.command()(demo)
app.command()(reindex)
app.command()(validate)
app.command()(token)
app.command()(backup)
app.command()(restore)
app.command()(migrate)
app.command()(doctor)
app.command()(config)
app.command()(policy)
app.add_typer(user.app, name="user")
app.add_typer(client.app, name="client")
app.add_typer(facility.app, name="facility")
app.add_typer(package.app, name="package")
app.add_typer(terminology.app, name="terminology")
app.add_typer(jobs.app, name="jobs")
app.add_typer(keys.app, name="keys")
app.add_typer(shard.app, name="shard")
app.add_typer(audit.app, name="audit")
app.add_typer(definitions.app, name="definitions")
