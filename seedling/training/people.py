"""Records about people: who they are, what they do, where they live and how to reach them."""

from __future__ import annotations

from . import entities as e
from .draw import Draw, Phrases, Pool
from .records import BOOLEAN, DATE, INTEGER, NUMBER, STRING, STRINGS, Fact, Record, Spec, enum_of, listing, object_of

NAME = Spec(
    ("name", "full_name", "person", "person_name", "fullName", "who"), Phrases(), ("Name", "Person", "Full name"),
    Phrases("What is the name of the person?", "Who is this about?", "Which person is described?", "Who is described?"),
    ("the name of the person", "the full name"),
)  # fmt: skip
AGE = Spec(
    ("age", "years", "age_in_years", "person_age", "years_old"),
    Phrases("is {v} years old", "is {v}", "is aged {v}", "turned {v} this year", "is {v} years of age",
    "just turned {v}",
            "has reached the age of {v}", "has turned {v}", "is now {v}", "is {v} at the moment"),
    ("Age", "Years"),
    Phrases("How old is {s}?", "What is the age of {s}?", "What age is {s}?", "What is {s}'s age?",
    "Which age does {s} have?",
            "How many years old is {s}?"),
    ("the age", "the age in years"),
)  # fmt: skip
JOB = Spec(
    ("job", "occupation", "profession", "job_title", "work", "jobTitle", "title"),
    Phrases("works as a {v}", "is a {v}", "is employed as a {v}", "has a job as a {v}", "earns a living as a {v}",
            "is a {v} by trade", "trained as a {v}", "is working as a {v}", "found work as a {v}",
            "is a {v} by profession", "makes a living as a {v}", "is now a {v}", "is an experienced {v}",
            "started as a {v}"),
    ("Job", "Occupation", "Profession"),
    Phrases("What does {s} do for a living?", "What is {s}'s job?", "What is the job of {s}?", "What does {s} work as?",
            "What is the profession of {s}?", "Which job does {s} have?"),
    ("the job", "the profession"),
)  # fmt: skip
COMPANY = Spec(
    ("company", "employer", "organization", "workplace", "company_name", "works_for"),
    Phrases("works at {v}", "is with {v}", "works for {v}", "is employed by {v}", "joined {v} recently",
    "has a post at {v}",
            "is on the staff of {v}", "is part of {v}", "has a job at {v}", "started at {v}"),
    ("Company", "Employer"),
    Phrases("Where does {s} work?", "Who employs {s}?", "Which company does {s} work for?", "What is {s}'s employer?",
            "What company is {s} with?", "For whom does {s} work?"),
    ("the company", "the employer"),
)  # fmt: skip
CITY = Spec(
    ("city", "town", "location", "home_city", "residence", "lives_in", "homeTown"),
    Phrases("lives in {v}", "is based in {v}", "resides in {v}", "has a home in {v}", "moved to {v} last year",
    "lives near {v}",
            "has settled in {v}", "is living in {v}", "makes a home in {v}", "rents a flat in {v}", "is from {v}",
            "calls {v} home", "stays in {v}", "grew up in {v}", "has a house in {v}"),
    ("City", "Town", "Location"),
    Phrases("Where does {s} live?", "Which city does {s} live in?", "What is {s}'s city?",
    "In which town does {s} live?",
            "Where is {s} based?", "What city is {s} in?"),
    ("the city where the person lives", "the city"),
)  # fmt: skip
EMAIL = Spec(
    ("email", "email_address", "mail", "contact_email", "e_mail", "emailAddress"),
    Phrases("can be reached at {v}", "uses the email {v}", "has the email address {v}", "answers mail at {v}",
    "writes from {v}",
            "reads mail sent to {v}", "gets mail at {v}", "is available at {v}", "is at {v}", "has {v} as email",
            "can be mailed at {v}",
            "can be contacted at {v}", "prefers mail to {v}", "replies from {v}"),
    ("Email", "Mail", "E-mail"),
    Phrases("What is {s}'s email?", "What is the email address of {s}?", "How can I mail {s}?",
    "Which email does {s} use?",
            "What email does {s} have?", "Where can I send mail to {s}?"),
    ("the email address", "the email"),
)  # fmt: skip
PHONE = Spec(
    ("phone", "phone_number", "telephone", "tel", "mobile", "phoneNumber"),
    Phrases("has the phone number {v}", "can be called on {v}", "picks up at {v}", "uses the number {v}",
    "takes calls on {v}",
            "has a mobile with the number {v}", "answers the phone at {v}", "can be phoned at {v}"),
    ("Phone", "Tel", "Phone number"),
    Phrases("What is {s}'s phone number?", "Which number can I call to reach {s}?", "What is the phone number of {s}?",
            "How can I call {s}?", "What number does {s} have?", "On which number is {s}?"),
    ("the phone number", "the number to call"),
)  # fmt: skip
BORN = Spec(
    ("birth_date", "born", "date_of_birth", "birthday", "birthdate", "dob"),
    Phrases("was born on {v}", "has a birthday on {v}", "came into the world on {v}", "has the birth date {v}",
            "celebrates the birth date {v}", "was born {v}"),
    ("Born", "Birth date", "Date of birth"),
    Phrases("When was {s} born?", "What is {s}'s birth date?", "On which date was {s} born?",
    "What is the birthday of {s}?"),
    ("the date of birth", "the birth date"),
)  # fmt: skip
LANGUAGES = Spec(
    ("languages", "speaks", "spoken_languages", "language_list"),
    Phrases("speaks {v}", "is fluent in {v}", "can speak {v}", "knows {v} well", "talks in {v}", "grew up with {v}",
            "has a command of {v}", "uses {v} every day"),
    ("Languages", "Speaks"),
    Phrases("Which languages does {s} speak?", "What does {s} speak?"), ("the languages", "the languages spoken"),
)  # fmt: skip
SKILLS = Spec(
    ("skills", "abilities", "strengths", "skill_list", "skillset"),
    Phrases("is good at {v}", "has skills in {v}", "is skilled in {v}", "is strong in {v}", "has experience in {v}",
            "is an expert in {v}", "brings skills in {v}", "is trained in {v}", "knows {v}", "works with {v}",
            "uses {v} at work", "can do {v}", "masters {v}",
            "has learned {v}", "teaches {v}"),
    ("Skills", "Strengths"), Phrases("Which skills does {s} have?", "What is {s} good at?"), ("the skills",),
)  # fmt: skip
HOBBIES = Spec(
    ("hobbies", "interests", "likes", "pastimes", "free_time"),
    Phrases("enjoys {v}", "likes {v}", "loves {v}", "spends free time on {v}", "has the hobbies {v}", "is fond of {v}",
            "is keen on {v}", "relaxes with {v}", "does {v} in the evening", "has a passion for {v}", "is into {v}",
            "practises {v}"),
    ("Hobbies", "Interests"), Phrases("Which hobbies does {s} have?", "What does {s} enjoy?"), ("the hobbies",),
)  # fmt: skip
MEMBER = Spec(
    ("member", "is_member", "membership", "isMember", "club_member"), Phrases(), ("Member", "Membership"),
    Phrases("Is {s} a member?", "Does {s} have a membership?"), ("whether the person is a member",),
)  # fmt: skip
MEMBER_YES = Phrases("is a member", "holds a membership", "has an active membership", "belongs to the club",
    "is a club member",
                     "has a membership", "is a paying member", "joined as a member")  # fmt: skip
