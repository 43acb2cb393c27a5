"""Task (a): fields out of one to three sentences, as JSON of a schema that the prompt spells in field notation."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from ..notation import Words, describe
from . import entities as e
from . import events, orders, people, receipts, things
from .case import Case, Turn, dumps, gold, system, user
from .draw import Draw, Phrases
from .records import Fact, Json, Record, Text, object_of, write

DOMAINS: Mapping[str, Callable[[Draw], Record]] = {
    "people": people.make,
    "orders": orders.make,
    "receipts": receipts.make,
    "events": events.make,
}

ASK = Phrases(
    "Extract JSON with fields: {f}", "Extract JSON with fields: {f}.", "Return JSON with fields: {f}",
    "Give JSON with fields: {f}",
    "Answer in JSON with fields: {f}", "Read the text and return JSON with fields: {f}",
    "Write JSON with the fields {f}",
    "Extract these fields as JSON: {f}", "Fill in this JSON: {f}", "Fields: {f}", "JSON with fields: {f}",
    "Find the following and answer in JSON: {f}", "Extract: {f}", "Output JSON: {f}",
    "Turn the text into JSON with fields: {f}",
)  # fmt: skip
SYSTEMS = Phrases(
    "You read short texts and answer in JSON.", "You are a careful assistant.", "You extract data from text.",
    "You are a helpful assistant.", "Answer with JSON only.", "You work in the back office.",
    "Be exact. Copy names as they stand.",
    "You fill in forms.",
)  # fmt: skip
_CUES = Phrases("{t}", "Text: {t}", "{t}", "The text: {t}", "Input: {t}", "Here is the text: {t}", "Message: {t}")


@dataclass(frozen=True)
class Request:
    """A text with the fields asked of it.

    Attributes:
        facts: the fact behind each field, by field name.
        absent: fields that the text does not state; their value is null.
    """

    record: Record
    text: str
    stated: tuple[str, ...]
    facts: dict[str, Fact]
    absent: frozenset[str]
    schema: dict[str, Json]

    @property
    def value(self) -> dict[str, Json]:
        return {name: None if name in self.absent else fact.value for name, fact in self.facts.items()}


def words(d: Draw) -> Words:
    """The names of the types: mostly the plain ones."""
    if d.chance(0.75):
        return Words()
    return Words(
        string=d.pick(("string", "text", "str")),
        integer=d.pick(("integer", "int", "whole number")),
        number=d.pick(("number", "float", "decimal")),
        boolean=d.pick(("boolean", "bool", "true or false")),
        date=d.pick(("date", "ISO date", "date, YYYY-MM-DD")),
        null=d.pick((" or null", ", optional", " or none")),
    )


def field_name(d: Draw, fact: Fact) -> str:
    names = fact.spec.names
    return names[0] if d.chance(0.45) else d.pick(names)


def text_about(d: Draw, domain: str) -> tuple[Record, Text]:
    """A record of `domain` and a text that states some of it."""
    record = DOMAINS[domain](d)
    free = [key for key in record.facts if key not in record.own]
    count = d.pick((1, 2, 2, 3, 3, 3, 4, 4, 5, 6))
    while True:
        text = write(d, record, d.sample(free, min(count, len(free))))
        if text.stated:
            return record, text


def request(d: Draw, record: Record, text: Text, *, least: int = 1) -> Request:
    """Fields asked of a text: some of what it states, sometimes an optional one that it does not."""
    most = len(text.stated)
    count = most if d.chance(0.4) else d.rng.randint(min(least, most), most)
    chosen = d.sample(text.stated, count)
    silent = [key for key in record.facts if key not in text.stated and key not in record.own]
    silent = [key for key in silent if not _implied(key, text.stated)]
    missing = d.sample(silent, min(len(silent), d.pick((0, 0, 0, 1, 1, 2)))) if d.chance(0.5) else []
    facts: dict[str, Fact] = {}
    absent: set[str] = set()
    parts: dict[str, Mapping[str, Json]] = {}
    order = (
        d.shuffled([*chosen, *missing]) if d.chance(0.6) else [k for k in record.facts if k in chosen or k in missing]
    )
    for key in order:
        fact = record.facts[key]
        name = field_name(d, fact)
        if name in facts or _clashes(record, fact, name, [*text.stated, *missing]):
            name = fact.spec.names[0] if fact.spec.names[0] not in facts else f"{key}_{len(facts)}"
        nullable = key in missing or d.chance(0.08)
        facts[name] = fact
        if key in missing:
            absent.add(name)
        parts[name] = _nullable(fact.schema) if nullable else fact.schema
    return Request(record, text.text, text.stated, facts, frozenset(absent), object_of(parts))


def _nullable(schema: Mapping[str, Json]) -> dict[str, Json]:
    return {"anyOf": [dict(schema), {"type": "null"}]}


_NEAR = (
    {"city", "address", "destination", "place", "venue"}, {"job", "level"}, {"currency", "total", "tax", "tip",
    "items"},
    {"date", "born", "ordered_on", "due"}, {"host", "guests"}, {"job", "company"}, {"kind", "title"},
)  # fmt: skip


def _implied(key: str, stated: Sequence[str]) -> bool:
    """Whether a stated fact half says `key` as well, so that asking for it as absent would be unfair."""
    return any(key in group and group & set(stated) for group in _NEAR)


def _clashes(record: Record, fact: Fact, name: str, keys: Sequence[str]) -> bool:
    """Whether another fact at hand could be meant by `name` (two dates, two names)."""
    return any(name in record.facts[key].spec.names for key in keys if record.facts[key] is not fact)


def prompt(d: Draw, ask: str, text: str) -> tuple[Turn, ...]:
    """The instruction and the text as turns: in a system turn, or before or after the text in the user's."""
    kind = d.rng.random()
    if kind < 0.55:
        return system(ask), user(d.phrase(_CUES).format(t=text) if d.chance(0.2) else text)
    gap = d.pick(("\n", "\n\n", "\n"))
    cue = d.phrase(_CUES).format(t=text) if d.chance(0.4) else text
    body = f"{ask}{gap}{cue}" if kind < 0.85 else f"{text}{gap}{ask}"
    return (system(d.phrase(SYSTEMS)), user(body)) if d.chance(0.3) else (user(body),)


