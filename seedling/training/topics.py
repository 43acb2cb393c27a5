"""The topics of the classification task: the sentences in which each of them shows.

A sentence is a subject and what happened to it (`core`), or only names the topic (`mention`). `{w}` is a made-up name,
`{p}` a person, `{g}` an article, `{c}` a code, `{a}` an amount, `{n}` a number, `{m}` a mail address.
"""

from __future__ import annotations

from dataclasses import dataclass

from . import entities as e
from .draw import Draw, Phrases


@dataclass(frozen=True)
class Topic:
    """A topic: the labels it goes by, sentences of what happened, sentences that name it; `complaint` if the former
    alone are a complaint."""

    labels: tuple[str, ...]
    cores: Phrases
    mentions: Phrases
    complaint: bool = False


_TAILS = "[again|as far as I can see|it seems|as I said|by the way|since yesterday|this week|once more|as before|||||]"
_FRAMES = (
    "[I have|there is|we have] [a question|a note|something to say|news|a word|one more thing] "
    "[about|on|regarding] {k}",
    "[this|it|my message|the note|all this] is [all|only|mainly|] about {k}",
    "{p} [wrote|asked|spoke|talked|told us] about {k}",
    "[it|this|the matter|my message] [concerns|regards|has to do with|is to do with] {k}",
    "[the topic|the subject|the matter|the theme] [is|today is] {k}",
    "I am [writing|calling|asking] [because of|about|regarding|with a view to] {k}",
    "we [talked|spoke|wrote|read] about {k} and {j}",
    "[can you|could you|please] tell me more about {k}",
    "I need [help|advice|support] with {k}",
    "{k} and {j} are on my mind",
    "let us talk about {k}",
    "[mostly|mainly|once more|again] it is about {k} and {j}",
    "[as for|when it comes to|speaking of] {k}, I have [a question|something to say|news]",
)


def _topic(labels: str, subjects: str, predicates: str, keywords: str, complaint: bool = False) -> Topic:
    """A topic from lists with `|` between the entries; the first label counts double."""
    names = tuple(label.strip() for label in labels.split("|"))
    subject, predicate, keyword = (f"[{'|'.join(_entries(text))}]" for text in (subjects, predicates, keywords))
    mentions = Phrases(*(frame.replace("{k}", keyword).replace("{j}", keyword) for frame in _FRAMES))
    return Topic((names[0], *names), Phrases(f"{subject} {predicate} {_TAILS}"), mentions, complaint)


def _entries(text: str) -> list[str]:
    return [entry.strip() for entry in text.replace("\n", " ").split("|")]


