"""Records about orders: who ordered what, how many, for how much, and where the order stands."""

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
    Json,
    Record,
    Spec,
    asking,
    enum_of,
    list_of,
    object_of,
)

_STILL = "[now|still|already|currently|]"

ORDER_ID = Spec(
    ("order_id", "id", "order_number", "order", "number", "orderId", "reference"), (), Phrases(),
    ("Order", "Order ID", "Order number"),
    lines("""
    [what is|tell me|give me|I need|find|look up|name|do you know] the [order number|order id|id of the \
    order|number of the order]
    [which|what] [order|order number] is [this|it|meant|named]?
    [which|what] [number|id] does the order have?
    """),
    ("the order number", "the id of the order"),
)  # fmt: skip
CUSTOMER = Spec(
    ("customer", "customer_name", "buyer", "client", "name", "ordered_by", "customerName"), ("customer", "buyer"),
    lines("""
    was [placed|made|sent in|ordered|entered|sent|given|handed in] by [the customer|the buyer|the client|] {v}
    [came|comes|came in|is|reached us|was received|arrived] from [the customer|the buyer|the client|] {v}
    [belongs|is registered|is billed|is assigned] to [the customer|the buyer|the client|] {v}
    is [in|under|on] the name of {v}
    [is|was made|was placed] for the [customer|buyer|client] {v}
    [names|lists|shows|has] {v} as [the|a] [customer|buyer|client]
    """),
    ("Customer", "Buyer", "Client"),
    asking(("customer", "buyer", "client"), """
    who [placed|made|sent in|gave|sent] [{s}|the order]?
    who is the [customer|buyer|client]?
    who [ordered|ordered it|bought it|is buying]?
    from whom [is|came|comes] [{s}|the order]?
    what is the name of the [customer|buyer|client]?
    in whose name is [{s}|the order]?
    """),
    ("the customer", "the person who ordered"),
)  # fmt: skip
ITEMS = Spec(
    ("items", "products", "articles", "goods", "order_items", "lines"), (),
    lines(f"""
    {_STILL} [contains|includes|lists|covers|comprises|holds|has|shows|names] {{v}}
    [is|was placed|was made|was sent in] for {{v}}
    [consists|is made up|is composed] of {{v}}
    [asks|calls] for {{v}}
    has [lines|entries|positions] for {{v}}
    """),
    ("Items", "Products", "Goods"),
    asking(("items", "goods", "products"), """
    what [was ordered|is in the order|is to be sent|does the order contain|does the order list]?
    [which|what] [items|goods|products] [are in the order|were ordered|does the order contain]?
    """),
    ("the items", "what was ordered"),
)  # fmt: skip
TOTAL = Spec(
    ("total", "amount", "total_price", "order_total", "price", "sum", "cost", "totalPrice"),
    ("total", "order total", "total price", "amount to pay"),
    lines(f"""
    [comes|amounts|adds up|sums|runs|sums up] to {{v}} [in total|in all|altogether|]
    [costs|totals|is worth|makes|is at|stands at] {{v}} [in total|in all|altogether|]
    [has|shows|lists|reaches|carries] a [total|value|sum|price|total price] of {{v}}
    was [billed|charged|priced|invoiced] at {{v}} [in total|in all|]
    has {{v}} as [the|a] [total|sum|price]
    is {_STILL} [priced|valued|billed] at {{v}}
    """),
    ("Total", "Amount", "Sum"),
    asking(("total", "total price", "order total", "amount", "price", "sum"), """
    how much [is|was|does] [{s}|the order] [cost|in total|in all|come to|]?
    what does [{s}|the order] [cost|come to|amount to|add up to]?
    [what|how much] [is|was] [to be paid|to pay|paid|charged|billed] [for {s}|for the order|]?
    how [much|high] is the [total|price|amount|sum] [of {s}|of the order|]?
    """),
    ("the total", "the total of the order"),
)  # fmt: skip
STATUS = Spec(
    ("status", "state", "order_status", "stage", "orderStatus"), ("status", "state", "present state"), Phrases(),
    ("Status", "State"),
    asking(("status", "state"), """
    [which|what] [status|state|stage] [does|is] [{s}|the order] [have|in|at]?
    how far [is|along is] [{s}|the order]?
    where [does|is] [{s}|the order] [stand|now]?
    """),
    ("the status", "the present state"),
)  # fmt: skip
STATUS_WORDINGS = {
    "pending": lines("""
    is [still|now|currently|] [pending|on hold|open|in the queue|unprocessed|waiting in the queue]
    is [still|] [waiting|due] [to be processed|to be handled|for approval|for processing|to be started]
    has [not|not yet|still not] been [processed|handled|started|approved] [yet|]
    was not [started|processed|handled|approved] yet
    has [yet|still] to be [handled|processed|started|approved]
    [still|] [waits|awaits] [for approval|for processing|approval|processing]
    has [the|a|] [status pending|pending status|pending state|state pending]
    """),
    "paid": lines("""
    [has been|is|was] [paid|settled|paid for] [in full|already|yesterday|today|this morning|by card|]
    is [already|fully|now] [paid|settled|paid for]
    has [no|no more] open [balance|amount|sum]
    has [the|] [status paid|paid status|state paid]
    was [already|fully] paid [by the customer|]
    """),
    "shipped": lines("""
    [has been|is|was] [shipped|sent out|dispatched|mailed|handed to the courier|put on the truck] \
    [yesterday|today|on Monday|this morning|]
    is [now|already|] [on its way|in transit|out for delivery|on the truck|on the road|with the courier]
    [left|has left|went out of] the [warehouse|depot|store room] [yesterday|today|on Monday|this morning|]
    [went out|has gone out|was sent off] [yesterday|today|on Monday|this morning|]
    has [the|] [status shipped|shipped status|state shipped]
    """),
    "delivered": lines("""
    [has been|is|was] [delivered|handed over|dropped off|received] [at the door|by the \
    customer|yesterday|today|this morning|]
    [has arrived|arrived|got there|came in] [safely|at the customer|at the door|yesterday|today|this morning|in \
    the mail|]
    [has reached|reached] the [customer|buyer|door] [yesterday|today|this morning|safely|]
    has [the|] [status delivered|delivered status|state delivered]
    was [accepted|signed for] [at the door|by the customer]
    """),
    "cancelled": lines("""
    [has been|is|was|got] [cancelled|called off|withdrawn|stopped|dropped] [by the customer|by the \
    buyer|yesterday|today|this morning|]
    is no longer [wanted|needed|valid|active]
    [will|shall|does] not go ahead
    has [the|] [status cancelled|cancelled status|state cancelled]
    was [cancelled|stopped|called off] [before it left|at the last minute|in time]
    """),
    "returned": lines("""
    [has been|is|was|got] [returned|sent back|brought back|taken back] [by the customer|by the \
    buyer|yesterday|today|this morning|]
    [came|went|is|has come] back [to us|to the sender|to the warehouse|in the warehouse] [yesterday|today|]
    was refused at the door [and came back|and sent back|]
    has [the|] [status returned|returned status|state returned]
    is [being|] [sent|on its way] back [to us|to the sender|to the warehouse|]
    """),
}  # fmt: skip
PRIORITY = Spec(
    ("priority", "urgency", "importance", "priority_level"), ("priority", "priority level"),
    lines(f"""
    {_STILL} [has|got|carries|shows|received|runs at|runs with|goes with] [a|] {{v}} priority
    [is|was] {_STILL} [marked|listed|flagged|entered] [as|with|at] {{v}} priority
    is [of|at] {{v}} priority
    was given [a|] {{v}} priority [level|]
    is {_STILL} a {{v}} priority [order|case]
    has {{v}} as [the|its] priority
    """),
    ("Priority", "Priority level"),
    asking(("priority", "priority level"), """
    [which|what] priority [does|is] [{s}|the order] [have|given|]?
    [at|of] [which|what] priority is [{s}|the order]?
    """),
    ("the priority",),
)  # fmt: skip
ORDERED_ON = Spec(
    ("order_date", "date", "ordered_on", "placed_on", "orderDate", "day"), ("order date", "date of the order"),
    lines("""
    was [placed|made|received|entered|sent in|given|booked|recorded|ordered|taken] on {v}
    [is dated|dates from|is from|carries the date|has the date|shows the date|bears the date] {v}
    [came in|came|reached us|arrived here] on {v}
    has {v} as [the|its] order date
    """),
    ("Date", "Order date", "Ordered on"),
    asking(("order date", "date"), """
    when was [{s}|the order] [placed|made|received|entered|sent in|taken]?
    on [which|what] [date|day] was [{s}|the order] [placed|made|received|entered|sent in|taken]?
    what is the [date|day] of the order?
    when did [{s}|the order] [come in|reach us]?
    """),
    ("the date of the order", "the day it was placed"),
)  # fmt: skip
DUE = Spec(
    ("due_date", "delivery_date", "deliver_by", "due", "deliveryDate", "arrives_on"), ("delivery date", "due date"),
    lines("""
    [should|must|has to|shall|is to|needs to|is expected to|ought to] [arrive|be there|be delivered|come|be at \
    the door] [by|on] {v}
    [will|should] [arrive|be delivered|be there|come] [on|by] {v}
    is [due|expected|promised|planned|wanted|scheduled] [for|on|by] {v}
    is [due|expected|promised|planned|wanted|scheduled] for delivery on {v}
    has [the|a] [delivery date|due date] [of|on|] {v}
    has {v} as [the|its] [delivery date|due date]
    """),
    ("Due", "Delivery date", "Due date"),
    asking(("delivery date", "due date"), """
    when [should|must|will|does] [{s}|the order] [arrive|be delivered|be there|come]?
    when is [{s}|the order] [due|expected|to be delivered|to arrive|promised|to come]?
    by when [must|should] [{s}|it|the order] [be delivered|arrive|be there]?
    on [which|what] [date|day] [should|must|will] [{s}|the order] [arrive|be delivered|be there]?
    """),
    ("the delivery date", "the day it is due"),
)  # fmt: skip
GIFT = Spec(
    ("gift", "is_gift", "gift_wrap", "gift_wrapped", "isGift"), (), Phrases(), ("Gift", "Gift wrap"),
    lines("""
    is [{s}|the order|it] [a gift|meant as a gift|to be gift wrapped|to be wrapped as a gift]?
    should [{s}|the order|it] be [gift wrapped|wrapped as a gift]?
    does [{s}|the order|it] need gift wrapping?
    """),
    ("whether it is a gift",),
)  # fmt: skip
GIFT_YES = lines("""
    is [a|meant as a|to be a|planned as a|marked as a|meant to be a] gift [for a friend|for a child|]
    [should|must|has to|is to|needs to] be [gift wrapped|wrapped as a gift|given as a gift|packed as a gift]
    [needs|asks for|wants|gets] gift [wrapping|wrap|paper]
    will be [given|sent|packed] as a gift
""")
GIFT_NO = lines("""
    is [not|no longer|not meant as|not to be|not planned as|not marked as] a gift
    is no gift
    [should|must|has to|is to] not be [gift wrapped|wrapped as a gift|given as a gift|packed as a gift]
    [needs|asks for|wants|gets] no gift [wrapping|wrap|paper]
    does not [need|ask for|want|get] gift [wrapping|wrap|paper]
    will not be [given|sent|packed] as a gift
""")
DESTINATION = Spec(
    ("city", "destination", "ship_to", "shipping_city", "delivery_city"), ("destination", "city"),
    lines(f"""
    [goes|ships|is going|travels|is on its way|is headed|is addressed|is bound] to {{v}}
    [will|must|should|is to|has to] be [sent|shipped|delivered|brought|taken] to {{v}}
    is {_STILL} [headed|bound|meant|destined] for {{v}}
    has {{v}} as [the|its] destination
    is [for delivery|to be delivered] [in|to] {{v}}
    """),
    ("City", "Ship to", "Destination"),
    asking(("destination", "city"), """
    where [does|is] [{s}|the order] [go|going|headed|to be sent|to be delivered|shipped to]?
    [to which|to what] city [does|is] [{s}|the order] [go|going|to be sent|shipped]?
    [which|what] city does [{s}|the order] go to?
    """),
    ("the city it goes to", "the destination"),
)  # fmt: skip
ADDRESS = Spec(
    ("address", "shipping_address", "delivery_address", "shippingAddress"), ("shipping address", "delivery address"),
    lines("""
    [goes|ships|is going|travels|is addressed] to {v}
    [will|must|should|is to|has to] be [sent|shipped|delivered|brought|taken] to {v}
    is to be [delivered|handed over|dropped off] at {v}
    has the [shipping address|delivery address|address] {v}
    has {v} as [the|its] [shipping address|delivery address]
    """),
    ("Address", "Shipping address"),
    asking(("shipping address", "delivery address", "address"), """
    where exactly [does|is] [{s}|the order] [go|going|to be sent|shipped to]?
    to [which|what] address [does|is] [{s}|the order] [go|going|to be sent|shipped]?
    """),
    ("the shipping address",),
)  # fmt: skip
COUPON = Spec(
    ("coupon", "discount_code", "coupon_code", "voucher", "promo_code"), ("coupon", "discount code"),
    lines("""
    [uses|has|applies|carries|shows|lists] the [coupon|discount code|coupon code|code] {v}
    was [placed|made|entered|sent in] with the [coupon|discount code|coupon code|code] {v}
    [got|has|gets] a [discount|price cut] [with|through|by] [the code|the coupon|] {v}
    has {v} as [the|its] [coupon|discount code]
    """),
    ("Coupon", "Discount code"),
    asking(("coupon", "discount code", "coupon code"), """
    [which|what] [coupon|discount code|coupon code] [was used|does {s} have|does the order use|was applied]?
    """),
    ("the coupon", "the discount code"),
)  # fmt: skip

