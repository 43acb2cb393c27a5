"""Task (c): decide on a tool call, read its result, go on or answer; one to three calls.

The assistant's turn is one JSON object, `{"tool": "calculator", "input": "12 * 7"}` or `{"answer": "84"}`; the
tool's turn is its bare result. Nothing is computed in the head: the answer is always copied from a result or from the
question.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from . import entities as e
from .case import Case, Turn, dumps, gold, system, tool, user
from .draw import Draw, Phrases
from .records import Json
from .tools import call

SCHEMA: Mapping[str, Json] = {
    "anyOf": [
        {
            "type": "object",
            "properties": {"tool": {"type": "string", "enum": ["calculator", "lookup"]}, "input": {"type": "string"}},
            "required": ["tool", "input"],
            "additionalProperties": False,
        },
        {
            "type": "object",
            "properties": {"answer": {"type": "string"}},
            "required": ["answer"],
            "additionalProperties": False,
        },
    ]
}
MAX_STEPS = 4

SYSTEM = (
    'Tools: calculator(expression), lookup(key). Reply with JSON: {"tool": name, "input": text} or {"answer": text}.'
)
_SYSTEMS = Phrases(
    SYSTEM,
    "Tools: calculator(expression), lookup(key).",
    "Tools: lookup(key), calculator(expression). Call a tool or answer, in JSON.",
    "You can use the tools calculator(expression) and lookup(key). Answer in JSON.",
    "You have two tools, lookup(key) and calculator(expression). "
    'Reply with {"tool": ..., "input": ...} or {"answer": ...}.',
    "Use the tools calculator(expression) and lookup(key) to answer. Never compute in your head.",
    "Answer the question. Tools: calculator(expression), lookup(key).",
    "You are an assistant with tools: calculator(expression), lookup(key). Reply with JSON.",
)

_ADD = Phrases("What is {a} plus {b}?", "Add {a} and {b}.", "Compute {a} + {b}.", "{a} + {b} = ?",
    "What is the sum of {a} and {b}?",
               "How much is {a} and {b} together?", "Calculate {a} plus {b}.",
               "What do {a} and {b} add up to?")  # fmt: skip
_SUB = Phrases("What is {a} minus {b}?", "Subtract {b} from {a}.", "Compute {a} - {b}.", "{a} - {b} = ?",
    "Take {b} away from {a}.",
               "What is the difference between {a} and {b}?", "Calculate {a} minus {b}.",
               "How much is {a} less {b}?")  # fmt: skip
_MUL = Phrases("What is {a} times {b}?", "Multiply {a} by {b}.", "Compute {a} * {b}.", "{a} * {b} = ?",
    "How much is {a} times {b}?",
               "What is the product of {a} and {b}?", "Calculate {a} times {b}.",
               "What is {a} multiplied by {b}?")  # fmt: skip
_DIV = Phrases("What is {a} divided by {b}?", "Divide {a} by {b}.", "Compute {a} / {b}.", "{a} / {b} = ?",
    "How much is {a} over {b}?",
               "Calculate {a} divided by {b}.", "Split {a} into {b} equal parts, how big is one?",
               "What is one {b}th of {a}?")  # fmt: skip
_BINARY = (("+", _ADD), ("-", _SUB), ("*", _MUL), ("/", _DIV))
_EXPRESSION = Phrases("What is {x}?", "Compute {x}.", "Calculate {x}", "{x} = ?", "How much is {x}?", "Evaluate {x}.",
    "Work out {x}.",
                      "Give me the value of {x}.", "Solve {x}.")  # fmt: skip
_WORDED: tuple[tuple[str, Phrases], ...] = (
    ("{n} * {a}", Phrases(
        "{p} buys {n} {gs} at {a} each. What is the total?", "One {g} costs {a}. How much do {n} cost?",
        "How much are {n} {gs} at {a} dollars each?", "{n} {gs}, {a} each: what is the sum?",
        "A {g} costs {a}. {p} takes {n}. What does it cost?",
        "What do I pay for {n} {gs} at {a} per piece?", "{p} orders {n} times a {g} for {a}. What is the price in all?",
        "I need {n} {gs} and each one is {a}. How much is that?", "If one {g} is {a}, what are {n}?")),
    ("{i} - {n}", Phrases(
        "{p} has {i} {gs} and gives away {n}. How many are left?",
        "There were {i} {gs}, {n} were sold. How many remain?",
        "Of {i} {gs}, {n} are broken. How many work?", "{i} people came and {n} left. How many are still there?",
        "We had {i} {gs} and lost {n}. How many do we have now?",
        "{p} owns {i} {gs} and sells {n}. How many does {p} keep?",
        "From {i} seats, {n} are taken. How many are free?")),
    ("{i} + {n}", Phrases(
        "{p} has {i} {gs} and gets {n} more. How many is that?", "{i} people came, then {n} more. How many in all?",
        "There are {i} {gs} in one box and {n} in another. How many together?",
        "{p} read {i} pages on Monday and {n} on Tuesday. How many in total?",
        "We sold {i} {gs} in May and {n} in June. What is the total?",
        "Add {n} {gs} to the {i} we have. How many are there?")),
    ("{i} / {n}", Phrases(
        "Share {i} {gs} among {n} people. How many does each get?",
        "{i} dollars are split between {n} friends. How much for each?",
        "{p} packs {i} {gs} into {n} equal boxes. How many are in one box?",
        "A bill of {i} is shared by {n} people. What does each pay?",
        "{p} drives {i} km in {n} hours. What is the average speed?",
        "{n} workers earn {i} together. What is one share?")),
    ("{b} - {a}", Phrases(
        "{p} pays {a} with a {b} note. How much change is there?",
        "The bill is {a} and I give {b}. What is the change?",
        "I have {b} and spend {a}. How much is left?", "{p} had {b} in the bank and took out {a}. What remains?",
        "From a budget of {b} we used {a}. What is left?", "A voucher over {b} pays for {a}. What is the rest?")),
    ("{a} + {c}", Phrases(
        "A {g} costs {a} and a {h} costs {c}. What do they cost together?",
        "I bought a {g} for {a} and a {h} for {c}. What is the total?",
        "{p} paid {a} for lunch and {c} for dinner. How much in all?",
        "What is the total of a {g} at {a} and a {h} at {c}?",
        "The {g} is {a}, the {h} is {c}. How much for both?", "Add the {g} for {a} to the {h} for {c}.")),
    ("{n} * {a} + {m} * {c}", Phrases(
        "{p} buys {n} {gs} at {a} and {m} {hs} at {c}. What is the total?",
        "How much are {n} {gs} at {a} each and {m} {hs} at {c} each?",
        "What do {n} {gs} for {a} and {m} {hs} for {c} cost in all?", "{n} {gs} at {a}, {m} {hs} at {c}: total?",
        "I take {n} {gs} at {a} each plus {m} {hs} at {c} each. What do I pay?",
        "Cost of {n} {gs} ({a} each) and {m} {hs} ({c} each)?")),
    ("{i} * {n}", Phrases(
        "A room is {i} meters long and {n} meters wide. What is its area?",
        "{p} works {i} hours a week for {n} weeks. How many hours is that?",
        "There are {i} boxes with {n} {gs} each. How many {gs} are there?", "{i} rows of {n} chairs: how many chairs?",
        "{p} runs {i} km a day for {n} days. How far is that?", "A page has {i} lines of {n} words. How many words?")),
    ("{i} * {n} / 100", Phrases(
        "What is {n} percent of {i}?", "What is {n}% of {i}?", "How much is {n} percent of {i}?",
        "Compute {n}% of {i}.",
        "{n} percent of {i} people agreed. How many?", "Take {n}% of {i}.", "A tip of {n}% on {i} is how much?")),
    ("{i} - {i} * {n} / 100", Phrases(
        "A {g} costs {i} and is reduced by {n} percent. What is the new price?", "What is {i} minus {n} percent?",
        "{i} with a discount of {n}%: what is left to pay?", "Take {n}% off {i}.",
        "The price of {i} falls by {n}%. What is it now?",
        "{p} gets {n} percent off a bill of {i}. What does {p} pay?")),
    ("{i} + {i} * {n} / 100", Phrases(
        "Add {n} percent tax to {i}.", "What is {i} plus {n} percent?",
        "A rent of {i} goes up by {n}%. What is it then?",
        "{i} plus {n}% tax: how much?", "The price is {i} without {n}% tax. What is it with tax?",
        "Raise {i} by {n} percent.")),
    ("({i} + {n} + {m}) / 3", Phrases(
        "What is the average of {i}, {n} and {m}?", "Compute the mean of {i}, {n} and {m}.",
        "Average of {i}, {n} and {m}?",
        "{p} scored {i}, {n} and {m}. What is the average?", "What is the mean value of {i}, {n} and {m}?",
        "Find the average of {i}, {n} and {m}.")),
    ("{i} + {n} + {m}", Phrases(
        "Add up {i}, {n} and {m}.", "What is the sum of {i}, {n} and {m}?",
        "{p} scored {i}, {n} and {m}. What is the total?",
        "Total of {i}, {n} and {m}?", "Sum {i}, {n} and {m}.", "How much are {i}, {n} and {m} together?")),
)  # fmt: skip

_ASK = Phrases("What is the {k} of {t}?", "Tell me the {k} of {t}.", "Look up the {k} of {t}.",
    "I need the {k} of {t}.",
               "What is {t}'s {k}?", "Do you know the {k} of {t}?", "Find the {k} of {t}.",
               "Please give me the {k} of {t}.",
               "Which {k} does {t} have?", "Can you check the {k} of {t}?", "Give me {t}'s {k}.",
               "{k} of {t}?")  # fmt: skip
_SPECIAL: Mapping[str, Phrases] = {
    "price": Phrases("How much does {t} cost?", "What does {t} cost?", "How much is {t}?", "What do I pay for {t}?"),
    "stock": Phrases("How many {t} are in stock?", "How many {t} do we have?", "How many {t} are left?"),
    "city": Phrases("Where does {t} live?", "In which city does {t} live?", "Which city does {t} live in?"),
    "age": Phrases("How old is {t}?", "What age is {t}?"),
    "manager": Phrases("Who manages {t}?", "Who is the manager of {t}?", "Who is {t}'s manager?"),
    "phone number": Phrases("How can I call {t}?", "Which number do I call for {t}?", "What is {t}'s phone number?"),
    "email": Phrases("How can I mail {t}?", "Where do I send mail for {t}?", "What is the email of {t}?"),
    "population": Phrases("How many people live in {t}?", "How many inhabitants does {t} have?"),
    "mayor": Phrases("Who is the mayor of {t}?", "Who runs {t} as mayor?"),
    "founder": Phrases("Who founded {t}?", "Who started {t}?"),
    "capital": Phrases("What is the capital of {t}?", "Which city is the capital of {t}?"),
    "weight": Phrases("How heavy is {t}?", "How much does {t} weigh?"),
}  # fmt: skip


def _money(d: Draw) -> str:
    return e.number_text(float(e.amount(d, 2, 200)))


_ATTRIBUTES: Mapping[str, tuple[tuple[str, Callable[[Draw], str]], ...]] = {
    "goods": (("price", _money), ("stock", lambda d: str(d.integer(3, 400))), ("weight", _money), ("colour",
    lambda d: e.entity(d, e.COLOURS)),
              ("supplier", e.company), ("serial number", e.code)),
    "person": (("phone number", e.phone), ("email", e.email), ("age", lambda d: str(d.integer(18, 90))), ("city",
    e.city),
               ("manager", e.person), ("team", e.capital), ("job", lambda d: e.entity(d, e.JOBS)), ("birthday",
               lambda d: e.date(d).isoformat())),
    "city": (("population", lambda d: str(d.integer(900, 900000))), ("mayor", e.person), ("country", e.capital),
    ("postcode", e.code)),
    "company": (("founder", e.person), ("address", e.street), ("city", e.city), ("phone number", e.phone), ("owner",
    e.person)),
    "country": (("capital", e.city), ("population", lambda d: str(d.integer(9000, 90000000))), ("president", e.person)),
}  # fmt: skip


@dataclass
class _Plan:
    """A question with the calls that lead to its answer."""

    question: str
    steps: list[tuple[str, str]] = field(default_factory=list)
    lookups: dict[str, str] = field(default_factory=dict)
    answer: str | None = None


def _thing(d: Draw, kind: str) -> str:
    makers = {"goods": e.goods, "person": e.person, "city": e.city, "company": e.company, "country": e.capital}
    return makers[kind](d)


def _whole(d: Draw, high: int = 400) -> str:
    return str(d.integer(2, high if d.chance(0.7) else 60))


def _number(d: Draw) -> str:
    kind = d.rng.random()
    return _whole(d) if kind < 0.6 else str(d.integer(400, 99999)) if kind < 0.75 else e.amount(d, 1, 300)


def _binary(d: Draw) -> _Plan:
    operator, wordings = d.pick(_BINARY)
    a, b = _number(d), _number(d)
    return _Plan(d.phrase(wordings).format(a=a, b=b), [("calculator", f"{a} {operator} {b}")])


def _expression(d: Draw) -> _Plan:
    a, b, c = _number(d), _number(d), _number(d)
    o, p = d.pick("+-*/"), d.pick("+-*/")
    form = d.pick(("{a} {o} {b} {p} {c}", "({a} {o} {b}) {p} {c}", "{a} {o} ({b} {p} {c})", "{a} {o} {b}"))
    text = form.format(a=a, b=b, c=c, o=o, p=p)
    return _Plan(d.phrase(_EXPRESSION).format(x=text), [("calculator", text)])


def _worded(d: Draw) -> _Plan:
    formula, wordings = d.pick(_WORDED)
    g, h = e.goods(d), e.goods(d)
    low, high = sorted((float(e.amount(d, 1, 90)), float(e.amount(d, 90, 400))))
    n, i = sorted((d.integer(2, 60), d.integer(30, 900)))
    values = {"a": e.number_text(low), "b": e.number_text(high), "c": _money(d), "i": str(i), "n": str(n),
        "m": str(d.integer(2, 60)),
              "g": g, "h": h, "gs": e.plural(g), "hs": e.plural(h), "p": e.person(d)}  # fmt: skip
    if d.chance(0.3):
        values["a"] = e.amount(d, 1, 90)
    return _Plan(d.phrase(wordings).format(**values), [("calculator", formula.format(**values))])


def _lookup(d: Draw) -> _Plan:
    kind = d.pick(list(_ATTRIBUTES))
    attribute, make = d.pick(_ATTRIBUTES[kind])
    name = _thing(d, kind)
    special = attribute in _SPECIAL and d.chance(0.45)
    article = "the " if kind == "goods" and not (special and attribute == "stock") and d.chance(0.8) else ""
    wording = d.phrase(_SPECIAL[attribute] if special else _ASK)
    key = f"{attribute} of {name}"
    question = wording.format(k=attribute, t=article + name)
    return _Plan(question[0].upper() + question[1:], [("lookup", key)], {key: make(d)})


_THEN: tuple[tuple[str, str, Phrases], ...] = (
    ("price", "{n} * {v}", Phrases("How much do {n} of the {t} cost?", "What is the price of {n} {t}?",
    "I want {n} {t}. What do I pay?",
                                   "What do {n} {t} cost?", "How much are {n} {t}?", "Total for {n} {t}?",
                                   "{p} buys {n} {t}. How much is it?", "Price for {n} times the {t}?")),
    ("stock", "{v} - {n}", Phrases("How many {t} are in stock after we sell {n}?",
    "If {n} are sold, how many {t} are left in stock?",
                                   "We take {n} {t} from the stock. How many remain?",
                                   "{p} takes {n} {t} from stock. What is left?",
                                   "What is the stock of {t} less {n}?")),
    ("stock", "{v} + {n}", Phrases("How many {t} are in stock after {n} more arrive?",
    "{n} new {t} come in. How many are then in stock?",
                                   "If {n} are delivered, what is the stock of {t}?",
                                   "We add {n} {t} to the stock. How many are there?")),
    ("price", "{v} - {v} * {n} / 100", Phrases("What does the {t} cost with {n} percent off?",
    "How much is the {t} with a discount of {n}%?",
                                               "The {t} is reduced by {n} percent. What does it cost?",
                                               "What is the price of the {t} minus {n}%?")),
    ("price", "{v} + {v} * {n} / 100", Phrases("What does the {t} cost plus {n} percent tax?",
    "How much is the {t} with {n}% tax added?",
                                               "Price of the {t} plus {n}% tax?",
                                               "The {t} gets {n} percent dearer. What does it cost?")),
    ("age", "{v} + {n}", Phrases("How old will {q} be in {n} years?", "What age will {q} have in {n} years?",
                                 "In {n} years, how old is {q}?", "{n} years from now, what is the age of {q}?")),
    ("age", "{v} - {n}", Phrases("How old was {q} {n} years ago?", "What age did {q} have {n} years ago?",
    "{n} years ago, how old was {q}?")),
    ("population", "{v} / {n}", Phrases("What is the population of {c} divided by {n}?",
    "Divide the population of {c} by {n}.",
                                        "How many people of {c} are one share of {n}?")),
    ("weight", "{n} * {v}", Phrases("How much do {n} {t} weigh?", "What is the weight of {n} {t}?",
    "How heavy are {n} {t}?")),
)  # fmt: skip


def _lookup_then(d: Draw) -> _Plan:
    attribute, formula, wordings = d.pick(_THEN)
    goods, who, where = e.goods(d), e.person(d), e.city(d)
    number = d.integer(2, 60)
    wording = d.phrase(wordings)
    subject = goods if "{t}" in wording else who if "{q}" in wording else where
    makers: dict[str, Callable[[Draw], str]] = {
        "price": _money,
        "weight": _money,
        "stock": lambda x: str(x.integer(60, 900)),
        "age": lambda x: str(x.integer(61, 95)),
        "population": lambda x: str(x.integer(900, 900000)),
    }
    value = makers[attribute](d)
    key = f"{attribute} of {subject}"
    question = wording.format(n=number, t=goods, q=who, c=where, p=e.person(d))
    return _Plan(question, [("lookup", key), ("calculator", formula.format(n=number, v=value))], {key: value})


_TWICE: tuple[tuple[str, str, Phrases], ...] = (
    ("price", "{v} + {w}", Phrases("What do the {t} and the {u} cost together?",
    "How much are the {t} and the {u} together?",
                                   "I buy the {t} and the {u}. What is the total?",
                                   "Sum of the prices of the {t} and the {u}?",
                                   "{p} takes the {t} and the {u}. What is to pay?",
                                   "Add the price of the {t} to the price of the {u}.")),
    ("price", "{n} * {v} + {m} * {w}", Phrases("What do {n} {t} and {m} {u} cost?",
    "How much are {n} {t} and {m} {u} together?",
                                               "I want {n} {t} and {m} {u}. What do I pay?",
                                               "Total for {n} {t} and {m} {u}?",
                                               "{p} orders {n} {t} and {m} {u}. What is the total?")),
    ("price", "{v} - {w}", Phrases("How much more does the {t} cost than the {u}?",
    "By how much is the {t} dearer than the {u}?",
                                   "What is the price of the {t} minus the price of the {u}?",
                                   "Price of the {t} less price of the {u}?")),
    ("stock", "{v} + {w}", Phrases("How many {t} and {u} are in stock together?",
    "What is the stock of {t} plus the stock of {u}?",
                                   "How many {t} and {u} do we have in all?")),
    ("age", "{v} - {w}", Phrases("How many years older is {q} than {r}?", "By how many years is {q} older than {r}?",
                                 "What is the age of {q} minus the age of {r}?",
                                 "What is the age difference of {q} and {r}?")),
    ("age", "{v} + {w}", Phrases("How old are {q} and {r} together?", "What is the sum of the ages of {q} and {r}?",
                                 "Add the age of {q} to the age of {r}.")),
    ("population", "{v} + {w}", Phrases("How many people live in {c} and {b} together?",
    "What is the population of {c} plus that of {b}?",
                                        "Add up the population of {c} and {b}.")),
)  # fmt: skip


def _lookup_twice(d: Draw) -> _Plan:
    attribute, formula, wordings = d.pick(_TWICE)
    wording = d.phrase(wordings)
    kind = "goods" if "{t}" in wording else "person" if "{q}" in wording else "city"
    first, second = _thing(d, kind), _thing(d, kind)
    if first.lower() == second.lower():
        return _lookup_twice(d)
    makers: dict[str, Callable[[Draw], str]] = {
        "price": _money,
        "stock": _whole,
        "age": lambda x: str(x.integer(18, 90)),
        "population": lambda x: str(x.integer(900, 900000)),
    }
    v, w, n, m = makers[attribute](d), makers[attribute](d), d.integer(2, 60), d.integer(2, 60)
    names = {
        "goods": {"t": first, "u": second},
        "person": {"q": first, "r": second},
        "city": {"c": first, "b": second},
    }[kind]
    question = wording.format(n=n, m=m, p=e.person(d), **names)
    keys = [f"{attribute} of {first}", f"{attribute} of {second}"]
    steps = [("lookup", keys[0]), ("lookup", keys[1]), ("calculator", formula.format(v=v, w=w, n=n, m=m))]
    return _Plan(question, steps, dict(zip(keys, (v, w), strict=True)))


_HOP = Phrases("What is the {k} of the {j} of {t}?", "Tell me the {k} of {t}'s {j}.",
    "I need the {k} of the {j} of {t}.",
               "Find the {k} of the {j} of {t}.", "Look up the {k} of {t}'s {j}.",
               "Which {k} does the {j} of {t} have?")  # fmt: skip


def _hop(d: Draw) -> _Plan:
    kind, link = d.pick(
        (
            ("person", "manager"),
            ("city", "mayor"),
            ("company", "founder"),
            ("company", "owner"),
            ("country", "president"),
        )
    )
    name, person = _thing(d, kind), e.person(d)
    attribute, make = d.pick(_ATTRIBUTES["person"])
    keys = [f"{link} of {name}", f"{attribute} of {person}"]
    value = make(d)
    question = d.phrase(_HOP).format(k=attribute, j=link, t=name)
    return _Plan(question, [("lookup", keys[0]), ("lookup", keys[1])], {keys[0]: person, keys[1]: value})


_GIVEN = Phrases(
    "The {k} of {t} is {v}. ", "{t} has the {k} {v}. ", "We know that the {k} of {t} is {v}. ", "{k} of {t}: {v}. "
)


def _direct(d: Draw) -> _Plan:
    kind = d.pick(list(_ATTRIBUTES))
    attribute, make = d.pick(_ATTRIBUTES[kind])
    name, value = _thing(d, kind), make(d)
    said = d.phrase(_GIVEN).format(k=attribute, t=name, v=value)
    return _Plan(said[0].upper() + said[1:] + d.phrase(_ASK).format(k=attribute, t=name), answer=value)


_PLANS: tuple[tuple[float, Callable[[Draw], _Plan]], ...] = (
    (0.14, _binary), (0.10, _expression), (0.18, _worded), (0.18, _lookup), (0.18, _lookup_then), (0.13, _lookup_twice),
    (0.06, _hop),
    (0.03, _direct),
)  # fmt: skip


def _plan(d: Draw) -> _Plan:
    weights = [weight for weight, _ in _PLANS]
    return d.rng.choices([make for _, make in _PLANS], weights)[0](d)


def _play(d: Draw, plan: _Plan, lookups: dict[str, str]) -> tuple[list[Turn], str]:
    """The turns after the question, with the tools really called."""
    turns: list[Turn] = []
    missing = bool(plan.lookups) and d.chance(0.06)
    lookups.update({} if missing else plan.lookups)
    answer = plan.answer or ""
    for name, text in plan.steps:
        answer = call(name, text, lookups)
        turns += [gold(dumps({"tool": name, "input": text})), tool(answer)]
        if answer == "not found" or answer.startswith("error"):
            answer = "unknown"
            break
    return [*turns, gold(dumps({"answer": answer}))], answer


_AGAIN = Phrases("", "", "And: ", "Next: ", "Thanks. ", "One more: ", "OK. ", "Now, ")
_LEAD_IN = Phrases("", "", "", "Please help me. ", "A question: ", "Quick question. ", "Hi! ", "I wonder: ")


def case(d: Draw) -> Case:
    """A question with its calls and answer; in training one in five goes on with another question."""
    lookups: dict[str, str] = {}
    plan = _plan(d)
    first = SYSTEM if d.chance(0.35) else d.phrase(_SYSTEMS)
    rest, answer = _play(d, plan, lookups)
    turns = [system(first), user(d.phrase(_LEAD_IN) + plan.question), *rest]
    while not d.held and d.chance(0.2):
        plan = _plan(d)
        rest, answer = _play(d, plan, lookups)
        turns += [user(d.phrase(_AGAIN) + plan.question), *rest]
    return Case("agent", tuple(turns), answer, SCHEMA, lookups=lookups)