MEMBER_NO = Phrases("is not a member", "has no membership", "never became a member", "holds no membership",
                    "is not a club member", "does not have a membership", "has not joined as a member")  # fmt: skip
LEVEL = Spec(
    ("level", "seniority", "rank", "role", "grade"),
    Phrases("works at {v} level", "holds a {v} position", "has a {v} role", "is at the {v} level", "is ranked as {v}",
            "is in a {v} position", "was promoted to a {v} role", "fills a {v} post"),
    ("Level", "Seniority"),
    Phrases("Which level is {s} at?", "What is {s}'s level?"), ("the level", "the seniority"),
)  # fmt: skip
SALARY = Spec(
    ("salary", "income", "pay", "yearly_salary", "annual_salary", "wage"),
    Phrases("earns {v} a year", "makes {v} a year", "has a salary of {v}", "is paid {v} a year",
    "takes home {v} a year",
            "receives a salary of {v}", "gets {v} per year", "has an income of {v}"),
    ("Salary", "Pay"),
    Phrases("How much does {s} earn?", "What is {s}'s salary?", "What does {s} earn a year?",
    "What is the salary of {s}?"),
    ("the salary", "the yearly pay"),
)  # fmt: skip
MANAGER = Spec(
    ("manager", "boss", "supervisor", "reports_to", "managed_by"),
    Phrases("reports to {v}", "works under {v}", "has {v} as manager", "is managed by {v}", "answers to {v}",
            "is on the team of {v}", "is supervised by {v}", "has a manager called {v}"),
    ("Manager", "Reports to"),
    Phrases("Who is {s}'s manager?", "Who does {s} report to?", "Who manages {s}?", "Who is the boss of {s}?"),
    ("the manager", "the person above"),
)  # fmt: skip
ADDRESS = Spec(
    ("address", "home_address", "home", "postal_address"),
    Phrases("lives at {v}", "has the address {v}", "gets post at {v}", "resides at {v}", "is registered at {v}",
            "can be visited at {v}", "receives letters at {v}", "has a house at {v}"),
    ("Address", "Home address"), Phrases("What is {s}'s address?", "Where exactly does {s} live?"), ("the address",),
)  # fmt: skip

