"""Task (d): facts told over several turns, some of them changed later, then questions on the conversation."""

from __future__ import annotations

import re
from dataclasses import dataclass

from ..notation import describe
from . import entities as e
from .attributes import ABOUT_PEOPLE, ABOUT_THINGS, Attribute
from .case import Case, Turn, dumps, gold, system, user
from .draw import Draw, lines
from .extraction import BRIEF, NOTED, capital, closed, told
from .records import INTEGER, STRING, Json, object_of

UNKNOWN = "unknown"


_SYSTEMS = lines("""
you keep notes for the user
[remember|keep in mind|note|store] what the user [tells|says to|writes to] you. answer with the value only
you [keep|take|store|write] notes for [the user|a user|the team|me]
you are a [helpful|careful|quiet|reliable|good] [assistant|helper|clerk|secretary]
[keep|remember|store|note] the facts [in mind|well|] and answer [questions|all questions|any question] about them
[answer|reply|respond] [from|out of|using] the [conversation|notes|chat|facts]
you remember facts. [answer|reply|respond] [briefly|shortly|in short]
[answer|reply|respond] with the value [only|alone|and nothing else]
the user [tells|gives] you [facts|notes|news]. [remember|keep|store] them
""")
_SMALL_TALK = lines("""
[hello|hi|good day|good morning]. [let us start|I have some facts|I have news|listen|please take notes|here I am]
[let us|we can|we will|I will] [start|begin|go on|go ahead] [now|]
I will [tell|give] you some [facts|notes|news] [now|in a moment|]
[please|] [remember|keep in mind|note|store] [the following|what follows|what I say|all this]
[here are|these are|now come|next come] [some|a few|the|more] [facts|notes|news]
[there is|there will be] more to come [soon|later|]
[the weather is|the day is|the coffee is] [fine|nice|good] [today|here|]
[thanks|thank you|good|fine|great|very well] [so far|for that|for now|]
I had [a good|a long|an early|a quiet] [day|lunch|walk|morning] [today|]
[that|this] is [not|not very] important [here|now|]
""")
_THINGS = (
    "project {x}",
    "the {g}",
    "the {w} meeting",
    "task {c}",
    "the {x} report",
    "the {w} workshop",
    "the safe",
    "the {w} trip",
)
_RELATIVES = ("my sister", "my brother", "my boss", "my neighbour", "my aunt", "my colleague", "our guest", "my friend")
JSON_ASK = lines("""
{q} answer in JSON with fields: {f}
{q} [please|] [answer|reply|respond|write it|say it] [in|with|as] JSON with [the|these|] fields: {f}
{q} [as|in] JSON [, please|] [with|with the] fields: {f}
{q} [please|] [return|give|write|send] [me|] JSON with [the|these|] fields: {f}
{q} [JSON|fields|JSON fields|the fields|JSON with fields]: {f}
{q} [please|] [use|fill in|take] [the|these|this] [JSON fields|fields|JSON]: {f}
""")


@dataclass(frozen=True)
class _Told:
    subject: str
    attribute: Attribute


_FIRST_PERSON = (
    (r"the ((?!member|part)\w+(?: \w+)?) of \{s\}", r"my \1"), (r"\{s's\}", "my"), (r"(?:does|did) \{s\}", "do I"),
    (r"is \{s\}", "am I"), (r"\{s\} (now |currently )?does\b", r"I \1do"),
    (r"(call|phone|mail|find|meet|see|manages|leads|guides|employs|pays|hired|for|of) \{s\}", r"\1 me"),
    (r"\{s\} is\b", "I am"), (r"\{s\} has\b", "I have"),
    (r"\{s\} (now |currently )?"
     r"(live|work|sit|report|answer|like|use|belong|play|own|keep|love|reside|stay|serve|earn)s\b",
     r"I \1\2"),
    (r"\{s\}", "I"), (r"I (.*) and is\b", r"I \1 and am"), (r"I (.*) and (live|stay)s\b", r"I \1 and \2"),
)  # fmt: skip
_FIRST_PERSON_RULES = tuple((re.compile(pattern), text) for pattern, text in _FIRST_PERSON)


def _say(wording: str, subject: str, value: str = "") -> str:
    """A sentence about `subject`, with `I`, `my` and `me` where the speaker is meant."""
    if subject == "I":
        text = wording
        for pattern, replacement in _FIRST_PERSON_RULES:
            text = pattern.sub(replacement, text)
    else:
        text = wording.replace("{s's}", f"{subject}'s").replace("{s}", subject)
    if not text.startswith("{v}"):
        text = text[0].upper() + text[1:]
    return text.replace("{v}", value)


