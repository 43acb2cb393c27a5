"""Records about anything: field names that no domain knows, so that a user's own types work.

`The weight of the parcel is 12.5. Its colour is teal.` asked as `weight (number), colour (string)`.
"""

from __future__ import annotations

from . import entities as e
from .draw import Draw, Phrases, Pool, lines
from .records import (
    BOOLEAN,
    DATE,
    INTEGER,
    NUMBER,
    STRING,
    STRINGS,
    Fact,
    Json,
    Record,
    Spec,
    list_of,
    listing,
    object_of,
)

WORDS = Pool("""
colour, material, brand, model, owner, author, room, team, project, country, region, label, shape, category, status
text, serial, origin, maker, language, capital, driver, gate, source, target, contact, department, version, title,
nickname, species, flavour, style, genre, artist, street, district, manufacturer, reviewer, assignee, component
""")
COUNTS = Pool("""
weight, height, width, length, depth, speed, count, score, rating, floor, level, year, distance, volume, power,
mileage, age, rooms, pages, stock, quantity, points, limit, size, area, seats, temperature, pressure, budget, wins
""")
FLAGS = Pool("""
active, public, verified, urgent, open, locked, available, vegan, fragile, insured, heated, furnished, approved
""")
LISTS = Pool("""
tags, colours, features, authors, members, ingredients, parts, names, topics, keywords, tools, steps, players
""")
DAYS = Pool("""
start, end, deadline, created, updated, release, expiry, arrival, departure, signed, launch, renewal
""")
NOUNS = Pool("""
parcel, car, house, book, report, device, ticket, camera, boat, song, recipe, contract, server, flat, machine, film,
project, sample, package, bike, printer, team, account, file, engine, bug report, building, laptop, painting
""")

_SAY = lines("""
[the|its] {l} [is|was] {v}
it has a {l} of {v}
{l}: {v}
the {l} of the {n} [is|was] {v}
the {n} has {v} as its {l}
[for|as for|as to] the {l}, the [file|note|list|form] [says|has|gives|reads] {v}
as {l} [we|they|I] [have|noted|gave|found|entered] {v}
the {l} [was|is] [given|listed|noted|recorded|entered|stated] as {v}
the {n}'s {l} [is|was] {v}
[we|they|I] [noted|have|recorded|listed|entered] {v} as the {l}
{l} [is|was] {v}
{v} is the {l} [of the {n}|]
[its|the] {l} [given|named|noted|on file] is {v}
""")
_FLAG = {
    True: lines("""
    [it|the {n}|this {n}] is [now|indeed|already|] {l}
    {l}: yes
    [it|the {n}] [counts|is listed|is marked|is known] as {l}
    [yes|indeed|in fact|true], [it|the {n}] is {l}
    [it|the {n}] [was found|turned out|proved] to be {l}
    """),
    False: lines("""
    [it|the {n}|this {n}] is [not|not yet|no longer|never|in no way] {l}
    {l}: no
    [it|the {n}] [does not count|is not listed|is not marked|is not known] as {l}
    [no|in fact|alas|sadly], [it|the {n}] is not {l}
    [it|the {n}] [was found|turned out|proved] not to be {l}
    """),
}
_MANY = lines("""
[the|its] {l} [are|were] {v}
{l}: {v}
the {l} of the {n} [are|were] {v}
it [lists|has|names|shows] {v} as {l}
the {n} [has|lists|names|shows] the {l} {v}
as {l} [we|they|I] [have|noted|gave|found|entered] {v}
[we|they|I] [noted|have|recorded|listed|entered] {v} as the {l}
{v} are the {l} [of the {n}|]
""")
_OPENINGS = lines("""
[this|the note|the text|the following] is about [a|the] {n}
[a|one] [note|word|report|remark] on the {n}
the {n} was [checked|seen|found|measured|listed] [today|yesterday|last week|]
we [looked at|saw|checked|found|got] the {n} [today|yesterday|last week|]
[here|below] is [what we know|all we have|the data|what we noted] about the {n}
""")


def _spec(name: str, label: str, question: str) -> Spec:
    return Spec((name,), (), Phrases(), (label,), Phrases(question), (f"the {label}",))


