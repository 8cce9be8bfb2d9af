"""What a query must fulfil before it is carried out: the rules of GraphQL, and limits of what it may ask for at once."""

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from graphql import (
    ArgumentNode,
    DocumentNode,
    EnumValueNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLError,
    GraphQLSchema,
    InlineFragmentNode,
    NamedTypeNode,
    NameNode,
    OperationDefinitionNode,
    SelectionNode,
    SelectionSetNode,
    StringValueNode,
    parse,
    specified_rules,
    validate,
)
from graphql.validation import KnownArgumentNamesRule

MOST_BYTES = 64 * 1024
MOST_TOKENS = 8_000
MOST_ALIKE = 12
"""Fields with one name in one place: what they ask for is compared with each other."""
MOST_FIELDS = 1_000
"""Fields of a query, those of a fragment as often as it is used."""
DEEPEST = 24
MOST_ERRORS = 20


class Refused(Exception):
    """The query is not carried out."""

    def __init__(self, *errors: GraphQLError) -> None:
        super().__init__(errors)
        self.errors = errors


class _Arguments(KnownArgumentNamesRule):
    """Fields that search take the parameters of their type, declared or not."""

    def enter_argument(self, node: ArgumentNode, *args: Any) -> Any:
        """Pass over those of a field that takes them."""
        field = self.context.get_field_def()
        if field is not None and node.name.value in field.extensions.get("searched", ()):
            return None
        return super().enter_argument(node, *args)


RULES = [_Arguments if rule is KnownArgumentNamesRule else rule for rule in specified_rules]


def read(schema: GraphQLSchema, text: str, within: str = "") -> DocumentNode:
    """Return the query, which is valid and within the limits.

    Args:
        schema: The schema.
        text: The query.
        within: The type whose fields it asks for, where it is asked of an instance.

    Raises:
        Refused: It is not.
    """
    if len(text.encode()) > MOST_BYTES:
        raise Refused(GraphQLError(f"The query has more than {MOST_BYTES:,} bytes. Ask in several queries."))
    try:
        document = parse(text, max_tokens=MOST_TOKENS)
    except GraphQLError as error:
        raise Refused(error) from None
    except RecursionError:
        raise Refused(GraphQLError(_deep())) from None
    refuse_much(document)
    document = DocumentNode(definitions=tuple(_definition(one) for one in document.definitions), loc=document.loc)
    asked = _asked_within(document, within) if within else document
    if errors := validate(schema, asked, RULES, max_errors=MOST_ERRORS):
        raise Refused(*errors)
    return document


def refuse_much(document: DocumentNode) -> None:
    """Refuse a query that is too deep, or has too many fields when its fragments are put in, without putting them in.

    Raises:
        Refused: It is.
    """
    fragments = {one.name.value: one for one in document.definitions if isinstance(one, FragmentDefinitionNode)}
    known: dict[str, tuple[int, int]] = {}
    for one in document.definitions:
        if isinstance(one, OperationDefinitionNode | FragmentDefinitionNode):
            number, depth = _size(one.selection_set, fragments, known, 0)
            if depth > DEEPEST:
                raise Refused(GraphQLError(_deep(), one))
            if number > MOST_FIELDS:
                text = f"The query asks for more than {MOST_FIELDS:,} fields, with fragments put in. Ask in several queries."
                raise Refused(GraphQLError(text, one))
    _refuse_alike(document, fragments)


def _refuse_alike(document: DocumentNode, fragments: Mapping[str, FragmentDefinitionNode]) -> None:
    known: dict[str, Counter[str]] = {}
    for selections in _sets(document):
        if any(number > MOST_ALIKE for number in _names(selections, fragments, known, 0).values()):
            text = f"More than {MOST_ALIKE} fields have the same name in one place. Give them aliases, or ask in several queries."
            raise Refused(GraphQLError(text, selections))


def _names(
    selections: SelectionSetNode,
    fragments: Mapping[str, FragmentDefinitionNode],
    known: dict[str, Counter[str]],
    above: int,
) -> Counter[str]:
    """Return how often each name occurs among the fields of selections, those of fragments among them."""
    found: Counter[str] = Counter()
    for one in selections.selections if above <= DEEPEST * 4 else ():
        if isinstance(one, FieldNode):
            found[(one.alias or one.name).value] += 1
        elif isinstance(one, InlineFragmentNode):
            found += _names(one.selection_set, fragments, known, above + 1)
        elif isinstance(one, FragmentSpreadNode) and (fragment := fragments.get(one.name.value)):
            if one.name.value not in known:
                known[one.name.value] = Counter()
                known[one.name.value] = _names(fragment.selection_set, fragments, known, above + 1)
            found += known[one.name.value]
    return found