_LEADS = lines("""
    {customer} [ordered|has ordered|wants|would like|needs|asked for|bought|requested|takes|has asked for|is \
    ordering] {items}
    {customer} [ordered|has ordered|bought|asked for|requested] {items} on {ordered_on}
    on {ordered_on}, {customer} [ordered|bought|asked for|requested] {items}
    {customer} [placed|has placed|made|sent in] an order for {items}
    {customer} [ordered|bought|asked for|has ordered|takes] {items} for {total}
    {customer} [from|in|of] {destination} [ordered|bought|asked for|wants|has ordered] {items}
    order {order_id} [from|by|of] {customer} [is for|contains|lists|includes] {items}
    order {order_id}: {items} for {customer}
    {customer} [placed|has placed|made|sent in|gave] [the|] order {order_id}
    {customer} [placed|has placed|made|sent in|gave] [the|] order {order_id} on {ordered_on}
    [please|kindly|] [send|ship|deliver] {items} to {customer}
    an order [came in|came|arrived|was received] from {customer} for {items}
    [there is|we have|we got|we received] an order [from|by] {customer} for {items}
    {customer} [paid|was charged|was billed] {total} for {items}
    {customer} [needs|wants|expects|asked for] {items} by {due}
    [please|kindly|] [send|ship|deliver] {items} to {customer} in {destination}
    I am {customer} and I [ordered|want|would like|need|asked for] {items}
    my name is {customer} and I [ordered|want|would like|need|asked for] {items}
    [for|to] {customer} we [send|pack|ship] {items}
    [this|here] is {customer}, I [ordered|want|would like|need] {items}
    {items} [were ordered|were bought|were requested|are wanted] by {customer}
    {customer} [in|from] {destination} [placed|made] an order for {total}
    the order [is to be|will be|should be|must be|has to be] [delivered|sent|shipped|brought] to {destination} \
    [on|by] {due}
    the order [goes|ships|is going] to {destination} and [is due|should arrive|will arrive|must arrive] [on|by] {due}
""")
_LEADS_WITHOUT_ID = Phrases(*(lead for lead in _LEADS.templates if "{order_id}" not in lead))
_ASIDES = lines("""
    the [previous|last|other|next] order [was|is] {c}
    {o} [packed|checked|will check|will pack|saw|signed] it
    [an older|a former|another] order, {c}, is [closed|archived|of no concern|not meant here]
    [questions|letters|calls|all questions] go to {o}
    {o} [will be|was] [at the desk|in the office|on the phone|informed]
    [please|kindly|] [tell|ask|inform] {o} [about it|if in doubt|too]
    it has [nothing to do|no link] with {c}
    {o} [does not|did not|will not] [order|buy|need] [anything|it]
""")