def instruction(d: Draw, schema: Mapping[str, Json], types: Words) -> str:
    ask = ASK.all[0] if d.chance(0.3) else d.phrase(ASK)
    return ask.replace("{f}", describe(schema, types))


def case(d: Draw, domain: str | None = None) -> Case:
    """One extraction."""
    record, text = text_about(d, domain or d.pick(list(DOMAINS)))
    asked = request(d, record, text)
    turns = prompt(d, instruction(d, asked.schema, words(d)), asked.text)
    return Case("extraction", (*turns, gold(dumps(asked.value))), asked.value, asked.schema)


def thing_case(d: Draw) -> Case:
    """An extraction with field names from no domain, or of a list of named numbers."""
    if d.chance(0.25):
        text, field, rows, part = things.make_group(d)
        schema = object_of({field: part})
        turns = prompt(d, instruction(d, schema, words(d)), text)
        return Case("things", (*turns, gold(dumps({field: rows}))), {field: rows}, schema)
    record, text = things.make(d)
    keys = d.sample(list(record.facts), d.rng.randint(1, len(record.facts)))
    facts = {record.facts[key].spec.names[0]: record.facts[key] for key in keys}
    schema = object_of({name: fact.schema for name, fact in facts.items()})
    value = {name: fact.value for name, fact in facts.items()}
    turns = prompt(d, instruction(d, schema, words(d)), text)
    return Case("things", (*turns, gold(dumps(value))), value, schema)


