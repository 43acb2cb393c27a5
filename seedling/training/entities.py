"""People, places, goods, codes, numbers and dates: everything that the model has to copy, not to know.

Most names are made up from syllables or plain letters on each draw, millions of them, so that the only way to be right
is to copy. The lists are common words written down for this generator.
"""

from __future__ import annotations

import datetime
from collections.abc import Sequence

from .draw import Draw, Pool, words_of
from .lexicon import WORDS

_ONSETS = (*words_of("b br c ch d dr f fr g gr h j k kl l m n p pr r s sh sk st t th tr v w y z"), *[""] * 3)
_VOWELS = words_of("a a a e e e i i i o o o u u ai ea ia ie io oa ou ei")
_CODAS = (*words_of("b d f g k l ld lt m n nd ng nn ns nt p r rd rg rn rt s ss st t th v x z"), *[""] * 14)
_ACCENTED = words_of("é è ë ö ü ø å ñ ç á í ó ä š ž")
_LETTERS = "abcdefghijklmnopqrstuvwxyz"

FIRST_NAMES = Pool("""
Lena, Omar, Priya, Jonas, Aisha, Marco, Yuki, Sofia, David, Nadia, Peter, Ingrid, Carlos, Mei, Ahmed, Laura, Tomas,
Ewa, Samuel, Fatima, Erik, Grace, Hugo, Irene, Julia, Karim, Linda, Maria, Noah, Olga, Pavel, Rosa, Stefan, Tara,
Viktor, Wanda, Anna, Ben, Clara, Daniel, Emma, Felix, George, Hannah, Ivan, Jack, Kate, Leo, Mia, Nina, Oscar,
Paula, Ruth, Sam, Tom, Vera, John, Mary, James, Alice, Bob, Carol, Frank, Helen, Robert, Susan, Michael, Sarah,
Thomas, Emily, Lucas, Chloe, Arjun, Zoe, Ana, Luis, Elena, Diego, Amara, Kofi, Leila, Hassan, Mina, Kenji, Wei, Jin,
Sven, Astrid, Bjorn, Freya, Igor, Katya, Dmitri
""")
LAST_NAMES = Pool("""
Ortiz, Brandt, Nakamura, Silva, Novak, Haddad, Kowalski, Jensen, Okafor, Rossi, Meyer, Larsen, Patel, Kim, Garcia,
Dubois, Smith, Jones, Brown, Taylor, Wilson, Evans, Thomas, Johnson, Roberts, Walker, Wright, Robinson, Thompson,
White, Hughes, Edwards, Green, Hall, Wood, Harris, Lewis, Martin, Jackson, Clarke, Clark, Turner, Hill, Cooper,
Ward, Morris, Moore, Baker, Lee, King, Parker, Shah, Singh, Khan, Ali, Chen, Wang, Zhang, Tanaka, Sato, Suzuki,
Lopez, Perez, Costa, Santos, Moreau, Bernard, Weber, Schmidt, Fischer, Wagner, Becker, Berg, Lund, Dahl, Holm,
Ivanov, Petrov, Horvat, Popescu, Eriksson, Virtanen
""")
JOBS = Pool("""
nurse, baker, teacher, plumber, data analyst, software engineer, chef, architect, electrician, lawyer, dentist,
gardener, journalist, pilot, librarian, accountant, photographer, mechanic, carpenter, designer, translator, vet,
surgeon, tailor, product manager, sales manager, project lead, research assistant, bus driver, bank clerk, tour
guide, web developer, civil engineer, office manager, pharmacist, editor, painter, florist, barista, welder, farmer,
judge, consultant, biologist
""")
LANGUAGES = Pool("""
Danish, Thai, Urdu, Spanish, French, German, Polish, Greek, Arabic, Hindi, Korean, Japanese, Swedish, Turkish,
Dutch, Finnish, Czech, Hebrew, Italian, Norwegian, Portuguese, Russian, Swahili, Tamil, English, Mandarin, Zulu,
Welsh, Irish
""")
SKILLS = Pool("""
Python, Rust, SQL, Java, welding, first aid, drawing, cooking, statistics, public speaking, negotiation, accounting,
machine learning, typing, driving, video editing, carpentry, sewing, project planning, copywriting, data modelling,
testing, network security, photography, design, teaching, budgeting, German grammar, spreadsheets, pottery, Go,
Kotlin
""")
HOBBIES = Pool("""
chess, hiking, knitting, running, gardening, fishing, painting, cycling, swimming, dancing, reading, climbing,
sailing, baking, birdwatching, yoga, skiing, board games, old films, jazz, football, tennis, puzzles, astronomy,
surfing, singing
""")
GOODS = Pool("""
lamp, desk, chair, notebook, pen, keyboard, mouse, monitor, cable, backpack, mug, kettle, toaster, blender, pan,
knife, towel, pillow, blanket, rug, shelf, mirror, clock, candle, vase, plant, bicycle, helmet, tent, lantern, rope,
hammer, drill, saw, ladder, bucket, broom, soap, shampoo, bread, milk, butter, cheese, apple, pear, banana, rice,
pasta, coffee, tea, sugar, flour, salt, pepper, honey, jam, yogurt, juice, water, soup, salad, sandwich, cake,
cookie, egg, tomato, onion, carrot, shirt, jacket, scarf, hat, sock, boot, belt, watch, ring, camera, tripod, phone
case, charger, battery, printer, paper, stapler, folder, marker, whiteboard, speaker, headphones, guitar, drum,
puzzle, ball, racket, novel, atlas, calendar
""")
ADJECTIVES = Pool("""
oak, blue, red, green, black, white, small, large, steel, glass, wooden, cotton, wool, leather, brown, grey, yellow,
fresh, organic, dark, light, round, square, folding, portable, wireless, ceramic, silver, golden, heavy, soft,
spare, used, broken
""")
COLOURS = Pool(
    "red, blue, green, yellow, purple, orange, teal, black, white, pink, brown, grey, violet, beige, navy, gold, lime"
)
EVENT_WORDS = Pool("""
Harvest, Spring, Winter, Summer, Autumn, Data, Design, Jazz, Garden, Robotics, Film, Book, Food, Science, Music,
City, Night, Ocean, Cloud, Street, Poetry, Health, Climate, Energy, Startup, Photo, History, Chess, Coffee, Wine,
Light, River
""")
EVENT_NOUNS = Pool(
    "Fair, Summit, Gala, Festival, Workshop, Meetup, Conference, Day, Week, Forum, Night, Show, Market, Camp, "
    "Symposium, Expo, Retreat, Party, Seminar, Tour"
)
_COMPANY_ENDS = words_of("""
Labs Works Foods Group Ltd Inc Partners Studio Systems Logistics Bank Media Books Motors Energy
""")
_STORE_ENDS = words_of("""
Market Store Cafe Bakery Foods Books Deli Pharmacy Hardware Grocery Corner Bistro Kiosk Supplies
""")
_VENUE_ENDS = words_of("Hall Center Theatre Library Park Hotel Museum Arena House Club Gallery School Pavilion")
_STREET_ENDS = words_of("Street Road Lane Avenue Square Way Drive")
_STREETS = ("Maple", "Oak", "High", "Station", "Mill", "Church", "Park", "Lake", "Main", "King", "Bridge", "Elm")
_CITY_ENDS = ["ville", "burg", "ton", "stad", "vik", "field", "mouth", "ford", "dal", "berg", "ham", ""]
_MAIL_HOSTS = words_of("com org net io example.com example.org co.uk dev")
MONTHS = words_of("January February March April May June July August September October November December")
_NUMBER_WORDS = words_of("zero one two three four five six seven eight nine ten eleven twelve")


