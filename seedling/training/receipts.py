"""Records about receipts: where, when, what was bought at which price, how it was paid."""

from __future__ import annotations

from decimal import Decimal

from . import entities as e
from .draw import Draw, Phrases, lines
from .orders import money
from .records import BOOLEAN, DATE, NUMBER, STRING, STRINGS, Fact, Record, Spec, asking, enum_of, list_of, object_of

STORE = Spec(
    ("store", "shop", "vendor", "merchant", "seller", "store_name", "name"), ("store", "shop", "seller"),
    lines("""
    [is|comes|came|dates] from [the store|the shop|] {v}
    was [issued|printed|handed out|given|written|made out] [by|at] [the store|the shop|] {v}
    is [for|from|about] a purchase at {v}
    belongs to [a|the] purchase at {v}
    [names|shows|lists|has] {v} as [the|a] [store|shop|seller|vendor]
    is [by|of] [the store|the shop|] {v}
    """),
    ("Store", "Shop", "Vendor"),
    asking(("store", "shop", "seller", "vendor"), """
    [which|what] [store|shop] [is the receipt from|issued the receipt|printed the receipt|gave the receipt]?
    where was [it|this|all this] [bought|purchased|paid]?
    [who|which shop] is the [seller|vendor]?
    at [which|what] [store|shop] was [this|it] [bought|purchased|paid]?
    what is the name of the [store|shop|seller]?
    """),
    ("the store", "the shop that issued the receipt"),
)  # fmt: skip
DATE_OF = Spec(
    ("date", "purchase_date", "receipt_date", "bought_on", "purchaseDate", "day"), ("date", "purchase date"),
    lines("""
    is from {v}
    [is dated|dates from|is from|carries the date|has the date|shows the date|bears the date] {v}
    was [printed|issued|written|made out|handed out] on {v}
    is [for|from|about] a purchase on {v}
    has {v} as [the|its] date
    """),
    ("Date", "Purchase date"),
    asking(("date", "purchase date"), """
    when was [it|this|all this] [bought|purchased|paid]?
    when [was|is] the [purchase|receipt from|receipt printed|receipt issued]?
    on [which|what] [date|day] was [this|it|the receipt] [bought|purchased|paid|printed|issued]?
    what is the date [of|on] the [receipt|purchase]?
    """),
    ("the date of the purchase", "the date on the receipt"),
)  # fmt: skip
ITEMS = Spec(
    ("items", "lines", "products", "purchases", "line_items", "goods"), (),
    lines("""
    [lists|shows|includes|covers|names|mentions] {v}
    has [lines|entries|positions] for {v}
    [was made out|was printed] for {v}
    [consists|is made up] of {v}
    """),
    ("Items", "Lines", "Products"),
    asking(("items", "goods"), """
    what [was bought|is on the receipt|was paid for|does the receipt list]?
    [which|what] [items|goods|products] [are on the receipt|were bought|does the receipt list]?
    """),
    ("the items", "what was bought"),
)  # fmt: skip
TOTAL = Spec(
    ("total", "amount", "total_amount", "sum", "amount_paid", "paid", "totalAmount"),
    ("total", "amount paid", "sum", "total amount"),
    lines("""
    [shows|has|gives|lists|names|states|bears|prints] a [total|sum|total amount] of {v}
    [comes|amounts|adds up|sums up|runs] to {v} [in total|in all|altogether|]
    [totals|is over|makes|is for] {v} [in total|in all|altogether|]
    was {v} [in total|in all|altogether]
    [gives|has|shows|lists|names] {v} as [the|its] [total|sum|amount paid]
    [ends|closes] with [a total of|the sum of|] {v}
    """),
    ("Total", "Amount", "Sum"),
    asking(("total", "sum", "amount paid", "amount", "total amount"), """
    how much [was paid|was it|is it|did it cost|is the receipt|does the receipt come to] [in total|in all|]?
    what [did it cost|was paid|was the amount paid|does the receipt come to] [in total|in all|]?
    [what|how much] is the [total|sum|amount] [of|on] the [receipt|purchase|bill]?
    [what|how much] is the [receipt|purchase|bill]?
    """),
    ("the amount paid", "the total", "the sum of the items"),
)  # fmt: skip
TAX = Spec(
    ("tax", "vat", "sales_tax", "tax_amount", "taxAmount"), ("tax", "sales tax", "VAT"),
    lines("""
    [includes|contains|has|adds|shows|lists|covers|charges] {v} [of|in|as|for] [tax|taxes|sales tax|VAT]
    has a [tax|sales tax|VAT] of {v}
    [shows|lists|names|gives] [tax|sales tax|VAT] of {v}
    [shows|lists|names|gives|has] {v} as [the|] [tax|sales tax|VAT]
    """),
    ("Tax", "VAT", "Sales tax"),
    asking(("tax", "sales tax", "VAT"), """
    how much [tax|VAT|sales tax] [is on the receipt|was paid|does it include|was charged]?
    how [much|high] is the [tax|VAT|sales tax]?
    """),
    ("the tax",),
)  # fmt: skip
TIP = Spec(
    ("tip", "gratuity", "tip_amount", "service"), ("tip", "gratuity"),
    lines("""
    [includes|has|adds|shows|lists|notes|contains|covers] a [tip|gratuity] of {v}
    [shows|lists|names|gives|has] {v} [as|for] [the|a] [tip|gratuity]
    [includes|contains|adds] {v} [of|in|as] [tip|gratuity]
    """),
    ("Tip", "Gratuity"),
    asking(("tip", "gratuity"), """
    how [much|high] [was|is] the [tip|gratuity]?
    [what|how much] [tip|gratuity] was [given|paid|left|added]?
    """),
    ("the tip",),
)  # fmt: skip
CURRENCY = Spec(
    ("currency", "currency_code", "money", "paid_in"), (), Phrases(), ("Currency",),
    lines("""
    [which|what] currency [is it|was used|is it in|does the receipt use]?
    in [which|what] currency [is it|was it paid|was it]?
    """),
    ("the currency",),
)  # fmt: skip
CURRENCY_WORDINGS = {
    "USD": lines("""
    [is|was paid|was printed|was settled|is given|is stated] in [dollars|US dollars|USD]
    uses [dollars|US dollars|USD]
    has [dollars|US dollars|USD] as [the|its] currency
    """),
    "EUR": lines("""
    [is|was paid|was printed|was settled|is given|is stated] in [euros|EUR|the euro]
    uses [euros|EUR|the euro]
    has [euros|EUR|the euro] as [the|its] currency
    """),
    "GBP": lines("""
    [is|was paid|was printed|was settled|is given|is stated] in [pounds|British pounds|GBP]
    uses [pounds|British pounds|GBP]
    has [pounds|British pounds|GBP] as [the|its] currency
    """),
}
METHOD = Spec(
    ("payment", "payment_method", "paid_by", "method", "paymentMethod", "paid_with"), ("payment method",), Phrases(),
    ("Payment", "Paid by"),
    asking(("payment method",), """
    how was [it|this|the receipt|the bill] [paid|settled]?
    [what|which] was the [payment method|way of payment|means of payment]?
    by [what|which] means was it paid?
    """),
    ("the way it was paid", "the payment method"),
)  # fmt: skip
METHOD_WORDINGS = {
    "cash": lines("""
    was [paid|settled|covered|paid for] [in|with] [cash|notes and coins|coins and notes] [at the counter|on the spot|]
    was a cash [payment|purchase]
    was [paid|settled] cash
    was paid for with cash [in hand|at the counter]
    """),
    "card": lines("""
    was [paid|settled|covered|paid for] [by|with|with a|by credit|with a credit|by debit|with a debit] card [at \
    the counter|on the spot|]
    was a card [payment|purchase]
    [went on|was put on|was charged to|was billed to] [the|a|my] [card|credit card|debit card]
    """),
    "voucher": lines("""
    was [paid|settled|covered|paid for] [by|with|with a|by a] [voucher|gift voucher] [at the counter|on the spot|]
    was a voucher [payment|purchase]
    [used up|took up|went against] a [voucher|gift voucher]
    """),
    "transfer": lines("""
    was [paid|settled|covered|paid for] [by|with a|by a|through a] [transfer|bank transfer|money transfer]
    was a [transfer|bank transfer] payment
    [went through|was sent|was booked] as a [transfer|bank transfer]
    """),
}
CASHIER = Spec(
    ("cashier", "clerk", "served_by", "seller_name", "employee"), ("cashier", "clerk"),
    lines("""
    was [rung up|handled|issued|printed|signed|handed out] by [the cashier|the clerk|] {v}
    [names|shows|lists|gives|has] {v} as [the|a] [cashier|clerk]
    [says|shows|notes] that {v} was the [cashier|clerk]
    [names|lists|shows] the [cashier|clerk] {v}
    """),
    ("Cashier", "Served by"),
    asking(("cashier", "clerk"), """
    who [was|is] the [cashier|clerk]?
    who [rang it up|handled it|signed it|printed the receipt|handled the receipt]?
    what is the name of the [cashier|clerk]?
    """),
    ("the cashier",),
)  # fmt: skip
NUMBER_OF = Spec(
    ("receipt_number", "number", "receipt_id", "id", "receiptNumber", "reference"), ("receipt number",),
    lines("""
    [has|carries|bears|shows|lists] the [number|reference|receipt number] {v}
    is [numbered|filed as|filed under|listed as|listed under|known as] {v}
    has {v} as [the|its] [number|reference]
    """),
    ("Receipt number", "Receipt", "Number"),
    asking(("receipt number", "number of the receipt"), """
    [which|what] [number|reference] does the receipt [have|carry|bear]?
    under [which|what] [number|reference] is [it|the receipt] filed?
    """),
    ("the receipt number",),
)  # fmt: skip
REFUNDABLE = Spec(
    ("refundable", "can_return", "returnable", "isRefundable"), (), Phrases(), ("Refundable",),
    lines("""
    is [it|the purchase|the receipt] [refundable|open to refunds]?
    can [it|the purchase|the goods] be [refunded|returned|sent back|given back]?
    """),
    ("whether it can be refunded",),
)  # fmt: skip
REFUND_YES = lines("""
    is [fully|still|] [refundable|returnable|open to refunds|open to returns]
    [can|may] [still|] be [refunded|returned|taken back|sent back|given back]
    [allows|permits|grants] [a|full] [refund|refunds|return|returns]
""")
REFUND_NO = lines("""
    is not [refundable|returnable|open to refunds|open to returns]
    is [non-refundable|no longer refundable|no longer returnable]
    [cannot|may not|can no longer] be [refunded|returned|taken back|sent back|given back]
    [allows|permits|grants] no [refund|refunds|return|returns]
    [excludes|forbids|rules out] [a|any] [refund|refunds|return|returns]
""")