def session_case(d: Draw) -> Case:
    """Several texts one after the other under the same instruction, as in a chat that goes on."""
    domain = d.pick(list(DOMAINS))
    record, text = text_about(d, domain)
    asked = request(d, record, text)
    types = words(d)
    turns = [system(instruction(d, asked.schema, types)), user(asked.text), gold(dumps(asked.value))]
    value: Json = asked.value
    schema = asked.schema
    for _ in range(d.rng.randint(1, 4)):
        record, text = text_about(d, d.pick(list(DOMAINS)))
        asked = request(d, record, text)
        value, schema = asked.value, asked.schema
        turns += [user(f"{instruction(d, schema, types)}\n{asked.text}"), gold(dumps(value))]
    return Case("session", tuple(turns), value, schema)


_YES_NO = Phrases(" Answer yes or no.", " Yes or no?", " Answer with yes or no.", " (yes or no)")
_BRIEF = Phrases("", "", " Answer briefly.", " Answer with the value only.", " Short answer.")
_ONE_WORD = Phrases(" Answer with one word.", " One word.", " Answer in one word.")
_ONE_NUMBER = Phrases(" Answer with one number.", " Answer with a number.", " Just the number.", " One number.")
_ASK_ABOUT = Phrases("{t}\n{q}", "{t}\n\n{q}", "{t} {q}", "{q}\n{t}", "Text: {t}\nQuestion: {q}",
    "Question: {q}\nText: {t}",
                     "{t}\n\nQuestion: {q}")  # fmt: skip


def short_answer(value: Json) -> str:
    """A scalar as a bare answer."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return e.number_text(value) if isinstance(value, float) else str(value)


def question_about(d: Draw, record: Record, stated: Sequence[str]) -> tuple[str, str] | None:
    """A question on one stated scalar fact and its bare answer, or None when there is none."""
    keys = [key for key in stated if not isinstance(record.facts[key].value, (list, dict))]
    if not keys:
        return None
    fact = record.facts[d.pick(keys)]
    name = record.facts[record.own[0]].surface if record.own else record.subject[:1].lower() + record.subject[1:]
    question = d.phrase(fact.spec.questions).replace("{s}", name)
    answer = short_answer(fact.value)
    if isinstance(fact.value, bool):
        return question + d.phrase(_YES_NO), answer
    if isinstance(fact.value, (int, float)):
        return question + d.phrase(_ONE_NUMBER if d.chance(0.5) else _BRIEF), answer
    return question + d.phrase(_ONE_WORD if " " not in answer and d.chance(0.4) else _BRIEF), answer


def question_case(d: Draw) -> Case:
    """A text and a question on it, answered with the bare value."""
    while True:
        record, text = text_about(d, d.pick(list(DOMAINS)))
        found = question_about(d, record, text.stated)
        if found:
            break
    question, answer = found
    body = d.phrase(_ASK_ABOUT).format(t=text.text, q=question)
    turns = (system(d.phrase(SYSTEMS)), user(body)) if d.chance(0.4) else (user(body),)
    return Case("question", (*turns, gold(answer)), answer)


def chain_case(d: Draw) -> Case:
    """One text worked on over several turns: fields, then questions, then other fields."""
    record, text = text_about(d, d.pick(list(DOMAINS)))
    types = words(d)
    asked = request(d, record, text)
    turns = [*prompt(d, instruction(d, asked.schema, types), asked.text), gold(dumps(asked.value))]
    value: Json = asked.value
    schema: Mapping[str, Json] | None = asked.schema
    for _ in range(d.rng.randint(1, 3)):
        found = question_about(d, record, text.stated) if d.chance(0.5) else None
        if found:
            turns += [user(found[0]), gold(found[1])]
            value, schema = found[1], None
        else:
            asked = request(d, record, text)
            turns += [user(instruction(d, asked.schema, types)), gold(dumps(asked.value))]
            value, schema = asked.value, asked.schema
    return Case("chain", tuple(turns), value, schema)
