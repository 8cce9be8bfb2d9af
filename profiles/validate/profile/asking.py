"""What checks ask a terminology service: the answers that are at hand, and the questions that are not answered yet.

Checks do not wait. What neither the definitions nor the packages tell is noted as a question and left open; whoever runs the
check has the questions answered, all at once, and runs it again with the answers (docs/terminology-bindings.md).
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

Member = tuple[str, str, str]
"""Is it in the value set: canonical of that, system (empty where none is stated), code."""
Coded = tuple[str, str, str]
"""What is this: system, version (empty where none is stated), code."""


@dataclass(frozen=True, slots=True)
class Known:
    """What a code system says of a code.

    Attributes:
        version: Of the code system, empty where it has none.
        complete: Whether what it does not have is no code of it.
        displays: What the code may be displayed as, the first for messages; `None` where the code system does not have it.
    """

    version: str
    complete: bool
    displays: tuple[str, ...] | None


@dataclass(slots=True)
class Asking:
    """Questions of one check, and their answers. Of who asks nobody, all stay open.

    Attributes:
        extensible: Whether it is asked about bindings that are not required, too.
        codes: Whether it is asked what a code is, whatever it is bound to.
        members: Answers: `None` where the service cannot tell.
        codings: Answers: `None` where the service does not know the code system.
        open_members: Questions of the last run.
        open_codings: Questions of the last run.
    """

    extensible: bool = True
    codes: bool = True
    members: dict[Member, bool | None] = field(default_factory=dict)
    codings: dict[Coded, Known | None] = field(default_factory=dict)
    open_members: dict[Member, None] = field(default_factory=dict)
    open_codings: dict[Coded, None] = field(default_factory=dict)

    @property
    def manner(self) -> str:
        """What it is asked about, in short: what is found of a value depends on it."""
        return f"{'x' if self.extensible else 'r'}{'c' if self.codes else ''}"

    @property
    def is_open(self) -> bool:
        """Whether there are questions."""
        return bool(self.open_members or self.open_codings)

    def member(self, value_set: str, system: str, code: str) -> bool | None:
        """Return whether a code is in a value set, `None` where that is not known, or not yet."""
        key = (value_set, system, code)
        if key not in self.members:
            self.open_members[key] = None
        return self.members.get(key)

    def answers(
        self, value_set: str, codings: Sequence[tuple[str, str]], known: Sequence[bool | None]
    ) -> list[bool | None]:
        """Return answers about several (system, code), each that is known already as it is.

        Args:
            value_set: Canonical.
            codings: What is asked about.
            known: What is known of each.
        """
        return [
            self.member(value_set, *one) if answer is None else answer
            for one, answer in zip(codings, known, strict=True)
        ]

    def coding(self, system: str, version: str, code: str) -> Known | None:
        """Return what a code system says of a code, `None` where that is not known, or not yet."""
        key = (system, version, code)
        if key not in self.codings:
            self.open_codings[key] = None
        return self.codings.get(key)

    def again(self) -> None:
        """Begin another run with the answers."""
        self.open_members.clear()
        self.open_codings.clear()
