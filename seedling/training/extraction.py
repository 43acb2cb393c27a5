"""Task (a): fields out of one to three sentences, as JSON of a schema that the prompt spells in field notation."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from ..notation import Words, describe
from . import entities as e
from . import events, orders, people, receipts, things
from .case import Case, Turn, dumps, gold, system, user
from .draw import Draw, Phrases, lines
from .records import Fact, Json, Record, Text, object_of, write

DOMAINS: Mapping[str, Callable[[Draw], Record]] = {
    "people": people.make,
    "orders": orders.make,
    "receipts": receipts.make,
    "events": events.make,
}

ASK = lines("""
extract JSON with fields: {f}
[please|kindly|now|] [extract|return|give|write|output|produce|create|make|build|give me|send] [the|] JSON \
[with|with the|with these|that has the|having the] fields: {f}
[please|] [read|look at|go through|study|take|use|scan] the [text|message|note|sentence|input] and \
[extract|return|give|write|output|fill in] JSON with [the|these|] fields: {f}
[please|] [turn|convert|change|put|bring] the [text|message|note|sentence|input] into JSON with [the|these|] \
fields: {f}
[please|] [find|get|extract|collect|pick out|fill in|list] [these|the following|the] [fields|values|data] \
[in|from] the [text|message|note] [and answer in|as|in the form of|in] JSON: {f}
[the|] [fields|JSON fields] [to extract|to fill in|to find|wanted|needed|asked for|]: {f}
[please|] [answer|reply|respond] [in|with|only in|only with|with nothing but] JSON [with fields|with the \
fields|that has the fields|of the fields]: {f}
JSON [only|please|] with [the|these|] fields: {f}
[please|] [extract|output|return|fill in|write] [this|this JSON|as JSON|in JSON]: {f}
[please|] extract [from the text|from the message|from the note|] [the fields|the values|] {f}
I [need|want|would like|ask for|am looking for] [the|] JSON with [the|these|] fields: {f}
[your task|the task|your job] is to [extract|return|write|give|fill in] JSON with [the|these|] fields: {f}
[what|which] [values|data] does the [text|message|note] give for [the|these|] fields: {f}
[as JSON|in JSON], [give|write|return|extract] [the|these|] fields: {f}
[here|these] are the [fields|JSON fields] [to extract|to fill in|to find|that I need]: {f}
""")
SYSTEMS = lines("""
you are a [careful|helpful|precise|quick|reliable|good] [assistant|helper|clerk|reader]
you [read|study|take|get] [short|] [texts|messages|notes] and [answer|reply] [in|with] JSON
you [extract|pick|take|collect] [data|facts|fields|values] [from|out of] [text|texts|messages|notes]
[answer|reply|respond] [with|in] JSON [only|and nothing else]
you [work|help|sit] in the [back office|mail room|office|archive]
be [exact|precise|careful]. copy [names|words|values] as they [stand|are written|are]
you [fill in|complete|prepare] [forms|tables|records]
[your task|the task|your job] is to [read|sort|file] [texts|messages|notes]
""")
_CUES = lines("""
[text|the text|message|the message|input|the input|note|the note]: {t}
[here is|this is|below is|see] the [text|message|note|input]: {t}
[text|message|note] [to read|to use|to work on|to look at]: {t}
[the|my] [text|message|note] [reads|says|is]: {t}
""")
NOTED = "Noted."
"""What the model says to a turn that asks for nothing."""


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
    missing = d.sample(silent, min(len(silent), d.pick((1, 1, 1, 2, 2, 3)))) if d.chance(0.32) else []
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
        nullable = key in missing or d.chance(0.12)
        facts[name] = fact
        if key in missing:
            absent.add(name)
        parts[name] = _nullable(fact.schema) if nullable else fact.schema
    return Request(record, text.text, text.stated, facts, frozenset(absent), object_of(parts))


def _nullable(schema: Mapping[str, Json]) -> dict[str, Json]:
    return {"anyOf": [dict(schema), {"type": "null"}]}


_NEAR: tuple[set[str], ...] = (
    {"city", "address", "destination", "place", "venue"}, {"job", "level"}, {"kind", "title"}, {"host", "guests"},
    {"currency", "total"}, {"currency", "tax"}, {"currency", "tip"}, {"currency", "items"}, {"total", "items"},
)  # fmt: skip


def _implied(key: str, stated: Sequence[str]) -> bool:
    """Whether a stated fact half says `key` as well, so that asking for it as absent would be unfair."""
    return any(key in group and group & set(stated) for group in _NEAR)


def _clashes(record: Record, fact: Fact, name: str, keys: Sequence[str]) -> bool:
    """Whether another fact at hand could be meant by `name` (two dates, two names)."""
    return any(name in record.facts[key].spec.names for key in keys if record.facts[key] is not fact)


def prompt(d: Draw, ask: str, text: str) -> tuple[Turn, ...]:
    """The instruction and the text as turns: apart, or one before or after the other in the user's."""
    kind = d.rng.random()
    if kind < 0.5:
        return system(ask), user(cued(d, text) if d.chance(0.2) else text)
    gap = d.pick(("\n", "\n\n", "\n", " "))
    if kind < 0.78:
        turns: tuple[Turn, ...] = (user(f"{ask}{gap}{cued(d, text) if d.chance(0.4) else text}"),)
    elif kind < 0.9:
        turns = (user(f"{text}{gap}{ask}"),)
    else:
        turns = (user(text), user(ask)) if kind < 0.94 else (user(text), gold(NOTED), user(ask))
    return (system(told(d, SYSTEMS)), *turns) if d.chance(0.25) else turns


