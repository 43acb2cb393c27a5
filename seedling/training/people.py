"""Records about people: who they are, what they do, where they live and how to reach them."""

from __future__ import annotations

from . import entities as e
from .draw import Draw, Phrases, Pool, lines
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

_STILL = "[now|currently|presently|still|also|]"

NAME = Spec(
    ("name", "full_name", "person", "person_name", "fullName", "who"), (), Phrases(), ("Name", "Person", "Full name"),
    asking((), """
    [who|which person] is [described|named|meant|mentioned|this about|the text about|it about]?
    what is the [name|full name] of the person [described|named|meant|in the text|]?
    [tell me|give me|I need|find] the [name|full name] of the person.
    [who|what person] does the [text|note|message] [describe|name|mention|speak of]?
    """),
    ("the name of the person", "the full name"),
)  # fmt: skip
AGE = Spec(
    ("age", "years", "age_in_years", "person_age", "years_old"), ("age", "age in years"),
    lines(f"""
    is {_STILL} {{v}} [years old|years of age|]
    is {_STILL} aged {{v}}
    [has|has just|has now|has recently] [turned|become|reached] {{v}} [years|]
    [just|recently|now] turned {{v}} [years|]
    turned {{v}} [this year|last month|last week|in spring|on Sunday|yesterday]
    has [now|just|already|] reached the age of {{v}}
    is [at the age of|at age|a person of] {{v}} [now|]
    is {{v}} [at the moment|these days|this year|at present|by now|today]
    [has|counts|carries] {{v}} years [of age|of life|]
    has lived [for|] {{v}} years [now|so far|]
    """),
    ("Age", "Years", "Age (years)"),
    asking(("age", "age in years"), """
    how old is {s} [now|at present|today|according to the text|]?
    [what|which] age [is|does|has] {s} [have|reached|now|]?
    how many years [old is|of age is|has] {s} [lived|now|]?
    [tell me|can you say|do you know|say] how old {s} is.
    """),
    ("the age", "the age in years"),
)  # fmt: skip
JOB = Spec(
    ("job", "occupation", "profession", "job_title", "work", "jobTitle", "title"), ("job", "profession", "occupation"),
    lines(f"""
    {_STILL} [works|is working|is employed|has a job|has a post|has work|serves] as a {{v}}
    {_STILL} [earns a living|makes a living|earns money|finds work] as a {{v}}
    [found|got|took|accepted|has found|has taken] [work|a job|a post|a position] as a {{v}}
    is {_STILL} a {{v}} [by trade|by profession|by training|]
    is [now|] an [experienced|able|honest|eager] {{v}}
    [trained|started|began|was hired|started out|started work|was trained] as a {{v}}
    [became|has become|was made] a {{v}} [last year|recently|some years ago|]
    has [the job|the job title|the post|the profession] of {{v}}
    has [been|worked as|served as] a {{v}} for [years|some years|a long time|a while]
    """),
    ("Job", "Occupation", "Profession"),
    asking(("job", "profession", "occupation"), """
    what does {s} [do for a living|do for work|do|work as|do as a job]?
    [as what|in which job|in what profession] does {s} work?
    [how|by what work] does {s} [earn a living|make a living|earn money]?
    [tell me|can you say|do you know|say] what {s} does for a living.
    """),
    ("the job", "the profession"),
)  # fmt: skip
COMPANY = Spec(
    ("company", "employer", "organization", "workplace", "company_name", "works_for"), ("company", "employer"),
    lines(f"""
    {_STILL} [works|is working|is employed|has a job|has a post|has a position|has work] [at|with|for] {{v}}
    {_STILL} [works|is employed|serves] in [the|an] office of {{v}}
    is {_STILL} [employed|paid|hired] by {{v}}
    [has joined|joined|started at|began at|moved to] {{v}} [recently|last year|last month|in spring|]
    [was|has been|got] hired by {{v}} [recently|last year|last month|]
    is {_STILL} [on the staff|part|on the payroll|in the service|one of the people] of {{v}}
    is {_STILL} with {{v}}
    [found|got|took|accepted] [work|a job|a post|a position] [at|with] {{v}}
    has {{v}} as [an employer|the employer|a workplace]
    """),
    ("Company", "Employer", "Works for"),
    asking(("company", "employer"), """
    where [does {s} work|is {s} employed|is {s} working|does {s} have a job]?
    who [employs|pays|has hired|hired] {s}?
    [which|what] [company|employer|firm] [does {s} work for|is {s} with|employs {s}|pays {s}|hired {s}]?
    [for whom|for which company|at which company|for what company] does {s} work?
    [tell me|can you say|do you know|say] where {s} works.
    """),
    ("the company", "the employer"),
)  # fmt: skip
CITY = Spec(
    ("city", "town", "location", "home_city", "residence", "lives_in", "homeTown"), ("city", "home town", "town"),
    lines(f"""
    {_STILL} [lives|is living|resides|is based|is at home|stays|makes a home|has a home|is settled] in {{v}}
    {_STILL} [rents|owns|has|shares|keeps] a [flat|house|room|home|place] in {{v}}
    [has moved|moved|has come|came] to {{v}} [last year|recently|in spring|some years ago|]
    [has settled|settled|has found a home|found a flat] in {{v}} [last year|recently|some years ago|]
    {_STILL} lives [near|close to|just outside|not far from] {{v}}
    [comes|is] from {{v}}
    [calls {{v}} home|grew up in {{v}}|has {{v}} as a home town]
    """),
    ("City", "Town", "Location"),
    asking(("city", "home town", "town"), """
    where [does {s} live|is {s} based|is {s} living|is {s} at home|does {s} reside|does {s} stay]?
    [in which|in what] [city|town|place] [does {s} live|is {s} based|is {s} living|is {s} at home|does {s} reside]?
    [which|what] [city|town|place] [does {s} live in|is {s} in|is {s} from|is home to {s}]?
    [tell me|can you say|do you know|say] where {s} lives.
    """),
    ("the city where the person lives", "the city"),
)  # fmt: skip
EMAIL = Spec(
    ("email", "email_address", "mail", "contact_email", "e_mail", "emailAddress"), ("email", "email address"),
    lines(f"""
    can {_STILL} be [reached|mailed|contacted|written to] at {{v}}
    {_STILL} [uses|has|owns|keeps|prefers] the [email|mail|email address|mail address|address] {{v}}
    {_STILL} [answers|reads|gets|checks|takes|receives] mail [at|sent to|through|under] {{v}}
    {_STILL} [writes|replies|sends mail|answers] from {{v}}
    is [available|reachable|] at {{v}}
    [has|gave|left|uses] {{v}} as [email|an email|email address|mail address|contact]
    [prefers mail|likes mail|wants mail|asks for mail] to {{v}}
    """),
    ("Email", "Mail", "E-mail"),
    asking(("email", "email address", "mail address"), """
    how [can|do|could|may] I [mail|write to|email|send mail to] {s}?
    where [can|do|could|should] I [send mail to|mail|write to|email] {s}?
    [which|what|under which|at which] [email|mail address|email address] does {s} [use|have|answer|read]?
    [tell me|can you say|do you know|say] how to mail {s}.
    """),
    ("the email address", "the email"),
)  # fmt: skip
PHONE = Spec(
    ("phone", "phone_number", "telephone", "tel", "mobile", "phoneNumber"), ("phone number", "number to call"),
    lines(f"""
    can {_STILL} be [called|phoned|reached by phone|rung up] [on|at|under] {{v}}
    {_STILL} [has|uses|owns|keeps] the [phone number|number|mobile number|telephone number] {{v}}
    {_STILL} [picks up|takes calls|answers calls|answers the phone|gets calls] [on|at|under] {{v}}
    has a [mobile|phone|telephone] with the number {{v}}
    [gave|left|has] {{v}} as [a phone number|the number to call|a mobile number|a number to call]
    [wants|asks for|prefers] calls [on|at|to] {{v}}
    """),
    ("Phone", "Tel", "Phone number"),
    asking(("phone number", "number", "telephone number"), """
    how [can|do|could|may] I [call|phone|ring up|reach by phone] {s}?
    [which|what|on which|at which] [number|phone number] [can|do|should|must] I call to reach {s}?
    [which|what] [number|phone number] does {s} [use|have]?
    [on which|under which|at which] number [is {s}|can I call {s}|can {s} be called]?
    [tell me|can you say|do you know|say] how to call {s}.
    """),
    ("the phone number", "the number to call"),
)  # fmt: skip
BORN = Spec(
    ("birth_date", "born", "date_of_birth", "birthday", "birthdate", "dob"),
    ("birth date", "date of birth", "birthday"),
    lines("""
    was born [on|] {v}
    [came|was brought] into [the|this] world on {v}
    [has|celebrates|gave|lists] [the|a] [birth date|birthday|date of birth] [on|of|] {v}
    has {v} as [a birthday|the birth date|the date of birth]
    [saw the light of day|first saw the world] on {v}
    """),
    ("Born", "Birth date", "Date of birth"),
    asking(("birth date", "date of birth", "birthday"), """
    when [was {s} born|did {s} come into the world|is {s}'s birthday|is the birthday of {s}]?
    on [which|what] [date|day] was {s} born?
    [tell me|can you say|do you know|say] when {s} was born.
    """),
    ("the date of birth", "the birth date"),
)  # fmt: skip
LANGUAGES = Spec(
    ("languages", "speaks", "spoken_languages", "language_list"), ("languages", "spoken languages"),
    lines(f"""
    {_STILL} [speaks|can speak|knows|understands|talks in|talks|can talk in] {{v}} [well|every day|at home|fluently|]
    is {_STILL} fluent in {{v}}
    [grew up with|has a command of|has a good command of|has learned|learned|has studied] {{v}}
    {_STILL} uses {{v}} [every day|at home|at work|with friends]
    is [at home|at ease|good|strong] in {{v}}
    [writes and speaks|reads and speaks|speaks and reads] {{v}}
    """),
    ("Languages", "Speaks"),
    asking(("languages",), """
    [which|what] languages does {s} [speak|know|use|understand]?
    what does {s} speak?
    """),
    ("the languages", "the languages spoken"),
)  # fmt: skip
SKILLS = Spec(
    ("skills", "abilities", "strengths", "skill_list", "skillset"), ("skills", "strengths"),
    lines(f"""
    is {_STILL} [good at|skilled in|strong in|an expert in|trained in|able in|experienced in|at ease with] {{v}}
    {_STILL} [has|brings|offers|shows] [skills|experience|talent|strengths|training|a talent] in {{v}}
    {_STILL} [masters|knows|teaches|can do|can teach|works with|handles] {{v}} [well|]
    has [learned|studied|mastered|practised|taught] {{v}}
    uses {{v}} [at work|every day|in the job]
    lists {{v}} as [skills|strengths]
    """),
    ("Skills", "Strengths"),
    asking(("skills", "strengths"), """
    [which|what] [skills|strengths|abilities] does {s} have?
    what [is {s} good at|can {s} do well|does {s} master]?
    """),
    ("the skills",),
)  # fmt: skip
HOBBIES = Spec(
    ("hobbies", "interests", "likes", "pastimes", "free_time"), ("hobbies", "interests"),
    lines(f"""
    {_STILL} [enjoys|likes|loves|adores|practises|follows] {{v}} [a lot|after work|in the evening|on weekends|]
    {_STILL} spends [free time|evenings|weekends|Sundays|much time] [on|with] {{v}}
    is {_STILL} [fond of|keen on|into|mad about|a fan of] {{v}}
    {_STILL} [relaxes|unwinds|rests] with {{v}} [after work|in the evening|on weekends|]
    has [the hobbies|the interests|a passion for|a love of|a liking for] {{v}}
    does {{v}} [in the evening|on weekends|after work|for fun]
    """),
    ("Hobbies", "Interests"),
    asking(("hobbies", "interests"), """
    [which|what] [hobbies|interests] does {s} have?
    what does {s} [enjoy|like|love|do for fun|do after work|do in the evening]?
    """),
    ("the hobbies",),
)  # fmt: skip
MEMBER = Spec(
    ("member", "is_member", "membership", "isMember", "club_member"), (), Phrases(), ("Member", "Membership"),
    lines("""
    is {s} [a|still a|already a|] [member|club member|paying member|member of the club]?
    [does|did] {s} [have|hold] a [membership|club membership]?
    [say|tell me] whether {s} is a [member|club member].
    """),
    ("whether the person is a member",),
)  # fmt: skip
MEMBER_YES = lines(f"""
    is {_STILL} a [member|club member|paying member|full member|member of the club]
    {_STILL} [holds|has|keeps] [a|an active|a paid|a full] [membership|club membership]
    [belongs|now belongs|still belongs] to the [club|members]
    [joined|has joined|has been accepted|was accepted|signed up] as a [member|club member|full member]
    [became|has become] a [member|club member|paying member] [last year|recently|]
    is [listed|counted|known] [as a member|among the members]
""")
MEMBER_NO = lines("""
    is [not|no longer|not yet|never] a [member|club member|paying member|full member|member of the club]
    [has|holds] no [membership|club membership|active membership]
    [never became|did not become|has not become|never was] a [member|club member|full member]
    does not [have|hold|keep|want] a [membership|club membership]
    [has not|did not|never|has never] [joined|join|signed up] as a [member|club member]
    does not belong to the [club|members]
    is not [listed|counted|known] [as a member|among the members]
""")
LEVEL = Spec(
    ("level", "seniority", "rank", "role", "grade"), ("level", "seniority", "rank"),
    lines(f"""
    {_STILL} [works|is employed|is paid|acts|serves] at [the|] {{v}} level
    {_STILL} [holds|has|fills|keeps|took] a {{v}} [position|role|post|job|rank]
    is {_STILL} in a {{v}} [position|role|post|job]
    is {_STILL} [ranked|listed|graded|paid] as {{v}}
    [was promoted|has been promoted|rose|moved] to [a {{v}} role|a {{v}} position|a {{v}} post|{{v}} level]
    is [at the|at] {{v}} level
    """),
    ("Level", "Seniority"),
    asking(("level", "seniority", "rank"), """
    [which|what] [level|rank] is {s} at?
    at [which|what] [level|rank] [is {s}|does {s} work]?
    """),
    ("the level", "the seniority"),
)  # fmt: skip
SALARY = Spec(
    ("salary", "income", "pay", "yearly_salary", "annual_salary", "wage"), ("salary", "yearly pay", "income"),
    lines(f"""
    {_STILL} [earns|makes|gets|takes home|receives|is paid|brings home] {{v}} [a year|per year|each year|every \
    year|yearly]
    {_STILL} [has|gets|receives|draws|earns] a [yearly|] [salary|income|pay|wage] of {{v}}
    is {_STILL} [on|at] a salary of {{v}}
    is paid {{v}} [for the year|in salary|as a salary]
    """),
    ("Salary", "Pay"),
    asking(("salary", "income", "yearly pay"), """
    [how much|what] does {s} [earn|make|take home|get] [a year|per year|each year|]?
    how [much|high] is [{s}'s|the] [salary|income|pay] [of {s}|]?
    [tell me|can you say|do you know|say] how much {s} earns.
    """),
    ("the salary", "the yearly pay"),
)  # fmt: skip
MANAGER = Spec(
    ("manager", "boss", "supervisor", "reports_to", "managed_by"), ("manager", "boss", "supervisor"),
    lines(f"""
    {_STILL} [reports|answers] to {{v}}
    {_STILL} works [under|for the boss] {{v}}
    {_STILL} has {{v}} as [a manager|manager|a boss|boss|supervisor|a supervisor]
    is {_STILL} [managed|supervised|led|guided] by {{v}}
    is {_STILL} [on|in] the team of {{v}}
    has a [manager|boss|supervisor] [called|named|by the name of] {{v}}
    takes [orders|tasks] from {{v}}
    """),
    ("Manager", "Reports to", "Boss"),
    asking(("manager", "boss", "supervisor"), """
    who [manages|leads|supervises|is in charge of] {s}?
    who does {s} [report to|answer to|work under]?
    [to whom|under whom] does {s} [report|work|answer]?
    who is [{s}'s|the] [manager|boss|supervisor] [of {s}|]?
    """),
    ("the manager", "the person above"),
)  # fmt: skip
ADDRESS = Spec(
    ("address", "home_address", "home", "postal_address"), ("address", "home address"),
    lines(f"""
    {_STILL} [lives|resides|is at home|is registered|stays|gets post|gets mail|gets letters] at {{v}}
    {_STILL} [has|uses|keeps|gave] the [address|home address|postal address] {{v}}
    can be [visited|found|met at home] at {{v}}
    {_STILL} [receives|takes] [letters|post|parcels] at {{v}}
    {_STILL} [has|owns|rents] a [house|flat|home] at {{v}}
    """),
    ("Address", "Home address"),
    asking(("address", "home address"), """
    where exactly [does {s} live|is {s} at home]?
    at [which|what] address [does {s} live|is {s} at home|is {s} registered]?
    """),
    ("the address",),
)  # fmt: skip

