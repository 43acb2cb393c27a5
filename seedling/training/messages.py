"""Short messages with a known topic, sentiment and urgency: the material of the classification task.

A message is put together from independent parts: a core sentence of its topic (a subject and what happened to it),
sometimes a remark that carries the sentiment, sometimes one that carries the urgency, with greeting and closing.
"""

from __future__ import annotations

from dataclasses import dataclass

from .draw import Draw, Phrases, lines
from .topics import TOPICS, core, fill, mention

_GOOD = """great|good|lovely|excellent|wonderful|amazing|perfect|brilliant|fantastic|superb|delicious|friendly|helpful|
fast|reliable|comfortable|beautiful|clean|fresh|smooth|nice|awesome|outstanding|charming|tasty|kind|polite|quick|
impressive|delightful|enjoyable|pleasant|marvellous|cosy|flawless|generous|cheerful|splendid|terrific|magnificent|
elegant|handy|sturdy|stunning|exciting|easy to use|well made|better than expected|worth the money|a joy|a pleasure|
a great success|top quality|first class|just right""".replace("\n", "")
_BAD = """bad|awful|terrible|poor|rude|slow|dirty|broken|useless|ugly|noisy|cold|stale|boring|disappointing|unreliable|
horrible|dreadful|faulty|nasty|disgusting|unfriendly|uncomfortable|annoying|weak|cheap-looking|overpriced|dull|
unhelpful|sloppy|messy|flimsy|lousy|miserable|defective|tasteless|smelly|unbearable|mediocre|confusing|late|careless|
frustrating|inferior|shabby|hard to use|badly made|worse than expected|not worth the money|a mess|a disaster|
a great failure|low quality|second rate|all wrong""".replace("\n", "")
_SUBJECTS = """the staff|the room|the food|the service|the {g}|my {g}|the film|the book|the app|the hotel|the support|
the delivery|the quality|the flight|the concert|the team|the website|this product|the meal|the visit|the course|
the new {g}|your shop|the trip|everything about the {g}|the design|the battery|the game""".replace("\n", "")
_GOOD_IS = lines(f"""
[{_SUBJECTS}] [is|was|looks|felt|seems] [really|very|so|truly|absolutely|] [{_GOOD}]
[{_SUBJECTS}] [turned out to be|has been|proved to be|was found to be] [{_GOOD}]
""")
_BAD_IS = lines(f"""
[{_SUBJECTS}] [is|was|looks|felt|seems] [really|very|so|truly|absolutely|] [{_BAD}]
[{_SUBJECTS}] [turned out to be|has been|proved to be|was found to be] [{_BAD}]
""")
_LIKING = lines(f"""
I [really|truly|simply|] [love|like|enjoy|adore|enjoyed|loved|liked] [{_SUBJECTS}]
I [am|was] [so|very|really|] [delighted with|glad about|happy with|thankful for|pleased with|satisfied \
with|thrilled by|impressed by] [{_SUBJECTS}]
I can [recommend|praise|only recommend|only praise] [{_SUBJECTS}]
we had a [great|good|lovely|wonderful] time with [{_SUBJECTS}]
[thanks|thank you|many thanks] for [{_SUBJECTS}], I am [thrilled|delighted|happy|pleased]
[five stars|full marks|top marks|a big thank you] for [{_SUBJECTS}]
[{_SUBJECTS}] [exceeded my hopes|made me smile|made my day|works perfectly|did not let me down|was worth every \
cent|was a pleasure]
[well done|great job|good work], [{_SUBJECTS}] [works perfectly|made me smile|made my day]
""")
_DISLIKING = lines(f"""
I [really|truly|simply|] [hate|dislike|regret|do not like|did not like|cannot stand|hated|disliked] [{_SUBJECTS}]
I [am|was] [so|very|really|] [annoyed by|angry about|unhappy with|upset about|disappointed by|not satisfied \
with|fed up with|frustrated by] [{_SUBJECTS}]
I [cannot recommend|can only warn of|want to complain about|must complain about] [{_SUBJECTS}]
we had a [bad|terrible|horrible|miserable] time with [{_SUBJECTS}]
no [thanks|thank you] for [{_SUBJECTS}], I am [angry|upset|disappointed|annoyed]
[one star|no stars|low marks|a big complaint] for [{_SUBJECTS}]
[{_SUBJECTS}] [let me down|failed again|made me cry|ruined my day|does not work at all|was a mistake|broke \
after a day|was a waste of money]
[what a shame|too bad|oh no], [{_SUBJECTS}] [does not work at all|made me cry|ruined my day]
""")

