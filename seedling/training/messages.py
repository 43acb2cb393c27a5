"""Short messages with a known topic, sentiment and urgency: the material of the classification task.

A message is put together from independent parts: a core sentence of its topic (a subject and what happened to it),
sometimes a remark that carries the sentiment, sometimes one that carries the urgency, with greeting and closing.
"""

from __future__ import annotations

from dataclasses import dataclass

from .draw import Draw, Phrases, words_of
from .topics import TOPICS, core, fill, mention

_GOOD = Phrases(
    *words_of("""
great good lovely excellent wonderful amazing perfect brilliant fantastic superb delicious friendly helpful fast
reliable comfortable beautiful clean fresh smooth nice awesome outstanding charming tasty kind polite quick
impressive delightful enjoyable pleasant marvellous cosy flawless generous cheerful splendid terrific magnificent
elegant handy sturdy stunning exciting
""")
)
_BAD = Phrases(
    *words_of("""
bad awful terrible poor rude slow dirty broken useless ugly noisy cold stale boring disappointing unreliable
horrible dreadful faulty nasty disgusting unfriendly uncomfortable annoying weak cheap-looking overpriced dull
unhelpful sloppy messy flimsy lousy miserable defective tasteless smelly unbearable mediocre confusing late careless
frustrating inferior shabby
""")
)
_SUBJECTS = Phrases("the staff", "the room", "the food", "the service", "the {g}", "my {g}", "the film", "the book",
    "the app", "the hotel",
    "the support", "the delivery", "the quality", "the flight", "the concert", "the team", "the website",
    "this product", "the meal",
    "the visit", "the course", "the new {g}", "your shop", "the trip", "everything about the {g}", "the design",
    "the battery", "the game")  # fmt: skip
_IS = Phrases(
    "is",
    "was",
    "is really",
    "was very",
    "is so",
    "looks",
    "turned out to be",
    "is absolutely",
    "was just",
    "is truly",
    "was quite",
    "felt",
)
_LIKING = Phrases("I love {s}.", "I like {s} a lot.", "I really enjoyed {s}.", "I am delighted with {s}.",
    "I can recommend {s}.",
    "I am so glad about {s}.", "We had a great time with {s}.", "I adore {s}.", "I am thankful for {s}.",
    "Thanks for {s}, I am thrilled.",
    "I am satisfied with {s}.", "Five stars for {s}.", "{s} exceeded my hopes.", "{s} made me smile.",
    "Well done, {s} works perfectly.")  # fmt: skip
_DISLIKING = Phrases("I hate {s}.", "I do not like {s}.", "I really regret {s}.", "I am annoyed by {s}.",
    "I cannot recommend {s}.",
    "I am so angry about {s}.", "We had a bad time with {s}.", "I cannot stand {s}.", "I am upset about {s}.",
    "{s} let me down.",
    "I am not satisfied with {s}.", "One star for {s}.", "{s} failed again.", "{s} made me cry.",
    "{s} does not work at all.",
    "{s} was a mistake.", "{s} broke after a day.", "I want to complain about {s}.")  # fmt: skip

_DO = Phrases(
    "fix",
    "solve",
    "handle",
    "check",
    "answer",
    "send",
    "repair",
    "look into",
    "deal with",
    "finish",
    "review",
    "process",
    "change",
)
_WHAT = Phrases(
    "this", "it", "the problem", "the issue", "my request", "the case", "that", "the matter", "this ticket", "the {g}"
)
_POLITE = Phrases("Please {x}", "Could you {x}", "You must {x}", "We need you to {x}", "I want you to {x}",
    "Can someone {x}", "Kindly {x}",
                  "I ask you to {x}", "{x}", "You can {x}", "You may {x}")  # fmt: skip
_NOW = Phrases("now", "right away", "immediately", "today", "at once", "within the hour", "as soon as possible", "ASAP",
    "before noon",
    "this minute", "instantly", "without delay", "tonight", "right now", "in the next ten minutes",
    "before the day ends", "urgently",
    "within two hours", "straight away", "first thing", "by the end of today")  # fmt: skip
_SOON = Phrases("this week", "by Friday", "in a few days", "in the next days", "by the end of the week",
    "in two or three days",
    "before the weekend", "until Thursday", "some time this week", "within a week", "in the coming days",
    "by Wednesday", "next week")  # fmt: skip
_LATER = Phrases("when you have time", "some day", "next month", "whenever it suits you", "at your leisure",
    "later this year", "in the long run",
    "when you are bored", "if you find the time", "sometime", "when things are calm", "at some point", "next year",
    "when you can, no rush",
    "one day, no hurry", "eventually", "in your own time", "when nothing else is waiting")  # fmt: skip
_WHEN = {"high": _NOW, "medium": _SOON, "low": _LATER}

