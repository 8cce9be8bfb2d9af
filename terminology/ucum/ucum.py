"""`Ucum`: units by their codes, conversion, and what is wrong with a code that is none."""

import re
from collections.abc import Mapping
from decimal import Decimal
from fractions import Fraction
from functools import cached_property, lru_cache
from pathlib import Path
from typing import ClassVar, Self

from terminology.ucum import essence
from terminology.ucum.essence import Definition, Essence
from terminology.ucum.parser import MOST_CHARACTERS, Component, Factor, InvalidUnit, Symbol, parse
from terminology.ucum.scales import Scale, scales
from terminology.ucum.spellings import MEANT, SIGNS
from terminology.ucum.units import Unit

KEPT = 4_096
"""Codes that are kept in memory as what they mean. Records use some hundreds."""

_COUNTED = re.compile(r"([0-9]+)(.+)", re.ASCII)


class Ucum:
    """All units of UCUM. The table is read at the first use.

    Args:
        path: File of the essence, `None` for the one that is shipped.
    """

    system: ClassVar[str] = "http://unitsofmeasure.org"

    def __init__(self, path: Path | None = None) -> None:
        self._path = path
        self._atoms: dict[str, Unit] = {}
        self._read = lru_cache(maxsize=KEPT)(self._unit_or_reason)

    @classmethod
    def load(cls, path: Path | None = None) -> Self:
        """Return the units of an essence file, by default the one that is shipped.

        Raises:
            OSError: The file is missing.
        """
        (path or essence.FILE).stat()
        return cls(path)

    @property
    def version(self) -> str:
        """Version of UCUM."""
        return self._essence.version

    @property
    def properties(self) -> Mapping[str, str]:
        """What each unit of the table measures, such as `length`, by its code."""
        return self._essence.properties

    @property
    def table(self) -> Mapping[str, Definition]:
        """The units of the table, by their codes."""
        return self._essence.units

    def parse(self, code: str) -> Unit:
        """Return the unit of a case sensitive code.

        Raises:
            InvalidUnit: There is none; the message says why.
        """
        found = self._read(code)
        if isinstance(found, str):
            raise InvalidUnit(found)
        return found

    def unit(self, code: str) -> Unit | None:
        """Return the unit of a case sensitive code, `None` where there is none."""
        found = self._read(code)
        return None if isinstance(found, str) else found

    def validate(self, code: str) -> str:
        """Return why a code is not one of UCUM, and what to write instead; empty where it is one."""
        found = self._read(code)
        return found if isinstance(found, str) else ""

    def display(self, code: str) -> str:
        """Return a code in English words: `(meter ^ 3) * (kilogram ^ -1)`; empty where it is no unit.

        The empty code, which is none, is shown as unity, as the functional tests of UCUM want it.
        """
        if not code:
            return "(unity)"
        return "" if self.validate(code) else self._shown(parse(code))

    def canonical(self, value: Decimal, code: str) -> tuple[Fraction, str] | None:
        """Return a value in base units, exactly, and their code; `None` where the code is no unit or the value too long."""
        unit = self.unit(code)
        amount = unit.canonical_value(value) if unit else None
        return (amount, unit.canonical) if unit and amount is not None else None

    def comparable(self, one: str, other: str) -> bool:
        """Return whether values of two codes can be converted into one another."""
        first, second = self.unit(one), self.unit(other)
        return first is not None and second is not None and first.dimension == second.dimension

    def convert(self, value: Decimal, source: str, target: str) -> Fraction | None:
        """Return a value of one code in another; `None` where that is not possible."""
        if not self.comparable(source, target):
            return None
        amount = self.parse(source).canonical_value(value)
        return None if amount is None else self.parse(target).value(amount)

    @cached_property
    def _essence(self) -> Essence:
        return essence.read(self._path)

    @cached_property
    def _scales(self) -> Mapping[str, Scale]:
        return scales()

    @cached_property
    def _by_letters(self) -> dict[str, str]:
        """Codes by their letters alone, for the question which one was meant."""
        return {_letters(code): code for code in reversed(list(self._essence.units))}

    def _shown(self, component: Component) -> str:
        match component:
            case Factor(number):
                return str(number)
            case Symbol(text, exponent):
                return f"({self._name(text)} ^ {exponent})" if exponent != 1 else f"({self._name(text)})"
            case _:
                shown = [(self._shown(part), sign) for part, sign in component.components]
                first, sign = shown[0]
                begin = first if sign > 0 else f"1 / {first}"
                return begin + "".join(f"{' * ' if sign > 0 else ' / '}{text}" for text, sign in shown[1:])

    def _name(self, symbol: str) -> str:
        names = self._essence.names
        if symbol in names:
            return names[symbol]
        length = next(length for length in (2, 1) if symbol[length:] in names and f"{symbol[:length]}-" in names)
        return names[f"{symbol[:length]}-"] + names[symbol[length:]]

    def _unit_or_reason(self, code: str) -> Unit | str:
        try:
            return self._product(parse(code))
        except InvalidUnit as error:
            reason = str(error)
            meant = "" if "Did you mean" in reason else self._rewritten(code)
            return f"{reason} Did you mean {meant}?" if meant else reason

    def _rewritten(self, code: str) -> str:
        """Return the code that is left when signs that no code may have are replaced; empty where it is none either."""
        if len(code) > MOST_CHARACTERS:
            return ""
        text = code
        for sign, plain in SIGNS.items():
            text = text.replace(sign, plain)
        try:
            return "" if text == code or self._product(parse(text)) is None else text
        except InvalidUnit:
            return ""

    def _product(self, component: Component) -> Unit:
        match component:
            case Factor(number):
                return Unit(Fraction(number))
            case Symbol(text, exponent):
                return self._atom(text).power(exponent)
            case _:
                product = Unit(Fraction(1))
                for part, sign in component.components:
                    product = product.times(self._product(part), sign)
                return product

    def _atom(self, symbol: str) -> Unit:
        """Return the unit of a symbol with or without prefix."""
        found = self._atoms.get(symbol)
        if found is None:
            found = self._defined(symbol) if symbol in self._essence.units else self._prefixed(symbol)
            self._atoms[symbol] = found
        return found

    def _prefixed(self, symbol: str) -> Unit:
        units, prefixes = self._essence.units, self._essence.prefixes
        for length in (2, 1):
            rest = symbol[length:]
            if symbol[:length] in prefixes and rest in units:
                if not units[rest].metric:
                    raise InvalidUnit(f"The unit {rest} takes no prefix, but has '{symbol[:length]}' in '{symbol}'.")
                return self._atom(rest).times(Unit(prefixes[symbol[:length]]))
        raise InvalidUnit(self._unknown(symbol))

    def _defined(self, code: str) -> Unit:
        definition = self._essence.units[code]
        if definition.base or (definition.arbitrary and definition.unit == "1"):
            return Unit(Fraction(1), ((code, 1),))
        proper = self._product(parse(definition.unit)).times(Unit(definition.value))
        if not definition.function:
            return proper
        scale = self._scales.get(definition.function)
        if scale is None:
            raise InvalidUnit(
                f"The scale of '{code}' is the function '{definition.function}', which is not known here."
            )
        return Unit(proper.factor, proper.dimension, scale)

    def _unknown(self, symbol: str) -> str:
        counted = _COUNTED.fullmatch(symbol)
        if counted and not self.validate(counted[2]):
            return f"'{symbol}' is not a unit. A number and a unit are joined by a dot: {counted[1]}.{counted[2]}"
        meant = self._meant(symbol)
        if meant:
            return f"'{symbol}' is not a unit of UCUM. Did you mean {meant}?"
        counted_in_words = symbol.isalpha() and len(symbol) > 1
        remedy = f" What is merely counted is written in braces: {{{symbol}}}." if counted_in_words else ""
        return f"'{symbol}' is not a unit of UCUM.{remedy}"

    def _meant(self, symbol: str) -> str:
        """Return the code that a symbol stands for in everyday writing, or that differs by case and brackets only."""
        letters = _letters(symbol)
        found = self._by_letters.get(letters, "") or MEANT.get(letters, "") if letters else ""
        if found:
            return found
        for plain in (symbol.lower(), symbol.lower().removesuffix("s")):
            if plain != symbol and self._is_unit(plain):
                return plain
        for length in (1, 2):
            unit = self._by_letters.get(_letters(symbol[length:]), "")
            if unit and symbol[:length] in self._essence.prefixes and self._essence.units[unit].metric:
                return symbol[:length] + unit
        return ""

    def _is_unit(self, symbol: str) -> bool:
        units, prefixes = self._essence.units, self._essence.prefixes
        splits = ((symbol[:length], symbol[length:]) for length in (1, 2))
        return symbol in units or any(one in prefixes and rest in units and units[rest].metric for one, rest in splits)


def _letters(symbol: str) -> str:
    """Return what is left of a symbol without regard to case and brackets."""
    return re.sub(r"[^a-z0-9%]", "", symbol.lower())