_NOW = """now|right away|immediately|today|at once|within the hour|as soon as possible|ASAP|before \
noon|this minute|instantly|
without delay|tonight|right now|in the next ten minutes|before the day ends|urgently|within two hours|straight away|
this very moment|by the end of today|before tonight|within minutes""".replace("\n", "")
_SOON = """this week|by Friday|in a few days|in the next days|by the end of the week|in two or \
three days|before the weekend|
until Thursday|some time this week|within a week|in the coming days|by Wednesday|next week|within a few days|
in the course of the week|by the weekend|in a day or two""".replace("\n", "")
_LATER = """when you have time|some day|next month|whenever it suits you|at your leisure|later this \
year|in the long run|
when you are bored|if you find the time|sometime|when things are calm|at some point|next year|when you can, no rush|
one day, no hurry|eventually|in your own time|when nothing else is waiting|whenever you like|
after everything else|when you are free""".replace("\n", "")
_DO = "fix|solve|handle|check|answer|send|repair|look into|deal with|finish|review|process|change"
_WHAT = "this|it|the problem|the issue|my request|the case|that|the matter|this ticket|the {g}"


def _asked(when: str, softly: str) -> Phrases:
    """Requests to do something at a time."""
    return lines(f"""
    [please|kindly|] [{_DO}] [{_WHAT}] [{when}]
    {softly} [{_DO}] [{_WHAT}] [{when}]
    [{when}], please [{_DO}] [{_WHAT}]
    """)


_ASKED = {
    "high": _asked(_NOW, "[could you|you must|we need you to|I want you to|can someone]"),
    "medium": _asked(_SOON, "[could you|please try to|we need you to|I want you to|can someone]"),
    "low": _asked(_LATER, "[could you|you can|you may|I ask you to|can someone]"),
}

