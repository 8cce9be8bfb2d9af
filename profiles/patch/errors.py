"""`PatchError`: why a patch cannot be read, or does not fit the resource."""

from typing import Literal

Fault = Literal["patch", "resource"]
"""What is wrong: the patch by itself, or only together with this resource."""


class PatchError(ValueError):
    """A patch cannot be applied.

    Attributes:
        fault: Whether the patch is wrong for every resource, or does not fit this one.
        reason: A sentence: what was found, and what to write instead.
        expression: FHIRPath of the operation in the Parameters resource.
    """

    def __init__(self, fault: Fault, reason: str, expression: str) -> None:
        super().__init__(reason)
        self.fault: Fault = fault
        self.reason = reason
        self.expression = expression
