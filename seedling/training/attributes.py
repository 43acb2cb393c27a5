"""What can be told about people and things over a conversation, with the wordings to tell, to change and to ask it.

`{s}` is the subject (`Lena`, `my sister`, the speaker), `{s's}` its genitive, `{v}` the value.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from . import entities as e
from .draw import Draw, Phrases


@dataclass(frozen=True)
class Attribute:
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


_NEWS = "[correction|update|news|a change|in fact|note this|a correction|sorry]"
_SAY_IT = "[tell me|please say|can you say|do you know|remind me|say]"


def _asks(noun: str, text: str) -> Phrases:
    """Questions by the attribute's name, and those of `text`, one a line."""
    return Phrases(
        *(line.strip() for line in text.strip().splitlines()),
        f"what is {{s's}} [current|present|new|] [{noun}] [now|]?",
        f"what is the [current|present|] [{noun}] of {{s}} [now|]?",
        f"[tell me|give me|please tell me|I need|name|please name] {{s's}} [{noun}].",
        f"[tell me|give me|please tell me|I need|name|please name] the [{noun}] of {{s}}.",
        f"[do you know|can you tell me|could you tell me|do you remember] {{s's}} [{noun}]?",
        f"[do you know|can you tell me|could you tell me|do you remember] the [{noun}] of {{s}}?",
        f"[and|now|so|next,] {{s's}} [{noun}]?",
        f"which [{noun}] does {{s}} have [now|]?",
        f"what did I say about the [{noun}] of {{s}}?",
    )


def _tells(noun: str, text: str) -> Phrases:
    """Statements by the attribute's name, and those of `text`, one a line."""
    return Phrases(
        *(line.strip() for line in text.strip().splitlines()),
        f"{{s's}} [{noun}] is {{v}}.",
        f"the [{noun}] of {{s}} is {{v}}.",
        f"[note|remember|keep in mind|please note|know|write down] that {{s's}} [{noun}] is {{v}}.",
        f"[note|remember|keep in mind|please note|know|write down] that the [{noun}] of {{s}} is {{v}}.",
        f"[as|for] {{s's}} [{noun}] [I have|we have|note|put] {{v}}.",
        f"{{v}} is [{{s's}} [{noun}]|the [{noun}] of {{s}}].",
    )


def _changes(noun: str, text: str) -> Phrases:
    """Statements of a new value by the attribute's name, and those of `text`, one a line."""
    return Phrases(
        *(line.strip() for line in text.strip().splitlines()),
        f"{{s's}} [{noun}] is now {{v}}.",
        f"the [{noun}] of {{s}} is now {{v}}.",
        f"{{s's}} new [{noun}] is {{v}}.",
        f"the new [{noun}] of {{s}} is {{v}}.",
        f"the [{noun}] of {{s}} [has changed|was changed|changed|has been changed] to {{v}}.",
        f"{{s's}} [{noun}] [has changed|was changed|changed|has been changed] to {{v}}.",
        f"[from now on|since today|as of today|since last week|now] {{s's}} [{noun}] is {{v}}.",
        f"[from now on|since today|as of today|since last week|now] the [{noun}] of {{s}} is {{v}}.",
        f"{_NEWS}: {{s's}} [{noun}] is {{v}} [now|].",
        f"{_NEWS}: the [{noun}] of {{s}} is {{v}} [now|].",
    )


