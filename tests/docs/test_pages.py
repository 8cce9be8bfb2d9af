"""What the product offers is documented, and the links of the pages lead somewhere."""

import re
from pathlib import Path

import pytest

from fhir_server.capability.table import TABLE
from fhir_server.cli.config import every
from fhir_server.cli.config import page as settings_page
from fhir_server.intake import SHARED

ROOT = Path(__file__).parent.parent.parent
DOCS = ROOT / "docs"
PAGES = [*sorted(ROOT.glob("*.md")), *sorted(DOCS.rglob("*.md"))]
LINK = re.compile(r"\]\(([^)\s]+)\)")


def anchors(page: Path) -> set[str]:
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_the_page_of_the_settings_is_that_of_the_code() -> None:
    text = (DOCS / "configure.md").read_text(encoding="utf-8")
    assert text == settings_page(), "run: fhir-server config --markdown > docs/configure.md"


def test_every_setting_says_what_it_means() -> None:
    assert [setting.variable for setting in every() if not setting.field.description] == []


@pytest.mark.parametrize(
    "code", sorted({row.code.removesuffix("-system").removesuffix("-type").removesuffix("-instance") for row in TABLE})
)
def test_every_interaction_has_its_page(code: str) -> None:
    page = DOCS / "interactions" / f"{code}.md"
    assert page.read_text(encoding="utf-8").startswith(f"# {code}\n")
    assert f"]({code}.md)" in (DOCS / "interactions" / "README.md").read_text(encoding="utf-8")


def test_the_page_of_custodians_names_all_shared_types() -> None:
    text = (DOCS / "custodians.md").read_text(encoding="utf-8")
    assert sorted(name for name in SHARED if not re.search(rf"\b{name}\b", text)) == []


@pytest.mark.parametrize("folder", ["", "decisions", "interactions", "search"])
def test_every_page_is_in_the_list(folder: str) -> None:
    text = (DOCS / folder / "README.md").read_text(encoding="utf-8")
    listed = {target.partition("#")[0] for target in LINK.findall(text)}
    assert {page.name for page in (DOCS / folder).glob("*.md")} - {"README.md"} <= listed


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_of_the_page_lead_somewhere(page: Path) -> None:
    for target in LINK.findall(page.read_text(encoding="utf-8")):
        if "://" in target:
            continue
        name, _, anchor = target.partition("#")
        found = (page.parent / name).resolve() if name else page
        assert found.exists(), target
        assert not anchor or anchor in anchors(found), target
