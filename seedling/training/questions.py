"""What an agent is asked: wordings of sums, of look-ups and of both, each with the expression that answers it.

In sums `{a}`, `{b}`, `{c}` are amounts, `{i}`, `{n}`, `{m}` whole numbers, `{g}`, `{h}` articles (`{gs}`, `{hs}` their
plurals), `{p}` a person. In look-ups `{k}` is what is asked of `{t}` (`{j}` a step on the way), `{t}`, `{u}` are
articles, `{q}`, `{r}` people, `{c}`, `{b}` cities, `{v}`, `{w}` what a look-up gave.
"""

from __future__ import annotations

from collections.abc import Mapping

from .draw import Phrases, lines

_COMPUTE = "[what is|how much is|tell me|give me|find|I need|work out|please work out]"

ADD = lines(f"""
what is {{a}} [plus|and|added to] {{b}}?
[please|] [add|sum|add up] {{a}} and {{b}}.
[please|] [compute|calculate|work out|find|evaluate] {{a}} [+|plus] {{b}}.
{{a}} + {{b}} = ?
{_COMPUTE} the [sum|total] of {{a}} and {{b}}.
how much [is|are|do|makes] {{a}} and {{b}} [together|in all|in total|make]?
what do {{a}} and {{b}} [add up to|sum to|come to|make] [together|in all|]?
[if I|if you|if we] add {{b}} to {{a}}, what [is it|do I get|comes out]?
""")
SUB = lines(f"""
what is {{a}} [minus|less] {{b}}?
[please|] [subtract|take] {{b}} [from] {{a}}.
[please|] [compute|calculate|work out|find|evaluate] {{a}} [-|minus] {{b}}.
{{a}} - {{b}} = ?
[please|] take {{b}} away from {{a}}.
{_COMPUTE} the difference [between|of] {{a}} and {{b}}.
how much is {{a}} [less|minus] {{b}}?
what [is left|remains|stays] of {{a}} [without|after taking|minus] {{b}}?
[if I|if you|if we] take {{b}} from {{a}}, what [is left|remains|comes out]?
""")
MUL = lines(f"""
what is {{a}} [times|multiplied by] {{b}}?
[please|] multiply {{a}} [by|with|and] {{b}}.
[please|] [compute|calculate|work out|find|evaluate] {{a}} [*|times] {{b}}.
{{a}} * {{b}} = ?
how much [is|are|makes] {{a}} times {{b}}?
{_COMPUTE} the product of {{a}} and {{b}}.
[if I|if you|if we] multiply {{a}} by {{b}}, what [is it|do I get|comes out]?
""")
DIV = lines("""
what is {a} [divided by|over] {b}?
[please|] divide {a} by {b}.
[please|] [compute|calculate|work out|find|evaluate] {a} [/|divided by] {b}.
{a} / {b} = ?
how much is {a} [over|divided by] {b}?
[please|] [split|cut|share] {a} into {b} equal parts, how [big|large] is one?
what is one {b}th of {a}?
[if I|if you|if we] divide {a} by {b}, what [is it|do I get|comes out]?
""")
BINARY = (("+", ADD), ("-", SUB), ("*", MUL), ("/", DIV))
EXPRESSION = lines("""
[what is|how much is|what does it make,|what comes out of] {x}?
[please|kindly|] [compute|calculate|evaluate|work out|solve|find] {x}.
{x} = ?
[please|] [give me|tell me|find|I need] the [value|result] of {x}.
[can you|could you] [compute|calculate|evaluate|work out|solve] {x}?
[the|] [value|result] of {x}?
""")
_TOTAL = (
    "[what is the total|what does it cost|how much is that|what is the price in all|how much is it in all|"
    "what is to pay]"
)
_LEFT = "[how many are left|how many remain|how many are there now|how many stay]"
_SUM = "[how many in all|how many in total|how many together|what is the total|how many is that]"
_REST = "[what is left|what remains|how much is left|how much remains]"
_TAKES = "[buys|orders|takes|needs|wants]"
WORDED: tuple[tuple[str, Phrases], ...] = (
    ("{n} * {a}", lines(f"""
        {{p}} {_TAKES} {{n}} {{gs}} at {{a}} [each|per piece|a piece]. {_TOTAL}?
        [one|a|each] {{g}} costs {{a}}. how much [do|are] {{n}} [cost|]?
        how much are {{n}} {{gs}} at {{a}} [dollars|euros|] [each|per piece|a piece]?
        {{n}} {{gs}}, {{a}} [each|per piece|a piece]: {_TOTAL}?
        [one|a|each] {{g}} costs {{a}}. {{p}} {_TAKES} {{n}}. {_TOTAL}?
        what do I pay for {{n}} {{gs}} at {{a}} [each|per piece|a piece]?
        {{p}} orders {{n}} times a {{g}} for {{a}}. {_TOTAL}?
        I [need|want|take|buy] {{n}} {{gs}} and [each one|each|every one] is {{a}}. {_TOTAL}?
        if [one|a|each] {{g}} [is|costs] {{a}}, [what are|how much are|what do I pay for] {{n}}?
        """)),
    ("{i} - {n}", lines(f"""
        {{p}} [has|had|owns] {{i}} {{gs}} and [gives away|sells|loses|breaks] {{n}}. {_LEFT}?
        there were {{i}} {{gs}}, {{n}} were [sold|lost|broken|given away]. {_LEFT}?
        of {{i}} {{gs}}, {{n}} are [broken|lost|sold]. how many [work|are fine|are left]?
        {{i}} people came and {{n}} left. how many [are still there|stayed|are left]?
        we had {{i}} {{gs}} and [lost|sold|broke|gave away] {{n}}. how many do we [have now|still have|keep]?
        {{p}} [has|owns] {{i}} {{gs}} and sells {{n}}. how many does {{p}} [keep|still have]?
        [from|of] {{i}} seats, {{n}} are [taken|booked|sold]. how many are [free|left|open]?
        """)),
    ("{i} + {n}", lines(f"""
        {{p}} [has|had|owns] {{i}} {{gs}} and [gets|buys|finds] {{n}} more. {_SUM}?
        {{i}} people came, then {{n}} more. {_SUM}?
        there are {{i}} {{gs}} in one box and {{n}} in another. {_SUM}?
        {{p}} [read|wrote] {{i}} pages on Monday and {{n}} on Tuesday. {_SUM}?
        we [sold|made|bought] {{i}} {{gs}} in May and {{n}} in June. {_SUM}?
        add {{n}} {{gs}} to the {{i}} we have. [how many are there|{_SUM[1:-1]}]?
        """)),
    ("{i} / {n}", lines("""
        [share|split|divide] {i} {gs} [among|between] {n} people. how many does each get?
        {i} dollars are [split|shared|divided] [between|among] {n} friends. how much for each?
        {p} packs {i} {gs} into {n} equal boxes. how many are in [one box|each box|a box]?
        a bill of {i} is [shared|split] by {n} people. what does each pay?
        {p} [drives|runs|rides] {i} km in {n} hours. what is the [average|mean] speed?
        {n} workers earn {i} together. what is one share?
        """)),
    ("{b} - {a}", lines(f"""
        {{p}} pays {{a}} with a {{b}} note. how much change is [there|due|left]?
        the [bill|price] is {{a}} and I give {{b}}. [what is the change|how much change is there|how much \
        change do I get]?
        I [have|had] {{b}} and [spend|spent|pay|paid] {{a}}. {_REST}?
        {{p}} had {{b}} in the bank and took out {{a}}. {_REST}?
        from a budget of {{b}} we [used|spent|paid] {{a}}. {_REST}?
        a [voucher|card] over {{b}} pays for {{a}}. [what is the rest|{_REST[1:-1]}]?
        """)),
    ("{a} + {c}", lines(f"""
        a {{g}} costs {{a}} and a {{h}} costs {{c}}. [what do they cost together|how much are both|{_TOTAL[1:-1]}]?
        I [bought|got|took] a {{g}} for {{a}} and a {{h}} for {{c}}. {_TOTAL}?
        {{p}} [paid|spent] {{a}} for lunch and {{c}} for dinner. {_TOTAL}?
        what is the total of a {{g}} at {{a}} and a {{h}} at {{c}}?
        the {{g}} is {{a}}, the {{h}} is {{c}}. [how much for both|what are both|{_TOTAL[1:-1]}]?
        add the {{g}} for {{a}} to the {{h}} for {{c}}.
        """)),
    ("{n} * {a} + {m} * {c}", lines(f"""
        {{p}} {_TAKES} {{n}} {{gs}} at {{a}} and {{m}} {{hs}} at {{c}}. {_TOTAL}?
        how much are {{n}} {{gs}} at {{a}} each and {{m}} {{hs}} at {{c}} each?
        what do {{n}} {{gs}} for {{a}} and {{m}} {{hs}} for {{c}} cost [in all|together|in total]?
        {{n}} {{gs}} at {{a}}, {{m}} {{hs}} at {{c}}: {_TOTAL}?
        I [take|want|need|buy] {{n}} {{gs}} at {{a}} each [plus|and] {{m}} {{hs}} at {{c}} each. what do I pay?
        [cost|price|total] of {{n}} {{gs}} ({{a}} each) and {{m}} {{hs}} ({{c}} each)?
        """)),
    ("{i} * {n}", lines("""
        a [room|field|garden] is {i} meters long and {n} meters wide. [what is its area|how large is it]?
        {p} works {i} hours a week for {n} weeks. how many hours [is that|are that] [in all|in total|]?
        there are {i} boxes with {n} {gs} each. how many {gs} are there [in all|in total|]?
        {i} rows of {n} chairs: how many chairs [in all|in total|]?
        {p} [runs|walks|rides] {i} km a day for {n} days. how far is that [in all|in total|]?
        a page has {i} lines of {n} words. how many words [are that|is that|in all|]?
        """)),
    ("{i} * {n} / 100", lines("""
        [what is|how much is|compute|calculate|find|take|work out] {n} percent of {i}?
        [what is|how much is|compute|calculate|find|take|work out] {n}% of {i}?
        {n} percent of {i} people [agreed|came|voted]. how many?
        a tip of {n}% on {i} is how much?
        """)),
    ("{i} - {i} * {n} / 100", lines("""
        a {g} costs {i} and is [reduced|cut] by {n} percent. what is the new price?
        [what is|how much is|compute|calculate] {i} [minus|less] {n} percent?
        {i} with a discount of {n}%: what is [left to pay|to pay|left]?
        [please|] take {n}% off {i}.
        the price of {i} [falls|drops|goes down] by {n}%. what is it [now|then]?
        {p} gets {n} percent off a bill of {i}. what does {p} pay?
        """)),
    ("{i} + {i} * {n} / 100", lines("""
        [please|] add {n} percent tax to {i}.
        [what is|how much is|compute|calculate] {i} plus {n} percent?
        a [rent|price|fee] of {i} [goes up|rises] by {n}%. what is it [then|now]?
        {i} plus {n}% tax: how much [is that|]?
        the price is {i} without {n}% tax. what is it with tax?
        [please|] raise {i} by {n} percent.
        """)),
    ("({i} + {n} + {m}) / 3", lines("""
        [what is|find|compute|calculate|give me|tell me] the [average|mean|mean value] of {i}, {n} and {m}?
        [average|mean] of {i}, {n} and {m}?
        {p} [scored|got|made] {i}, {n} and {m}. what is the [average|mean]?
        """)),
    ("{i} + {n} + {m}", lines("""
        [please|] [add up|sum|sum up|add] {i}, {n} and {m}.
        [what is|find|compute|calculate|give me|tell me] the [sum|total] of {i}, {n} and {m}?
        {p} [scored|got|made] {i}, {n} and {m}. what is the [total|sum]?
        [total|sum] of {i}, {n} and {m}?
        how much are {i}, {n} and {m} [together|in all|in total]?
        """)),
)  # fmt: skip

