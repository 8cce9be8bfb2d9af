"""What is said of codes that a grammar does not make: the reason, and what was probably meant."""

from terminology.catalogue import Layered
from terminology.codesystem.native import Native
from terminology.codesystem.snomed import Snomed
from terminology.codesystem.supplemented import Supplemented
from terminology.collection import Collection
from terminology.complete import Complete
from terminology.concept import Concept
from terminology.valueset.member import Code
from terminology.valueset.systems import Options
from terminology.valueset.validate import Validation
from tests.terminology.ecl import snomed

UCUM = "http://unitsofmeasure.org"


async def test_a_unit_that_is_none_comes_with_what_was_meant() -> None:
    catalogue = Complete(Layered(Collection([]), Native()))
    (units,) = await catalogue.value_sets(f"{UCUM}/vs")
    validation = Validation(catalogue, Options())
    answer = await validation.in_value_set(units, [Code(UCUM, "mmHg", path="Coding")])
    assert not answer.result
    unknown, reason = [one for one in answer.issues if one.kind == "invalid-code"]
    assert (unknown.severity, reason.severity) == ("error", "information")
    assert "mm[Hg]" in reason.text
    assert "mm[Hg]" not in str(answer.message)
    good = await validation.in_value_set(units, [Code(UCUM, "mm[Hg]", path="Coding")])
    assert (good.result, good.issues) == (True, ())


async def test_a_supplement_leaves_expressions_what_they_are() -> None:
    system = Supplemented(Snomed(snomed.release()), [])
    heart, site, valve = snomed.CODES["heart"], snomed.SITE, snomed.CODES["valve"]
    upper, lower = await system.find(heart), await system.find(f"{heart}:{site}={valve}")
    assert isinstance(upper, Concept)
    assert isinstance(lower, Concept)
    assert await system.subsumes(upper, lower)
    assert not await system.subsumes(lower, upper)
    assert "not in this version" in system.reason(f"{heart}:{site}=999999999")
