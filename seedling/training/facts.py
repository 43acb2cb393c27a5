"""Task (d): facts told over several turns, some of them changed later, then questions on the conversation."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from ..notation import describe
from . import entities as e
from .case import Case, Turn, dumps, gold, system, user
from .draw import Draw, Phrases
from .records import INTEGER, STRING, Json, object_of

ACKNOWLEDGED = "Noted."
UNKNOWN = "unknown"


@dataclass(frozen=True)
class _Attribute:
    """A thing that can be told about someone: wordings to tell, to change and to ask it, the field name for JSON."""

    field: str
    make: Callable[[Draw], str]
    tell: Phrases
    change: Phrases
    ask: Phrases


def _room(d: Draw) -> str:
    return str(d.integer(100, 899))


def _small(d: Draw) -> str:
    return str(d.integer(18, 90))


def _colour(d: Draw) -> str:
    return e.entity(d, e.COLOURS)


def _job(d: Draw) -> str:
    return e.entity(d, e.JOBS)


def _day(d: Draw) -> str:
    return d.pick(("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"))


# {s} is "Lena" or "my sister"; {s's} the genitive.
ABOUT_PEOPLE = (
    _Attribute("city", e.city,
        Phrases("{s} lives in {v}.", "{s's} city is {v}.", "{s} has a flat in {v}.", "{s} is based in {v}.",
        "{v} is where {s} lives.",
                "the city of {s} is {v}."),
        Phrases("{s} has moved to {v}.", "{s} now lives in {v}.", "update: {s} lives in {v} now.",
        "{s} left and lives in {v} these days.",
                "correction: {s} lives in {v}.", "since last week {s} lives in {v}."),
        Phrases("Where does {s} live?", "Which city does {s} live in?", "What is {s's} city?",
        "In which city does {s} live?",
                "Where is {s} based?", "What is the city of {s}?", "Where is {s} living?",
                "In which place does {s} live?",
                "What town is {s} in?", "Where is {s's} home?", "Tell me where {s} lives.", "Which city is {s} in?",
                "Do you know where {s} lives?")),
    _Attribute("age", _small,
        Phrases("{s} is {v} years old.", "{s} is {v}.", "{s's} age is {v}.", "the age of {s} is {v}.",
        "{s} is aged {v}."),
        Phrases("{s} has turned {v}.", "{s} is {v} now.", "correction: {s} is {v} years old.", "{s} just turned {v}.",
        "in fact {s} is {v}."),
        Phrases("How old is {s}?", "What is {s's} age?", "What age is {s}?", "What is the age of {s}?",
        "How many years old is {s}?", "Tell me {s's} age.",
                "Do you know how old {s} is?", "And {s's} age?")),
    _Attribute("job", _job,
        Phrases("{s} works as a {v}.", "{s} is a {v}.", "{s's} job is {v}.", "the job of {s} is {v}.",
        "{s} is employed as a {v}."),
        Phrases("{s} now works as a {v}.", "{s} changed jobs and is a {v} now.", "correction: {s} is a {v}.",
        "{s} became a {v}.",
                "{s's} new job is {v}."),
        Phrases("What is {s's} job?", "What does {s} do for a living?", "What does {s} work as?",
        "What is the job of {s}?",
                "Which job does {s} have?", "What is {s's} profession?", "What is {s's} occupation?",
                "Tell me {s's} job.")),
    _Attribute("phone", e.phone,
        Phrases("{s's} phone number is {v}.", "you can call {s} on {v}.", "the number of {s} is {v}.",
        "call {s} at {v}.", "{s} uses the number {v}."),
        Phrases("{s} has a new number: {v}.", "{s's} number is now {v}.", "correction: {s's} number is {v}.",
                "the number of {s} changed to {v}.", "use {v} for {s} from now on."),
        Phrases("What is {s's} phone number?", "How can I call {s}?", "Which number does {s} have?",
        "What is the number of {s}?",
                "On which number can I call {s}?")),
    _Attribute("email", e.email,
        Phrases("{s's} email is {v}.", "mail {s} at {v}.", "{s} uses the email {v}.", "the email of {s} is {v}.",
        "{s} can be reached at {v}."),
        Phrases("{s's} email is now {v}.", "{s} changed the email to {v}.", "correction: mail {s} at {v}.",
        "{s} has a new email: {v}."),
        Phrases("What is {s's} email?", "How can I mail {s}?", "Which email does {s} use?",
        "What is the email of {s}?")),
    _Attribute("colour", _colour,
        Phrases("{s's} favourite colour is {v}.", "{s} likes the colour {v} best.",
        "the favourite colour of {s} is {v}.", "{s} loves {v}, it is the best colour."),
        Phrases("{s's} favourite colour is now {v}.", "{s} likes {v} best now.",
        "correction: {s's} favourite colour is {v}."),
        Phrases("What is {s's} favourite colour?", "Which colour does {s} like best?",
        "What is the favourite colour of {s}?")),
    _Attribute("room", _room,
        Phrases("{s} sits in room {v}.", "{s's} room is {v}.", "you find {s} in room {v}.", "{s} is in room {v}.",
        "{s} works in room {v}."),
        Phrases("{s} moved to room {v}.", "{s} is in room {v} now.", "{s's} room is now {v}.",
        "correction: {s} sits in room {v}."),
        Phrases("Which room is {s} in?", "What is {s's} room?", "In which room is {s}?", "Where does {s} sit?",
        "Which room does {s} have?")),
    _Attribute("team", e.capital,
        Phrases("{s} is on team {v}.", "{s's} team is {v}.", "{s} belongs to team {v}.", "{s} plays for team {v}.",
        "{s} is part of team {v}."),
        Phrases("{s} switched to team {v}.", "{s} is on team {v} now.", "{s's} team is now {v}.",
        "correction: {s} is on team {v}."),
        Phrases("Which team is {s} on?", "What is {s's} team?", "What team does {s} belong to?",
        "Which team does {s} belong to?")),
    _Attribute("manager", e.person,
        Phrases("{s's} manager is {v}.", "{s} reports to {v}.", "{v} manages {s}.", "the manager of {s} is {v}.",
        "{s} works under {v}."),
        Phrases("{s's} manager is now {v}.", "{s} reports to {v} now.", "{v} has taken over as {s's} manager.",
        "correction: {s} reports to {v}."),
        Phrases("Who is {s's} manager?", "Who does {s} report to?", "Who manages {s}?", "Who is the manager of {s}?")),
    _Attribute("pet", e.capital,
        Phrases("{s's} pet is called {v}.", "{s} has a pet named {v}.", "the pet of {s} is {v}.",
        "{s} owns a pet called {v}."),
        Phrases("{s's} new pet is called {v}.", "{s} has a new pet named {v}.", "correction: {s's} pet is called {v}."),
        Phrases("What is {s's} pet called?", "What is the name of {s's} pet?", "Which pet does {s} have?")),
    _Attribute("company", e.company,
        Phrases("{s} works at {v}.", "{s's} company is {v}.", "{s} is employed by {v}.", "{s} has a job at {v}.",
        "{s} works for {v}."),
        Phrases("{s} now works at {v}.", "{s} moved on to {v}.", "{s's} new company is {v}.",
        "correction: {s} works at {v}."),
        Phrases("Where does {s} work?", "Which company does {s} work for?", "What is {s's} company?",
        "Who employs {s}?",
                "Who is {s's} employer?", "Tell me {s's} company.", "What company is {s} at?")),
)  # fmt: skip
ABOUT_THINGS = (
    _Attribute("deadline", lambda d: e.date(d).isoformat(),
        Phrases("the deadline of {s} is {v}.", "{s} is due on {v}.", "{s} must be done by {v}.",
        "{s} has the deadline {v}."),
        Phrases("the deadline of {s} moved to {v}.", "{s} is now due on {v}.", "correction: {s} is due on {v}.",
        "the new deadline of {s} is {v}."),
        Phrases("What is the deadline of {s}?", "When is {s} due?", "By when must {s} be done?",
        "When must {s} be done?")),
    _Attribute("budget", lambda d: str(d.integer(100, 90000)),
        Phrases("the budget of {s} is {v}.", "{s} has a budget of {v}.", "we may spend {v} on {s}.",
        "{s} may cost {v}."),
        Phrases("the budget of {s} is now {v}.", "{s} has a new budget of {v}.",
        "correction: the budget of {s} is {v}.",
                "the budget of {s} was changed to {v}."),
        Phrases("What is the budget of {s}?", "How much may we spend on {s}?", "Which budget does {s} have?",
        "What may {s} cost?")),
    _Attribute("code", e.code,
        Phrases("the code for {s} is {v}.", "{s} has the code {v}.", "use the code {v} for {s}.",
        "{s} opens with {v}."),
        Phrases("the code for {s} changed to {v}.", "{s} now has the code {v}.", "correction: the code for {s} is {v}.",
        "the new code for {s} is {v}."),
        Phrases("What is the code for {s}?", "Which code does {s} have?", "Which code do I need for {s}?",
        "What code opens {s}?")),
    _Attribute("owner", e.person,
        Phrases("{s} belongs to {v}.", "the owner of {s} is {v}.", "{v} owns {s}.", "{v} is in charge of {s}."),
        Phrases("{s} now belongs to {v}.", "the owner of {s} is now {v}.", "correction: {s} belongs to {v}.",
        "{v} has taken over {s}."),
        Phrases("Who owns {s}?", "Who is the owner of {s}?", "To whom does {s} belong?", "Who is in charge of {s}?")),
    _Attribute("place", e.venue,
        Phrases("{s} takes place at {v}.", "{s} is held at {v}.", "the venue of {s} is {v}.",
        "we meet at {v} for {s}."),
        Phrases("{s} was moved to {v}.", "{s} now takes place at {v}.", "the new venue of {s} is {v}.",
        "correction: {s} is held at {v}."),
        Phrases("Where does {s} take place?", "Where is {s} held?", "What is the venue of {s}?",
        "Where do we meet for {s}?")),
    _Attribute("time", e.clock,
        Phrases("{s} starts at {v}.", "{s} is at {v}.", "the time of {s} is {v}.", "we begin {s} at {v}."),
        Phrases("{s} now starts at {v}.", "{s} was moved to {v} o'clock.", "correction: {s} starts at {v}.",
        "the new time of {s} is {v}."),
        Phrases("When does {s} start?", "At what time is {s}?", "What is the time of {s}?",
        "What time does {s} start?")),
    _Attribute("day", _day,
        Phrases("{s} is on {v}.", "the day of {s} is {v}.", "we do {s} on {v}.", "{s} happens on {v}."),
        Phrases("{s} is now on {v}.", "{s} was moved from that day to {v}.", "correction: {s} is on {v}.",
        "the new day of {s} is {v}."),
        Phrases("On which day is {s}?", "What is the day of {s}?", "Which day is {s} on?", "What day is {s}?")),
)  # fmt: skip

_SYSTEMS = Phrases(
    "Remember what the user tells you. Answer with the value only.", "You keep notes for the user.",
    "You are a helpful assistant.",
    "Keep the facts in mind and answer questions about them.", "Answer from the conversation.",
    "You remember facts. Answer briefly.",
    "Answer with the value only.",
)  # fmt: skip
_SMALL_TALK = Phrases("Hello.", "Let us start.", "I will tell you some facts.", "Please remember the following.",
    "Keep this in mind.",
                      "Here are some facts.", "Listen.", "There is more to come.")  # fmt: skip
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
_JSON_ASK = Phrases("{q} Answer in JSON with fields: {f}", "{q} JSON with fields: {f}",
    "{q} Return JSON with fields: {f}",
                    "{q}\nAnswer in JSON with fields: {f}")  # fmt: skip
_BRIEF = Phrases("", "", "", " Answer with the value only.", " Short answer.")


@dataclass(frozen=True)
class _Told:
    subject: str
    attribute: _Attribute


_FIRST_PERSON = (
    (r"[tT]he (\w+(?: \w+)?) of \{s\}", r"my \1"), (r"\{s's\}", "my"), (r"(?:does|did) \{s\}", "do I"), (r"is \{s\}",
    "am I"),
    (r"(call|mail|find|manages|employs|for|of) \{s\}", r"\1 me"), (r"\{s\} is\b", "I am"), (r"\{s\} has\b", "I have"),
    (r"\{s\} (now )?(live|work|sit|report|like|use|belong|play|own|love)s\b", r"I \1\2"),
    (r"\{s\}", "I"), (r"I (.*) and is\b", r"I \1 and am"), (r"I (.*) and lives\b", r"I \1 and live"),
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
    text = text.replace("{v}", value)
    return text[0].upper() + text[1:]


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
    told: dict[_Told, str] = {}
    sentences: list[str] = []
    for pair in pairs[: d.rng.randint(1, 9)]:
        told[pair] = pair.attribute.make(d)
        sentences.append(_say(d.phrase(pair.attribute.tell), pair.subject, told[pair]))
    for _ in range(d.pick((0, 0, 1, 1, 2, 3))):
        pair = d.pick(list(told))
        told[pair] = pair.attribute.make(d)
        sentences.append(_say(d.phrase(pair.attribute.change), pair.subject, told[pair]))
    turns: list[Turn] = [system(d.phrase(_SYSTEMS))] if d.chance(0.5) else []
    if d.chance(0.12):
        turns += [user(d.phrase(_SMALL_TALK)), gold(ACKNOWLEDGED)]
    asked_early = not d.held and d.chance(0.25)
    while sentences:
        count = d.pick((1, 1, 1, 2, 3))
        chunk, sentences = sentences[:count], sentences[count:]
        if not sentences and d.chance(0.15):
            # The last facts and the question share a turn.
            turns.append(user(" ".join(chunk)))
            break
        turns += [user(" ".join(chunk)), gold(ACKNOWLEDGED)]
    value: Json = ""
    schema = None
    for number in range(d.rng.randint(1, 3) if asked_early or not d.held else 1):
        question, answer, field, is_number = _question(d, told, subjects, attributes)
        value, schema, text = answer, None, answer
        if d.chance(0.4):
            schema = object_of({field: INTEGER if is_number else STRING})
            value = {field: int(answer) if is_number else answer}
            question, text = d.phrase(_JSON_ASK).format(q=question, f=describe(schema)), dumps(value)
        else:
            question += d.phrase(_BRIEF)
        if number == 0 and turns and turns[-1].role == "user":
            turns[-1] = user(f"{turns[-1].text} {question}")
        else:
            turns.append(user(question))
        turns.append(gold(text))
    return Case("facts", tuple(turns), value, schema)


def _question(
    d: Draw, told: dict[_Told, str], subjects: list[str], attributes: tuple[_Attribute, ...]
) -> tuple[str, str, str, bool]:
    """A question on a told fact (rarely on one never told), its answer, field name and whether it is an integer."""
    if d.chance(0.06):
        pair = _Told(d.pick(subjects), d.pick(attributes))
        if pair not in told:
            return _say(d.phrase(pair.attribute.ask), pair.subject), UNKNOWN, pair.attribute.field, False
    pair = d.pick(list(told))
    answer = told[pair]
    is_number = pair.attribute.field in ("age", "budget")
    return _say(d.phrase(pair.attribute.ask), pair.subject), answer, pair.attribute.field, is_number