ASK = lines("""
[what is|do you know|can you tell me|could you tell me|can you check|could you find] the {k} of {t}?
[tell me|look up|I need|find|give me|please give me|please find|check|please look up|show me] the {k} of {t}.
[what is|do you know|can you tell me|could you check] {t}'s {k}?
[tell me|look up|I need|find|give me|please give me|please find|check|show me] {t}'s {k}.
[which|what] {k} does {t} have?
[and|now|] the {k} of {t}?
""")
SPECIAL: Mapping[str, Phrases] = {
    "price": lines("""
    how much [does {t} cost|is {t}|do I pay for {t}|must I pay for {t}]?
    what [does {t} cost|do I pay for {t}|must I pay for {t}|is to pay for {t}]?
    """),
    "stock": lines("""
    how many {t} [are in stock|do we have|are left|are there in stock|do we still have|have we got]?
    """),
    "city": lines("""
    where does {t} [live|reside]?
    [in which|which|in what] city does {t} [live|live in|reside]?
    """),
    "age": lines("""
    how old is {t} [now|today|]?
    what age [is|has] {t} [now|]?
    """),
    "manager": lines("""
    who [manages|is the manager of|is managing] {t}?
    who is {t}'s manager?
    """),
    "phone number": lines("""
    how can I [call|phone] {t}?
    which number [do|can|must] I call [for|to reach] {t}?
    what is {t}'s phone number?
    """),
    "email": lines("""
    how can I [mail|write mail to|send mail to] {t}?
    where [do|can|must] I send mail [for|to reach] {t}?
    what is the email of {t}?
    """),
    "population": lines("""
    how many [people|inhabitants] [live in|are there in] {t}?
    how many [people|inhabitants] does {t} have?
    """),
    "mayor": lines("""
    who is [the|] mayor of {t}?
    who [runs|leads] {t} as mayor?
    """),
    "founder": lines("""
    who [founded|started|was the founder of|set up] {t}?
    """),
    "capital": lines("""
    what is the capital of {t}?
    which city is the capital of {t}?
    """),
    "weight": lines("""
    how heavy is {t}?
    how much does {t} weigh?
    what does {t} weigh?
    """),
}