_LEADS = lines("""
    at {store} [I|we] [bought|purchased|got|picked up|paid for] {items}
    [I|we|she|he] [bought|purchased|got|picked up|paid for] {items} at {store}
    [I|we|she|he] [paid|spent] {total} at {store} [for all|in total|]
    [I|we] [paid|spent] {total} at {store} on {date}
    on {date} [I|we] [bought|purchased|got|picked up] {items} at {store}
    {store} [charged|billed|asked] [me|us|] {total} for {items}
    [receipt|bill|invoice] from {store}: {items}
    [receipt|bill|invoice] from {store} on {date}: {items}, [total|sum|in total|in all] {total}
    {store}, {date}: {items}, [total|sum|in total|in all] {total}
    [bought|purchased|got|picked up] {items} for {total} [in all|in total|]
    [thank you|thanks] for [shopping|buying] at {store}, [your|the] total is {total}
    [I|we] [got|took|have] {items} from {store}
    the [bill|receipt|invoice] from {store} [was|came to|is|shows] {total}
    [my|our|the] purchase at {store} on {date} came to {total}
    [yesterday|today|last week|this morning] [I|we] [bought|got|picked up] {items} at {store}
    {store} sold [me|us] {items} for {total}
    [I|we] [bought|got|took] {items} and paid {total}
    on {date} {store} [charged|billed] [me|us] {total}
    the [receipt|bill] [lists|shows|names|has] {items}
    the [receipt|bill] [lists|shows|names|has] {items} and [comes to|totals|ends with] {total}
    {items} [were|was] [bought|purchased|paid for] at {store}
    the total [is|was|comes to|of] {total}, [paid|settled|covered] [by|with|through a] {method}
""")
_ASIDES = lines("""
    the [budget|limit|plan|most we may spend] [was|is] {a}
    {o} came along
    last [week|month|time|year] it [was|came to] {a}
    I will [show|send|give] it to {o}
    {o} [has|keeps|wants|asked for] a copy
    {o} [paid|spent] {a} [there|last time|elsewhere]
    [we|I] [had|took|brought] {a} [with us|along|in mind]
    [please|kindly|] [give|show|send] it to {o}
""")


