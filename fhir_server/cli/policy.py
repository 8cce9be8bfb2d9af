"""`fhir-server policy`: the effective policy, and the hash that stands in every row of the audit trail."""

from rich.console import Console

from fhir_server.cli.options import AsJson, DataDir, print_json, settings_of


def policy(*, data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """Show the effective policy: switches, roles, labels and the hash that the audit trail names it by."""
    from fhir_server.access.policy import told

    found = told(settings_of(data_dir))
    if as_json:
        print_json(found)
        return
    say = Console(soft_wrap=True).print
    say(f"policy {found['hash']} (preset {found['preset']})", highlight=False)
    for section, switches in found["settings"].items():
        for name, value in switches.items():
            shown = " ".join(map(str, value)) if isinstance(value, list) else value
            say(f"  {section}.{name}: {shown}", markup=False, highlight=False)
    for code, role in found["roles"].items():
        areas = " ".join(f"{area}.{letters}" for area, letters in role["areas"].items())
        say(
            f"  role {code}: {areas}; cleared for {' '.join(role['clearance']) or 'nothing'}",
            markup=False,
            highlight=False,
        )