_LEADS = lines("""
    {name}, [aged|now|] {age}, is a {job}
    {name}, [aged|now|] {age}, [lives|resides|is based|is at home] in {city}
    {name} ({age}) [works|is employed|has a job] [at|with|for] {company}
    {name} [is|works as|is employed as|has a job as|serves as] a {job} [at|with|for] {company}
    {name} [is|works as|is employed as|has a job as] a {job} in {city}
    {name}, a {job} [from|in|based in|living in] {city}, is {age} [years old|years of age|]
    {name} is a {age}-year-old {job} [from {city}|in {city}|]
    {name} is a {age}-year-old {job} [at|with|of] {company}
    [meet|this is|here is|say hello to] {name}, [who is|aged|now] {age} [years old|]
    {name}, {age}, [works|is employed|has a job] as a {job} [at|with|for] {company} in {city}
    {city} is [where|the place where|the city where|the town where] {name} [lives|stays|resides|is at home]
    [write|send mail|please write|reply] to {name} at {email}
    {name} [of|from|at] {company} can be [reached|mailed|contacted] at {email}
    [call|phone|please call|you can call] {name} [on|at|under] {phone}
    {name} was born on {born} and is a {job}
    the {job} {name} [lives|resides|is based|works] in {city}
    {name} [from|of] {city} is {age} [years old|years of age|]
    [our|the|my] {job} {name} is {age} [years old|years of age|]
    {name} [works|is working|is employed] for {company} as a {job}
    at {company}, {name} [works|is employed|serves] as a {job}
    {manager} [manages|leads|supervises|is the boss of] {name}, [a|our] {job}
    [my|our] [colleague|friend|neighbour|guest] {name} is {age} and [lives|is based|stays] in {city}
    {name} [joined|started at|moved to|has joined] {company} as a {job}
    [a|the|our] {job} [called|named|by the name of] {name} [lives|works|is based] in {city}
    in {city} [lives|there is] a {job} [called|named] {name}
    {name} [lives|is based] in {city} and [works|is employed] [at|for] {company}
    {company} [employs|has hired|pays] {name} as a {job}
""")
_ASIDES = lines("""
    {o} is {n} [years old|]
    [another person|a friend|a neighbour|someone else], {o}, [lives|works|stays] in {c}
    {o} [works|was|lives|sat] there too
    {o} from {c} sends [greetings|best wishes|regards]
    the [last|first|next] [report|note|message] [came|comes] from {o}
    {o}, {n}, was not [asked|there|invited|counted]
    [we|they] [also|] [asked|met|called|saw] {o} [last week|yesterday|on Monday|in {c}]
    {o} [took|made|sent|wrote] the [photo|note|list|report]
    [in|near] {c} [it rained|the sun was out|nothing is new|all is well]
""")


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
    pronoun, possessive = d.pick((("She", "her"), ("He", "his")))
    other = {"o": e.person(d), "n": d.integer(18, 90), "c": e.city(d)}
    return Record(name, (pronoun, name.split()[0]), facts, ("name",), _LEADS, _ASIDES, other,
                  alias="the person", relative="who", possessive=possessive)  # fmt: skip