THEN: tuple[tuple[str, str, Phrases], ...] = (
    ("price", "{n} * {v}", lines(f"""
        how much do {{n}} of the {{t}} cost [in all|together|]?
        [what is the price|what is the total price|price|total] [of|for] {{n}} {{t}}?
        I [want|need|take|buy|order] {{n}} {{t}}. [what do I pay|{_TOTAL[1:-1]}]?
        [what|how much] do {{n}} {{t}} cost [in all|together|]?
        how much are {{n}} {{t}} [in all|together|]?
        {{p}} {_TAKES} {{n}} {{t}}. {_TOTAL}?
        price for {{n}} times the {{t}}?
        """)),
    ("stock", "{v} - {n}", lines(f"""
        how many {{t}} are in stock after we [sell|lose|take] {{n}}?
        if {{n}} are [sold|lost|taken], how many {{t}} are [left|still] in stock?
        we take {{n}} {{t}} from the stock. {_LEFT}?
        {{p}} [takes|buys] {{n}} {{t}} from stock. [what is left|what remains|{_LEFT[1:-1]}]?
        what is the stock of {{t}} [less|minus] {{n}}?
        """)),
    ("stock", "{v} + {n}", lines("""
        how many {t} are in stock after {n} more [arrive|come in|are delivered]?
        {n} new {t} [come in|arrive|are delivered]. how many are then in stock?
        if {n} [are delivered|come in|arrive], what is the stock of {t}?
        we add {n} {t} to the stock. how many are there [then|now|]?
        """)),
    ("price", "{v} - {v} * {n} / 100", lines("""
        what does the {t} cost with {n} percent off?
        how much is the {t} with [a discount of|] {n}% [off|discount|less]?
        the {t} is [reduced|cut] by {n} percent. what does it cost [then|now|]?
        what is the price of the {t} [minus|less] {n}%?
        """)),
    ("price", "{v} + {v} * {n} / 100", lines("""
        what does the {t} cost [plus|with] {n} percent tax [added|]?
        how much is the {t} with {n}% tax [added|on top]?
        [price of|what is the price of] the {t} plus {n}% tax?
        the {t} gets {n} percent [dearer|more expensive]. what does it cost [then|now|]?
        """)),
    ("age", "{v} + {n}", lines("""
        how old will {q} be in {n} years [from now|]?
        what age will {q} [have|reach] in {n} years [from now|]?
        in {n} years [from now|], how old [is|will be] {q}?
        {n} years from now, [what is the age of|how old is] {q}?
        """)),
    ("age", "{v} - {n}", lines("""
        how old was {q} {n} years ago?
        what age did {q} have {n} years ago?
        {n} years ago, [how old was|what was the age of] {q}?
        """)),
    ("population", "{v} / {n}", lines("""
        what is the population of {c} [divided by|over] {n}?
        [please|] divide the population of {c} by {n}.
        how many people of {c} are one share of {n}?
        """)),
    ("weight", "{n} * {v}", lines("""
        how much do {n} {t} weigh [in all|together|]?
        what is the [weight|total weight] of {n} {t}?
        how heavy are {n} {t} [in all|together|]?
        """)),
)  # fmt: skip