def money(d: Draw, amount: str, code: str) -> str:
    """An amount with its currency, in one of several styles."""
    sign = {"USD": "$", "EUR": "€", "GBP": "£"}[code]
    name = {"USD": "dollars", "EUR": "euros", "GBP": "pounds"}[code]
    whole, dot, cents = amount.partition(".")
    if len(whole) > 3 or (len(whole) == 3 and d.chance(0.02)):
        amount = f"{int(whole):,}{dot}{cents}" if d.chance(0.6) else amount
    styles = (f"{sign}{amount}", f"{sign}{amount}", f"{amount} {code}", f"{amount} {name}", f"{code} {amount}")
    return d.pick(styles)


def _items(d: Draw, code: str) -> Fact:
    """A list of strings, of name and quantity, or of name, quantity and price."""
    kind = d.rng.random()
    names = list(dict.fromkeys(e.goods(d) for _ in range(d.pick((1, 1, 2, 2, 3, 3)))))
    if kind < 0.4:
        article = d.pick(("", "", "a "))
        surface = e.series(d, [article + name for name in names])
        return Fact(ITEMS, STRINGS, names, surface)
    rows: list[Json] = []
    words: list[str] = []
    priced = kind > 0.75
    for name in names:
        count = d.rng.randint(1, 12) if d.chance(0.85) else d.integer(13, 120)
        text = e.plural(name) if count > 1 and d.chance(0.7) else name
        row: dict[str, Json] = {"name": text, "quantity": count}
        phrase = d.pick(
            ("{n} {x}", "{n} {x}", "{n} {x}", "{n} x {x}", "{n} of the {x}", "{x} ({n})", "{n} units of {x}")
        )
        words.append(phrase.format(n=count if "(" in phrase or " x " in phrase else e.count_text(d, count), x=text))
        if priced:
            price = e.amount(d, 1, 90)
            row["price"] = e.number_value(price)
            words[-1] += d.pick((" at {p}", " at {p} each", " for {p} each", " ({p} each)")).format(
                p=money(d, price, code)
            )
        rows.append(row)
    columns = {"name": STRING, "quantity": INTEGER, "price": NUMBER}
    keys = d.shuffled(list(rows[0])) if d.chance(0.3) else list(rows[0])
    titles = {"name": d.pick(("name", "name", "product", "item")), "quantity": d.pick(("quantity", "quantity", "count",
        "qty")),
              "price": d.pick(("price", "price", "unit_price"))}  # fmt: skip
    schema = object_of({titles[key]: columns[key] for key in keys})
    value = [{titles[key]: row[key] for key in keys} for row in rows]
    return Fact(ITEMS, list_of(schema), value, e.series(d, words))


