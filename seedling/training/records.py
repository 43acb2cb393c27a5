"""A record is a subject and its facts; a text says some of them in one to three sentences.

The four domains (people, orders, receipts, events) and the free one build records; this file turns a record into prose
or notes, and knows what a fact is: the field names by which it may be asked, its JSON Schema, its value, its wording.

    Record("Lena Ortiz", again=("She", "Lena"), facts={age: 34, city: "Torvik"}, leads=...)
        -> "Lena Ortiz is 34 years old. She lives in Torvik."
"""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from .draw import Draw, Phrases, lines
from .entities import series

Json = Any
"""A JSON value: str, int, float, bool, None, list or dict of these."""

STRING: Mapping[str, Json] = {"type": "string"}
INTEGER: Mapping[str, Json] = {"type": "integer"}
NUMBER: Mapping[str, Json] = {"type": "number"}
BOOLEAN: Mapping[str, Json] = {"type": "boolean"}
DATE: Mapping[str, Json] = {"type": "string", "format": "date"}
STRINGS: Mapping[str, Json] = {"type": "array", "items": {"type": "string"}}


def enum_of(options: Sequence[str]) -> dict[str, Json]:
    return {"type": "string", "enum": list(options)}


def object_of(properties: Mapping[str, Mapping[str, Json]]) -> dict[str, Json]:
    """An object with all of `properties` required, in this order, and no others."""
    return {
        "type": "object",
        "properties": {name: dict(part) for name, part in properties.items()},
        "required": list(properties),
        "additionalProperties": False,
    }


def list_of(items: Mapping[str, Json]) -> dict[str, Json]:
    return {"type": "array", "items": dict(items)}


@dataclass(frozen=True)
class Spec:
    """What is fixed about a kind of fact.

    Attributes:
        names: field names by which a user may ask for it; the first is the plain one.
        nouns: what the fact is called after an article (`age`), where a sentence may be built on it; or empty.
        clauses: wordings with the record's subject before them, `{v}` for the value.
        labels: labels in notes, as in `Age: 34`.
        questions: questions whose answer is the value, `{s}` for the subject.
        meaning: what the field should hold, as a correction would say it (`the age`, `the amount paid`).
    """

    names: tuple[str, ...]
    nouns: tuple[str, ...]
    clauses: Phrases
    labels: tuple[str, ...]
    questions: Phrases
    meaning: tuple[str, ...]


def asking(nouns: Sequence[str], text: str = "") -> Phrases:
    """Questions for a value by its name, and those of `text`, one a line."""
    choice = f"[{'|'.join(nouns)}]"
    frames = (
        f"[what is|can you tell me|could you tell me|do you know|may I know] the {choice} of {{s}}?",
        f"[tell me|give me|please tell me|find|look up|I need|please name|write down|name] the {choice} of {{s}}.",
        f"[what is|can you tell me|could you give me|do you know] {{s}}'s {choice}?",
        f"[tell me|give me|please give me|find|I need|I want|name] {{s}}'s {choice}.",
        f"[which|what] {choice} does [{{s}} have|the text give for {{s}}|the text name]?",
        f"[what does the text say|what do you know|what is said|what is written] about the {choice} of {{s}}?",
        f"[and|now|next,] the {choice} of {{s}}?",
        f"what is the {choice}?",
        f"[the|and the|now the] {choice}[, please?|?|, please.]",
    )
    extra = tuple(line.strip() for line in text.strip().splitlines())
    return Phrases(*extra, *extra, *(frames if nouns else ()))


@dataclass(frozen=True)
class Fact:
    """One fact of a record: the schema and value that JSON gets, and how the text writes the value.

    `clauses` replaces the spec's wordings where they depend on the value (booleans, enums).
    """

    spec: Spec
    schema: Mapping[str, Json]
    value: Json
    surface: str
    clauses: Phrases | None = None

    @property
    def wordings(self) -> Phrases:
        return self.clauses if self.clauses is not None else self.spec.clauses

    @property
    def nouns(self) -> tuple[str, ...]:
        return self.spec.nouns if not isinstance(self.value, bool) else ()


NOTHING = Phrases()


@dataclass(frozen=True)
class Record:
    """A subject with facts.

    Attributes:
        subject: the words that open the first sentence (`Lena Ortiz`, `Order A-1042`).
        again: how later sentences refer to it (`She`, `The order`).
        alias: what a question may call it (`the order`).
        relative: `who` or `which`.
        possessive: `her`, `his` or `its`.
        facts: by key; the subject's own fact (its name) is among them.
        own: keys that naming the subject already states.
        leads: whole first sentences with `{key}` for facts.
        asides: sentences about something else that must not be extracted, with `{key}` for `others`.
    """

    subject: str
    again: tuple[str, ...]
    facts: dict[str, Fact]
    own: tuple[str, ...]
    leads: Phrases
    asides: Phrases = NOTHING
    others: Mapping[str, Json] = field(default_factory=dict)
    alias: str = "it"
    relative: str = "which"
    possessive: str = "its"