ABOUT_PEOPLE = (
    Attribute("city", e.city,
        _tells("city|home town", """
        {s} [lives|is living|is based|resides|stays] in {v} [at present|now|].
        {s} has [a flat|a house|a home|a room] in {v}.
        {v} is where {s} [lives|resides|stays].
        """),
        _changes("city|home town", f"""
        {{s}} has moved to {{v}} [now|recently|last week|].
        {{s}} [now|currently] [lives|resides|stays] in {{v}}.
        {{s}} [lives|resides|stays] in {{v}} [now|these days|from now on].
        {{s}} left and [lives|stays] in {{v}} [these days|now].
        {_NEWS}: {{s}} [lives|resides|stays] in {{v}} [now|].
        [since last week|since today|by now] {{s}} [lives|resides|stays] in {{v}}.
        """),
        _asks("city|home town", f"""
        where [does {{s}} live|is {{s}} based|does {{s}} reside|is {{s}} living|does {{s}} stay] [now|at present|]?
        in which [city|place|town] [does {{s}} live|is {{s}} based|does {{s}} reside]?
        [which|what] [city|place|town] [is {{s}} in|does {{s}} live in]?
        {_SAY_IT} where {{s}} [lives|resides|stays].
        """)),
    Attribute("age", _small,
        _tells("age", """
        {s} is {v} [years old|years of age|].
        {s} is aged {v}.
        {s} has reached the age of {v}.
        """),
        _changes("age", f"""
        {{s}} has [just|now|] turned {{v}} [today|].
        {{s}} is {{v}} now.
        {_NEWS}: {{s}} is {{v}} [years old|].
        {{s}} just turned {{v}} [today|].
        in fact {{s}} is {{v}} [years old|].
        """),
        _asks("age", f"""
        how old is {{s}} [now|at present|]?
        what age is {{s}} [now|]?
        how many years old is {{s}} [now|]?
        {_SAY_IT} how old {{s}} is.
        """)),
    Attribute("job", _job,
        _tells("job|profession", """
        {s} [works|is employed|serves] as a {v}.
        {s} is a {v} [by trade|by profession|].
        {s} [has a job|has a post|earns a living] as a {v}.
        """),
        _changes("job|profession", f"""
        {{s}} [now|currently] [works|serves] as a {{v}}.
        {{s}} changed jobs and is a {{v}} now.
        {_NEWS}: {{s}} is a {{v}} [now|].
        {{s}} [became|has become] a {{v}} [last week|].
        {{s}} [works|serves] as a {{v}} [now|these days|from now on].
        """),
        _asks("job|profession|occupation", f"""
        what does {{s}} [do for a living|work as|do for work] [now|]?
        {_SAY_IT} what {{s}} [does for a living|works as].
        """)),
    Attribute("phone", e.phone,
        _tells("phone number|number", """
        [you can|please|to reach us,|] [call|phone] {s} [on|at|under] {v}.
        {s} uses the [number|phone number] {v}.
        """),
        _changes("phone number|number", f"""
        {{s}} has a new [number|phone number]: {{v}}.
        use {{v}} for {{s}} [from now on|now].
        {_NEWS}: [call|phone] {{s}} [on|at|under] {{v}}.
        """),
        _asks("phone number|number", """
        how can I [call|phone] {s} [now|]?
        [on|under|at] which number can I [call|phone] {s}?
        """)),
    Attribute("email", e.email,
        _tells("email|email address|mail address", """
        [you can|please|] mail {s} at {v}.
        {s} uses the [email|address|mail address] {v}.
        {s} can be [reached|mailed] at {v}.
        """),
        _changes("email|email address|mail address", f"""
        {{s}} changed the [email|address|mail address] to {{v}}.
        {_NEWS}: mail {{s}} at {{v}} [now|].
        {{s}} has a new [email|address|mail address]: {{v}}.
        """),
        _asks("email|email address|mail address", """
        how can I mail {s} [now|]?
        which [email|address|mail address] does {s} use [now|]?
        """)),
    Attribute("colour", _colour,
        _tells("favourite colour", """
        {s} [likes|loves] the colour {v} best.
        {s} [likes|loves] {v} [best|more than other colours|, it is the best colour].
        """),
        _changes("favourite colour", f"""
        {{s}} [likes|loves] {{v}} best now.
        {_NEWS}: {{s}} [likes|loves] {{v}} best.
        """),
        _asks("favourite colour", """
        which colour does {s} [like|love] [best|most] [now|]?
        what colour does {s} [like|love] [best|most]?
        """)),
    Attribute("room", _room,
        _tells("room|room number", """
        {s} [sits|works|is] in room {v}.
        you [find|meet|see|can find] {s} in room {v}.
        """),
        _changes("room|room number", f"""
        {{s}} [moved|has moved] to room {{v}} [today|now|].
        {{s}} [sits|works|is] in room {{v}} now.
        {_NEWS}: {{s}} [sits|works|is] in room {{v}}.
        """),
        _asks("room|room number", """
        which room is {s} in [now|]?
        in which room [is {s}|does {s} sit|does {s} work] [now|]?
        where [does|can] {s} [sit|work]?
        """)),
    Attribute("team", e.capital,
        _tells("team", """
        {s} is [on|part of|a member of|in] team {v}.
        {s} [belongs to|plays for|works for] team {v}.
        """),
        _changes("team", f"""
        {{s}} [switched|moved|has switched|has moved] to team {{v}}.
        {{s}} is [on|in|part of] team {{v}} now.
        {_NEWS}: {{s}} is [on|in|part of] team {{v}}.
        """),
        _asks("team", """
        [which|what] team is {s} [on|in] [now|]?
        [which|what] team does {s} [belong to|play for|work for]?
        """)),
    Attribute("manager", e.person,
        _tells("manager|boss", """
        {s} [reports|answers] to {v}.
        {v} [manages|leads|guides] {s}.
        {s} works under {v}.
        """),
        _changes("manager|boss", f"""
        {{s}} [reports|answers] to {{v}} now.
        {{v}} has taken over as {{s's}} [manager|boss].
        {_NEWS}: {{s}} [reports|answers] to {{v}}.
        """),
        _asks("manager|boss", """
        who is {s's} [manager|boss] [now|]?
        who does {s} [report to|answer to|work under] [now|]?
        who [manages|leads|guides] {s} [now|]?
        who is the [manager|boss] of {s}?
        """)),
    Attribute("pet", e.capital,
        _tells("pet", """
        {s's} pet is [called|named] {v}.
        {s} [has|owns|keeps] a pet [called|named] {v}.
        the pet of {s} is [called|named] {v}.
        """),
        _changes("pet", f"""
        {{s's}} new pet is [called|named] {{v}}.
        {{s}} [has|owns|keeps] a new pet [called|named] {{v}}.
        {_NEWS}: {{s's}} pet is [called|named] {{v}}.
        """),
        _asks("pet", """
        what is {s's} pet [called|named]?
        what is the name of {s's} pet?
        [which|what] pet does {s} [have|own|keep]?
        """)),
    Attribute("company", e.company,
        _tells("company|employer", """
        {s} [works|is employed|has a job|has a post] [at|with] {v}.
        {s} [works|is employed] for {v}.
        {s} is [employed|paid|hired] by {v}.
        """),
        _changes("company|employer", f"""
        {{s}} [now|currently] works [at|for|with] {{v}}.
        {{s}} [moved on|has moved on|moved|switched] to {{v}}.
        {{s}} works [at|for|with] {{v}} [now|these days|from now on].
        {_NEWS}: {{s}} works [at|for|with] {{v}}.
        """),
        _asks("company|employer", f"""
        where does {{s}} [work|have a job] [now|]?
        [which|what] company does {{s}} work [for|at|with] [now|]?
        who [employs|pays|has hired] {{s}} [now|]?
        who is {{s's}} employer?
        {_SAY_IT} where {{s}} works.
        """)),
)  # fmt: skip
ABOUT_THINGS = (
    Attribute("deadline", lambda d: e.date(d).isoformat(),
        _tells("deadline|due date", """
        {s} is due [on|by] {v}.
        {s} [must|has to|should] be [done|ready|finished] by {v}.
        {s} has the [deadline|due date] {v}.
        """),
        _changes("deadline|due date", f"""
        the [deadline|due date] of {{s}} [moved|was moved|has moved] to {{v}}.
        {{s}} is now due [on|by] {{v}}.
        {_NEWS}: {{s}} is due [on|by] {{v}}.
        """),
        _asks("deadline|due date", """
        when is {s} due [now|]?
        [by when|when] must {s} be [done|ready|finished]?
        """)),
    Attribute("budget", lambda d: str(d.integer(100, 90000)),
        _tells("budget", """
        {s} has a budget of {v}.
        we [may|can] spend {v} on {s}.
        {s} [may|can] cost {v}.
        """),
        _changes("budget", f"""
        {{s}} has a new budget of {{v}}.
        {_NEWS}: we [may|can] spend {{v}} on {{s}}.
        """),
        _asks("budget", """
        how much [may|can] we spend on {s} [now|]?
        what [may|can] {s} cost [now|]?
        """)),
    Attribute("code", e.code,
        _tells("code|access code", """
        the [code|access code] for {s} is {v}.
        {s} has the [code|access code] {v}.
        [use|enter|take] the code {v} for {s}.
        {s} opens with {v}.
        """),
        _changes("code|access code", f"""
        the [code|access code] for {{s}} [changed|was changed|has changed] to {{v}}.
        {{s}} now has the [code|access code] {{v}}.
        {_NEWS}: the [code|access code] for {{s}} is {{v}}.
        the new [code|access code] for {{s}} is {{v}}.
        """),
        _asks("code|access code", """
        what is the [code|access code] for {s} [now|]?
        [which|what] code [do I need for {s}|opens {s}|do I use for {s}] [now|]?
        """)),
    Attribute("owner", e.person,
        _tells("owner", """
        {s} belongs to {v}.
        {v} [owns|has] {s}.
        {v} is [in charge|the owner] of {s}.
        """),
        _changes("owner", f"""
        {{s}} now belongs to {{v}}.
        {{v}} has taken over {{s}}.
        {_NEWS}: {{s}} belongs to {{v}}.
        {{v}} is now [in charge|the owner] of {{s}}.
        """),
        _asks("owner", """
        who [owns|has] {s} [now|]?
        who is [in charge|the owner] of {s} [now|]?
        to whom does {s} belong [now|]?
        """)),
    Attribute("place", e.venue,
        _tells("venue|place", """
        {s} [takes place|is held|happens] at {v}.
        we meet at {v} for {s}.
        """),
        _changes("venue|place", f"""
        {{s}} [was moved|moved|has moved] to {{v}}.
        {{s}} now [takes place|happens] at {{v}}.
        {_NEWS}: {{s}} is [now|] held at {{v}}.
        """),
        _asks("venue|place", """
        where [does {s} take place|is {s} held|does {s} happen] [now|]?
        where do we meet for {s} [now|]?
        """)),
    Attribute("time", e.clock,
        _tells("start time|time", """
        {s} [starts|begins|is] at {v} [o'clock|].
        we [begin|start] {s} at {v} [o'clock|].
        """),
        _changes("start time|time", f"""
        {{s}} now [starts|begins] at {{v}}.
        {{s}} [was moved|has moved] to {{v}} o'clock.
        {_NEWS}: {{s}} [starts|begins] at {{v}}.
        """),
        _asks("start time|time", """
        when does {s} [start|begin] [now|]?
        [at what time|at which time|what time] [is {s}|does {s} start|does {s} begin]?
        """)),
    Attribute("day", _day,
        _tells("day", """
        {s} [is|happens|is planned] on {v}.
        we [do|plan|hold] {s} on {v}.
        """),
        _changes("day", f"""
        {{s}} is now on {{v}}.
        {{s}} was moved from that day to {{v}}.
        {_NEWS}: {{s}} is on {{v}}.
        """),
        _asks("day", """
        [on which|on what|which|what] day [is {s}|does {s} happen|do we hold {s}] [now|]?
        which day is {s} on [now|]?
        """)),
)  # fmt: skip