def make(d: Draw) -> Record:
    """An order with every fact there is."""
    order_id, customer, city = e.code(d), e.person(d), e.city(d)
    code = d.pick(("USD", "EUR", "GBP"))
    total = e.amount(d, 5, 900) if d.chance(0.85) else e.amount(d, 1000, 9000)
    status, gift = d.pick(list(STATUS_WORDINGS)), d.chance(0.5)
    others = [name for name in STATUS_WORDINGS if name != status]
    statuses = enum_of(d.shuffled([status, *d.sample(others, d.rng.randint(1, 5))]))
    priority = d.pick(("low", "normal", "high"))
    priorities = enum_of(d.pick((("low", "normal", "high"), d.shuffled(("low", "normal", "high")))))
    placed, due = e.date(d), e.date(d)
    street = e.street(d)
    coupon = e.code(d) if d.chance(0.5) else e.word(d).upper()
    to = {"street": street, "city": city}
    facts = {
        "order_id": Fact(ORDER_ID, STRING, order_id, order_id),
        "customer": Fact(CUSTOMER, STRING, customer, customer),
        "items": _items(d, code),
        "total": Fact(TOTAL, NUMBER, e.number_value(total), money(d, total, code)),
        "status": Fact(STATUS, statuses, status, status, STATUS_WORDINGS[status]),
        "priority": Fact(PRIORITY, priorities, priority, priority),
        "ordered_on": Fact(ORDERED_ON, DATE, placed.isoformat(), e.date_text(d, placed)),
        "due": Fact(DUE, DATE, due.isoformat(), e.date_text(d, due)),
        "gift": Fact(GIFT, BOOLEAN, gift, "yes" if gift else "no", GIFT_YES if gift else GIFT_NO),
        "destination": Fact(DESTINATION, STRING, city, city),
        "address": Fact(ADDRESS, object_of(dict.fromkeys(to, STRING)), to, f"{street} in {city}"),
        "coupon": Fact(COUPON, STRING, coupon, coupon),
    }
    del facts[d.pick(("destination", "address"))]
    other = {"o": e.person(d), "c": e.code(d)}
    if d.chance(0.4):
        del facts["order_id"]
        return Record(d.pick(("The order", "This order", "The order")), ("It", "The order"), facts, (),
                      _LEADS_WITHOUT_ID, _ASIDES, other, alias="the order")  # fmt: skip
    head = d.pick(("Order {i}", "Order {i}", "Order number {i}", "The order {i}")).format(i=order_id)
    return Record(head, ("It", "The order"), facts, ("order_id",), _LEADS, _ASIDES, other, alias="the order")