def word(d: Draw) -> str:
    """A made-up lower-case word: mostly syllables, sometimes plain letters, now and then an accent."""

    def make() -> str:
        rng = d.rng
        kind = rng.random()
        if kind < 0.12:
            return "".join(rng.choices(_LETTERS, k=rng.randint(3, 8)))
        count = 1 if kind < 0.25 else 2 if kind < 0.7 else 3
        text = "".join(d.pick(_ONSETS) + d.pick(_VOWELS) + d.pick(_CODAS) for _ in range(count))
        if kind > 0.97:
            at = rng.randrange(len(text) + 1)
            text = text[:at] + rng.choice(_ACCENTED) + text[at:]
        return text if len(text) > 2 else text + rng.choice("nrst")

    if not d.held and d.chance(0.16):
        return d.pick(WORDS)
    return d.made_up(make)


def capital(d: Draw) -> str:
    """A made-up word with a capital letter, rarely in another dress (`FOO`, `iFoo`, `Foo-12`)."""
    text = word(d)
    text = text[0].upper() + text[1:]
    return _dressed(d, text) if d.chance(0.04) else text


def _dressed(d: Draw, text: str) -> str:
    """A name as brands write it."""
    number = d.rng.randint(1, 99)
    forms = (
        text.upper(),
        f"i{text}",
        f"{text}-{number}",
        f"{text} {number}",
        f"{text}{number}",
        f"{text}{text[:2].upper()}",
        f"{text}/{text[-3:]}",
        f"{text} ({text[:3]})",
        f"{text}'s",
        f"{text} #{number}",
        f"{text}+",
        f"Dr. {text}",
        f"St. {text}",
    )
    return d.pick(forms)


