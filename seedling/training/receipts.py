"""Records about receipts: where, when, what was bought at which price, how it was paid."""

from __future__ import annotations

from decimal import Decimal

from . import entities as e
from .draw import Draw, Phrases
from .orders import money
from .records import BOOLEAN, DATE, NUMBER, STRING, STRINGS, Fact, Record, Spec, enum_of, list_of, object_of

STORE = Spec(
    ("store", "shop", "vendor", "merchant", "seller", "store_name", "name"),
    Phrases("is from {v}", "comes from {v}", "was issued by {v}", "was printed at {v}", "is for a purchase at {v}",
    "is by {v}",
            "belongs to a purchase at {v}", "was handed out at {v}"),
    ("Store", "Shop", "Vendor"),
    Phrases("Which store is the receipt from?", "Where was it bought?", "What is the name of the store?",
    "Who is the seller?",
            "Which shop issued the receipt?", "At which store was this bought?"),
    ("the store", "the shop that issued the receipt"),
)  # fmt: skip
DATE_OF = Spec(
    ("date", "purchase_date", "receipt_date", "bought_on", "purchaseDate", "day"),
    Phrases("is dated {v}", "was printed on {v}", "is from {v}", "carries the date {v}", "shows the date {v}",
    "was issued on {v}",
            "has the date {v}", "dates from {v}"),
    ("Date", "Purchase date"),
    Phrases("What is the date of the receipt?", "When was it bought?", "On which date was this bought?",
    "When was the purchase?"),
    ("the date of the purchase", "the date on the receipt"),
)  # fmt: skip
ITEMS = Spec(
    ("items", "lines", "products", "purchases", "line_items", "goods"),
    Phrases("lists {v}", "shows {v}", "includes {v}", "covers {v}", "has lines for {v}", "names {v}", "is for {v}",
    "contains {v}"),
    ("Items", "Lines", "Products"), Phrases("What was bought?", "Which items are on the receipt?"), ("the items",
    "what was bought"),
)  # fmt: skip
TOTAL = Spec(
    ("total", "amount", "total_amount", "sum", "amount_paid", "paid", "totalAmount"),
    Phrases("shows a total of {v}", "comes to {v}", "totals {v}", "adds up to {v}", "has a total of {v}",
    "amounts to {v}",
            "was {v} in total", "gives {v} as the total", "sums up to {v}", "is over {v}"),
    ("Total", "Amount", "Sum"),
    Phrases("What is the total?", "How much was paid?", "What is the total of the receipt?",
    "What was the amount paid?",
            "How much does the receipt come to?", "What did it cost in total?"),
    ("the amount paid", "the total", "the sum of the items"),
)  # fmt: skip
TAX = Spec(
    ("tax", "vat", "sales_tax", "tax_amount", "taxAmount"),
    Phrases("includes {v} of tax", "includes {v} in tax", "contains {v} tax", "has {v} of tax", "lists {v} as tax",
    "adds {v} of tax",
            "shows {v} in taxes", "has a tax of {v}"),
    ("Tax", "VAT"), Phrases("How much tax is on the receipt?", "What is the tax?", "How much tax was paid?"),
    ("the tax",),
)  # fmt: skip
TIP = Spec(
    ("tip", "gratuity", "tip_amount", "service"),
    Phrases("includes a tip of {v}", "has a tip of {v}", "adds a tip of {v}", "shows a tip of {v}",
    "lists a tip of {v}",
            "notes a tip of {v}"),
    ("Tip", "Gratuity"), Phrases("How much was the tip?", "What is the tip?", "What tip was given?"), ("the tip",),
)  # fmt: skip
CURRENCY = Spec(
    ("currency", "currency_code", "money", "paid_in"),
    Phrases(),
    ("Currency",),
    Phrases("Which currency is it?"),
    ("the currency",),
)
METHOD = Spec(
    ("payment", "payment_method", "paid_by", "method", "paymentMethod", "paid_with"), Phrases(), ("Payment", "Paid by"),
    Phrases("How was it paid?", "What was the payment method?"), ("the way it was paid", "the payment method"),
)  # fmt: skip
METHOD_WORDINGS = {
    "cash": Phrases("was paid in cash", "was settled in cash", "was paid with cash", "was paid in notes and coins",
                    "was a cash payment", "was paid cash"),
    "card": Phrases("was paid by card", "was paid with a card", "went on the card", "was charged to a card",
    "was a card payment",
                    "was settled by card", "was paid by credit card"),
    "voucher": Phrases("was paid with a voucher", "was settled with a voucher", "was covered by a voucher",
                       "was a voucher payment", "was paid by voucher", "used up a voucher"),
    "transfer": Phrases("was paid by bank transfer", "was settled by transfer", "was paid by transfer",
    "was a bank transfer",
                        "was paid through a transfer", "went through as a transfer"),
}  # fmt: skip
CASHIER = Spec(
    ("cashier", "clerk", "served_by", "seller_name", "employee"),
    Phrases("was rung up by {v}", "names {v} as the cashier", "was issued by the cashier {v}", "was handled by {v}",
            "shows {v} as the clerk", "says that {v} was the cashier"),
    ("Cashier", "Served by"), Phrases("Who was the cashier?", "Who rang it up?", "What is the name of the cashier?"),
    ("the cashier",),
)  # fmt: skip
NUMBER_OF = Spec(
    ("receipt_number", "number", "receipt_id", "id", "receiptNumber", "reference"),
    Phrases("has the number {v}", "carries the number {v}", "is numbered {v}", "bears the number {v}",
    "is filed as {v}",
            "has the reference {v}"),
    ("Receipt number", "Receipt", "Number"),
    Phrases("What is the receipt number?", "Which number does the receipt have?"), ("the receipt number",),
)  # fmt: skip
REFUNDABLE = Spec(
    ("refundable", "can_return", "returnable", "isRefundable"), Phrases(), ("Refundable",),
    Phrases("Is it refundable?"),
    ("whether it can be refunded",),
)  # fmt: skip
REFUND_YES = Phrases(
    "is refundable", "can be refunded", "allows a refund", "can be returned", "is open to refunds", "may be refunded"
)
REFUND_NO = Phrases("is not refundable", "cannot be refunded", "allows no refund", "cannot be returned",
    "is non-refundable",
                    "excludes refunds")  # fmt: skip