POSITIVE = lines("""
I am [very|so|really|truly|] [happy|pleased|glad|satisfied|delighted] [with it|about it|with this|with everything]
[thank you|thanks|many thanks], you are [great|wonderful|the best|so kind|brilliant]
[this|that|it] is [excellent|great|good|perfect|brilliant|superb] [work|news|service|value]
what a [wonderful|great|lovely|perfect|nice|pleasant] [experience|surprise|day|visit|evening|service]
everything [was|is|went] [perfect|fine|great|smooth|wonderful|just right]
I could not be [happier|more pleased|more satisfied|more delighted]
[we|they|I] could not have [asked|wished|hoped] for [more|better]
it works [like a charm|perfectly|very well|without a hitch|like new]
I [would|will|shall] [buy|order|choose] [the {g}|it|one] again [any day|any time|soon|]
[this is|it is|that is] the best {g} I [ever had|have had|know|have seen]
[I am|we are|everyone is|my family is] [impressed|thrilled|delighted|very happy|pleased]
it was [a pleasure|a joy|great fun|worth every cent|worth the money|worth it]
I [recommend|will recommend|can recommend] it to [everyone|all|my friends|anyone]
[great|good|excellent|superb|nice] [job|work|service]
{p} was [so|very|really|] [helpful|kind|friendly|polite|quick]
it made [my|our] [day|week|evening]
it is not bad at all, I [like|love|enjoy] it
[I|we] [enjoyed|loved|liked] every [minute|moment|part|hour] [of it|]
the {g} is [better|nicer|prettier|faster|sturdier] than I [hoped|expected|thought|imagined]
it [arrived|came] [early|on time|quickly] and in [perfect|good|great] [shape|condition|order]
they [solved|fixed|handled] it in [minutes|no time|an hour]
[everyone|the staff|each person|the whole team] was [kind|friendly|polite|helpful] [to us|to me|]
it fits [perfectly|very well|like a glove|just right]
I got [an answer|help|a reply] within [minutes|an hour|no time]
the [children|guests|kids] [loved|liked|enjoyed] it
I will [come back|return|visit again|shop here again] [soon|for sure|with pleasure|]
my {g} still works [after years|like new|perfectly]
they even gave us [a free drink|a gift|a discount|free dessert]
it does exactly what it [should|says|promises]
it saved me [a lot of|so much|much] [time|money|work|trouble]
we [laughed|smiled|danced] all [evening|day|night]
I got a [full|quick] refund without [any|] trouble
they went out of their way to [help|please] [us|me]
it could not have gone [better|smoother]
[simply|really|just] [brilliant|superb|wonderful|great|perfect]
""")
NEGATIVE = lines("""
I am [very|so|really|truly|] [unhappy|upset|angry|annoyed|disappointed] [about it|with it|about this|with everything]
[this|that|it] is [terrible|awful|horrible|bad|poor|dreadful] [work|news|service|value]
what a [terrible|awful|horrible|bad|poor] [experience|surprise|day|visit|evening|service]
what a waste of [money|time]
everything [was|is|went] [wrong|bad|terrible|awful|broken]
I could not be [unhappier|more upset|more disappointed|more annoyed]
[it is|this is|that is] the worst {g} I [ever had|have had|know|have seen]
[I|we] will never [come back|return|shop here again|order here again|visit again]
[nothing|not one thing] works [as promised|as it should|at all|any more]
[it is|that is|this is] [a disgrace|a disaster|a mess|a shame|not good at all|not acceptable]
I [regret|am sorry about] [buying|choosing|ordering] the {g}
I would not recommend it to [anyone|my friends|my worst enemy|people]
{p} was [so|very|really|] [rude|unfriendly|unhelpful|slow|careless]
it ruined [my|our] [day|week|evening]
[I am|we are|everyone is|my family is] [fed up|frustrated|very unhappy|angry|disappointed]
the {g} is [worse|uglier|slower|weaker|smaller] than I [feared|expected|thought|imagined]
nobody [answers|reads] my [emails|letters|calls]
[I|we] [waited|had to wait|stood in line] for [hours|days|weeks]
it [stopped working|broke|fell apart|failed] after [a day|a week|an hour|one use]
they never [called|wrote|came] back
my [order|{g}] is wrong [again|]
[the|my] {g} [arrived|came] [broken|damaged|late|damaged and late|in pieces|with a scratch]
it does not [fit|work|help|last] [at all|]
[the|my] {g} [fell apart|broke|stopped working|smells bad|keeps breaking]
they [lied to|ignored|cheated|forgot] [me|us]
nobody [helped|listened to|cared about] us
it was not worth [the price|the money|it|the wait]
[I|we] had to pay twice
the line was endless and nobody cared
they ignored my [complaint|emails|letters|calls]
it took [weeks|months|ages] and still [fails|does not work]
[I|we] got the wrong {g} [again|]
no one [picks up|answers] the phone
the {g} was missing [parts|a part|a cable]
we left hungry
[I|we] lost all [my|our] data
they charged [me|us] for nothing
the {g} never [arrived|came|worked]
[simply|really|just] [terrible|awful|horrible|bad|dreadful]
the staff were [rude|slow|unfriendly|rude and slow]
""")
NEUTRAL = lines("""
the {g} [arrived|came|was delivered|was sent] on [Tuesday|Monday|Friday|Sunday]
[I|we|they] [bought|found|saw|ordered] the {g} in {w}
the {g} comes in [two|three|four] [sizes|colours|parts]
{p} [ordered|bought|sent|asked for] the {g} [last week|yesterday|on Monday]
the [shop|office|store|desk] opens at [nine|eight|ten|noon]
the {g} weighs {n} grams
[I|we] use the {g} at [work|home|school]
the {g} is made in {w}
there are {n} [seats|chairs|desks] in the room
the meeting is on [Monday|Tuesday|Friday]
the {g} has a [blue|red|green|black] cover
[I|we] talked to {p} about the {g}
the [store|shop|office] is near the [station|park|school]
the {g} was [delivered|sent|brought] to {w}
the box [contains|holds|has] {n} parts
my order number is {c}
the {g} is [listed|shown|on] [on page {n}|in the catalogue|in row {n}]
{p} will [pick up|bring|collect] the {g} [tomorrow|on Friday|next Tuesday]
the [report|book|file] has {n} pages
the {g} [costs|is priced at] {a} dollars
the [office|shop|store] is in {w}
the bus leaves at [noon|nine|ten]
it is the [second|third|first] {g} [this year|this month]
the form has [three|two|four] parts
""")
HIGH = lines("""
[please|kindly] [fix|solve|handle|repair] this [right now|at once|immediately|today]
this is [urgent|very urgent|really urgent|an emergency|critical|most urgent]
[I|we] need [an answer|help|a reply|a fix] [immediately|at once|right now|within the hour|today|now]
it [cannot|can not|must not] wait [any longer|another minute|until tomorrow|]
[please|you must] act [today|now|at once], it is [critical|urgent|an emergency]
[our|the] whole [team|office|shop] is [blocked|stuck|down|standing still]
everything is [down|blocked|stuck|offline], [hurry|please hurry|help]
as soon as possible, please
please drop everything else
we lose [money|customers|orders] every [minute|hour]
it has to be [done|fixed|solved] before [noon|tonight|the end of] [today|]
[top|highest|first] priority, please
[we|they] cannot work until this is [solved|fixed|done]
[call|ring|write] me [back|] [immediately|at once|right now|now]
this must be [solved|fixed|done|handled] [tonight|today|now|at once]
time is running out
there is not a [minute|moment|second] to lose
urgent [, please help|, please hurry|]
the [server|site|system|production line|shop] is [down|offline]
production is [down|standing still|stuck]
[customers|people|clients] cannot [pay|order|log in|work]
nobody can [work|log in|pay|order]
the deadline is [in an hour|today|tonight|in ten minutes]
it is an emergency, [help|please help|hurry]
we are [stuck|blocked] until you [answer|help|reply]
the [site|shop|system|app] is [offline|down] [since this morning|for everyone|]
our shop is closed because of it
[I|we] leave in [an hour|ten minutes]
[hurry|hurry up], please
this is [blocking|stopping] [everyone|all of us|the whole team]
this is [critical|urgent] for [us|me|the whole team]
[my|our] [flight|train] leaves [tonight|in an hour|today]
it is getting worse by the [minute|hour]
""")
MEDIUM = lines("""
please look at it [this week|by Friday|in a few days|within a week|next week]
it would be [good|nice|fine] to have it [by Friday|this week|by the weekend|in a few days]
please [reply|answer|write back] in the [next|coming] [few days|days]
could you check it in [a day or two|a few days|two or three days]
I would like [an answer|a reply|a fix] [this week|by Friday|in a few days|next week]
[some time|any day] this week would be [fine|good|nice]
please handle it [in the coming days|this week|within a few days|next week]
by the [end of the week|weekend] is [fine|good|early enough]
please get to it within [a few days|a week]
next week at the latest, please
I hope to [hear from you|get an answer|get a reply] in [a few days|the coming days|the next days]
it should be [done|fixed|solved|handled] [this week|by Friday|in a few days|within a week]
""")
LOW = lines("""
there is no [rush|hurry|need to hurry] [at all|]
[take|please take] [your time|all the time you need]
it can wait [a while|for weeks|until next month|]
[whenever|only when|just when] you [have time|are free|get around to it|feel like it]
this is [not|not at all|in no way] urgent
no [hurry|rush|pressure|stress] [at all|]
[any time|some day] [this year|next year] is [fine|good|early enough]
[please|you can] look at it when [it suits you|you have time|you are free]
it is [not|not at all|not really] [important|urgent|pressing]
next month is [early enough|fine|soon enough]
it is low on my list
there is [plenty of|lots of|enough] time
do it some day, no [pressure|hurry|rush]
[I|we] can wait as long as you need
no need to [answer|reply|act|react] soon
it is [just|only] a [small|minor|tiny] [thing|point|detail|matter]
this is [just|only] a [small|minor|tiny] [thing|point|detail|matter]
[I am|we are] just curious
it is [nice to have|a detail|not a big deal]
not a big deal
it does not bother me [much|a lot|at all]
only if you are [free|bored|not busy]
no deadline on this
nothing depends on it
there is a [simple|easy|good] way around it
we can live with it [for now|for a while|]
""")
GREETINGS = lines("""
[hello|hi|good day|good morning|good evening|hey|greetings] [there|all|team|everyone|{p}|]
[dear|dear all at] [team|{p}|support|friends|{w}]
[to|for] [whom it may concern|the team|{p}]
""")
CLOSINGS = lines("""
[thanks|thank you|many thanks] [for reading|in advance|for your time|a lot|, {p}|]
[best|kind|warm|many] [regards|wishes|greetings] [, {p}|from {w}|]
[yours|cheers|regards|best|bye] [, {p}|for now|]
""")

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
    """A sentence that carries the sentiment: a set phrase, an adjective on a subject, or liking and disliking."""
    kind = d.rng.random()
    if feeling == "neutral" or kind < 0.4:
        return _sentence(d, fill(d, d.phrase(SENTIMENT[feeling])))
    good = feeling == "positive"
    if kind < 0.7:
        return _sentence(d, fill(d, d.phrase(_GOOD_IS if good else _BAD_IS)))
    return _sentence(d, fill(d, d.phrase(_LIKING if good else _DISLIKING)))