TWICE: tuple[tuple[str, str, Phrases], ...] = (
    ("price", "{v} + {w}", lines(f"""
        what do the {{t}} and the {{u}} cost [together|in all|in total]?
        how much are the {{t}} and the {{u}} [together|in all|in total]?
        [I|we] [buy|take|want|need] the {{t}} and the {{u}}. {_TOTAL}?
        [sum|total] of the prices of the {{t}} and the {{u}}?
        {{p}} {_TAKES} the {{t}} and the {{u}}. {_TOTAL}?
        [please|] add the price of the {{t}} to the price of the {{u}}.
        """)),
    ("price", "{n} * {v} + {m} * {w}", lines(f"""
        [what|how much] do {{n}} {{t}} and {{m}} {{u}} cost [together|in all|in total|]?
        how much are {{n}} {{t}} and {{m}} {{u}} [together|in all|in total]?
        [I|we] [buy|take|want|need] {{n}} {{t}} and {{m}} {{u}}. [what do I pay|{_TOTAL[1:-1]}]?
        [total|price] for {{n}} {{t}} and {{m}} {{u}}?
        {{p}} {_TAKES} {{n}} {{t}} and {{m}} {{u}}. {_TOTAL}?
        """)),
    ("price", "{v} - {w}", lines("""
        how much more does the {t} cost than the {u}?
        [by how much|how much] is the {t} [dearer|more expensive] than the {u}?
        what is the price of the {t} [minus|less] the price of the {u}?
        price of the {t} [minus|less] price of the {u}?
        what is the difference in price between the {t} and the {u}?
        """)),
    ("stock", "{v} + {w}", lines("""
        how many {t} and {u} are in stock [together|in all|in total]?
        what is the stock of {t} plus the stock of {u}?
        how many {t} and {u} do we have [together|in all|in total]?
        """)),
    ("age", "{v} - {w}", lines("""
        how many years older is {q} than {r}?
        by how many years is {q} older than {r}?
        what is the age of {q} [minus|less] the age of {r}?
        what is the [age difference of|difference in age between] {q} and {r}?
        how much older is {q} than {r}?
        """)),
    ("age", "{v} + {w}", lines("""
        how old are {q} and {r} [together|in all|in total]?
        what is the [sum|total] of the ages of {q} and {r}?
        [please|] add the age of {q} to the age of {r}.
        """)),
    ("population", "{v} + {w}", lines("""
        how many [people|inhabitants] live in {c} and {b} [together|in all|in total]?
        what is the population of {c} plus [that|the population] of {b}?
        [please|] add up the population of {c} and {b}.
        """)),
)  # fmt: skip

HOP = lines("""
[what is|do you know|can you tell me|could you find] the {k} of the {j} of {t}?
[tell me|I need|find|look up|give me|please find] the {k} of the {j} of {t}.
[what is|do you know|can you tell me|could you find] the {k} of {t}'s {j}?
[tell me|I need|find|look up|give me|please find] the {k} of {t}'s {j}.
[which|what] {k} does [the {j} of {t}|{t}'s {j}] have?
""")
GIVEN = lines("""
the {k} of {t} is {v}
{t} has the {k} {v}
[we know|I know|they say|note] that the {k} of {t} is {v}
{k} of {t}: {v}
{t}'s {k} is {v}
""")
AGAIN = lines("""
[and|next|one more|now|then|also|another one|one more question|a new question|and then]:
[thanks|thank you|good|ok|fine|great] [, and|, next|, one more|, now|]:
""")
LEAD_IN = lines("""
[please|kindly|can you|could you] help me [, please|with this|]:
[a|one|a short|a quick|just a|my] question:
[hi|hello|good day|good morning|hey] [there|all|]:
[I wonder|I would like to know|please tell me|I ask myself|we need to know]:
""")
