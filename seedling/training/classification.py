"""Task (b): the topic, sentiment or urgency of a message, as a bare label or as a field of JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ..notation import describe
from . import messages
from .case import Case, Turn, dumps, gold, system, user
from .draw import Draw, Phrases
from .extraction import SYSTEMS, instruction, words
from .records import Json, enum_of, object_of
from .topics import TOPICS

_ASK = Phrases(
    "Classify the {k}: one of: {o}", "Classify the {k}: one of: {o}.", "What is the {k}? One of: {o}",
    "Choose the {k}: one of: {o}",
    "Name the {k}, one of: {o}", "Pick the {k}: {o}", "{K}? One of: {o}", "Which {k} is it? One of: {o}",
    "The {k} is one of: {o}",
    "Label the {k} as one of: {o}", "Decide on the {k}: one of: {o}", "{K}, one of: {o}", "Sort by {k}: one of: {o}",
)  # fmt: skip
_TAILS = Phrases(
    "", "", " Answer with the label only.", " Answer with one word.", " Give the label.", " Only the label."
)
_KINDS = {
    "topic": ("topic", "topic", "topic", "category", "kind", "subject"),
    "sentiment": ("sentiment", "sentiment", "sentiment", "mood", "tone"),
    "urgency": ("urgency", "urgency", "urgency", "priority"),
}
_FEELINGS = (("positive", "negative", "neutral"), ("positive", "negative", "neutral"), ("good", "bad", "neutral"),
             ("happy", "unhappy", "neutral"))  # fmt: skip
_PRESSURES = (
    ("high", "medium", "low"),
    ("high", "medium", "low"),
    ("high", "normal", "low"),
    ("urgent", "normal", "not urgent"),
)


def topic_labels(d: Draw, topic: str) -> tuple[str, list[str]]:
    """The right label and all options, in random order; sometimes none fits and `other` is right."""
    others = d.sample([name for name in TOPICS if name != topic], d.rng.randint(1, 5))
    options = [d.pick(TOPICS[name].labels) for name in others]
    right = d.pick(TOPICS[topic].labels)
    if d.chance(0.12):
        right = "other"
        options.append("other")
    else:
        options.append(right)
        if d.chance(0.15):
            options.append("other")
    return right, d.shuffled(list(dict.fromkeys(options)))


def _scale(d: Draw, value: str, plain: Sequence[str], named: Sequence[Sequence[str]]) -> tuple[str, list[str]]:
    scale = d.pick(named)
    right = scale[plain.index(value)]
    kept = list(scale)
    if d.chance(0.25) and len(kept) == 3:
        kept.remove(d.pick([name for name in kept if name != right]))
    return right, d.shuffled(kept) if d.chance(0.7) else kept


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
    name = d.pick(_KINDS[kind])
    text = _ASK.all[0] if d.chance(0.3) else d.phrase(_ASK)
    asked = text.format(k=name, K=name[0].upper() + name[1:], o=", ".join(options))
    return asked + d.phrase(_TAILS)


def _message(d: Draw, kinds: Sequence[str]) -> messages.Message:
    return messages.make(d, topic="topic" in kinds, sentiment="sentiment" in kinds, urgency="urgency" in kinds)


def _place(d: Draw, ask: str, text: str) -> tuple[Turn, ...]:
    kind = d.rng.random()
    if kind < 0.55:
        return system(ask), user(text)
    gap = d.pick(("\n", "\n\n", "\n"))
    body = f"{ask}{gap}{text}" if kind < 0.8 else f"{text}{gap}{ask}"
    return (system(d.phrase(SYSTEMS)), user(body)) if d.chance(0.3) else (user(body),)


def label_case(d: Draw) -> Case:
    """One message, one question, the bare label; now and then a second question on the same message."""
    kinds = d.sample(("topic", "sentiment", "urgency"), d.pick((1, 1, 1, 2)))
    message = _message(d, kinds)
    right, options = labels(d, message, kinds[0])
    turns = [*_place(d, _question(d, kinds[0], options), message.text), gold(right)]
    for kind in kinds[1:]:
        right, options = labels(d, message, kind)
        turns += [user(_question(d, kind, options)), gold(right)]
    return Case("classification", tuple(turns), right, None, tuple(options))


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
        ask = d.pick(("Classify the message. JSON with fields: {f}", "Classify, answer in JSON with fields: {f}",
                      "Classify as JSON with fields: {f}")).format(f=describe(schema, words(d)))  # fmt: skip
    else:
        ask = instruction(d, schema, words(d))
    turns = _place(d, ask, message.text)
    return Case("classification", (*turns, gold(dumps(value))), value, schema)


def case(d: Draw) -> Case:
    """Bare labels and JSON, about half each."""
    return label_case(d) if d.chance(0.55) else json_case(d)
