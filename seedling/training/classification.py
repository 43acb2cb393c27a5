"""Task (b): the topic, sentiment or urgency of a message, as a bare label or as a field of JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ..notation import describe
from . import messages
from .case import Case, Turn, dumps, gold, system, user
from .draw import Draw, lines
from .extraction import NOTED, SYSTEMS, capital, closed, cued, instruction, told, words
from .records import Json, enum_of, object_of
from .topics import TOPICS

_ASK = lines("""
classify the {k}: one of: {o}
[please|kindly|] [classify|label|sort|judge|tag|mark] the {k}: [one of|choose from|pick from|pick one \
of|options|]: {o}
[what|which] [is the {k}|{k} is it|{k} is this|is its {k}|{k} does it have]? [one of|choose from|pick \
from|options|pick one of]: {o}
[please|] [choose|name|pick|give|state|tell me|find|select] [the|its] {k} [of the message|of the text|]: [one \
of|from|out of|]: {o}
[please|] [choose|name|pick|give|state|find|select] [the|its] {k} [of the message|of the text|], one of: {o}
{k}? [one of|choose from|pick from|options|pick one of|]: {o}
the {k} [of the message|of the text|] is one of: {o}
[label|tag|mark|sort|file] [the message|the text|it|this] [by|according to] [its|the|] {k}: [one of|choose \
from|pick from|]: {o}
[label|tag|mark] [the|its] {k} [of the message|of the text|] as one of: {o}
[decide|settle] [on|] the {k} [of the message|of the text|]: [one of|choose from|pick from|options|]: {o}
{k} [of the message|of the text|of it|], one of: {o}
[sort|file|order|group] by {k}: [one of|choose from|pick from|options|]: {o}
[how would you|how do you] [label|describe|judge|rate] the {k} [of the message|of the text|]? [one of|choose \
from|pick from]: {o}
[your task|the task|your job] is to [name|find|label|choose] the {k}: [one of|choose from|pick from]: {o}
[the|] [possible|allowed|] [labels|options|answers] for the {k} are: {o}
[now|and|next|then] the {k}: [one of|choose from|pick from|]: {o}
""")
_TAILS = lines("""
[please|] [answer|reply|respond] [with|using|by] [the label|one label|the bare label|one option] \
[only|alone|and nothing else]
[please|] [answer|reply|respond] [with|in] [one|a single] word
[give|write|say|return] [only|just] the [label|option|word]
[only|just] the label
[no|without] [explanation|comment|sentence]
""")
_KINDS = {
    "topic": ("topic", "topic", "topic", "category", "kind", "subject", "theme", "department"),
    "sentiment": ("sentiment", "sentiment", "sentiment", "mood", "tone", "feeling", "attitude"),
    "urgency": ("urgency", "urgency", "urgency", "priority", "urgency level", "pressure"),
}
_FEELINGS = (
    ("positive", "negative", "neutral"), ("positive", "negative", "neutral"), ("good", "bad", "neutral"),
    ("happy", "unhappy", "neutral"), ("pleased", "displeased", "neither"), ("satisfied", "dissatisfied", "neutral"),
    ("praise", "complaint", "neither"), ("favourable", "unfavourable", "neutral"), ("good", "bad", "mixed"),
    ("positive", "not positive", "not positive"), ("not negative", "negative", "not negative"),
)  # fmt: skip
_PRESSURES = (
    ("high", "medium", "low"), ("high", "medium", "low"), ("high", "normal", "low"), ("urgent", "normal", "not urgent"),
    ("critical", "normal", "minor"), ("now", "soon", "later"), ("immediate", "soon", "any time"),
    ("urgent", "not urgent", "not urgent"), ("critical", "not critical", "not critical"), ("high", "moderate", "low"),
)  # fmt: skip
_JSON_ASK = lines("""
[please|] classify the [message|text]. JSON with [the|these|] fields: {f}
[please|] classify [the message|the text|it|], [answer|reply|respond] in JSON with [the|these|] fields: {f}
[please|] classify [the message|the text|it|] as JSON with [the|these|] fields: {f}
[please|] [label|sort|judge|tag] the [message|text] and [answer|reply|respond] in JSON: {f}
[give|write|return] the labels [of the message|of the text|] as JSON with [the|these|] fields: {f}
""")
_JOINS = (", ", ", ", ", ", ", ", " / ", " | ", "; ", "\n- ", "\n", " or ")


def topic_labels(d: Draw, topic: str) -> tuple[str, list[str]]:
    """The right label and two to six options, in random order; sometimes none fits and `other` is right."""
    others = d.sample([name for name in TOPICS if name != topic], d.rng.randint(1, 4))
    options = [d.pick(TOPICS[name].labels) for name in others]
    right = d.pick(TOPICS[topic].labels)
    if d.chance(0.12):
        right = d.pick(("other", "other", "something else", "none of these"))
        options.append(right)
    else:
        options.append(right)
        if d.chance(0.15):
            options.append(d.pick(("other", "other", "something else", "none of these")))
    return right, d.shuffled(list(dict.fromkeys(options)))


def _scale(d: Draw, value: str, plain: Sequence[str], named: Sequence[Sequence[str]]) -> tuple[str, list[str]]:
    scale = d.pick(named)
    right = scale[plain.index(value)]
    kept = list(dict.fromkeys(scale))
    if d.chance(0.25) and len(kept) == 3:
        kept.remove(d.pick([name for name in kept if name != right]))
    return right, d.shuffled(kept) if d.chance(0.8) else kept


def labels(d: Draw, message: messages.Message, kind: str) -> tuple[str, list[str]]:
    """The right label of `message` for `kind`, and the options that the prompt offers."""
    if kind == "topic":
        assert message.topic is not None
        return topic_labels(d, message.topic)
    if kind == "sentiment":
        assert message.sentiment is not None
        return _scale(d, message.sentiment, ("positive", "negative", "neutral"), _FEELINGS)
    assert message.urgency is not None
    return _scale(d, message.urgency, ("high", "medium", "low"), _PRESSURES)


def _question(d: Draw, kind: str, options: Sequence[str]) -> str:
    text = d.phrase(_ASK, plain=0.25)
    between = d.pick(_JOINS)
    shown = between.join(options)
    if between == " or " or (between == ", " and d.chance(0.2)):
        shown = f"{', '.join(options[:-1])} or {options[-1]}"
    shown = f"{between}{shown}" if between.startswith("\n") else shown
    text = capital(text.replace("{k}", d.pick(_KINDS[kind]))).replace(": {o}", ":{o}" if shown[0] == "\n" else ": {o}")
    asked = text.replace("{o}", shown) + d.pick(("", "", "."))
    return closed(d, asked, _TAILS) if d.chance(0.35) else asked


def _message(d: Draw, kinds: Sequence[str]) -> messages.Message:
    return messages.make(d, topic="topic" in kinds, sentiment="sentiment" in kinds, urgency="urgency" in kinds)


def _place(d: Draw, ask: str, text: str) -> tuple[Turn, ...]:
    kind = d.rng.random()
    if kind < 0.45:
        return system(ask), user(text)
    gap = d.pick(("\n", "\n\n", "\n", " "))
    if kind < 0.65:
        turns: tuple[Turn, ...] = (user(f"{ask}{gap}{cued(d, text) if d.chance(0.4) else text}"),)
    elif kind < 0.82:
        turns = (user(f"{text}{gap}{ask}"),)
    else:
        turns = (user(text), user(ask)) if kind < 0.92 else (user(text), gold(NOTED), user(ask))
    return (system(told(d, SYSTEMS)), *turns) if d.chance(0.25) else turns


_NAMES = ("topic", "sentiment", "urgency")


def label_case(d: Draw) -> Case:
    """One message and the bare label; then sometimes other questions on it, or the same one on another message."""
    kinds = d.sample(_NAMES, d.pick((1, 1, 1, 2, 2, 3)))
    message = _message(d, kinds)
    right, options = labels(d, message, kinds[0])
    turns = [*_place(d, _question(d, kinds[0], options), message.text), gold(right)]
    for kind in kinds[1:]:
        right, options = labels(d, message, kind)
        turns += [user(_question(d, kind, options)), gold(right)]
    if d.chance(0.12):
        # The same question with other labels or another order.
        right, options = labels(d, message, kinds[-1])
        turns += [user(_question(d, kinds[-1], options)), gold(right)]
    if len(kinds) == 1 and turns[0].role == "system" and turns[1].text == message.text and kinds[0] != "topic":
        right = _more_messages(d, kinds[0], turns, right, options)
    return Case("classification", tuple(turns), right, None, tuple(options))


def _more_messages(d: Draw, kind: str, turns: list[Turn], right: str, options: list[str]) -> str:
    """Other messages under the instruction of the system turn, as far as its labels allow."""
    while d.chance(0.25):
        message = _message(d, [kind])
        for _ in range(50):
            again, same = labels(d, message, kind)
            if sorted(same) == sorted(options):
                turns += [user(message.text), gold(again)]
                right = again
                break
    return right


def json_case(d: Draw) -> Case:
    """One to three labels as fields of one JSON object."""
    kinds = d.sample(("topic", "sentiment", "urgency"), d.rng.randint(1, 3))
    message = _message(d, kinds)
    value: dict[str, Json] = {}
    parts: dict[str, Mapping[str, Json]] = {}
    for kind in kinds:
        name = kind if d.chance(0.7) else d.pick(_KINDS[kind])
        value[name], options = labels(d, message, kind)
        parts[name] = enum_of(options)
    schema = object_of(parts)
    if d.chance(0.4):
        ask = capital(d.phrase(_JSON_ASK)).replace("{f}", describe(schema, words(d)))
    else:
        ask = instruction(d, schema, words(d))
    turns = [*_place(d, ask, message.text), gold(dumps(value))]
    if d.chance(0.15):
        kind = d.pick(kinds)
        right, options = labels(d, message, kind)
        turns += [user(_question(d, kind, options)), gold(right)]
        return Case("classification", tuple(turns), right, None, tuple(options))
    return Case("classification", tuple(turns), value, schema)


def case(d: Draw) -> Case:
    """Bare labels and JSON, about half each."""
    return label_case(d) if d.chance(0.55) else json_case(d)
