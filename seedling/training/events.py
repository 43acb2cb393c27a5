"""Records about events: what, when, where, with whom, for how many and at what price."""

from __future__ import annotations

from . import entities as e
from .draw import Draw, Phrases
from .records import BOOLEAN, DATE, INTEGER, NUMBER, STRING, STRINGS, Fact, Record, Spec, enum_of, listing, object_of

TITLE = Spec(
    ("title", "event", "name", "event_name", "event_title", "eventName"), Phrases(), ("Event", "Title", "Name"),
    Phrases("What is the event called?", "Which event is it?", "What is the name of the event?",
    "What is the title of the event?"),
    ("the name of the event", "the title"),
)  # fmt: skip
DATE_OF = Spec(
    ("date", "day", "event_date", "held_on", "eventDate", "start_date"),
    Phrases("takes place on {v}", "is on {v}", "will be held on {v}", "is planned for {v}", "is set for {v}",
    "happens on {v}",
            "will take place on {v}", "is scheduled for {v}", "falls on {v}", "opens on {v}"),
    ("Date", "Day", "When"),
    Phrases("When does {s} take place?", "On which date is {s}?", "What is the date of {s}?", "When is {s}?"),
    ("the date of the event", "the day it takes place"),
)  # fmt: skip
TIME = Spec(
    ("time", "start_time", "starts_at", "begins_at", "startTime", "hour"),
    Phrases("starts at {v}", "begins at {v}", "kicks off at {v}", "opens its doors at {v}", "has its start at {v}",
    "gets going at {v}",
            "will start at {v}", "will begin at {v}"),
    ("Time", "Start", "Starts at"),
    Phrases("At what time does {s} start?", "When does {s} begin?", "What is the start time of {s}?",
    "What time does {s} begin?"),
    ("the start time", "the time it begins"),
)  # fmt: skip
VENUE = Spec(
    ("venue", "location", "place", "where", "venue_name", "held_at"),
    Phrases("takes place at {v}", "is held at {v}", "will be at {v}", "happens at {v}", "is hosted at {v}",
    "uses {v} as its venue",
            "will be held at {v}", "meets at {v}"),
    ("Venue", "Place", "Where"),
    Phrases("Where does {s} take place?", "What is the venue of {s}?", "Where is {s} held?", "At which venue is {s}?"),
    ("the venue", "the place"),
)  # fmt: skip
CITY = Spec(
    ("city", "town", "event_city", "cityName"),
    Phrases("is in {v}", "takes place in {v}", "will be held in {v}", "happens in {v}", "comes to {v}",
    "is planned in {v}",
            "visits {v}", "will be in {v}"),
    ("City", "Town"), Phrases("In which city is {s}?", "Which city is {s} in?", "What is the city of {s}?"),
    ("the city",),
)  # fmt: skip
HOST = Spec(
    ("organizer", "host", "organiser", "hosted_by", "organized_by", "contact"),
    Phrases("is organized by {v}", "is hosted by {v}", "is run by {v}", "is led by {v}", "was set up by {v}",
    "has {v} as its host",
            "is put on by {v}", "is arranged by {v}"),
    ("Organizer", "Host"),
    Phrases("Who organizes {s}?", "Who is the host of {s}?", "Who runs {s}?", "Who hosts {s}?"), ("the organizer",
    "the host"),
)  # fmt: skip
GUESTS = Spec(
    ("speakers", "guests", "attendees", "participants", "performers", "people"),
    Phrases("features {v}", "has talks by {v}", "welcomes {v}", "brings together {v}", "has {v} as guests",
    "will be joined by {v}",
            "presents {v}", "is attended by {v}"),
    ("Speakers", "Guests", "Participants"),
    Phrases("Who are the guests of {s}?", "Who takes part in {s}?"), ("the guests", "the people who take part"),
)  # fmt: skip
CAPACITY = Spec(
    ("capacity", "seats", "max_guests", "places", "max_attendees", "maxGuests"),
    Phrases("has room for {v} people", "has {v} seats", "can take {v} guests", "is limited to {v} people",
    "offers {v} places",
            "holds up to {v} people", "seats {v}", "is open to {v} visitors"),
    ("Capacity", "Seats", "Places"),
    Phrases("How many people fit into {s}?", "What is the capacity of {s}?", "How many seats does {s} have?",
            "How many places are there at {s}?"),
    ("the number of seats", "the capacity"),
)  # fmt: skip
PRICE = Spec(
    ("price", "fee", "ticket_price", "entry_fee", "cost", "ticketPrice"),
    Phrases("costs {v}", "has an entry fee of {v}", "has tickets at {v}", "asks for a fee of {v}", "charges {v}",
    "is {v} per ticket",
            "sells tickets for {v}", "has a ticket price of {v}"),
    ("Price", "Fee", "Ticket"),
    Phrases("How much does {s} cost?", "What is the price of {s}?", "What does a ticket for {s} cost?",
    "How much is a ticket for {s}?"),
    ("the ticket price", "the fee"),
)  # fmt: skip
DURATION = Spec(
    ("duration", "minutes", "duration_minutes", "length", "durationMinutes"),
    Phrases("lasts {v} minutes", "takes {v} minutes", "runs for {v} minutes", "goes on for {v} minutes",
    "is {v} minutes long",
            "will last {v} minutes"),
    ("Duration", "Minutes"), Phrases("How many minutes does {s} last?", "How long is {s} in minutes?"),
    ("the length in minutes", "the duration"),
)  # fmt: skip
KIND = Spec(
    ("type", "kind", "event_type", "category", "format"),
    Phrases("is a {v}", "is planned as a {v}", "is held as a {v}", "is a kind of {v}", "counts as a {v}",
    "is announced as a {v}"),
    ("Type", "Kind"), Phrases("What kind of event is {s}?", "Which type of event is {s}?"), ("the kind of event",
    "the type"),
)  # fmt: skip
ONLINE = Spec(
    ("online", "is_online", "virtual", "remote", "isOnline"),
    Phrases(),
    ("Online",),
    Phrases("Is {s} online?"),
    ("whether it is online",),
)
ONLINE_YES = Phrases("is online", "takes place online", "is held online", "can be joined online", "runs online",
    "is an online event",
                     "will be streamed online")  # fmt: skip
