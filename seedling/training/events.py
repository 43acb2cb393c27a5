"""Records about events: what, when, where, with whom, for how many and at what price."""

from __future__ import annotations

from . import entities as e
from .draw import Draw, Phrases, lines
from .records import (
    BOOLEAN,
    DATE,
    INTEGER,
    NUMBER,
    STRING,
    STRINGS,
    Fact,
    Record,
    Spec,
    asking,
    enum_of,
    listing,
    object_of,
)

_TO = "[will|is to|shall|is going to|should]"

TITLE = Spec(
    ("title", "event", "name", "event_name", "event_title", "eventName"), (), Phrases(), ("Event", "Title", "Name"),
    lines("""
    what is the [event|meeting] called?
    [which|what] event is [it|this|meant|described|announced]?
    [what is|tell me|give me|I need|find] the [name|title] of the event
    """),
    ("the name of the event", "the title"),
)  # fmt: skip
DATE_OF = Spec(
    ("date", "day", "event_date", "held_on", "eventDate", "start_date"), ("date", "event date"),
    lines(f"""
    [takes place|happens|is held|opens|is on|starts|comes up|is] on {{v}}
    {_TO} [take place|be held|happen|open|start|be] on {{v}}
    is [planned|set|scheduled|fixed|announced|booked] [for|on] {{v}}
    [falls|was put|was set] on {{v}}
    has {{v}} as [the|its] date
    """),
    ("Date", "Day", "When"),
    asking(("date",), """
    when [does {s} take place|is {s}|is {s} held|does {s} happen|will {s} be|is {s} planned]?
    on [which|what] [date|day] [is {s}|does {s} take place|is {s} held|will {s} be]?
    [tell me|can you say|do you know|say] when {s} takes place.
    """),
    ("the date of the event", "the day it takes place"),
)  # fmt: skip
TIME = Spec(
    ("time", "start_time", "starts_at", "begins_at", "startTime", "hour"), ("start time", "time"),
    lines(f"""
    [starts|begins|kicks off|gets going|sets off|opens|gets under way] at {{v}} [sharp|o'clock|]
    {_TO} [start|begin|kick off|get going|open] at {{v}} [sharp|]
    has [its|a] [start|beginning] at {{v}}
    [opens its doors|opens the doors] at {{v}}
    has {{v}} as [the|its] [start time|time]
    """),
    ("Time", "Start", "Starts at"),
    asking(("start time", "time"), """
    [at what time|when|at which hour|what time] does {s} [start|begin|kick off|open]?
    [at what time|when] [will|should] {s} [start|begin|kick off|open]?
    [tell me|can you say|do you know|say] at what time {s} starts.
    """),
    ("the start time", "the time it begins"),
)  # fmt: skip
VENUE = Spec(
    ("venue", "location", "place", "where", "venue_name", "held_at"), ("venue", "place"),
    lines(f"""
    [takes place|is held|happens|meets|is hosted|is|is staged] at {{v}}
    {_TO} [take place|be held|happen|meet|be hosted|be] at {{v}}
    [uses|has|books|chose|rents] {{v}} as [its|the] [venue|place]
    is [planned|set|booked] at {{v}}
    """),
    ("Venue", "Place", "Where"),
    asking(("venue", "place"), """
    where [does {s} take place|is {s} held|is {s}|will {s} be|does {s} happen|does {s} meet]?
    at [which|what] [venue|place] [is {s}|does {s} take place|is {s} held]?
    [tell me|can you say|do you know|say] where {s} takes place.
    """),
    ("the venue", "the place"),
)  # fmt: skip
CITY = Spec(
    ("city", "town", "event_city", "cityName"), ("city", "town"),
    lines(f"""
    [takes place|is held|happens|is|is hosted] in {{v}}
    {_TO} [take place|be held|happen|be hosted|be] in {{v}}
    is [planned|set|booked|scheduled] in {{v}}
    [travels|is coming|moves] to {{v}}
    [visits|is visiting] {{v}}
    """),
    ("City", "Town"),
    asking(("city", "town"), """
    in [which|what] [city|town] [is {s}|does {s} take place|is {s} held|will {s} be]?
    [which|what] [city|town] [is {s} in|does {s} come to|does {s} visit]?
    """),
    ("the city",),
)  # fmt: skip
HOST = Spec(
    ("organizer", "host", "organiser", "hosted_by", "organized_by", "contact"), ("host", "organizer"),
    lines("""
    [is|will be|was] [organized|hosted|run|led|set up|put on|arranged|planned|managed] by {v}
    has {v} as [its|the] [host|organizer]
    is [an event|a project|the work] of [the host|the organizer|] {v}
    is in the hands of {v}
    """),
    ("Organizer", "Host"),
    asking(("host", "organizer"), """
    who [organizes|hosts|runs|leads|arranges|plans|set up|is in charge of] {s}?
    who is the [host|organizer] [of {s}|]?
    by whom is {s} [organized|hosted|run|led|arranged|planned]?
    """),
    ("the organizer", "the host"),
)  # fmt: skip
GUESTS = Spec(
    ("speakers", "guests", "attendees", "participants", "performers", "people"), ("guests", "participants"),
    lines(f"""
    [features|welcomes|presents|brings together|invites|brings] {{v}} [as guests|]
    has [talks by|visits from|guests like|words from] {{v}}
    has {{v}} as [guests|participants|speakers]
    [will be|is] [joined|attended|visited] by {{v}}
    {_TO} [feature|welcome|present|bring together] {{v}}
    """),
    ("Speakers", "Guests", "Participants"),
    asking(("guests", "participants"), """
    who [are the guests of|takes part in|attends|joins|will be at] {s}?
    [which|what] [guests|people|participants] [will be at|take part in|come to] {s}?
    """),
    ("the guests", "the people who take part"),
)  # fmt: skip
CAPACITY = Spec(
    ("capacity", "seats", "max_guests", "places", "max_attendees", "maxGuests"), ("capacity", "number of seats"),
    lines(f"""
    has [room|space|seats|places] for {{v}} [people|guests|visitors]
    has {{v}} [seats|places] [in all|in total|]
    [can|may] [take|hold|seat|welcome] [up to|] {{v}} [people|guests|visitors]
    is [limited|open] to {{v}} [people|guests|visitors]
    [offers|holds|seats|takes] [up to|] {{v}} [people|guests|places|visitors|]
    {_TO} [take|hold|seat|welcome] {{v}} [people|guests|visitors]
    """),
    ("Capacity", "Seats", "Places"),
    asking(("capacity", "number of seats", "number of places"), """
    how many [people|guests|visitors] [fit into {s}|can come to {s}|does {s} take|may attend {s}]?
    how many [seats|places] [does {s} have|are there at {s}|does {s} offer]?
    """),
    ("the number of seats", "the capacity"),
)  # fmt: skip
PRICE = Spec(
    ("price", "fee", "ticket_price", "entry_fee", "cost", "ticketPrice"), ("ticket price", "price", "entry fee"),
    lines("""
    [costs|charges|is|asks for|takes] {v} [per ticket|a ticket|at the door|per person|each|]
    has [an entry fee|a ticket price|a fee|a price|an entry price] of {v}
    [has|sells|offers] tickets [at|for] {v} [each|]
    [asks for|charges|takes|has] a fee of {v}
    has {v} as [the|its] [price|fee|ticket price]
    """),
    ("Price", "Fee", "Ticket"),
    asking(("price", "ticket price", "entry fee", "fee"), """
    how much [does {s} cost|is {s}|is a ticket for {s}|does a ticket for {s} cost|must I pay for {s}]?
    what [does {s} cost|does a ticket for {s} cost|must I pay for {s}|is the price of a ticket for {s}]?
    """),
    ("the ticket price", "the fee"),
)  # fmt: skip
DURATION = Spec(
    ("duration", "minutes", "duration_minutes", "length", "durationMinutes"), ("length in minutes", "duration"),
    lines(f"""
    [lasts|takes|runs for|goes on for|runs|goes on|lasts for] {{v}} minutes [in all|in total|]
    {_TO} [last|take|run for|go on for|run] {{v}} minutes
    is {{v}} minutes long
    has a [length|duration] of {{v}} minutes
    is [over|done] after {{v}} minutes
    """),
    ("Duration", "Minutes"),
    asking(("duration", "length in minutes"), """
    how many minutes does {s} [last|take|run|go on]?
    how long [is {s}|does {s} last|does {s} take|does {s} run] [in minutes|]?
    """),
    ("the length in minutes", "the duration"),
)  # fmt: skip
KIND = Spec(
    ("type", "kind", "event_type", "category", "format"), ("kind", "type"),
    lines(f"""
    is a {{v}}
    is [planned|held|announced|listed|meant|run|described|known] as a {{v}}
    is [a|a kind of|a sort of|a type of|an open|a small|a large] {{v}}
    [counts|goes down|is booked] as a {{v}}
    {_TO} be a {{v}}
    takes the form of a {{v}}
    """),
    ("Type", "Kind"),
    asking((), """
    [what|which] [kind|type|sort] of event is {s}?
    as what is {s} [planned|announced|listed]?
    """),
    ("the kind of event", "the type"),
)  # fmt: skip
ONLINE = Spec(
    ("online", "is_online", "virtual", "remote", "isOnline"), (), Phrases(), ("Online",),
    lines("""
    is {s} [online|held online|an online event|streamed online]?
    does {s} take place online?
    can {s} be [joined|seen|followed] online?
    """),
    ("whether it is online",),
)  # fmt: skip
ONLINE_YES = lines(f"""
    [is|runs|takes place|happens|is held|is streamed|is shown|is hosted] online [only|]
    {_TO} be [online|streamed online|held online|shown online|hosted online]
    [can|may] be [joined|seen|followed|watched] online
    is [an|planned as an|run as an] online event
""")
ONLINE_NO = lines(f"""
    is not [online|streamed online|held online|shown online|hosted online]
    [is held|takes place|happens|runs|is hosted] [in person|on site] [only|]
    [cannot|may not] be [joined|seen|followed|watched] online
    is [on site|in person] only
    is [an|planned as an|run as an] in-person event
    {_TO} be [held|hosted] [in person|on site]
""")
PLACE = Spec(
    ("location", "place", "where", "venue"), ("location", "place"), VENUE.clauses, ("Location", "Where"),
    asking(("location", "place"), """
    where [is {s}|does {s} take place|is {s} held]?
    """),
    ("the location",),
)  # fmt: skip
KINDS = ("workshop", "concert", "meeting", "conference", "party", "lecture", "tour", "exhibition")