@dataclass(frozen=True)
class Text:
    """What was written about a record, and which facts it states."""

    text: str
    stated: tuple[str, ...]


_OPENERS = lines("""
[hello|hi|hi team|dear all|good morning|good day|hi there], [here is|this is|please see|I am sending|find] \
[the|my|a short|a quick|our] [note|update|message|summary|report]:
[fyi|note|update|notice|news|info|a note|a short note|an update|for information|a reminder]:
[for|from] [the|my|our] [file|records|inbox|notes|archive|list|log|desk]:
[please|kindly|] [read|note|see|file|keep|record|save] [this|the following|what follows|the note below]:
[as promised|as agreed|as requested|as discussed|in short|just so you know|for your records|once more|by the way],
[I heard that|I was told that|it seems that|we know that|it is said that|please note that|they say that]
""")
_CLOSERS = lines("""
[that is all|that is it|nothing more|no more news|this is all] [for now|for today|from me|from us|so far|].
[thanks|thank you|many thanks] [for|in advance for] [reading|your time|your help|the help].
[more|the rest|details|further news] [will follow|comes later|can wait|follows soon|follows tomorrow].
[please|kindly|] [file|keep|save|store|forward|print] [this|this note|the note|it] [for me|for us|for later|].
[I hope|we hope] [this helps|that helps|all is well|you are well|that is enough].
[let me know|tell us|tell me|please ask] [if|in case] [anything|something|a word] is [missing|unclear|wrong|not \
clear].
[best|kind|warm|good] [wishes|regards].
[see you|talk to you|back to you] [soon|later|tomorrow|next week].
""")
_NOMINAL = lines("""
[the|{o}] {k} [is|was] {v}
[the|{o}] {k} [given|listed|named|noted|stated|mentioned|recorded|on file] is {v}
as [the|{o}] {k} [we have|the file has|the file says|the note says|I see|we noted|they gave] {v}
for the {k} [we have|the file has|the file says|the note says|I see|we noted|they gave|I have] {v}
{v} [is|was|makes|stands as] [the|{o}] {k} [on file|here|]
the {k} [was|is] [given|listed|noted|stated|recorded|entered|named] as {v}
the {k}: {v}
we [noted|have|recorded|listed|entered|took] {v} as the {k}
[about|as for|as to|regarding] the {k}, it is {v}
""")
_MANY = lines("""
[the|{o}] {k} [are|were] {v}
[the|{o}] {k} [given|listed|named|noted|stated|mentioned|recorded|on file] are {v}
as [the|{o}] {k} [we have|the file has|the file says|the note says|I see|we noted|they gave] {v}
for the {k} [we have|the file has|the file says|the note says|I see|we noted|they gave|I have] {v}
{v} [are|were|make up|form] [the|{o}] {k} [on file|here|]
the {k} [were|are] [given|listed|noted|stated|recorded|entered|named] as {v}
the {k}: {v}
we [noted|have|recorded|listed|entered|took] {v} as the {k}
""")


@functools.cache
def keys_of(template: str) -> tuple[str, ...]:
    """The `{key}` names in a template; every reading of its choices has the same ones."""
    return tuple(dict.fromkeys(re.findall(r"\{(\w+)\}", template)))