def entity(d: Draw, pool: Pool) -> str:
    """A member of a pool, or as often something made up in its place: no list may be learned by heart."""
    listed = d.entity(pool)
    if d.chance(0.5):
        return listed
    make = capital if listed[0].isupper() else word
    return f"{make(d)} {make(d)}" if d.chance(0.15) else make(d)


def _ending(d: Draw, endings: Sequence[str]) -> str:
    return d.pick(endings) if d.chance(0.65) else capital(d)


def first_name(d: Draw) -> str:
    return d.entity(FIRST_NAMES) if d.chance(0.3) else capital(d)


def last_name(d: Draw) -> str:
    if d.chance(0.3):
        return d.entity(LAST_NAMES)
    kind = d.rng.random()
    if kind < 0.04:
        return f"O'{capital(d)}"
    if kind < 0.08:
        return f"Mc{capital(d)}"
    if kind < 0.14:
        return f"{capital(d)}-{capital(d)}"
    if kind < 0.18:
        return f"{d.pick(('van', 'de', 'von', 'al'))} {capital(d)}"
    return capital(d)


def person(d: Draw) -> str:
    kind = d.rng.random()
    if kind < 0.08:
        return first_name(d)
    if kind < 0.14:
        return f"{first_name(d)} {d.pick('ABCDEFGHJKLMNPRSTW')}. {last_name(d)}"
    return f"{first_name(d)} {last_name(d)}"


def city(d: Draw) -> str:
    kind = d.rng.random()
    if kind < 0.12:
        return f"{d.pick(('New', 'Port', 'San', 'Lake', 'East', 'North', 'Old', 'Fort'))} {capital(d)}"
    return capital(d) + (d.pick(_CITY_ENDS) if d.chance(0.5) else "")


def company(d: Draw) -> str:
    return f"{capital(d)} {_ending(d, _COMPANY_ENDS)}" if d.chance(0.8) else f"{capital(d)} & {capital(d)}"


def store(d: Draw) -> str:
    kind = d.rng.random()
    if kind < 0.15:
        return f"{first_name(d)}'s {_ending(d, _STORE_ENDS)}"
    return f"{capital(d)} {_ending(d, _STORE_ENDS)}" if kind < 0.85 else capital(d)


def venue(d: Draw) -> str:
    kind = d.rng.random()
    if kind < 0.15:
        return f"{capital(d)} {capital(d)} {_ending(d, _VENUE_ENDS)}"
    return f"{capital(d)} {_ending(d, _VENUE_ENDS)}" if kind < 0.92 else capital(d)


def event_title(d: Draw) -> str:
    kind = d.rng.random()
    if kind < 0.55:
        return f"{entity(d, EVENT_WORDS)} {entity(d, EVENT_NOUNS)}"
    if kind < 0.75:
        return f"{capital(d)} {entity(d, EVENT_NOUNS)}"
    if kind < 0.8:
        return f"{capital(d)} of {capital(d)}"
    return f"{capital(d)} {entity(d, EVENT_WORDS)} {entity(d, EVENT_NOUNS)}"


def street(d: Draw) -> str:
    name = capital(d) if d.chance(0.7) else d.pick(_STREETS)
    return f"{d.integer(1, 199)} {name} {_ending(d, _STREET_ENDS)}"


def goods(d: Draw) -> str:
    """An article, singular or plural as it will stand in text and JSON."""
    noun = entity(d, GOODS)
    if d.chance(0.45):
        noun = f"{entity(d, ADJECTIVES)} {noun}"
    return f"{capital(d)} {noun}" if d.chance(0.06) else noun


def plural(noun: str) -> str:
    """A simple English plural."""
    if noun.endswith(("s", "x", "ch", "sh", "z")):
        return noun if noun.endswith("s") else f"{noun}es"
    return f"{noun[:-1]}ies" if noun.endswith("y") and noun[-2] not in "aeiou" else f"{noun}s"


def email(d: Draw) -> str:
    user = word(d) if d.chance(0.5) else f"{word(d)}.{word(d)}"
    if d.chance(0.2):
        user += str(d.integer(1, 99))
    return f"{user}@{word(d)}.{d.pick(_MAIL_HOSTS)}"