ONLINE_NO = Phrases("is not online", "is held in person", "takes place in person", "cannot be joined online",
    "is on site only",
                    "is an in-person event", "is not streamed online")  # fmt: skip
PLACE = Spec(
    ("location", "place", "where", "venue"),
    Phrases("takes place at {v}", "is held at {v}", "will be at {v}", "happens at {v}", "is at {v}",
    "will be held at {v}"),
    ("Location", "Where"), Phrases("Where is {s}?", "What is the location of {s}?"), ("the location",),
)  # fmt: skip
KINDS = ("workshop", "concert", "meeting", "conference", "party", "lecture", "tour", "exhibition")

_LEADS = Phrases(
    "{title} takes place on {date}", "{title} takes place on {date} at {venue}", "join us for {title} on {date}",
    "on {date}, {title} comes to {city}", "{host} invites you to {title} on {date}", "{host} is organizing {title}",
    "come to {venue} on {date} for {title}", "{title} starts on {date} at {time}",
    "{title} will be held at {venue} in {city}",
    "the {kind} {title} takes place on {date}", "tickets for {title} cost {price}",
    "{title} with {guests} is on {date}",
    "{guests} will be at {title}", "{title}: {date}, {time}, {venue}", "{host} hosts {title} at {venue}",
    "{title} is a {kind} in {city}",
    "save the date: {title} on {date}", "we are happy to announce {title}, hosted by {host}",
    "{title} opens at {time} on {date}",
    "{title} in {city} has room for {capacity} people", "{venue} hosts {title} on {date} at {time}",
    "{title} on {date} costs {price}",
    "the next {kind} is {title} on {date}", "at {venue}, {host} presents {title}",
)  # fmt: skip
_ASIDES = Phrases("Last year it was led by {o}.", "{o} takes the photos.", "The year before, {n} people came.",
    "Tell {o} if you come.",
           "{o} will miss it.")  # fmt: skip


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
    return Record(subject, ("It", "The event"), facts, ("title",), _LEADS, _ASIDES, other)