def _subject(d: Draw, people: bool) -> str:
    if people:
        kind = d.rng.random()
        if kind < 0.35:
            return "I" if kind < 0.2 else d.pick(_RELATIVES)
        return e.first_name(d) if kind < 0.8 else e.person(d)
    form = d.pick(_THINGS)
    return form.format(x=e.capital(d), g=e.goods(d), w=e.entity(d, e.EVENT_WORDS).lower(), c=e.code(d))


def case(d: Draw) -> Case:
    """Two to nine facts, up to three of them changed, one to three questions; the last one is judged."""
    people = d.chance(0.65)
    attributes = ABOUT_PEOPLE if people else ABOUT_THINGS
    subjects = list(dict.fromkeys(_subject(d, people) for _ in range(d.rng.randint(1, 4))))
    chosen = d.sample(attributes, d.rng.randint(1, min(4, len(attributes))))
    pairs = d.shuffled([_Told(subject, attribute) for subject in subjects for attribute in chosen])
    facts: dict[_Told, str] = {}
    sentences: list[str] = []
    for pair in pairs[: d.rng.randint(1, 9)]:
        facts[pair] = pair.attribute.make(d)
        sentences.append(_say(d.phrase(pair.attribute.tell), pair.subject, facts[pair]))
    for _ in range(d.pick((0, 0, 1, 1, 2, 3))):
        pair = d.pick(list(facts))
        facts[pair] = pair.attribute.make(d)
        sentences.append(_say(d.phrase(pair.attribute.change), pair.subject, facts[pair]))
    turns: list[Turn] = [system(told(d, _SYSTEMS))] if d.chance(0.5) else []
    if d.chance(0.12):
        turns += [user(_chat(d)), gold(NOTED)]
    asked_early = not d.held and d.chance(0.25)
    while sentences:
        count = d.pick((1, 1, 1, 2, 3))
        chunk, sentences = sentences[:count], sentences[count:]
        if not sentences and d.chance(0.15):
            # The last facts and the question share a turn.
            turns.append(user(" ".join(chunk)))
            break
        if d.chance(0.06):
            chunk.insert(d.pick((0, len(chunk))), _chat(d))
        turns += [user(" ".join(chunk)), gold(NOTED)]
    value: Json = ""
    schema = None
    for number in range(d.rng.randint(1, 3) if asked_early or not d.held else 1):
        question, answer, field, is_number = _question(d, facts, subjects, attributes)
        value, schema, text = answer, None, answer
        if d.chance(0.4):
            schema = object_of({field: INTEGER if is_number else STRING})
            value = {field: int(answer) if is_number else answer}
            question, text = _json_question(d, question, describe(schema)), dumps(value)
        elif d.chance(0.35):
            question = closed(d, question, BRIEF)
        if number == 0 and turns and turns[-1].role == "user":
            turns[-1] = user(f"{turns[-1].text} {question}")
        else:
            turns.append(user(question))
        turns.append(gold(text))
    return Case("facts", tuple(turns), value, schema)


def _chat(d: Draw) -> str:
    """A sentence that tells nothing."""
    return told(d, _SMALL_TALK).rstrip(".") + "."


def _json_question(d: Draw, question: str, fields: str) -> str:
    """The question with the fields of the JSON that should answer it."""
    ask = d.phrase(JSON_ASK).removeprefix("{q} ")
    return f"{question}{d.pick((' ', ' ', chr(10)))}{capital(ask).replace('{f}', fields)}{d.pick(('', '', '.'))}"


def _question(
    d: Draw, stated: dict[_Told, str], subjects: list[str], attributes: tuple[Attribute, ...]
) -> tuple[str, str, str, bool]:
    """A question on a told fact (rarely on one never told), its answer, field name and whether it is an integer."""
    if d.chance(0.06):
        pair = _Told(d.pick(subjects), d.pick(attributes))
        if pair not in stated:
            return _asked(d, pair), UNKNOWN, pair.attribute.field, False
    pair = d.pick(list(stated))
    answer = stated[pair]
    is_number = pair.attribute.field in ("age", "budget")
    return _asked(d, pair), answer, pair.attribute.field, is_number


def _asked(d: Draw, pair: _Told) -> str:
    """A question on what was told; now and then without its mark, or without capital."""
    question = _say(d.phrase(pair.attribute.ask), pair.subject)
    if not d.chance(0.06):
        return question
    return question.rstrip("?.") if d.chance(0.5) else question[0].lower() + question[1:]