_LEADS = Phrases(
    "{name}, {age}, is a {job}", "{name}, {age}, lives in {city}", "{name} ({age}) works at {company}",
    "{name} is a {job} at {company}", "{name} is a {job} in {city}", "{name}, a {job} from {city}, is {age} years old",
    "{name} is a {age}-year-old {job}", "{name} is a {age}-year-old {job} at {company}",
    "meet {name}, who is {age} years old",
    "{name}, {age}, works as a {job} at {company} in {city}", "{city} is where {name} lives",
    "write to {name} at {email}",
    "{name} of {company} can be reached at {email}", "call {name} on {phone}",
    "{name} was born on {born} and is a {job}",
    "the {job} {name} lives in {city}", "{name} from {city} is {age}", "our {job} {name} is {age} years old",
    "{name} works for {company} as a {job}", "at {company}, {name} works as a {job}",
    "{manager} manages {name}, a {job}",
    "my colleague {name} is {age} and lives in {city}", "{name} joined {company} as a {job}",
    "a {job} called {name} lives in {city}",
)  # fmt: skip
_ASIDES = Phrases("{o} is {n}.", "Another person, {o}, lives in {c}.", "{o} works there too.",
    "{o} from {c} sends greetings.",
           "The last report came from {o}.", "{o}, {n}, was not asked.")  # fmt: skip


def _some(d: Draw, pool: Pool) -> list[str]:
    values = e.distinct(d, pool, d.rng.randint(1, 3))
    while len(values) < 3 and d.chance(0.4):
        values.append(e.capital(d) if values[0][0].isupper() else e.word(d))
    return list(dict.fromkeys(value if d.chance(0.6) else e.entity(d, pool) for value in d.shuffled(values)))


def _address(d: Draw) -> Fact:
    street, city = e.street(d), e.city(d)
    if d.chance(0.4):
        postcode = d.made_up(lambda: "".join(d.rng.choices("0123456789", k=5)))
        value = {"street": street, "postcode": postcode, "city": city}
        surface = f"{street}, {postcode} {city}"
    else:
        value = {"street": street, "city": city}
        surface = d.pick((f"{street} in {city}", f"{street}, {city}"))
    return Fact(ADDRESS, object_of(dict.fromkeys(value, STRING)), value, surface)


def make(d: Draw) -> Record:
    """A person with every fact there is; which of them the text states is decided later."""
    name = e.person(d)
    age, member, level = d.integer(18, 90), d.chance(0.5), d.pick(("junior", "senior", "lead", "trainee"))
    job, company, city, mail, phone, boss = e.JOBS, e.company(d), e.city(d), e.email(d), e.phone(d), e.person(d)
    job_name = e.entity(d, job)
    born = e.date(d)
    salary = d.integer(18, 140) * 1000 if d.chance(0.6) else d.integer(18000, 140000)
    pay = d.pick((f"{salary}", f"{salary:,}", f"${salary:,}", f"{salary} dollars", f"{salary:,} euros"))
    languages, skills, hobbies = _some(d, e.LANGUAGES), _some(d, e.SKILLS), _some(d, e.HOBBIES)
    levels = enum_of(d.shuffled(("junior", "senior", "lead", "trainee")))
    facts = {
        "name": Fact(NAME, STRING, name, name),
        "age": Fact(AGE, INTEGER, age, str(age)),
        "job": Fact(JOB, STRING, job_name, job_name),
        "company": Fact(COMPANY, STRING, company, company),
        "city": Fact(CITY, STRING, city, city),
        "email": Fact(EMAIL, STRING, mail, mail),
        "phone": Fact(PHONE, STRING, phone, phone),
        "born": Fact(BORN, DATE, born.isoformat(), e.date_text(d, born)),
        "languages": Fact(LANGUAGES, STRINGS, languages, listing(d, languages)),
        "skills": Fact(SKILLS, STRINGS, skills, listing(d, skills)),
        "hobbies": Fact(HOBBIES, STRINGS, hobbies, listing(d, hobbies)),
        "member": Fact(MEMBER, BOOLEAN, member, "yes" if member else "no", MEMBER_YES if member else MEMBER_NO),
        "level": Fact(LEVEL, levels, level, level),
        "salary": Fact(SALARY, d.pick((INTEGER, NUMBER)), salary, pay),
        "manager": Fact(MANAGER, STRING, boss, boss),
        "address": _address(d),
    }
    drop = d.pick(("city", "address", "address"))
    del facts[drop]
    again = (d.pick(("She", "He")), name.split()[0])
    other = {"o": e.person(d), "n": d.integer(18, 90), "c": e.city(d)}
    return Record(name, again, facts, ("name",), _LEADS, _ASIDES, other)
