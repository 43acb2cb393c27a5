"""Task (e): an extraction came out wrong, a turn says which field and why, and the whole JSON is written again.

The right value always follows from the conversation: from the text, or from the complaint itself when that names it.
The wrong answer is shown without loss, so the model never learns to write it.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping

from . import entities as e
from .case import Case, dumps, gold, user, wrong
from .draw import Draw, Phrases, lines
from .extraction import DOMAINS, Request, instruction, prompt, request, text_about, words
from .records import Json

_FIELD = '[{f}|"{f}"|the field "{f}"|the field {f}|the value of {f}]'

_BY_REASON = lines(f"""
{_FIELD} is [wrong|not right|incorrect|mistaken|off]: it [should|must|has to|ought to] be {{m}}
{{f}}: [should|must|has to|ought to] be {{m}} [as the text has it|from the text|]
{_FIELD} is [wrong|not right|incorrect|mistaken]: {{w}} is not {{m}}
{_FIELD} does not [match|fit|agree with] the [text|message]
{{f}}: does not [match|fit|agree with] the [text|message]
{_FIELD} is [wrong|not right|incorrect|mistaken]: the [text|message] says something else
{{w}} is not {{m}}. [please|] [correct|fix|change|check|repair] {_FIELD}
[please|] [check|look at|read|correct|fix|repair] {_FIELD} [again|once more], it [should|must|has to] be {{m}}
[wrong|incorrect|bad|mistaken] {{f}}. [use|take|give|write] {{m}} from the text
[please|] [fix|correct|check|repair|look at|change] {_FIELD} [again|once more|]
{{f}}: {{w}} [is not|does not appear|does not stand|is nowhere] in the [text|message]
{_FIELD} is not what the [text|message] [says|has|gives|states]
{{f}}: [value error|wrong value|bad value|error], {{w}} is [not correct|wrong|not right|a mistake]
I do not think that {{w}} is {{m}}. [please|] [correct|fix|check|change] {_FIELD}
{_FIELD} is [wrong|not right|incorrect|mistaken|not correct]
{{f}}: [wrong value|bad value|mismatch|error|wrong|not correct|incorrect]
[error|mistake|mismatch|problem] in {_FIELD}: {{w}}
you [got|have|read|filled in|copied] {{f}} [wrong|wrongly]
that is not {{m}}: {{w}}
the {{f}} [should|must|has to] be {{m}} as the [text|message] [has it|says|gives it]
{{f}}: not [supported|given|stated|named] [by|in] the text
[please|] [read|check|study|look at] the [text|message] [again|once more] for {{f}}
the wrong {{f}} was [taken|used|copied|written|given]
[please|] recheck {{f}}: {{w}} is [wrong|not right|incorrect]
{{w}} [cannot|can not|must not] be {{m}}; [check|correct|fix|change] {_FIELD}
""")
_BY_VALUE = lines(f"""
{_FIELD} is [wrong|not right|incorrect|mistaken]: it [should|must|has to|ought to] be {{r}}
{_FIELD} [should|must|has to|ought to|needs to] be {{r}}
{{f}}: [should|must|has to|ought to] be {{r}}
[the|] {{f}} is not {{w}} but {{r}}
{_FIELD} [should|must|has to] be {{r}}, not {{w}}
[please|kindly|] [change|set|correct|update|fix|alter] {_FIELD} to {{r}}
[wrong|no|not so|mistake|sorry]: {{f}} [is|must be|should be] {{r}}
{{f}}: expected {{r}}, [got|found|not] {{w}}
[please|kindly|] [correct|fix|change|update] {_FIELD}: {{r}}
[no|well|sorry|actually|in fact|rather], the {{f}} is {{r}}
{_FIELD} is [wrong|not right|incorrect], the [right|correct|true] value is {{r}}
{{f}} = {{r}}
{{f}}: {{r}}
[please|] [use|write|take|put] {{r}} [for|in|as] {_FIELD}
it is {{r}}, not {{w}}
{{r}} is the [right|correct|true] {{f}}
I [meant|want|need|said] {{r}} [for|as] {_FIELD}
[please|] [replace|swap|exchange] {{w}} [with|by|for] {{r}} in {_FIELD}
[please|] make [the|] {{f}} {{r}} [instead|now|]
the [right|correct|true|new] {{f}} [is|would be|should be] {{r}}
{{f}} -> {{r}}
the {{f}} [should|must|has to] [read|say] {{r}}
{{w}} is [wrong|not right|incorrect] for {{f}}; {{r}} is [right|correct]
[please|] [put|write|enter|fill in] {{r}} [into|as|for] [the|] {{f}}
the {{f}} has [changed|been changed|been corrected] to {{r}}
[please|] [fix|correct|update] {_FIELD}: it is {{r}} [now|]
{{f}} [should|must] have been {{r}}
I want [the|] {{f}} to be {{r}}
""")
_LIST = lines(f"""
{{f}}: the [text|message] [names|lists|has|gives] {{n}}, not {{k}}
{_FIELD} is [wrong|not right|incorrect|not complete]: there are {{n}} in the [text|message]
{{f}}: expected {{n}} [entries|items|values], [got|found|not] {{k}}
{_FIELD} is [not complete|not right|wrong], the [text|message] [has|names|lists|gives] {{n}}
{_FIELD} [should|must|has to] have {{n}} [entries|items|values]
{{f}}: does not [match|fit|agree with] the [text|message]
the list {{f}} is [wrong|not right|incorrect|not complete], it [should|must|has to] have {{n}}
[please|] [check|correct|fix] {_FIELD}: there [should|must] be {{n}} [entries|items|]
{{k}} [entries|items] are not right for {{f}}; [there are|the text has] {{n}}
""")
_DATE = lines(f"""
{{f}}: must be [in ISO form|an ISO date|a date in ISO form|in the form YYYY-MM-DD|an ISO date (YYYY-MM-DD)]
{_FIELD} is [wrong|not right|incorrect]: write the date [as YYYY-MM-DD|in ISO form|in the form YYYY-MM-DD]
{_FIELD} is not [an ISO date|in ISO form|in the form YYYY-MM-DD|a date in ISO form]
{{f}}: {{w}} is not [a date in the form YYYY-MM-DD|an ISO date|in ISO form|a valid date]
[please|kindly|] [write|give|put] {_FIELD} [in ISO form|as YYYY-MM-DD|in the form YYYY-MM-DD]
{{f}}: [invalid|wrong|bad] [date format|format|form of date]
{{f}}: input should be [a valid date|an ISO date]
the date in {{f}} [should|must|has to] be [in ISO form|written as YYYY-MM-DD]
""")
_TOTAL = lines(f"""
{{f}}: [must|should|has to] [equal|be|match] the sum of the [items|lines|prices]
{{f}}: [must|should|has to] [equal|be|match] the sum of the [items|lines|prices], {{r}}
{{f}}: [must|should|has to] be the amount [paid|in the text|that was paid]
{_FIELD} is [wrong|not right|incorrect]: it is not the [amount|sum|total] in the text
{_FIELD} is [wrong|not right|incorrect]: {{w}} is not the [sum|total|amount paid]; it should be the amount \
[paid|in the text]
{{f}}: does not [match|fit|agree with] the [items|lines|prices]
{{f}}: is not the [total|sum|amount paid]
""")
_NUMBER = lines(f"""
{{f}}: [must|should|has to] be a number
{{f}}: input should be [a valid number|a number]
{_FIELD} is not a number
{_FIELD} [must|should|has to] be a number, not text
{{f}}: expected a number, [got|found|not] {{w}}
{{f}}: {{w}} is [not a number|text, not a number|not a valid number]
[please|] [write|give|put] {_FIELD} as a number
""")
_ENUM = lines(f"""
{{f}}: [must|should|has to] be one of: {{o}}
{{f}}: {{w}} does not [fit|match|agree with] the [text|message]
{_FIELD} is [wrong|not right|incorrect]: [choose|pick] again from {{o}}
{{f}}: [should|can|must] not be {{w}}
{_FIELD} is [wrong|not right|incorrect]: the [text|message] says [otherwise|something else]
{_FIELD} [cannot|can not|should not|must not] be {{w}}
{{f}}: [wrong|bad|incorrect] [choice|value|option] {{w}}
[please|] [choose|pick] {_FIELD} [again|once more] [from {{o}}|]
""")
_BOOLEAN = lines(f"""
{{f}}: [should|can|must] not be {{w}}
{_FIELD} is [wrong|not right|incorrect|mistaken]
{_FIELD} is the other way [round|around]
{_FIELD} is [wrong|not right|incorrect]: the [text|message] says the opposite
{{f}}: {{w}} [contradicts|is against|goes against] the [text|message]
{_FIELD} [must|should|can] not be {{w}}
the [text|message] says the opposite [for|of|about] {{f}}
""")
_NULL = lines(f"""
{{f}}: [must|should|may] not be null, the [text|message] [says it|has it|names it]
{_FIELD} is not missing, it is in the [text|message]
{{f}}: is [required|needed|missing]
{{f}}: [must|should|may] not be [null|empty|missing]
{_FIELD} is [wrong|not right|incorrect]: the [text|message] [names|says|has|gives] it
{_FIELD} [must|should|may] not be null: the [text|message] [has it|says it|names it]
{{f}}: missing value
[please|] fill in {_FIELD}: the [text|message] [has it|says it|names it]
""")
_ABSENT = lines(f"""
{{f}}: the [text|message] does not [say|name|give|have] it, [must|should|has to] be null
{_FIELD} [should|must|has to|ought to] be null
{{f}}: {{w}} is not in the [text|message], [use|write|take|put] null
{_FIELD} is [wrong|not right|incorrect]: the [text|message] does not [say|name|give|have] it
{{f}}: not in the [text|message], [should|must|has to] be null
[please|] [set|change|correct] {_FIELD} to null
the [text|message] has no {{f}}, [so|please] [use|write|put] null
""")
_WRAP = lines("""
{e} [please|] [try|do it|check it|read it] again
[your answer|your JSON|the answer|the JSON|this|it] was [rejected|refused|not accepted]: {e}
[error|problem|mistake|not valid|invalid|wrong|check failed|validation error|not accepted]: {e}
{e} [please|] [correct|fix|repair|change] it
[not|not quite] [valid|right|correct|good]. {e}
{e} [please|] [write|give|send|return|output] the [JSON|answer|whole JSON] again
[that|this] is [not|not quite] right. {e}
[almost|sorry|no|one thing|one mistake]: {e}
{e} [the rest|all else|everything else] is [right|fine|correct|good]
""")


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
    return value, _wrapped(d, complaint, name), right


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
    return _wrapped(d, complaint, name), {**right, name: new}


def _wrapped(d: Draw, complaint: str, field: str) -> str:
    """The complaint as a turn: alone, or with words around it; now and then without capital or full stop."""
    ends = complaint.endswith((".", "?", "!"))
    if not ends and d.chance(0.6):
        complaint += "."
    if d.chance(0.6) and not complaint.startswith(field):
        complaint = complaint[:1].upper() + complaint[1:]
    if d.chance(0.6):
        return complaint
    text = d.phrase(_WRAP).replace("{e}", complaint)
    return text[:1].upper() + text[1:] + d.pick((".", "")) if not text.endswith((".", complaint)) else text


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