def phone(d: Draw) -> str:
    digits = d.made_up(lambda: "".join(d.rng.choices("0123456789", k=7)))
    kind = d.rng.random()
    if kind < 0.5:
        return f"{digits[:3]}-{digits[3:]}"
    if kind < 0.75:
        return f"+{d.rng.randint(1, 98)} {digits[:3]} {digits[3:]}"
    return f"{digits[:3]} {digits[3:5]} {digits[5:]}"


def code(d: Draw) -> str:
    """An order number, a ticket id, a serial: letters, digits and dashes."""

    def make() -> str:
        rng = d.rng
        letters = "".join(rng.choices("ABCDEFGHJKLMNPQRSTUVWXYZ", k=rng.randint(1, 3)))
        digits = "".join(rng.choices("0123456789", k=rng.randint(3, 5)))
        prefix = rng.choice((letters, letters, letters, rng.choice(("ORD", "INV", "REF", "TK", "PO", "NO"))))
        return prefix + rng.choice(("-", "-", "", "/")) + digits if rng.random() < 0.85 else digits

    return d.made_up(make)


def amount(d: Draw, low: int = 1, high: int = 400) -> str:
    """A decimal amount as text, two decimals, one or none: `12.50`, `7.5`, `40`."""

    def make() -> str:
        rng = d.rng
        whole = rng.randint(low, high if rng.random() < 0.7 else max(low, high // 8))
        kind = rng.random()
        return f"{whole}.{rng.randint(0, 99):02d}" if kind < 0.75 else str(whole) if kind < 0.9 else f"{whole}.5"

    return d.made_up(make)


def number_value(text: str) -> int | float:
    """The JSON number that `text` spells: `12.50` is 12.5, `12` stays whole."""
    return float(text) if "." in text else int(text)


def number_text(value: int | float) -> str:
    """A number as the calculator and the answers write it: no trailing zeros, at most six decimals."""
    text = f"{value:.6f}".rstrip("0").rstrip(".")
    return "0" if text == "-0" else text


def count_text(d: Draw, count: int) -> str:
    """A small count in digits or, for twelve and less, sometimes as a word."""
    return _NUMBER_WORDS[count] if count < len(_NUMBER_WORDS) and d.chance(0.35) else str(count)


def date(d: Draw) -> datetime.date:
    kind = d.rng.random()
    first, last = (1700, 2099) if kind < 0.12 else (1940, 2010) if kind < 0.3 else (2019, 2031)
    start, end = datetime.date(first, 1, 1).toordinal(), datetime.date(last, 12, 31).toordinal()
    text = d.made_up(lambda: datetime.date.fromordinal(d.rng.randint(start, end)).isoformat())
    return datetime.date.fromisoformat(text)


_DATE_FORMS = (
    "{m} {d}, {y}", "{d} {m} {y}", "{iso}", "{m3} {d}, {y}", "{m} {d}{th}, {y}", "the {d}{th} of {m} {y}",
    "{d} {m3} {y}", "{iso_slash}", "{d}{th} {m} {y}", "{m3}. {d}, {y}", "{m} the {d}{th}, {y}", "{d} of {m} {y}",
)  # fmt: skip


def date_text(d: Draw, day: datetime.date) -> str:
    """One of several English ways to write a date."""
    suffix = {1: "st", 2: "nd", 3: "rd"}.get(day.day % 10, "th") if day.day not in (11, 12, 13) else "th"
    month = MONTHS[day.month - 1]
    return d.pick(_DATE_FORMS).format(
        d=day.day, m=month, m3=month[:3], y=day.year, th=suffix, iso=day.isoformat(),
        iso_slash=day.isoformat().replace("-", "/"),
    )  # fmt: skip


def clock(d: Draw) -> str:
    return d.made_up(lambda: f"{d.rng.randint(7, 22):02d}:{d.rng.randrange(0, 60, 5):02d}")


def distinct(d: Draw, make: Pool, count: int) -> list[str]:
    """Up to `count` different members of a pool's part for this split."""
    part = make.held if d.held else make.train
    return d.sample(part, min(count, len(part)))


def series(d: Draw, parts: Sequence[str]) -> str:
    """`a`, `a and b`, `a, b and c` in one of several styles."""
    if len(parts) == 1:
        return parts[0]
    style = d.rng.random()
    if style < 0.7:
        return f"{', '.join(parts[:-1])} and {parts[-1]}"
    if style < 0.85:
        return f"{', '.join(parts[:-1])}{',' if len(parts) > 2 else ''} and {parts[-1]}"
    return ", ".join(parts) if style < 0.95 else f"{', '.join(parts[:-1])} plus {parts[-1]}"