POSITIVE = Phrases(
    "I am very happy with it.", "Thank you, you are great!", "I love it.", "This is excellent work.",
    "I am really pleased.",
    "What a wonderful experience.", "Everything was perfect.", "I could not be happier.", "The {g} is fantastic.",
    "The staff were friendly and quick.", "It works like a charm.", "I would buy the {g} again.",
    "Best {g} I ever had.",
    "I am impressed.", "It was a pleasure.", "The quality of the {g} is superb.", "I recommend it to everyone.",
    "Great job!",
    "{p} was so helpful.", "It made my day.", "It is not bad at all, I like it.", "I enjoyed every minute.",
    "That is good news.",
    "Simply brilliant.", "The {g} is better than I hoped.", "It arrived early and in perfect shape.",
    "They solved it in minutes.",
    "Everyone was kind to us.", "It fits perfectly.", "I got an answer within minutes.", "The children loved it.",
    "It was worth every cent.",
    "I will come back.", "My {g} still works after years.", "They even gave us a free drink.",
    "It does exactly what it should.",
    "Thank you so much for your help.", "It saved me a lot of time.", "We laughed all evening.",
    "I got a full refund without any trouble.",
    "The {g} looks even nicer than in the picture.", "They went out of their way to help.",
    "It could not have gone better.", "Wow!",
)  # fmt: skip
NEGATIVE = Phrases(
    "I am very unhappy about it.", "This is terrible.", "I am really disappointed.", "I hate it.",
    "What a waste of money.",
    "The service was awful.", "I am angry.", "It is the worst {g} I ever had.", "I will never come back.",
    "The {g} is useless.",
    "The staff were rude and slow.", "I am fed up.", "It is not good at all.", "Nothing works as promised.",
    "That is a disgrace.",
    "I regret buying the {g}.", "The quality of the {g} is poor.", "I would not recommend it to anyone.",
    "{p} was so rude.",
    "It ruined my day.", "I am frustrated.", "It is a disaster.", "That is bad news.", "Horrible experience.",
    "The {g} is worse than I feared.", "Nobody answers my emails.", "I waited for hours.",
    "It stopped working after a day.",
    "They never called back.", "My order is wrong again.", "The {g} arrived broken.",
    "My {g} arrived damaged and late.", "It does not fit.",
    "I want my money back.", "The {g} fell apart.", "They lied to me.", "Nobody helped us.",
    "It was not worth the price.", "I had to pay twice.",
    "The line was endless and nobody cared.", "They ignored my complaint.", "It took weeks and still fails.",
    "The {g} smells bad.",
    "I got the wrong {g}.", "No one picks up the phone.", "The {g} was missing parts.", "It keeps breaking.",
    "We left hungry.",
    "I lost all my data.", "They charged me for nothing.", "The {g} never arrived.",
)  # fmt: skip
NEUTRAL = Phrases(
    "The {g} arrived on Tuesday.", "I bought the {g} in {w}.", "The {g} comes in two sizes.",
    "{p} ordered the {g} last week.",
    "The shop opens at nine.", "The {g} weighs {n} grams.", "I use the {g} at work.", "The {g} is made in {w}.",
    "There are {n} seats in the room.", "The meeting is on Monday.", "The {g} has a blue cover.",
    "I talked to {p} about the {g}.",
    "The store is near the station.", "The {g} was delivered to {w}.", "The box contains {n} parts.",
    "My order number is {c}.",
    "The {g} is listed on page {n}.", "{p} will pick up the {g} tomorrow.", "The report has {n} pages.",
    "The {g} costs {a} dollars.",
    "The office is in {w}.", "The bus leaves at noon.", "It is the second {g} this year.", "The form has three parts.",
)  # fmt: skip
HIGH = Phrases(
    "Please fix this right now.", "This is urgent.", "I need an answer immediately.", "It cannot wait.",
    "This is an emergency.",
    "We need help at once.", "Please act today, it is critical.", "Our whole team is blocked.",
    "Everything is down, hurry.",
    "I need this within the hour.", "As soon as possible, please!", "Please drop everything else.",
    "We lose money every minute.",
    "It has to be done before noon today.", "Top priority, please.", "We cannot work until this is solved.",
    "Call me back immediately.",
    "This must be solved tonight.", "Time is running out.", "There is not a minute to lose.", "URGENT!",
    "The server is down.",
    "Production is down.", "Customers cannot pay.", "Nobody can work.", "The deadline is in an hour.",
    "It is an emergency, help!",
    "We are stuck until you answer.", "The site is offline.", "Our shop is closed because of it.",
    "I leave in an hour.", "Hurry up, please.",
    "This is blocking everyone.", "This is critical for us.", "My flight leaves tonight.",
    "It is getting worse by the minute.",
)  # fmt: skip
MEDIUM = Phrases(
    "Please look at it this week.", "It would be good to have it by Friday.", "Please reply in the next few days.",
    "Could you check it in a day or two?", "I would like an answer this week.", "Some time this week would be fine.",
    "Please handle it in the coming days.", "By the end of the week is fine.", "Please get to it within a few days.",
    "Next week at the latest, please.", "I hope to hear from you in a few days.", "It should be done this week.",
)  # fmt: skip
LOW = Phrases(
    "There is no rush.", "Take your time.", "It can wait.", "Whenever you have time.", "This is not urgent.",
    "No hurry at all.",
    "Any time this year is fine.", "Please look at it when it suits you.", "It is not important.",
    "Next month is early enough.",
    "Just when you get around to it.", "It is low on my list.", "There is plenty of time.",
    "Do it some day, no pressure.",
    "I can wait as long as you need.", "No need to answer soon.", "It is just a small thing.",
    "This is only a minor point.",
    "I am just curious.", "It is nice to have.", "Not a big deal.", "It does not bother me much.",
    "Only if you are free.",
    "It is a detail.", "No deadline on this.", "Nothing depends on it.", "There is a simple way around it.",
    "We can live with it.",
)  # fmt: skip
GREETINGS = Phrases(
    "Hello, ", "Hi, ", "Dear team, ", "Good morning, ", "Hello there, ", "Hi {p}, ", "Dear {p}, ", "Good day, "
)
CLOSINGS = Phrases(
    " Thanks.",
    " Regards, {p}",
    " Best, {p}",
    " {p}",
    " Kind regards",
    " Thank you for reading.",
    " Yours, {p}",
    " Cheers",
)

