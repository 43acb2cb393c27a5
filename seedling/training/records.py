"""A record is a subject and its facts; a text says some of them in one to three sentences.

The four domains (people, orders, receipts, events) and the free one build records; this file turns a record into prose
or notes, and knows what a fact is: the field names by which it may be asked, its JSON Schema, its value, its wording.

    Record("Lena Ortiz", again=("She", "Lena"), facts={age: 34, city: "Torvik"}, leads=...)
        -> "Lena Ortiz is 34 years old. She lives in Torvik."
"""

from __future__ import annotations

import functools
import string
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from .draw import Draw, Phrases
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
        clauses: wordings with the record's subject before them, `{v}` for the value; empty when only a lead says it.
        labels: labels in notes, as in `Age: 34`.
        questions: questions whose answer is the value, `{s}` for the subject.
        meaning: what the field should hold, as a correction would say it (`the age`, `the amount paid`).
    """

    names: tuple[str, ...]
    clauses: Phrases
    labels: tuple[str, ...]
    questions: Phrases
    meaning: tuple[str, ...]


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


NOTHING = Phrases()


@dataclass(frozen=True)
class Record:
    """A subject with facts.

    Attributes:
        subject: the words that open the first sentence (`Lena Ortiz`, `Order A-1042`).
        again: how later sentences refer to it (`She`, `The order`).
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


@dataclass(frozen=True)
class Text:
    """What was written about a record, and which facts it states."""

    text: str
    stated: tuple[str, ...]


_OPENERS = Phrases("", "Hello, here is the note. ", "FYI: ", "For the file: ", "Please read this. ", "Update: ",
    "Note: ",
                   "From my inbox: ", "Quick summary: ", "Hi team, ")  # fmt: skip


@functools.cache
def keys_of(template: str) -> tuple[str, ...]:
    """The `{key}` names in a template."""
    return tuple(name for _, name, _, _ in string.Formatter().parse(template) if name)


def write(d: Draw, record: Record, keys: Sequence[str]) -> Text:
    """A text of one to three sentences that states the facts `keys` (and the subject's own).

    Facts that only a lead can say are left out when no lead fits; `stated` tells.
    """
    if d.chance(0.14):
        return _notes(d, record, [*record.own, *keys])
    wanted = [key for key in dict.fromkeys(keys) if key not in record.own]
    sentences: list[str] = []
    stated: list[str] = []
    fitting = [lead for lead in record.leads.all if set(keys_of(lead)) - set(record.own) <= set(wanted)]
    loose = [key for key in wanted if not record.facts[key].wordings.all]
    if loose:
        fitting = [lead for lead in fitting if loose[0] in keys_of(lead)]
    if fitting and (loose or d.chance(0.5)):
        lead = d.phrase(_same_split(record.leads, fitting))
        used = keys_of(lead)
        if set(used) - set(record.own) <= set(wanted):
            sentences.append(_capital(lead.format(**{key: record.facts[key].surface for key in used})) + ".")
            stated += [key for key in used if key not in stated]
    rest = [key for key in d.shuffled(wanted) if key not in stated and record.facts[key].wordings.all]
    while rest and len(sentences) < 3:
        room = 3 - len(sentences)
        least = max(1, -(-len(rest) // room))
        count = min(len(rest), max(least, d.rng.randint(1, 3)))
        chunk, rest = rest[:count], rest[count:]
        introduced = bool(sentences) and set(record.own) <= set(stated)
        head = d.pick(record.again) if introduced else record.subject
        stated += [key for key in record.own if key not in stated]
        clauses = [_clause(d, record.facts[key]) for key in chunk]
        joined = clauses[0] if len(clauses) == 1 else f"{', '.join(clauses[:-1])} and {clauses[-1]}"
        sentences.append(f"{_capital(head)} {joined}.")
        stated += chunk
    if not sentences:
        return _notes(d, record, list(record.own))
    if record.asides.all and d.chance(0.12):
        sentences.append(d.phrase(record.asides).format(**record.others))
    opener = d.phrase(_OPENERS) if d.chance(0.15) else ""
    return Text(opener + " ".join(sentences), tuple(stated))


def _same_split(phrases: Phrases, subset: Sequence[str]) -> Phrases:
    """`phrases` cut down to `subset`, each keeping the part (common or novel) it had."""
    part = Phrases()
    part.all = tuple(subset)
    part.novel = tuple(option for option in subset if option in phrases.novel)
    part.common = tuple(option for option in subset if option in phrases.common) or part.novel
    return part


def _clause(d: Draw, fact: Fact) -> str:
    return d.phrase(fact.wordings).replace("{v}", fact.surface)


def _notes(d: Draw, record: Record, keys: Sequence[str]) -> Text:
    """`Name: Lena Ortiz. Age: 34. City: Torvik.` in one of four layouts."""
    chosen = d.shuffled(list(dict.fromkeys(keys))) if d.chance(0.5) else list(dict.fromkeys(keys))
    pairs = [(d.pick(record.facts[key].spec.labels), _note_value(record.facts[key])) for key in chosen]
    layout = d.phrase(_LAYOUTS)
    if layout == "lines":
        text = "\n".join(f"{label}: {value}" for label, value in pairs)
    elif layout == "dashes":
        text = "; ".join(f"{label.lower()} - {value}" for label, value in pairs)
    elif layout == "commas":
        text = ", ".join(f"{label.lower()}: {value}" for label, value in pairs)
    else:
        text = " ".join(f"{label}: {value}." for label, value in pairs)
    return Text(text, tuple(chosen))


_LAYOUTS = Phrases("lines", "sentences", "dashes", "commas")


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
