"""Task (e): an extraction came out wrong, a turn says which field and why, and the whole JSON is written again.

The right value always follows from the conversation: from the text, or from the complaint itself when that names it.
The wrong answer is shown without loss, so the model never learns to write it.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping

from . import entities as e
from .case import Case, dumps, gold, user, wrong
from .draw import Draw, Phrases
from .extraction import DOMAINS, Request, instruction, prompt, request, text_about, words
from .records import Json

_BY_REASON = Phrases(
    'The field "{f}" is wrong: it should be {m}.', 'The field "{f}" is wrong. It should be {m}.', "{f}: should be {m}",
    '"{f}" is wrong: {w} is not {m}.', "{f} is not right, look again: it should be {m}.",
    "The {f} does not match the text.",
    'The field "{f}" is wrong: the text says something else.', "{f}: does not match the text",
    '{w} is not {m}. Please correct "{f}".',
    'Check "{f}" again, it must be {m}.', "Wrong {f}. Use {m} from the text.", 'Please fix "{f}".',
    "{f}: {w} is not in the text",
    'The value of "{f}" is not what the text says.', "{f} is wrong: {w} is not {m}; it should be {m}.",
    "{f}: must be {m}",
    "{f}: value error, {w} is not correct", "I do not think that {w} is {m}. Correct {f}.",
    "{f} is wrong.", "Look at {f} again.", "{f}: wrong value", "{f} is incorrect: read the text again.",
    "Error in {f}: {w}", "{f}: mismatch",
    "You got {f} wrong.", "That is not {m}: {w}.", "The {f} should be {m} as the text has it.",
    "{f}: not supported by the text",
    "{f}: {w} does not appear in the text", "Re-read the text for {f}.", "The wrong {f} was taken.",
    "Recheck {f}: {w} is wrong.",
)  # fmt: skip
_BY_VALUE = Phrases(
    'The field "{f}" is wrong: it should be {r}.', '"{f}" should be {r}.', "{f}: should be {r}",
    "The {f} is not {w} but {r}.",
    "{f} must be {r}, not {w}.", 'Change "{f}" to {r}.', "Wrong: {f} is {r}.", "{f}: expected {r}, got {w}",
    "Please set {f} to {r}.",
    'Correct the field "{f}": {r}.', "No, the {f} is {r}.", "{f} is wrong, the right value is {r}.", "Set {f} to {r}.",
    "{f} = {r}",
    "{f}: {r}", "Use {r} for {f}.", "It is {r}, not {w}.", "{r} is the right {f}.", "I meant {r} for {f}.",
    "Replace {w} with {r} in {f}.",
    '"{f}" has to be {r}.', "Make the {f} {r}.", "Make {f} {r} instead.", "The right {f} is {r}.", "{f} -> {r}",
    "Actually, the {f} is {r}.",
    "The {f} should read {r}.", "Update {f} to {r}.", "{w} is wrong for {f}; {r} is right.", "Put {r} into {f}.",
    "The {f} has changed to {r}.",
    'Fix "{f}": it is {r}.', "The correct {f} would be {r}.", "{f} should have been {r}.", "Enter {r} as {f}.",
    "I want {f} to be {r}.",
)  # fmt: skip
_LIST = Phrases(
    '{f}: the text names {n}, not {k}', 'The field "{f}" is wrong: there are {n} in the text.',
    "{f}: expected {n} entries, got {k}",
    '"{f}" is not complete or not right, the text has {n}.', "{f} must have {n} entries.",
    "{f}: does not match the text",
    "The list {f} is wrong, it should have {n}.", 'Check "{f}": there should be {n}.',
)  # fmt: skip
_DATE = Phrases(
    "{f}: must be in ISO form", 'The field "{f}" is wrong: write the date as YYYY-MM-DD.',
    "{f}: must be an ISO date (YYYY-MM-DD)",
    '"{f}" is not an ISO date.', "{f}: {w} is not a date in the form YYYY-MM-DD", "Please write {f} in ISO form.",
    "{f}: invalid date format", "{f}: input should be a valid date",
)  # fmt: skip
_TOTAL = Phrases(
    "{f}: must equal the sum of the items", "{f}: must be the amount paid",
    '"{f}" is wrong: it is not the amount in the text.',
    'The field "{f}" is wrong: {w} is not the sum; it should be the amount paid.', "{f}: does not match the items",
    "{f}: is not the total",
)  # fmt: skip
_NUMBER = Phrases(
    "{f}: must be a number", "{f}: input should be a valid number", "{f}: is not a number",
    '"{f}" must be a number, not text.',
    "{f}: expected a number, got {w}", "{f}: {w} is not a number",
)  # fmt: skip
_ENUM = Phrases(
    "{f}: must be one of: {o}", "{f}: {w} does not fit the text", '"{f}" is wrong: choose again from {o}.',
    "{f}: should not be {w}",
    'The field "{f}" is wrong: the text says otherwise.', "{f} cannot be {w}.", "{f}: wrong choice {w}",
)  # fmt: skip
_BOOLEAN = Phrases(
    "{f}: should not be {w}", '"{f}" is wrong.', "{f} is the other way round.",
    'The field "{f}" is wrong: the text says the opposite.',
    "{f}: {w} contradicts the text", "{f} must not be {w}.",
)  # fmt: skip
_NULL = Phrases(
    "{f}: must not be null, the text says it", '"{f}" is not missing, it is in the text.', "{f}: is required",
    "{f}: must not be null",
    'The field "{f}" is wrong: the text names it.', "{f} may not be null: the text has it.", "{f}: missing value",
)  # fmt: skip
_ABSENT = Phrases(
    "{f}: the text does not say it, must be null", '"{f}" should be null.', "{f}: {w} is not in the text, use null",
    'The field "{f}" is wrong: the text does not name it.', "{f} must be null.", "{f}: not in the text, should be null",
)  # fmt: skip
_WRAP = Phrases(
    "{e}", "{e}", "{e}", "{e} Try again.", "Your answer was rejected: {e}", "Error: {e}", "{e}\nCorrect it.",
    "Not valid. {e}",
    "Check failed: {e}", "{e} Please write the JSON again.", "That is not right. {e}", "Validation error: {e}",
    "{e} Fix it.",
)  # fmt: skip


def case(d: Draw) -> Case:
    """One wrong extraction, one complaint, the right JSON; in training sometimes a second round."""
    while True:
        record, text = text_about(d, d.pick(list(DOMAINS)))
        asked = request(d, record, text, least=2)
        broken = _break(d, asked)
        if broken is not None:
            break
    value, complaint, right = broken
    turns = [
        *prompt(d, instruction(d, asked.schema, words(d)), asked.text),
        wrong(dumps(value)),
        user(complaint),
        gold(dumps(right)),
    ]
    if not d.held and d.chance(0.15):
        again = _by_value(d, asked, right)
        if again is not None:
            turns += [user(again[0]), gold(dumps(again[1]))]
            right = again[1]
    return Case("correction", tuple(turns), right, asked.schema)


def _break(d: Draw, asked: Request) -> tuple[dict[str, Json], str, dict[str, Json]] | None:
    """A wrong answer to `asked`, the complaint about it, and the right answer; None when nothing can be broken."""
    right = asked.value
    name = d.pick(list(right))
    value = copy.deepcopy(right)
    if d.chance(0.2):
        # The complaint overrules the text: what the model wrote was right, or not, and the user wants another value.
        changed = _by_value(d, asked, right)
        if changed is not None:
            return value, changed[0], changed[1]
    spoiled = _spoil(d, asked, name)
    if spoiled is None:
        return None
    value[name], wordings = spoiled
    gold_text = _plain(right[name])
    if d.chance(0.2) and not isinstance(right[name], (list, dict)):
        wordings = _BY_VALUE
    meaning = d.pick(asked.facts[name].spec.meaning)
    options = ", ".join(_options(asked, name))
    count = len(right[name]) if isinstance(right[name], list) else 0
    wrong_count = len(value[name]) if isinstance(value[name], list) else 0
    if wordings is _LIST and count == wrong_count:
        wordings = _BY_REASON
    complaint = d.phrase(wordings).format(
        f=name, m=meaning, w=_plain(value[name]), r=gold_text, o=options, n=count, k=wrong_count
    )
    return value, d.phrase(_WRAP).format(e=complaint), right


def _by_value(d: Draw, asked: Request, right: Mapping[str, Json]) -> tuple[str, dict[str, Json]] | None:
    """A complaint that names a new value for a plain field, and the answer with it."""
    names = [
        n for n, f in asked.facts.items() if not isinstance(right[n], (list, dict, bool)) and "enum" not in f.schema
    ]
    if not names:
        return None
    name = d.pick(names)
    fact = asked.facts[name]
    new = _another(d, fact.schema, fact.value)
    complaint = d.phrase(_BY_VALUE).format(f=name, w=_plain(right[name]), r=_plain(new))
    return d.phrase(_WRAP).format(e=complaint), {**right, name: new}


def _spoil(d: Draw, asked: Request, name: str) -> tuple[Json, Phrases] | None:
    """A wrong value for a field and the wordings that complain about it."""
    fact, value = asked.facts[name], asked.value[name]
    if value is None:
        return _another(d, fact.schema, fact.value), _ABSENT
    if "anyOf" in asked.schema["properties"][name] and d.chance(0.5):
        return None, _NULL
    if isinstance(value, bool):
        return not value, _BOOLEAN
    options = _options(asked, name)
    if options:
        others = [option for option in options if option != value]
        return d.pick(others), _ENUM
    if isinstance(value, list):
        return _spoil_list(d, value), _LIST
    if isinstance(value, dict):
        key = d.pick(list(value))
        taken = [
            other.surface
            for other in asked.facts.values()
            if isinstance(other.value, str) and other.value != value[key]
        ]
        return {**value, key: d.pick(taken) if taken and d.chance(0.5) else e.capital(d)}, _BY_REASON
    if fact.schema.get("format") == "date":
        if d.chance(0.5) and fact.surface != value:
            return fact.surface, _DATE
        return e.date(d).isoformat(), _BY_REASON
    if isinstance(value, (int, float)):
        if d.chance(0.15):
            return fact.surface, _NUMBER
        numbers = [
            other.value
            for other in asked.record.facts.values()
            if type(other.value) in (int, float) and other.value != value
        ]
        spoiled = d.pick(numbers) if numbers and d.chance(0.5) else _another(d, fact.schema, value)
        total = name in ("total", "sum", "amount", "amount_paid", "total_amount", "total_price", "order_total")
        return spoiled, _TOTAL if total and d.chance(0.5) else _BY_REASON
    return _spoil_text(d, asked, name), _BY_REASON


def _spoil_text(d: Draw, asked: Request, name: str) -> str:
    """Another string of the text, a part of the right one, or something made up."""
    value = str(asked.value[name])
    kind = d.rng.random()
    if kind < 0.4:
        stated = [asked.record.facts[key] for key in asked.stated]
        others = [
            fact.surface
            for fact in stated
            if isinstance(fact.value, str) and fact.value != value and "enum" not in fact.schema
        ]
        if others:
            return d.pick(others)
    if kind < 0.6 and " " in value:
        return d.pick(value.split(" "))
    if kind < 0.7 and len(value) > 4:
        at = d.rng.randrange(1, len(value) - 1)
        return value[:at] + value[at + 1 :]
    return e.person(d) if " " in value else e.capital(d)


def _spoil_list(d: Draw, value: list[Json]) -> list[Json]:
    kind = d.rng.random()
    if kind < 0.45 and len(value) > 1:
        at = d.rng.randrange(len(value))
        return value[:at] + value[at + 1 :]
    if kind < 0.55:
        return []
    if isinstance(value[0], dict):
        spoiled = copy.deepcopy(value)
        row = d.pick(spoiled)
        key = d.pick(list(row))
        old = row[key]
        row[key] = old + d.rng.randint(1, 9) if isinstance(old, (int, float)) else e.word(d)
        return spoiled
    extra: list[Json] = [*value, e.goods(d)]
    return extra


def _another(d: Draw, schema: Mapping[str, Json], value: Json) -> Json:
    """A different value of the same type."""
    if "enum" in schema:
        return d.pick([option for option in schema["enum"] if option != value] or schema["enum"])
    kind = schema.get("type")
    if kind == "boolean":
        return not value
    if kind == "integer":
        return d.integer(1, 900)
    if kind == "number":
        return e.number_value(e.amount(d))
    if kind == "array":
        return [e.word(d)] if schema["items"].get("type") == "string" else []
    if kind == "object":
        return {key: e.capital(d) for key in schema["properties"]}
    if schema.get("format") == "date":
        return e.date(d).isoformat()
    text = str(value)
    if "@" in text:
        return e.email(d)
    if any(letter.isdigit() for letter in text):
        return e.code(d)
    return e.person(d) if " " in text else e.capital(d)


def _options(asked: Request, name: str) -> tuple[str, ...]:
    return tuple(asked.facts[name].schema.get("enum", ()))


def _plain(value: Json) -> str:
    """A value as a complaint names it: strings bare, everything else as JSON."""
    return value if isinstance(value, str) else dumps(value)
