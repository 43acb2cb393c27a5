"""Task (c): decide on a tool call, read its result, go on or answer; one to three calls.

The assistant's turn is one JSON object, `{"tool": "calculator", "input": "12 * 7"}` or `{"answer": "84"}`; the
tool's turn is its bare result. Nothing is computed in the head: the answer is always copied from a result or from the
question.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from . import entities as e
from .case import Case, Turn, dumps, gold, system, tool, user
from .draw import Draw, Phrases, lines
from .extraction import capital, told
from .questions import AGAIN, ASK, BINARY, EXPRESSION, GIVEN, HOP, LEAD_IN, SPECIAL, THEN, TWICE, WORDED
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
_SYSTEMS = lines("""
tools: calculator(expression), lookup(key). reply with JSON
[you have|you can use|there are|use|you may call|you know] the [tools|two tools] \
calculator(expression) and lookup(key). \
[answer|reply|respond|write] [in|with] JSON
[you have|you can use|there are|use|you may call|you know] the [tools|two tools] lookup(key) and \
calculator(expression). \
[answer|reply|respond|write] [in|with] JSON
[tools|your tools|the tools]: [calculator(expression), lookup(key)|lookup(key), calculator(expression)]. \
[call a tool or answer|answer in JSON|reply in JSON|use them|never compute in your head|answer the question]
[answer|solve] the [question|task] [with|by] the [tools|two tools] calculator(expression) and lookup(key). \
[never|do not] [compute|guess] in your head
you are [an assistant|a helper|an agent|a clerk] with [the|these|two] tools: \
[calculator(expression), lookup(key)|lookup(key), calculator(expression)]. [answer|reply|respond] [in|with] JSON
""")
_EXACT = (
    SYSTEM,
    "You have two tools, lookup(key) and calculator(expression). "
    'Reply with {"tool": ..., "input": ...} or {"answer": ...}.',
)


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


def _worded_as(d: Draw, wordings: Phrases) -> str:
    """A wording with a capital after each full stop; now and then without capital or without its mark."""
    text = re.sub(r"(^|\. )([a-z])", lambda match: match[1] + match[2].upper(), d.phrase(wordings))
    if not d.chance(0.06):
        return text
    return text.rstrip("?.") if d.chance(0.5) else text[0].lower() + text[1:]


def _binary(d: Draw) -> _Plan:
    operator, wordings = d.pick(BINARY)
    a, b = _number(d), _number(d)
    return _Plan(_worded_as(d, wordings).format(a=a, b=b), [("calculator", f"{a} {operator} {b}")])


def _expression(d: Draw) -> _Plan:
    a, b, c = _number(d), _number(d), _number(d)
    o, p = d.pick("+-*/"), d.pick("+-*/")
    form = d.pick(("{a} {o} {b} {p} {c}", "({a} {o} {b}) {p} {c}", "{a} {o} ({b} {p} {c})", "{a} {o} {b}"))
    text = form.format(a=a, b=b, c=c, o=o, p=p)
    return _Plan(_worded_as(d, EXPRESSION).format(x=text), [("calculator", text)])


def _worded(d: Draw) -> _Plan:
    formula, wordings = d.pick(WORDED)
    g, h = e.goods(d), e.goods(d)
    low, high = sorted((float(e.amount(d, 1, 90)), float(e.amount(d, 90, 400))))
    n, i = sorted((d.integer(2, 60), d.integer(30, 900)))
    values = {"a": e.number_text(low), "b": e.number_text(high), "c": _money(d), "i": str(i), "n": str(n),
        "m": str(d.integer(2, 60)),
              "g": g, "h": h, "gs": e.plural(g), "hs": e.plural(h), "p": e.person(d)}  # fmt: skip
    if d.chance(0.3):
        values["a"] = e.amount(d, 1, 90)
    return _Plan(_worded_as(d, wordings).format(**values), [("calculator", formula.format(**values))])


def _lookup(d: Draw) -> _Plan:
    kind = d.pick(list(_ATTRIBUTES))
    attribute, make = d.pick(_ATTRIBUTES[kind])
    name = _thing(d, kind)
    special = attribute in SPECIAL and d.chance(0.45)
    article = "the " if kind == "goods" and not (special and attribute == "stock") and d.chance(0.8) else ""
    wording = _worded_as(d, SPECIAL[attribute] if special else ASK)
    key = f"{attribute} of {name}"
    question = wording.format(k=attribute, t=article + name)
    return _Plan(capital(question), [("lookup", key)], {key: make(d)})


def _lookup_then(d: Draw) -> _Plan:
    attribute, formula, wordings = d.pick(THEN)
    goods, who, where = e.goods(d), e.person(d), e.city(d)
    number = d.integer(2, 60)
    wording = _worded_as(d, wordings)
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


def _lookup_twice(d: Draw) -> _Plan:
    attribute, formula, wordings = d.pick(TWICE)
    wording = _worded_as(d, wordings)
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
    question = _worded_as(d, HOP).format(k=attribute, j=link, t=name)
    return _Plan(question, [("lookup", keys[0]), ("lookup", keys[1])], {keys[0]: person, keys[1]: value})


def _direct(d: Draw) -> _Plan:
    kind = d.pick(list(_ATTRIBUTES))
    attribute, make = d.pick(_ATTRIBUTES[kind])
    name, value = _thing(d, kind), make(d)
    said = d.phrase(GIVEN).format(k=attribute, t=name, v=value)
    return _Plan(f"{capital(said)}. {_worded_as(d, ASK).format(k=attribute, t=name)}", answer=value)


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


def _instruction(d: Draw) -> str:
    """What the system turn says: a held-out conversation has a wording that training never had."""
    if not d.held and d.chance(0.45):
        return SYSTEM if d.chance(0.8) else d.pick(_EXACT)
    return told(d, _SYSTEMS)


def case(d: Draw) -> Case:
    """A question with its calls and answer; in training one in five goes on with another question."""
    lookups: dict[str, str] = {}
    plan = _plan(d)
    rest, answer = _play(d, plan, lookups)
    opening = f"{capital(d.phrase(LEAD_IN))} " if d.chance(0.25) else ""
    turns = [system(_instruction(d)), user(opening + plan.question), *rest]
    while not d.held and d.chance(0.2):
        plan = _plan(d)
        rest, answer = _play(d, plan, lookups)
        opening = f"{capital(d.phrase(AGAIN))} " if d.chance(0.5) else ""
        turns += [user(opening + plan.question), *rest]
    return Case("agent", tuple(turns), answer, SCHEMA, lookups=lookups)