_LEADS = Phrases(
    "at {store} I bought {items}", "I bought {items} at {store}", "I paid {total} at {store}",
    "we spent {total} at {store} on {date}",
    "on {date} I bought {items} at {store}", "{store} charged {total} for {items}", "receipt from {store}: {items}",
    "receipt from {store} on {date}: {items}, total {total}", "{store}, {date}: {items}, in total {total}",
    "bought {items} for {total}",
    "thank you for shopping at {store}, your total is {total}", "I got {items} from {store}",
    "the bill from {store} was {total}", "my purchase at {store} on {date} came to {total}",
    "yesterday I bought {items} at {store}",
    "{store} sold me {items} for {total}", "we bought {items} and paid {total}",
    "on {date} {store} charged me {total}",
)  # fmt: skip
_ASIDES = Phrases(
    "The budget was {a}.", "{o} came along.", "Last week it was {a}.", "I will show it to {o}.", "The limit is {a}."
)


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
    shown = {"USD": Phrases("is in US dollars", "is in dollars", "was paid in dollars", "uses dollars", "is in USD"),
             "EUR": Phrases("is in euros", "was paid in euros", "uses euros", "is in EUR"),
             "GBP": Phrases("is in pounds", "was paid in pounds", "uses pounds", "is in GBP")}[code]  # fmt: skip
    facts["currency"] = Fact(CURRENCY, enum_of(currencies), code, code, shown)
    other = {"o": e.person(d), "a": e.amount(d, 5, 500)}
    return Record("The receipt", ("It", "The receipt"), facts, (), _LEADS, _ASIDES, other)
