"""Units of measure (`http://unitsofmeasure.org`): every code that the grammar of UCUM makes of its table of units."""

from collections.abc import Iterable
from itertools import product

from terminology.codesystem.grammar import Grammar, Test, choice
from terminology.codesystem.provider import Filter, InvalidFilter
from terminology.concept import Concept, Designation, Head, Property, PropertyDefinition
from terminology.ucum.parser import InvalidUnit
from terminology.ucum.ucum import Ucum

URL = Ucum.system

_PLAIN = (
    "% /min /h /d /[HPF] /[LPF] /uL /mL /L 1 10*3/uL 10*6/uL 10*9/L 10*12/L 10*3/mL 10*6/mL 10*6/L {score} {ratio} {INR} "
    "{copies}/mL [IU]/L [IU]/mL m[IU]/L u[IU]/mL k[IU]/L k[IU]/mL [IU]/kg U/L mU/mL kU/L U/mL U/g{Hb} mm[Hg] cm[H2O] "
    "kPa Cel [degF] kg/m2 g/m2 m2 mL/min mL/min/{1.73_m2} mL/kg mL/kg/min mL/h L/min mg/kg mg/kg/d mg/kg/h ug/kg ug/kg/min "
    "ug/kg/h mg/m2 mg/d g/d mmol/d umol/d ug/d mg/g mg/mmol mg/mmol{creat} mmol/mol mosm/kg mosm/L meq/L ug/g ng/mg "
    "ug/g{creat} mg/g{creat} kcal/d kcal kJ cm mm um nm km m [in_i] [ft_i] kg g mg ug ng pg [lb_av] [oz_av] L dL mL uL fL "
    "[foz_us] s ms us min h d wk mo a Hz beat/min {beats}/min {breaths}/min bpm dB[SPL] mV uV V mA A W J N Pa bar lm lx "
    "mGy Gy mSv Sv MBq Bq Bq/kg [pH] [diop] [drp] deg mm/h mm/min m/s km/h pmol umol mmol mol nmol ng/kg/min mg/min "
    "ug/min ug/h mg/h g/h [IU]/h [IU]/d [IU] 10*3 10*6 10*9 [CFU]/mL [CFU] [arb'U]/mL [PFU] {tbl} {cells}/uL osm/L "
    "L/s L/h mL/s mL/mm[Hg] dyn.s/cm5 mmol/kg umol/min/g nmol/min/mL nmol/L/s kat/L ukat/L nkat/L"
)
_MASSES = ("kg", "g", "mg", "ug", "ng", "pg")
_AMOUNTS = ("mol", "mmol", "umol", "nmol", "pmol", "meq", "ueq")
_VOLUMES = ("L", "dL", "mL", "uL")


class Units(Grammar):
    """All units of UCUM.

    Args:
        ucum: Reads them; `None` for the table that is shipped.
    """

    def __init__(self, ucum: Ucum | None = None) -> None:
        self._ucum = ucum or Ucum()
        super().__init__(
            Head(
                url=URL,
                version=self._ucum.version,
                name="UCUM",
                title="Unified Code for Units of Measure",
                compositional=True,
                value_set="http://unitsofmeasure.org/vs",
                properties={
                    "canonical": PropertyDefinition(
                        "canonical", "string", description="Base units that it converts to"
                    ),
                    "property": PropertyDefinition(
                        "property", "string", description="What a unit of the table measures"
                    ),
                },
            ),
            self._known,
        )

    @property
    def filters(self) -> str:
        """The filters beside those on codes."""
        return "canonical with =, in (a unit that converts to one another), property with =, in, not-in, regex, exists"

    def read(self, code: str) -> Concept | None:
        """Return what a code means."""
        unit = self._ucum.unit(code)
        if unit is None:
            return None
        words = self._ucum.display(code)
        kind = self._ucum.properties.get(code)
        return Concept(
            code,
            code,
            designations=(Designation(words, "en"),) if words and words != code else (),
            properties=(
                Property("canonical", unit.canonical),
                *([Property("property", kind)] if kind else []),
            ),
        )

    def test(self, rule: Filter) -> Test | None:
        """Return how a filter is told of a concept."""
        if rule.property == "property":
            return choice(rule, lambda concept: self._ucum.properties.get(concept.code))
        if rule.property != "canonical" or rule.op not in {"=", "in"}:
            return None
        try:
            values = [rule.value] if rule.op == "=" else [one.strip() for one in rule.value.split(",")]
            dimensions = {self._ucum.parse(one).dimension for one in values}
        except InvalidUnit as error:
            raise InvalidFilter(f"The filter 'canonical' needs a unit of UCUM. {error}") from None

        def converts(concept: Concept) -> bool:
            unit = self._ucum.unit(concept.code)
            return unit is not None and unit.dimension in dimensions

        return converts

    def reason(self, code: str) -> str:
        """Return why a code is none of UCUM, and what to write instead; empty where it is one."""
        return self._ucum.validate(code)

    def _known(self) -> Iterable[str]:
        yield from _PLAIN.split()
        for above, below in product((*_MASSES, *_AMOUNTS), _VOLUMES):
            yield f"{above}/{below}"
        yield from self._ucum.table