def make(d: Draw) -> Record:
    """A receipt with every fact there is; without tax and tip the total is the sum of the lines."""
    code = d.pick(("USD", "EUR", "GBP"))
    style = d.rng.random()
    names = list(dict.fromkeys(e.goods(d) for _ in range(d.pick((1, 2, 2, 3)))))
    prices = [e.amount(d, 1, 90) for _ in names]
    total = e.number_text(float(sum(Decimal(price) for price in prices)))
    if "." in total and len(total.split(".")[1]) == 1:
        total += "0"
    if style < 0.35:
        total = e.amount(d, 5, 500)
    if style < 0.3:
        items = Fact(ITEMS, STRINGS, names, e.series(d, names))
    else:
        form = d.pick(("{x} for {p}", "{x} at {p}", "{x} ({p})", "{x} {p}", "{x}: {p}"))
        titles = (d.pick(("name", "name", "item", "product")), d.pick(("price", "price", "amount", "cost")))
        words = [form.format(x=name, p=money(d, price, code)) for name, price in zip(names, prices, strict=True)]
        rows = [dict(zip(titles, (n, e.number_value(p)), strict=True)) for n, p in zip(names, prices, strict=True)]
        schema = object_of({titles[0]: STRING, titles[1]: NUMBER})
        items = Fact(ITEMS, list_of(schema), rows, e.series(d, words))
    store, day, cashier, number = e.store(d), e.date(d), e.person(d), e.code(d)
    tax, tip = e.amount(d, 1, 40), e.amount(d, 1, 30)
    method, refundable = d.pick(list(METHOD_WORDINGS)), d.chance(0.5)
    others = [name for name in METHOD_WORDINGS if name != method]
    facts = {
        "store": Fact(STORE, STRING, store, store),
        "date": Fact(DATE_OF, DATE, day.isoformat(), e.date_text(d, day)),
        "items": items,
        "total": Fact(TOTAL, NUMBER, e.number_value(total), money(d, total, code)),
        "tax": Fact(TAX, NUMBER, e.number_value(tax), money(d, tax, code)),
        "tip": Fact(TIP, NUMBER, e.number_value(tip), money(d, tip, code)),
        "method": Fact(METHOD, enum_of(d.shuffled([method, *d.sample(others, d.rng.randint(1, 3))])), method, method,
                       METHOD_WORDINGS[method]),
        "cashier": Fact(CASHIER, STRING, cashier, cashier),
        "number": Fact(NUMBER_OF, STRING, number, number),
        "refundable": Fact(REFUNDABLE, BOOLEAN, refundable, "yes" if refundable else "no",
                           REFUND_YES if refundable else REFUND_NO),
    }  # fmt: skip
    currencies = d.shuffled(["USD", "EUR", "GBP"])
    facts["currency"] = Fact(CURRENCY, enum_of(currencies), code, code, CURRENCY_WORDINGS[code])
    other = {"o": e.person(d), "a": e.amount(d, 5, 500)}
    subject = d.pick(("The receipt", "The receipt", "This receipt", "The bill"))
    return Record(subject, ("It", "The receipt"), facts, (), _LEADS, _ASIDES, other, alias="the receipt")