def _sets(node: Any) -> Iterator[SelectionSetNode]:
    """Yield all selection sets of a document."""
    waiting = [node]
    while waiting:
        one = waiting.pop()
        if isinstance(one, DocumentNode):
            waiting += one.definitions
        elif isinstance(one, SelectionSetNode):
            yield one
            waiting += one.selections
        elif (inner := getattr(one, "selection_set", None)) is not None:
            waiting.append(inner)


def _asked_within(document: DocumentNode, within: str) -> DocumentNode:
    """Return the same query as one of the whole record, for the rules."""
    any_id = ArgumentNode(name=NameNode(value="id"), value=StringValueNode(value="-"))
    found: list[Any] = []
    for one in document.definitions:
        if isinstance(one, OperationDefinitionNode):
            inner = FieldNode(
                name=NameNode(value=within),
                arguments=(any_id,),
                directives=(),
                selection_set=one.selection_set,
                loc=one.loc,
            )
            found.append(_with(one, selection_set=SelectionSetNode(selections=(inner,), loc=one.loc)))
        else:
            found.append(one)
    return DocumentNode(definitions=tuple(found), loc=document.loc)


def _deep() -> str:
    return f"The query is more than {DEEPEST} fields deep. Ask in several queries."


def _size(
    selections: SelectionSetNode | None,
    fragments: Mapping[str, FragmentDefinitionNode],
    known: dict[str, tuple[int, int]],
    above: int,
) -> tuple[int, int]:
    """Return the number of fields and the depth of selections; a fragment within itself counts as nothing."""
    number = depth = 0
    if selections is None:
        return 0, 0
    if above > DEEPEST * 4:
        return 0, DEEPEST + 1
    for one in selections.selections:
        if isinstance(one, FragmentSpreadNode):
            name = one.name.value
            if name not in known:
                known[name] = (0, 0)
                fragment = fragments.get(name)
                known[name] = _size(fragment.selection_set if fragment else None, fragments, known, above + 1)
            inner, below = known[name]
        elif isinstance(one, FieldNode | InlineFragmentNode):
            inner, below = _size(one.selection_set, fragments, known, above + 1)
            below += isinstance(one, FieldNode)
            inner += isinstance(one, FieldNode)
        else:
            continue
        number, depth = number + inner, max(depth, below)
    return number, depth


def _definition(node: Any) -> Any:
    """Return a definition in which the fields of `resource(type: Patient) { … }` are those of that type."""
    if isinstance(node, OperationDefinitionNode | FragmentDefinitionNode):
        return _with(node, selection_set=_selections(node.selection_set))
    return node


def _selections(node: SelectionSetNode | None) -> SelectionSetNode | None:
    if node is None:
        return None
    return SelectionSetNode(selections=tuple(_selection(one) for one in node.selections), loc=node.loc)


def _selection(node: SelectionNode) -> SelectionNode:
    if isinstance(node, FragmentSpreadNode) or getattr(node, "selection_set", None) is None:
        return node
    inner = _selections(node.selection_set)  # type: ignore[attr-defined]
    if isinstance(node, FieldNode) and node.name.value == "resource" and (wanted := _wanted(node)):
        loose = tuple(one for one in inner.selections if isinstance(one, FieldNode))  # type: ignore[union-attr]
        others = tuple(one for one in inner.selections if not isinstance(one, FieldNode))  # type: ignore[union-attr]
        if loose:
            of = NamedTypeNode(name=NameNode(value=wanted, loc=node.loc), loc=node.loc)
            fields = SelectionSetNode(selections=loose, loc=node.loc)
            fragment = InlineFragmentNode(type_condition=of, directives=(), selection_set=fields, loc=node.loc)
            inner = SelectionSetNode(selections=(fragment, *others), loc=node.loc)
    changed: SelectionNode = _with(node, selection_set=inner)
    return changed


def _wanted(node: FieldNode) -> str:
    """Return the type that is named for a reference, empty where none is, or by a variable."""
    for argument in node.arguments or ():
        if argument.name.value == "type" and isinstance(argument.value, StringValueNode | EnumValueNode):
            return argument.value.value
    return ""


def _with(node: Any, **changes: Any) -> Any:
    return type(node)(**{**{key: getattr(node, key, None) for key in node.keys}, **changes})