def make(d: Draw) -> tuple[Record, str]:
    """A thing with two to six facts, and the text about it (each fact is its own sentence, so there may be six)."""
    noun = e.entity(d, NOUNS) if d.chance(0.8) else e.word(d)
    facts: dict[str, Fact] = {}
    sentences: list[str] = []
    for _ in range(d.rng.randint(2, 6)):
        label, fact, sentence = _one(d, noun)
        if label in facts:
            continue
        facts[label] = fact
        sentences.append(_sentence(sentence.format(l=label, v=fact.surface, n=noun)))
    if d.chance(0.5):
        sentences.insert(0, _sentence(d.phrase(_OPENINGS).format(n=noun)))
    return Record(f"the {noun}", ("It",), facts, (), Phrases()), " ".join(sentences)


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}."


def _one(d: Draw, noun: str) -> tuple[str, Fact, str]:
    kind = d.rng.random()
    if kind < 0.4:
        label = e.entity(d, WORDS) if d.chance(0.75) else e.word(d)
        makers = (e.capital, e.goods, e.person, e.code, e.word, e.city, e.company)
        value = e.entity(d, e.COLOURS) if label == "colour" else d.pick(makers)(d)
        question = f"What is the {label} of the {noun}?"
        return label, Fact(_spec(_snake(label), label, question), STRING, value, value), d.phrase(_SAY)
    if kind < 0.65:
        label = e.entity(d, COUNTS) if d.chance(0.8) else e.word(d)
        question = f"What is the {label} of the {noun}?"
        if d.chance(0.5):
            number = d.integer(1, 9000)
            return label, Fact(_spec(_snake(label), label, question), INTEGER, number, str(number)), d.phrase(_SAY)
        text = e.amount(d)
        return label, Fact(_spec(_snake(label), label, question), NUMBER, e.number_value(text), text), d.phrase(_SAY)
    if kind < 0.75:
        label, flag = e.entity(d, FLAGS), d.chance(0.5)
        spec = _spec(d.pick((_snake(label), f"is_{label}")), label, f"Is the {noun} {label}?")
        return label, Fact(spec, BOOLEAN, flag, "yes" if flag else "no"), d.phrase(_FLAG[flag])
    if kind < 0.87:
        label = e.entity(d, LISTS)
        values = list(dict.fromkeys(d.pick((e.goods, e.word, e.capital))(d) for _ in range(d.rng.randint(1, 4))))
        spec = _spec(label, label, f"What are the {label} of the {noun}?")
        return label, Fact(spec, STRINGS, values, listing(d, values)), d.phrase(_MANY)
    label, day = e.entity(d, DAYS), e.date(d)
    spec = _spec(d.pick((label, f"{label}_date")), f"{label} date", f"What is the {label} date of the {noun}?")
    return f"{label} date", Fact(spec, DATE, day.isoformat(), e.date_text(d, day)), d.phrase(_SAY)


_GROUP = lines("""
{x} is {n} [years old|]
{x}, {n}
{x} ({n})
{x} [has|got|scored|made|reached|won|took] {n} [points|]
{x} [comes|amounts|adds up] to {n}
{x}: {n}
{x} with {n}
{n} for {x}
{x} [is|was|stands] at {n}
{n} [goes|went] to {x}
{x} [was|is] [given|listed with|noted with] {n}
""")
_GROUP_KEYS = (("people", "name", "age"), ("players", "name", "points"), ("results", "name", "score"), ("entries",
    "title", "count"),
               ("rows", "name", "value"), ("persons", "name", "age"), ("lines", "item", "amount"), ("items", "name",
               "quantity"))  # fmt: skip


def make_group(d: Draw) -> tuple[str, str, list[dict[str, Json]], dict[str, Json]]:
    """Several names with a number each: the text, the field, its value and its schema."""
    field, first, second = d.pick(_GROUP_KEYS)
    maker = d.pick((e.person, e.first_name, e.goods, e.capital))
    names = list(dict.fromkeys(maker(d) for _ in range(d.rng.randint(1, 5))))
    decimals = d.chance(0.3)
    numbers = [e.amount(d) if decimals else str(d.integer(1, 99)) for _ in names]
    form = d.phrase(_GROUP)
    joint = d.pick((", ", "; ", ". ", "\n", ", "))
    parts = [form.format(x=name, n=number) for name, number in zip(names, numbers, strict=True)]
    text = e.series(d, parts) if joint == ", " else joint.join(parts)
    value = [{first: name, second: e.number_value(number)} for name, number in zip(names, numbers, strict=True)]
    schema = list_of(object_of({first: STRING, second: NUMBER if decimals else INTEGER}))
    return text[0].upper() + text[1:] + d.pick((".", ".", "")), field, value, schema


def _snake(label: str) -> str:
    return label.replace(" ", "_")