SENTIMENT = {"positive": POSITIVE, "negative": NEGATIVE, "neutral": NEUTRAL}
URGENCY = {"high": HIGH, "medium": MEDIUM, "low": LOW}


@dataclass(frozen=True)
class Message:
    """A message and what is true of it; None where the message does not say."""

    text: str
    topic: str | None
    sentiment: str | None
    urgency: str | None


def feeling_remark(d: Draw, feeling: str) -> str:
    """A sentence that carries the sentiment: a fixed one, an adjective on a subject, or liking and disliking."""
    kind = d.rng.random()
    if feeling == "neutral" or kind < 0.4:
        return fill(d, d.phrase(SENTIMENT[feeling]))
    subject = fill(d, d.phrase(_SUBJECTS))
    good = feeling == "positive"
    if kind < 0.7:
        adjective = d.phrase(_GOOD if good else _BAD)
        if d.chance(0.15):
            adjective += f" and {d.phrase(_GOOD if good else _BAD)}"
        text = f"{subject} {d.phrase(_IS)} {adjective}{d.pick('..!')}"
    else:
        text = d.phrase(_LIKING if good else _DISLIKING).replace("{s}", subject)
    return text[0].upper() + text[1:]


def pressure_remark(d: Draw, pressure: str) -> str:
    """A sentence that carries the urgency."""
    if d.chance(0.5):
        return d.phrase(URGENCY[pressure])
    act = f"{d.phrase(_DO)} {fill(d, d.phrase(_WHAT))} {d.phrase(_WHEN[pressure])}"
    text = d.phrase(_POLITE).replace("{x}", act)
    return text[0].upper() + text[1:] + ("?" if text.startswith(("Could", "Can")) else d.pick("..!"))


def make(d: Draw, *, topic: bool, sentiment: bool, urgency: bool) -> Message:
    """A message that settles at least what is asked for."""
    chosen = d.pick(list(TOPICS)) if topic or d.chance(0.5) else None
    parts: list[str] = []
    feeling: str | None = None
    complaint = False
    if chosen is not None:
        happened = d.chance(0.65)
        parts.append(core(d, chosen) if happened else mention(d, chosen))
        complaint = happened and TOPICS[chosen].complaint
    if sentiment:
        options = ("positive", "negative") if chosen is not None else ("positive", "negative", "neutral")
        feeling = d.pick(options)
        if complaint:
            feeling = "negative"
            if d.chance(0.6):
                parts.append(feeling_remark(d, "negative"))
        else:
            parts.append(feeling_remark(d, feeling))
            if chosen is None and d.chance(0.4):
                parts.append(fill(d, d.phrase(NEUTRAL)))
    if not parts:
        parts.append(fill(d, d.phrase(NEUTRAL)))
    pressure: str | None = None
    if urgency:
        pressure = d.pick(("high", "high", "medium", "low", "low"))
        if pressure != "medium" or d.chance(0.7):
            parts.append(pressure_remark(d, pressure))
    elif d.chance(0.12):
        pressure = d.pick(list(URGENCY))
        parts.append(pressure_remark(d, pressure))
    if d.chance(0.25):
        parts = d.shuffled(parts)
    text = " ".join(parts)
    if d.chance(0.25):
        text = fill(d, d.phrase(GREETINGS)) + text
    if d.chance(0.2):
        text += fill(d, d.phrase(CLOSINGS))
    return Message(text, chosen, feeling, pressure)