def cued(d: Draw, text: str) -> str:
    """The text after words that announce it."""
    return capital(d.phrase(_CUES)).replace("{t}", text)


def told(d: Draw, wordings: Phrases) -> str:
    """A wording as sentences."""
    text = ". ".join(map(capital, d.phrase(wordings).rstrip(".").split(". ")))
    return text + d.pick((".", ".", ""))


def capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def instruction(d: Draw, schema: Mapping[str, Json], types: Words) -> str:
    """The request for the fields of `schema`."""
    text = d.phrase(ASK, plain=0.3)
    text = text if d.chance(0.06) else capital(text)
    if d.chance(0.06):
        text = text.replace(": {f}", d.pick((" {f}", ":\n{f}", " - {f}")))
    return text.replace("{f}", describe(schema, types)) + (d.pick((".", "")) if d.chance(0.3) else "")


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


_YES_NO = lines("""
[please|] [answer|reply|say|respond] [with|] yes or no
yes or no
[just|only|simply] [say|answer|reply] yes or no
""")
BRIEF = lines("""
[please|] [answer|reply|respond] [briefly|shortly|in short|in a few words]
[please|] [answer|reply|respond] with [the value|the answer|the bare value] [only|alone|and nothing else]
[a short|a brief|only a short|just a short] [answer|reply]
[give|write|say] [only|just] the [value|answer]
[no|without] [explanation|sentence|comment|explanations]
[just|only] the [value|answer]
""")
_ONE_WORD = lines("""
[please|] [answer|reply|respond|say it] [with|in] [one|a single] word
[one|a single|just one] word [please|only|]
""")
_ONE_NUMBER = lines("""
[please|] [answer|reply|respond] with [one|a|the] number
[just|only] [the|one|a] number
[give|write|say] [only|just] the number
""")
_ASK_ABOUT = (
    "{t}\n{q}", "{t}\n\n{q}", "{t} {q}", "{q}\n{t}", "Text: {t}\nQuestion: {q}", "Question: {q}\nText: {t}",
    "{t}\n\nQuestion: {q}", "{q}\n\n{t}", "Message: {t}\n{q}", "Q: {q}\n{t}",
)  # fmt: skip


def closed(d: Draw, question: str, wordings: Phrases) -> str:
    """A question and a sentence that says how to answer it."""
    stop = "." if question[-1].isalnum() else ""
    return f"{question}{stop} {capital(d.phrase(wordings))}{d.pick(('.', '.', ''))}"


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
    name = record.facts[record.own[0]].surface if record.own else record.subject
    name = name if record.subject == name and record.own else record.subject[:1].lower() + record.subject[1:]
    question = capital(d.phrase(fact.spec.questions).replace("{s}", record.alias if d.chance(0.3) else name))
    if d.chance(0.06):
        question = question.rstrip("?.") if d.chance(0.5) else question[0].lower() + question[1:]
    answer = short_answer(fact.value)
    if d.chance(0.6):
        return question, answer
    if isinstance(fact.value, bool):
        return closed(d, question, _YES_NO), answer
    if isinstance(fact.value, (int, float)):
        return closed(d, question, _ONE_NUMBER if d.chance(0.5) else BRIEF), answer
    return closed(d, question, _ONE_WORD if " " not in answer and d.chance(0.4) else BRIEF), answer


def question_case(d: Draw) -> Case:
    """A text and a question on it, answered with the bare value."""
    while True:
        record, text = text_about(d, d.pick(list(DOMAINS)))
        found = question_about(d, record, text.stated)
        if found:
            break
    question, answer = found
    kind = d.rng.random()
    if kind < 0.7:
        turns: tuple[Turn, ...] = (user(d.pick(_ASK_ABOUT).format(t=text.text, q=question)),)
    elif kind < 0.8:
        turns = (user(text.text), user(question))
    elif kind < 0.9:
        turns = (user(text.text), gold(NOTED), user(question))
    else:
        turns = (system(question), user(text.text))
    turns = (system(told(d, SYSTEMS)), *turns) if d.chance(0.3) and turns[0].role == "user" else turns
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