def pressure_remark(d: Draw, pressure: str) -> str:
    """A sentence that carries the urgency."""
    text = d.phrase(URGENCY[pressure] if d.chance(0.5) else _ASKED[pressure])
    return _sentence(d, fill(d, text))


def _sentence(d: Draw, text: str) -> str:
    """With a capital and a mark at its end; rarely shouted or without capital."""
    kind = d.rng.random()
    if kind < 0.03 and "{" not in text:
        text = text.upper()
    elif kind > 0.04:
        text = text[:1].upper() + text[1:]
    asks = text.lower().startswith(("could ", "can ", "have you", "may "))
    return text + ("?" if asks else d.pick("....!"))


def _small_talk(d: Draw) -> str:
    """A sentence beside the matter that carries no sentiment and no urgency."""
    return _sentence(d, fill(d, d.phrase(NEUTRAL)))


def make(d: Draw, *, topic: bool, sentiment: bool, urgency: bool) -> Message:
    """A message that settles at least what is asked for."""
    chosen = d.pick(list(TOPICS)) if topic or d.chance(0.5) else None
    parts: list[str] = []
    feeling: str | None = None
    complaint = False
    if chosen is not None:
        happened = d.chance(0.65)
        parts.append(_sentence(d, core(d, chosen) if happened else mention(d, chosen)))
        complaint = happened and TOPICS[chosen].complaint
        if topic and d.chance(0.15):
            parts.append(_sentence(d, mention(d, chosen)))
    if sentiment:
        options = ("positive", "negative") if chosen is not None else ("positive", "negative", "neutral")
        feeling = d.pick(options)
        if complaint:
            feeling = "negative"
            if d.chance(0.6):
                parts.append(feeling_remark(d, "negative"))
        else:
            parts.append(feeling_remark(d, feeling))
            if d.chance(0.12):
                parts.append(feeling_remark(d, feeling))
            if chosen is None and d.chance(0.4):
                parts.append(_small_talk(d))
    if not parts:
        parts.append(_small_talk(d))
    pressure: str | None = None
    if urgency:
        pressure = d.pick(("high", "high", "medium", "low", "low"))
        if pressure != "medium" or d.chance(0.7):
            parts.append(pressure_remark(d, pressure))
    elif d.chance(0.12):
        pressure = d.pick(list(URGENCY))
        parts.append(pressure_remark(d, pressure))
    if d.chance(0.3):
        parts = d.shuffled(parts)
    text = " ".join(parts)
    if d.chance(0.25):
        greeting = fill(d, d.phrase(GREETINGS))
        text = greeting[:1].upper() + greeting[1:] + d.pick((", ", "! ", ",\n", ". ")) + text
    if d.chance(0.2):
        closing = fill(d, d.phrase(CLOSINGS))
        text += d.pick((" ", " ", "\n")) + closing[:1].upper() + closing[1:] + d.pick(("", ".", "!"))
    return Message(text, chosen, feeling, pressure)