def write(d: Draw, record: Record, keys: Sequence[str]) -> Text:
    """A text of one to three sentences that states the facts `keys` (and the subject's own), with or without padding.

    Facts that only a lead can say are left out when no lead fits; `stated` tells.
    """
    if d.chance(0.14):
        return _notes(d, record, [*record.own, *keys])
    wanted = [key for key in dict.fromkeys(keys) if key not in record.own]
    sentences: list[str] = []
    stated: list[str] = []
    fitting = [
        number for number, lead in enumerate(record.leads.templates)
        if set(keys_of(lead)) - set(record.own) <= set(wanted)
    ]  # fmt: skip
    if fitting and d.chance(0.5):
        lead = d.phrase(record.leads, only=fitting)
        said = lead.format(**{key: record.facts[key].surface for key in keys_of(lead)})
        sentences.append(f"{said if lead.startswith('{') else _capital(said)}.")
        stated += keys_of(lead)
    rest = [key for key in d.shuffled(wanted) if key not in stated and record.facts[key].wordings.templates]
    while rest and len(sentences) < 3:
        room = 3 - len(sentences)
        least = max(1, -(-len(rest) // room))
        count = min(len(rest), max(least, d.rng.randint(1, 3)))
        chunk, rest = rest[:count], rest[count:]
        introduced = bool(sentences) and set(record.own) <= set(stated)
        nouns = record.facts[chunk[0]].nouns
        if count == 1 and nouns and (introduced or not record.own) and d.chance(0.45):
            sentences.append(_nominal(d, record, record.facts[chunk[0]]))
        else:
            head = d.pick(record.again) if introduced else record.subject
            stated += [key for key in record.own if key not in stated]
            sentences.append(_predicated(d, record, head, chunk))
        stated += chunk
    if not sentences:
        return _notes(d, record, list(record.own))
    if record.asides.templates and d.chance(0.15):
        sentences.insert(d.pick((len(sentences), len(sentences), 0)), _aside(d, record))
    return Text(_padded(d, " ".join(sentences)), tuple(dict.fromkeys(stated)))


def _predicated(d: Draw, record: Record, head: str, keys: Sequence[str]) -> str:
    """One sentence with the head as its subject and a clause for each key."""
    clauses = [_clause(d, record.facts[key]) for key in keys]
    if len(clauses) > 1 and d.chance(0.12):
        first = f"{_capital(head)}, {record.relative} {clauses[0]},"
        return f"{first} {_joined(d, clauses[1:])}."
    return f"{_capital(head)} {_joined(d, clauses)}."


def _joined(d: Draw, clauses: Sequence[str]) -> str:
    """`a`, `a and b`, `a, b and c`, now and then with another conjunction."""
    if len(clauses) == 1:
        return clauses[0]
    last = d.pick((" and", " and", " and", " and", ", and", " and also", ", and also", " but also"))
    return f"{', '.join(clauses[:-1])}{last} {clauses[-1]}"


def _nominal(d: Draw, record: Record, fact: Fact) -> str:
    """A sentence in which the fact's name is the subject."""
    frame = d.phrase(_MANY if isinstance(fact.value, list) else _NOMINAL).replace("{o}", record.possessive)
    frame = frame if frame.startswith("{") else _capital(frame)
    return frame.replace("{k}", d.pick(fact.nouns)).replace("{v}", fact.surface) + "."


def _aside(d: Draw, record: Record) -> str:
    return _capital(d.phrase(record.asides).format(**record.others)) + "."


def _padded(d: Draw, text: str) -> str:
    """The text, sometimes with a remark before or after it that says nothing."""
    if d.chance(0.15):
        text = f"{_capital(d.phrase(_OPENERS))} {text}"
    if d.chance(0.1):
        text = f"{text} {_capital(d.phrase(_CLOSERS))}"
    return text


def _clause(d: Draw, fact: Fact) -> str:
    return d.phrase(fact.wordings).replace("{v}", fact.surface)


_LAYOUTS = (
    ("\n", "{k}: {v}"), (" ", "{k}: {v}."), ("; ", "{k} - {v}"), (", ", "{k}: {v}"), ("\n", "- {k}: {v}"),
    (" | ", "{k}: {v}"), ("\n", "{k} = {v}"), ("; ", "{k}: {v}"), (". ", "{k} is {v}"), ("\n", "* {k}: {v}"),
)  # fmt: skip
_TITLES = lines("""
[here are|these are|find below|see below|please find|I have|we have] [the|all the|our|some] \
[details|data|notes|entries|facts]:
[details|data|notes|entry|entries|record|summary|info|facts]:
[the|our|a] [record|entry|card|file|form] [says|reads|has|shows|lists]:
""")


def _notes(d: Draw, record: Record, keys: Sequence[str]) -> Text:
    """`Name: Lena Ortiz. Age: 34. City: Torvik.` in one of several layouts."""
    chosen = d.shuffled(list(dict.fromkeys(keys))) if d.chance(0.5) else list(dict.fromkeys(keys))
    between, entry = d.pick(_LAYOUTS)
    kind = d.rng.random()
    shown = []
    for key in chosen:
        label = d.pick(record.facts[key].spec.labels)
        label = label.lower() if kind < 0.3 else label.upper() if kind < 0.36 else label
        shown.append(entry.replace("{k}", label).replace("{v}", _note_value(record.facts[key])))
    text = between.join(shown)
    if d.chance(0.3):
        text = f"{_capital(d.phrase(_TITLES))}{d.pick((' ', chr(10)))}{text}"
    return Text(text, tuple(chosen))


def _note_value(fact: Fact) -> str:
    if isinstance(fact.value, bool):
        return "yes" if fact.value else "no"
    if "enum" in fact.schema:
        return str(fact.value)
    return fact.surface


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def listing(d: Draw, values: Sequence[str]) -> str:
    """The surface of a list of strings."""
    return series(d, list(values))