_LEADS = lines("""
    {title} [takes place|is held|will be held|happens|opens|is planned] on {date}
    {title} [takes place|is held|will be held|happens] on {date} at {venue}
    [join us|come|see you|you are invited|welcome] [for|at|to] {title} on {date}
    on {date}, {title} [comes to|opens in|is held in|takes place in] {city}
    {host} [invites you|invites us|invites all] to {title} on {date}
    {host} [is organizing|is planning|organizes|hosts|runs|leads] {title}
    come to {venue} on {date} for {title}
    {title} [starts|begins|opens|kicks off] on {date} at {time}
    {title} [will be held|is held|takes place|happens] at {venue} in {city}
    the {kind} {title} [takes place|is held|will be held|happens] on {date}
    tickets for {title} [cost|are|are sold at] {price}
    {title} with {guests} [is|takes place|will be held] on {date}
    {guests} will [be at|attend|join|take part in] {title}
    {title}: {date}, {time}, {venue}
    {host} [hosts|runs|leads|organizes] {title} at {venue}
    {title} is a {kind} in {city}
    [save the date|mark the date|do not forget|note it down]: {title} on {date}
    we are [happy|glad|proud|pleased] to [announce|present] {title}, [hosted|organized|led|run] by {host}
    {title} [opens|starts|begins|kicks off] at {time} on {date}
    {title} in {city} has [room|space|seats] for {capacity} people
    {venue} [hosts|welcomes|presents] {title} on {date} at {time}
    {title} on {date} costs {price}
    [the|our] next {kind} is {title} on {date}
    at {venue}, {host} [presents|hosts|leads] {title}
    in {city}, {host} [presents|hosts|leads|runs] {title}
    [on|for] {date} {host} [plans|has planned|announces] {title}
""")
_ASIDES = lines("""
    last year it was [led|hosted|run|opened] by {o}
    {o} [takes|took|will take|brings] the [photos|tickets|chairs|food]
    the year before, {n} [people|guests] came
    [tell|ask|inform|write to] {o} if you come
    {o} will [miss it|be away|not be there|come late]
    [last time|once|years ago] [there were|we had] {n} [people|guests|visitors]
    {o} [made|drew|printed|sent] the [poster|list|plan]
    [please|kindly|] bring [a pen|a friend|a cup|good shoes]
""")