TOPICS: dict[str, Topic] = {
    "billing": _topic(
        "billing|payment|invoice|payments|billing issue|billing question",
        """my invoice|the invoice for {w}|the bill for last month|my credit card|the monthly fee|our last invoice|
        the payment for {w}|my bill|the invoice {c}|the charge of {a} dollars|the subscription fee|our payment|
        our bill|the direct debit|the receipt for our payment|the price on my invoice""",
        """shows the wrong amount|was charged twice|is higher than agreed|lists a fee we never agreed to|
        does not match the price on the site|was billed two times|has the wrong tax|was charged after we cancelled|
        contains a charge I do not know|is {a} dollars too high|was debited again|has not been credited|
        includes a double charge|was never paid back|lists the wrong price|does not show our discount|
        was sent to the wrong billing address""",
        """the invoice|the bill|a charge|my payment|the fee|VAT|the price on the invoice|a double charge|
        my direct debit|the billing address|the subscription price|a receipt for my payment|the outstanding balance|
        an overdue invoice|the payment method|the credit card charge|the amount on my bill|the monthly payment|
        the discount on my bill|a payment reminder""",
        complaint=True,
    ),
    "shipping": _topic(
        "shipping|delivery|logistics|shipment|deliveries",
        """my parcel|the package {c}|the delivery of the {g}|our shipment|the parcel to {w}|the courier|
        the shipment {c}|the box with the {g}|my delivery|the tracking number|the package for {w}|the driver|
        the courier with my parcel|our package|the delivery to {w}|the tracking link""",
        """has not arrived yet|was left at the wrong door|is stuck at the depot|went to the wrong address|
        is a week late|got lost on the way|was sent to {w} by mistake|has not moved for days|came to the wrong city|
        never reached us|is still in transit|missed the delivery window|was left in the rain|
        has been on the road for weeks|was dropped at a neighbour|has no tracking|left the warehouse too late""",
        """the parcel|the delivery date|the courier|a late delivery|the tracking link|the shipment|the package|
        the shipping address|the delivery driver|express delivery|the customs papers|the warehouse|a lost parcel|
        the shipping costs|when my order arrives|a missing package|the delivery time|the post office|
        the parcel to {w}|the package that I wait for""",
        complaint=True,
    ),
    "bug": _topic(
        "bug|technical|technical issue|error|defect|technical problem|fault",
        """the app|the export button|the search page|the dashboard|the mobile version|the upload form|the report page|
        the sync|the calendar view|the {w} plugin|the settings page|the website|the login form|the print button|
        the new version|the program|the settings menu""",
        """crashes when I open it|freezes after a few seconds|shows a blank page|throws an error|stopped working|
        does not load since the update|gives error {n}|hangs when I click save|loses my data|fails with a timeout|
        displays garbled text|closes by itself|ends with an error message|stops with a blank screen|
        does not react to clicks|shows the wrong result|keeps crashing""",
        """an error message|a crash|a bug in the app|a broken button|the app that crashes|a blank screen|
        a freeze after the update|a page that does not load|a glitch|an exception|a failed sync|a memory leak|
        a broken link|a timeout|the wrong result on the screen|a stack trace|the software fault|
        the program that hangs|a bug in the {w} page|a crash of the program""",
        complaint=True,
    ),
    "feature": _topic(
        "feature|feature request|idea|suggestion|request|feature idea|proposal|wish",
        """it would be great if the app|could you add a way so that the dashboard|I would love it if the site|
        please add an option so that the report|we suggest that the editor|my idea is that the calendar|
        I wish the search|it would help if the export|a nice addition would be if the app|
        have you thought of a version that|can you build a mode that|we would like the {w} page so that it|
        please think of a way so that the app|it would be useful if the program|our wish is that the site|
        it would help us if the page""",
        """had a dark mode|could export to {w} files|supported keyboard shortcuts|offered more languages|
        could send a weekly summary|let us share lists|could work offline|had larger buttons|showed a chart|
        could import contacts|allowed several users|had an undo button|sorted the list by name|had a search field|
        could read bar codes|sent us a reminder|had a map view""",
        """a new feature|a feature request|an idea for the app|a suggestion|a dark mode|an export option|
        a missing option|an improvement|a new button|an extra setting|a proposal for a new page|
        support for more languages|a wish for the next version|a shortcut we would like|adding a calendar|
        an option that we miss|a feature we miss|an idea for the page""",
    ),
    "account": _topic(
        "account|login|access|accounts|account access|sign-in",
        """my account|my login|the password reset|my user name|the sign-in page|my profile|the account of {p}|
        the login for {p}|my password|the verification code|our team account|the access for {p}|my registration|
        the sign-up form|my user account|the login code""",
        """is locked|does not accept my password|says that I do not exist|was blocked after three tries|
        needs a new email address|has the wrong user name|cannot be verified|asks for a code I never got|
        should be closed|has to be moved to {m}|was disabled|keeps signing me out|does not know my mail address|
        is shown as closed|cannot be opened with my password|was opened by somebody else|needs a new password""",
        """my password|my login|the account settings|my user name|signing in|the password reset mail|my profile|
        a locked account|two-factor codes|the sign-up page|closing my account|a new email for my account|
        access to my account|my credentials|the login page|logging in|my registration|account access|
        my user account|a change of my password""",
    ),
    "refund": _topic(
        "refund|return|returns|refunds|money back|refund request",
        """I want my money back because the {g}|I would like to return the {g} since it|
        I am sending back the {g} because it|please refund order {c}, the {g}|I need a refund as the {g}|
        how do I return the {g}, it|I ask for my money back, the {g}|please take back the {g}, it|
        I request a refund because the {g}|can I send back the {g}? It|my refund for {c} is missing and the {g}|
        give me a refund, the {g}|I am returning the {g} because it|please give me my money back, the {g}|
        we want a refund since the {g}|I would like my money back as the {g}""",
        """is broken|arrived damaged|does not fit|is the wrong colour|is not as described|came without a cable|
        has a scratch|is too small|was used before|is not what I ordered|fell apart|never worked|does not work|
        is not what I wanted|came too late to be of use|has a hole|is missing a part""",
        """a refund|my money back|returning the {g}|a return label|sending the {g} back|the return of the {g}|
        a damaged {g}|the refund for {c}|the wrong {g} that I got|a broken {g} that I return|an exchange|
        the return policy|the money for the {g}|reimbursement|cancelling and getting the money back|
        the {g} that I do not want any more|my refund|a refund for the {g}""",
        complaint=True,
    ),
    "sports": _topic(
        "sports|sport|athletics|games",
        """the team from {w}|the striker {p}|the goalkeeper|the coach {p}|the {w} football club|the tennis player {p}|
        the national team|the swimmer {p}|the basketball team|the cyclist {p}|the runner {p}|the home side|
        the referee|the hockey team|the boxer {p}|the captain {p}|the marathon runner {p}""",
        """won the final|scored {n} goals this season|lost the match in the last minute|set a new record|
        reached the semi-final|trains for the next game|won the league|was injured during the match|
        took the gold medal|played a draw|qualified for the cup|beat the champions|scored twice in the first half|
        won a penalty|lost the championship|trained in the stadium|was sent off the field""",
        """football|the match|the championship|a goal in the last minute|the tennis final|the league|the coach|
        the marathon|the Olympic games|basketball|the score|the stadium|the race|the tournament|a penalty|the cup|
        swimming records|the referee|the cycling tour|hockey|the team and its fans|a boxing fight|the goalkeeper|
        the football club from {w}""",
    ),
    "weather": _topic(
        "weather|climate|forecast|weather report|meteorology",
        """a storm|heavy rain|strong wind|a cold front|thick fog|snow|a heat wave|light rain|a thunderstorm|hail|
        a warm spell|frost|drizzle|a hurricane|a mild breeze|a snow storm|bright sunshine""",
        """is expected in {w} tonight|will reach the coast on Sunday|covered the hills near {w}|will last until Friday|
        brings temperatures of {n} degrees|is moving in from the north|hit {w} in the night|
        is forecast for the weekend|will clear up by noon|keeps the region around {w} in its grip|
        follows after a dry week|comes with low clouds|covers the whole region|comes with {n} degrees|
        will stay over {w} all week|is on its way to {w}|ends the dry season""",
        """rain|snow|sunshine|the storm|wind and clouds|the temperature|a heat wave|the forecast for tomorrow|fog|
        a thunderstorm|hail|the humidity|a cold front|drizzle|a hurricane|showers in the afternoon|frost at night|
        a sunny day|degrees in the shade|the wet season|low clouds|the weather in {w}""",
    ),
    "food": _topic(
        "food|cooking|recipes|cuisine|dining|meals",
        """the soup|this recipe|the pasta sauce|the new bakery in {w}|the chef {p}|the bread dough|the curry|the cake|
        the restaurant {w}|the salad|the stew|the pancake batter|the pizza|the sauce|the dessert|the baker {p}|
        the vegetable soup|the roast""",
        """needs a pinch of salt|is made with onions and butter|should rest for an hour|goes well with rice|
        uses fresh herbs|is baked for {n} minutes|tastes best with lemon|serves dishes with garlic and beans|
        calls for two eggs and flour|must simmer on low heat|is served with cheese|needs {n} grams of sugar|
        needs more garlic|is cooked with fresh vegetables|goes into the oven for {n} minutes|
        tastes of cheese and herbs|is seasoned with pepper""",
        """a recipe|soup|bread|pizza|a cake|dinner|cheese|vegetables|the kitchen|a salad|spices|the oven|pasta|
        breakfast|a dish with rice|the cook|dessert|garlic|a restaurant|chocolate|baking|a sauce|a recipe for soup|
        the taste of the dish""",
    ),
    "travel": _topic(
        "travel|tourism|trips|holidays|vacation",
        """the flight to {w}|our hotel in {w}|the train to {w}|the island of {w}|the tour of the old town|
        my trip to {w}|the beach near {w}|the night bus to {w}|the airport in {w}|our holiday in {w}|
        the ferry to {w}|the road trip along the coast|the cruise|the guided tour of {w}|our luggage|
        the mountain hut|the boat trip to {w}""",
        """takes {n} minutes|has a view of the sea|is popular with tourists|leaves from platform {n}|
        was booked for two nights|includes a guided walk|starts at the harbour|is best visited in spring|
        needs a visa|offers rooms near the station|stops at three villages|passes old castles|ends at the airport|
        was delayed at the border|takes us past the old harbour|starts with a night in a hotel|
        is a favourite of backpackers""",
        """the flight|a hotel|the train|our holiday|the beach|a trip abroad|the airport|a passport|luggage|sightseeing|
        a cruise|the tourist guide|the journey|a hostel|the boarding pass|a road trip|the island|a ticket to {w}|
        the itinerary|backpacking|a vacation|the museum tour|a hotel in {w}|the trip to {w}""",
    ),
    "music": _topic(
        "music|songs|concerts|tunes",
        """the band {w}|the singer {p}|the new album|the pianist {p}|the orchestra|the song {w}|the drummer {p}|
        the choir from {w}|the guitarist {p}|the concert|the opera|the jazz trio|the composer {p}|
        the string quartet|the organist {p}|the music festival|the playlist""",
        """released a single|plays a tour with {n} dates|has a catchy chorus|was recorded in a small studio|
        sang an encore|uses a violin and a cello|topped the charts|opens with a long solo|learned a new melody|
        has a slow rhythm|performs without a conductor|was written in a minor key|plays a slow melody|
        was sung by the choir|is played on the piano|starts with drums|won a prize for the best song""",
        """the band|a song|the concert|the album|a guitar|the singer|the orchestra|a melody|the piano|drums|the choir|
        a symphony|the rhythm|jazz|the opera|a music festival|a playlist|the chorus|a violin|lyrics|the composer|
        a record label|the new song of {w}|the sound of the violin""",
    ),
    "finance": _topic(
        "finance|economy|markets|money|business|economics|investing",
        """the stock of {w}|the central bank|the share price|the interest rate|the fund {w}|the bond market|
        the currency|the company {w}|inflation|the investor {p}|the stock exchange|the budget deficit|
        the pension fund|the loan|the mortgage rate|the quarterly report of {w}|the trader {p}""",
        """rose by {n} percent|fell after the report|cut its forecast for profits|raised the dividend|
        lost value against the dollar|is expected to grow next quarter|reported a profit of {n} million|
        reached a record high on the market|was sold to investors|slowed down the economy|
        hit the lowest level in years|issued new bonds|gained {n} percent on the market|paid a higher dividend|
        lost a third of its value|was hit by inflation|lowered the interest""",
        """the stock market|interest rates|the bank|shares|inflation|a loan|the dividend|bonds|an investment|
        the exchange rate|profits|the economy|a mortgage|the shareholders|revenue|the quarterly results|taxes|
        a pension fund|the trade deficit|credit|the currency|the budget|the shares of {w}|the price of bonds""",
    ),
    "health": _topic(
        "health|medicine|medical|healthcare|wellness|medical news",
        """the patient|the doctor {p}|the vaccine|the clinic in {w}|regular sleep|the new drug|the surgeon {p}|
        the hospital in {w}|a headache|the treatment|the nurse {p}|high blood pressure|the therapist {p}|
        the pharmacy|the new medicine|a good diet|the heart patient""",
        """reduces the risk of heart disease|was tested on {n} patients|recovers after the operation|
        helps against the flu|needs a second dose|improves the immune system|causes mild fever|
        was treated for an infection|advises a healthy diet|prescribed tablets|lowers the pain|
        checks the blood every week|eases the symptoms|is given before surgery|was sent home from the hospital|
        fights the virus|helps with an allergy""",
        """the doctor|a vaccine|the hospital|a disease|blood pressure|a diet|the flu|surgery|a patient|the medicine|
        a headache|the nurse|an infection|a therapy|the symptoms|mental health|a virus|the heart|vitamins|
        a check-up|an allergy|the pharmacy|the clinic in {w}|a cure for the flu""",
    ),
    "science": _topic(
        "science|research|scientific research|physics",
        """the telescope|the biologist {p}|the new particle|the experiment in {w}|the space probe|the physicist {p}|
        the fossil|the laboratory in {w}|the chemist {p}|the comet|the study of cells|the research team|
        the astronomer {p}|the microscope|the chemistry laboratory|the mathematician {p}|the satellite""",
        """discovered a distant planet|measured the speed of light|published a paper on genes|
        observed a distant galaxy|was found in rock that is {n} million years old|confirmed the theory|
        analysed the molecules|sent back data from orbit|collected samples of bacteria|explains how stars form|
        tested a hypothesis|identified a new species|studies the origin of the galaxy|proved a theorem|
        measures the mass of atoms|showed how cells divide|tested the theory of evolution""",
        """a planet|the experiment|a theory|the laboratory|atoms|the telescope|a galaxy|DNA|the researchers|physics|
        chemistry|a fossil|the hypothesis|a molecule|evolution|a black hole|quantum physics|the microscope|bacteria|
        the scientists|a space probe|mathematics|an experiment with atoms|the laboratory of {p}""",
    ),
}


def fill(d: Draw, template: str) -> str:
    """Entities for the placeholders: word, person, goods, code, amount, number, mail."""
    if "{" not in template:
        return template
    return (
        template.replace("{w}", e.capital(d) if "{w}" in template else "")
        .replace("{p}", e.person(d) if "{p}" in template else "")
        .replace("{g}", e.goods(d) if "{g}" in template else "")
        .replace("{c}", e.code(d) if "{c}" in template else "")
        .replace("{a}", e.amount(d) if "{a}" in template else "")
        .replace("{n}", str(d.integer(2, 90)) if "{n}" in template else "")
        .replace("{m}", e.email(d) if "{m}" in template else "")
    )


def mention(d: Draw, topic: str) -> str:
    """A sentence that only names the topic, without saying that anything is wrong; no capital, no full stop."""
    return fill(d, d.phrase(TOPICS[topic].mentions))


def core(d: Draw, topic: str) -> str:
    """A sentence of what happened, in which the topic shows; no capital, no full stop."""
    return fill(d, d.phrase(TOPICS[topic].cores))
