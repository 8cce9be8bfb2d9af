"""Message id → severity, issue code and sentence: what can be wrong with a Questionnaire, or with the answers to one."""

from collections.abc import Mapping

from profiles.issue import Issue
from profiles.validate.messages import Message

MESSAGES: Mapping[str, Message] = {
    # The Questionnaire as such
    "enable-when-unknown": Message(
        "error",
        "not-found",
        "The condition of item '{link}' asks about '{asked}', which is no item of this Questionnaire{hint}. Correct its linkId.",
    ),
    "enable-when-self": Message(
        "error",
        "business-rule",
        "The condition of item '{link}' asks about the item itself, which can never be answered before it is enabled. Ask about "
        "another item.",
    ),
    "enable-when-within": Message(
        "error",
        "business-rule",
        "The condition of item '{link}' asks about '{asked}', which is within it. Ask about an item outside of it.",
    ),
    "enable-when-later": Message(
        "warning",
        "business-rule",
        "The condition of item '{link}' asks about '{asked}', which comes after it. Put the question that decides first.",
    ),
    "enable-when-unanswered": Message(
        "error",
        "business-rule",
        "The condition of item '{link}' asks about '{asked}', which is of type '{type}' and has no answers. Ask about a question.",
    ),
    "enable-when-type": Message(
        "error",
        "value",
        "The condition of item '{link}' compares with a {found}, but '{asked}' is of type '{type}' and is answered by {allowed}. "
        "Send answer[x] of that type.",
    ),
    "enable-when-order": Message(
        "error",
        "value",
        "The condition of item '{link}' has the operator '{operator}', but a {found} is neither greater nor less than another. Use "
        "=, != or exists.",
    ),
    "option-type": Message(
        "error",
        "value",
        "The item '{link}' is of type '{type}' and is answered by {allowed}; this option is a {found}. Correct the option, or the "
        "type of the item.",
    ),
    "option-duplicate": Message(
        "warning",
        "duplicate",
        "The item '{link}' has the option {value} twice. Remove one of them.",
    ),
    "initial-type": Message(
        "error",
        "value",
        "The item '{link}' is of type '{type}' and is answered by {allowed}; this initial value is a {found}. Correct the one or "
        "the other.",
    ),
    "value-set-contained": Message(
        "error",
        "not-found",
        "The item '{link}' takes its answers from '{value}', and no contained ValueSet has that id. Add it, or correct the reference.",
    ),
    "bounds": Message(
        "error",
        "value",
        "The item '{link}' can never be answered: its least {what} ({low}) is more than its greatest ({high}). Correct one of them.",
    ),
    "regex-unusable": Message(
        "warning",
        "processing",
        "The regular expression of item '{link}' is not checked: {reason}",
    ),
    "expression-unusable": Message(
        "warning",
        "processing",
        "The expression '{text}' is not evaluated: {reason} Correct it.",
    ),
    # A response as a whole
    "questionnaire-absent": Message(
        "information",
        "informational",
        "The response does not say which Questionnaire it answers, so its answers have not been checked. Send 'questionnaire'.",
    ),
    "questionnaire-unknown": Message(
        "warning",
        "not-found",
        "The Questionnaire '{url}' could not be found, so the answers have not been checked. Store it or install its package, or "
        "correct the canonical.",
    ),
    "questionnaire-wrong": Message(
        "error",
        "structure",
        "'{url}' is a {found} and no Questionnaire. Refer to the Questionnaire that is answered.",
    ),
    "questionnaire-draft": Message(
        "warning",
        "business-rule",
        "The Questionnaire '{name}' is {status}. Only an active one should be answered.",
    ),
    "subject-type": Message(
        "error",
        "structure",
        "The Questionnaire '{name}' is about {allowed}, and this response about a {found}. Correct the subject.",
    ),
    "authored-before": Message(
        "warning",
        "business-rule",
        "The response is of {value}, before {limit}, when the Questionnaire came into use (effectivePeriod).",
    ),
    "authored-after": Message(
        "warning",
        "business-rule",
        "The response is of {value}, after {limit}, when the Questionnaire went out of use (effectivePeriod).",
    ),
    # Items
    "item-link": Message(
        "error",
        "required",
        "This item has no linkId, so it cannot be told which question it answers. Add it.",
    ),
    "item-unknown": Message(
        "error",
        "not-found",
        "LinkId '{link}' not found in the Questionnaire '{name}'{hint}. Correct or remove the item.",
    ),
    "item-place": Message(
        "error",
        "structure",
        "The item '{link}' stands in the wrong place: in the Questionnaire it is {place}. Move it there.",
    ),
    "item-order": Message(
        "error",
        "structure",
        "The items are out of order: '{link}' comes before '{before}' in the Questionnaire. Put them in that order.",
    ),
    "item-text": Message(
        "warning",
        "value",
        "The text of item '{link}' is {value}, where the Questionnaire asks {expected}. Send the text that was asked, or none.",
    ),
    "item-once": Message(
        "error",
        "structure",
        "Only one item with the linkId '{link}' is allowed, but found {found}: it does not repeat. Remove the others.",
    ),
    "item-disabled": Message(
        "error",
        "business-rule",
        "The item '{link}' has an answer, even though it is not enabled (its conditions in the Questionnaire are not met). Remove "
        "the answer, or correct what it depends on.",
    ),
    "item-missing": Message(
        "error",
        "required",
        "No answer found for the required item '{link}'{text}. Answer it, or send the response as in-progress.",
    ),
    "item-missing-yet": Message(
        "warning",
        "required",
        "No answer found for the required item '{link}'{text}. It must be there before the response is completed.",
    ),
    "item-few": Message(
        "error",
        "required",
        "The item '{link}' must be answered at least {min} times, but has {found} answers. Add answers.",
    ),
    "item-few-yet": Message(
        "warning",
        "required",
        "The item '{link}' must be answered at least {min} times, but has {found} answers. They must be there before the response "
        "is completed.",
    ),
    "item-many": Message(
        "error",
        "structure",
        "The item '{link}' may be answered at most {max} times, but has {found} answers. Remove the surplus.",
    ),
    "items-beneath": Message(
        "error",
        "structure",
        "The item '{link}' is of type '{type}': what is asked beneath it belongs into 'item' of its answer. Move these items there.",
    ),
    "items-of-display": Message(
        "error",
        "structure",
        "The item '{link}' is only displayed and has no items. Remove them.",
    ),
    "answers-none": Message(
        "error",
        "structure",
        "The item '{link}' is of type '{type}', which is not answered. Remove the answers{move}.",
    ),
    "answers-once": Message(
        "error",
        "structure",
        "Only one answer to '{link}' is allowed, but found {found}: the question does not repeat. Remove the others.",
    ),
    "constraint": Message(
        "error",
        "invariant",
        "A constraint of the Questionnaire is not met: {key}: '{human}'. Correct the answers that it is about.",
    ),
    "constraint-yet": Message(
        "warning",
        "invariant",
        "A constraint of the Questionnaire is not met: {key}: '{human}'.",
    ),
    # Answers
    "answer-empty": Message(
        "warning",
        "structure",
        "This answer to '{link}' has no value. Send one, or leave the answer out.",
    ),
    "answer-type": Message(
        "error",
        "value",
        "The answer to '{link}' is a {found}, but a question of type '{type}' is answered by {allowed}. Send that type.",
    ),
    "answer-option": Message(
        "error",
        "code-invalid",
        "The answer {value} to '{link}' is not in the set of permitted values{hint}. Use one of the options of the Questionnaire.",
    ),
    "answer-option-type": Message(
        "error",
        "value",
        "The answer to '{link}' is a {found}, and no option of the Questionnaire is one (there are {allowed}). Use one of the options.",
    ),
    "answer-not-coded": Message(
        "warning",
        "value",
        "The answer to '{link}' is a {found}, which cannot be held against the permitted answers; a question of type '{type}' is "
        "answered by a Coding.",
    ),
    "answer-exclusive": Message(
        "error",
        "business-rule",
        "The answer {value} to '{link}' excludes all others, and there are {found} answers. Send it alone, or leave it out.",
    ),
    "answer-set": Message(
        "error",
        "code-invalid",
        "The answer {value} to '{link}' was not found in the value set '{set}', from which the Questionnaire takes its options. Use "
        "a code of it.",
    ),
    "answer-set-unchecked": Message(
        "warning",
        "not-found",
        "What the value set '{set}' holds could not be found, so the answer {value} to '{link}' has not been checked.",
    ),
    "answer-display": Message(
        "warning",
        "invalid",
        "The answer {value} to '{link}' is shown as '{found}', where the option reads '{expected}'. Send that display, or none.",
    ),
    "answer-line": Message(
        "warning",
        "value",
        "The answer to '{link}' has line breaks; a question of type 'string' is answered in one line. Leave them out.",
    ),
    "answer-long": Message(
        "error",
        "too-long",
        "The answer to '{link}' has {found} characters; {max} are the most. Shorten it.",
    ),
    "answer-short": Message(
        "error",
        "value",
        "The answer to '{link}' has {found} characters; {min} are the least. Answer at more length.",
    ),
    "answer-pattern": Message(
        "error",
        "value",
        "The answer {value} to '{link}' does not have the expected format{format} (regex '{regex}'). Send it in that format.",
    ),
    "answer-less": Message(
        "error",
        "value",
        "The answer {value} to '{link}' is less than the allowed minimum of {limit}. Send a value within.",
    ),
    "answer-more": Message(
        "error",
        "value",
        "The answer {value} to '{link}' is greater than the allowed maximum of {limit}. Send a value within.",
    ),
    "answer-measure": Message(
        "error",
        "value",
        "The answer {value} to '{link}' cannot be compared to the allowed {what} of {limit}. Send a unit that can be converted into "
        "that one.",
    ),
    "answer-digits": Message(
        "error",
        "value",
        "The answer {value} to '{link}' has {found} decimal places; {max} are the most. Round it.",
    ),
    "answer-unit": Message(
        "error",
        "code-invalid",
        "The answer {value} to '{link}' has a unit that is not allowed (allowed = {allowed}). Use one of these units.",
    ),
    "answer-media": Message(
        "error",
        "value",
        "The media type '{value}' of the answer to '{link}' is not allowed (allowed = {allowed}). Send one of these.",
    ),
    "answer-size": Message(
        "error",
        "too-long",
        "The attachment that answers '{link}' has {found} bytes; {max} are the most. Send a smaller one.",
    ),
    "answer-target": Message(
        "error",
        "structure",
        "The answer to '{link}' refers to a {found}; a {allowed} is asked for. Refer to that.",
    ),
    "answer-uri": Message(
        "error",
        "value",
        "The answer '{value}' to '{link}' is no URI: it must be {allowed}.",
    ),
    "too-much": Message(
        "error",
        "too-long",
        "The response is nested too deeply to be checked. Flatten it.",
    ),
}


def issue(message_id: str, expression: str = "", **places: object) -> Issue:
    """Return the finding of one row of the table."""
    return MESSAGES[message_id].issue(message_id, expression, places)