def make(d: Draw) -> Record:
    """An event with every fact there is."""
    title, day, time, venue, city = e.event_title(d), e.date(d), e.clock(d), e.venue(d), e.city(d)
    host = e.person(d) if d.chance(0.7) else e.company(d)
    guests = list(dict.fromkeys(e.person(d) for _ in range(d.rng.randint(1, 3))))
    capacity, duration = d.integer(10, 900), d.integer(20, 300)
    price, online, kind = e.amount(d, 2, 200), d.chance(0.5), d.pick(KINDS)
    code = d.pick(("USD", "EUR", "GBP"))
    ticket = d.pick((f"${price}", f"€{price}", f"{price} {code}", f"{price} euros", f"{price} dollars"))
    others = [name for name in KINDS if name != kind]
    at = {"venue": venue, "city": city}
    facts = {
        "title": Fact(TITLE, STRING, title, title),
        "date": Fact(DATE_OF, DATE, day.isoformat(), e.date_text(d, day)),
        "time": Fact(TIME, STRING, time, time),
        "host": Fact(HOST, STRING, host, host),
        "guests": Fact(GUESTS, STRINGS, guests, listing(d, guests)),
        "capacity": Fact(CAPACITY, INTEGER, capacity, str(capacity)),
        "price": Fact(PRICE, NUMBER, e.number_value(price), ticket),
        "duration": Fact(DURATION, INTEGER, duration, str(duration)),
        "kind": Fact(KIND, enum_of(d.shuffled([kind, *d.sample(others, d.rng.randint(1, 4))])), kind, kind),
        "online": Fact(ONLINE, BOOLEAN, online, "yes" if online else "no", ONLINE_YES if online else ONLINE_NO),
    }
    if d.chance(0.3):
        facts["place"] = Fact(PLACE, object_of(dict.fromkeys(at, STRING)), at, f"{venue} in {city}")
    else:
        facts["venue"] = Fact(VENUE, STRING, venue, venue)
        facts["city"] = Fact(CITY, STRING, city, city)
    if "venue" in facts and d.chance(0.3):
        del facts["city"]
    other = {"o": e.person(d), "n": d.integer(10, 900)}
    subject = title if d.chance(0.5) else f"The {title}"
    return Record(subject, ("It", "The event"), facts, ("title",), _LEADS, _ASIDES, other, alias="the event")
