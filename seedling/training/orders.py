"""Records about orders: who ordered what, how many, for how much, and where the order stands."""

from __future__ import annotations

from . import entities as e
from .draw import Draw, Phrases
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
    enum_of,
    list_of,
    object_of,
)

ORDER_ID = Spec(
    ("order_id", "id", "order_number", "order", "number", "orderId", "reference"), Phrases(), ("Order", "Order ID",
    "Order number"),
    Phrases("What is the order number?", "Which order is this?", "What is the id of the order?",
    "What is the order id?"),
    ("the order number", "the id of the order"),
)  # fmt: skip
CUSTOMER = Spec(
    ("customer", "customer_name", "buyer", "client", "name", "ordered_by", "customerName"),
    Phrases("was placed by {v}", "came from {v}", "belongs to {v}", "was made by {v}", "is in the name of {v}",
    "was sent in by {v}",
            "is for the customer {v}", "was ordered by {v}", "is registered to {v}", "is from {v}"),
    ("Customer", "Buyer", "Client"),
    Phrases("Who placed the order?", "Who is the customer?", "Who ordered?", "What is the name of the customer?",
            "Who is the buyer?", "From whom is the order?"),
    ("the customer", "the person who ordered"),
)  # fmt: skip
ITEMS = Spec(
    ("items", "products", "articles", "goods", "order_items", "lines"),
    Phrases("contains {v}", "is for {v}", "includes {v}", "lists {v}", "covers {v}", "consists of {v}", "asks for {v}",
            "is made up of {v}", "comprises {v}", "holds {v}"),
    ("Items", "Products", "Goods"), Phrases("What was ordered?", "Which items are in the order?"), ("the items",
    "what was ordered"),
)  # fmt: skip
TOTAL = Spec(
    ("total", "amount", "total_price", "order_total", "price", "sum", "cost", "totalPrice"),
    Phrases("comes to {v}", "costs {v}", "totals {v}", "has a total of {v}", "is worth {v}", "amounts to {v}",
    "adds up to {v}",
            "was billed at {v}", "has a value of {v}", "sums to {v}"),
    ("Total", "Amount", "Sum"),
    Phrases("What is the total?", "How much does the order cost?", "What does the order cost?",
    "How much is the order?",
            "What is the total of the order?", "What does the order come to?"),
    ("the total", "the total of the order"),
)  # fmt: skip
STATUS = Spec(
    ("status", "state", "order_status", "stage", "orderStatus"), Phrases(), ("Status", "State"),
    Phrases("What is the status of the order?", "Which status does the order have?"), ("the status",
    "the present state"),
)  # fmt: skip
STATUS_WORDINGS = {
    "pending": Phrases("is still pending", "is waiting to be processed", "has not been processed yet", "is pending",
                       "is waiting in the queue", "has yet to be handled", "has pending status", "awaits processing",
                       "was not started yet",
                       "is on hold", "is open", "still waits for approval", "has status pending"),
    "paid": Phrases("has been paid", "is paid", "was paid in full", "is already paid for", "has been paid for",
    "is fully paid", "was paid yesterday",
                    "has status paid", "is settled", "was paid by card", "has no open balance",
                    "was paid this morning"),
    "shipped": Phrases("has been shipped", "is on its way", "was shipped yesterday", "left the warehouse", "is shipped",
                       "was sent out", "is in transit", "was handed to the courier", "went out this morning",
                       "has status shipped",
                       "is out for delivery", "was dispatched", "is on the truck", "was mailed on Monday"),
    "delivered": Phrases("has been delivered", "was delivered", "arrived at the customer", "is delivered",
    "has reached the customer",
                         "was handed over at the door", "arrived safely", "has status delivered", "was dropped off",
                         "got there yesterday",
                         "was received by the customer", "came in the mail", "has arrived"),
    "cancelled": Phrases("was cancelled", "has been cancelled", "is cancelled", "was called off",
    "was cancelled by the customer",
                         "is no longer wanted", "has status cancelled", "was stopped", "will not go ahead",
                         "got cancelled",
                         "was withdrawn", "has been called off"),
    "returned": Phrases("was returned", "has been sent back", "came back to us", "is returned",
    "was sent back by the customer",
                        "has been returned", "has status returned", "is back in the warehouse",
                        "was refused at the door",
                        "went back to the sender", "is being sent back"),
}  # fmt: skip
PRIORITY = Spec(
    ("priority", "urgency", "importance", "priority_level"),
    Phrases("has {v} priority", "is marked {v} priority", "is of {v} priority", "got {v} priority",
    "runs at {v} priority",
            "was given {v} priority", "is a {v} priority order", "carries {v} priority"),
    ("Priority", "Priority level"), Phrases("Which priority does the order have?", "What is the priority?"),
    ("the priority",),
)  # fmt: skip
ORDERED_ON = Spec(
    ("order_date", "date", "ordered_on", "placed_on", "orderDate", "day"),
    Phrases("was placed on {v}", "is dated {v}", "came in on {v}", "was made on {v}", "dates from {v}",
    "was received on {v}",
            "was entered on {v}", "carries the date {v}"),
    ("Date", "Order date", "Ordered on"),
    Phrases("When was the order placed?", "What is the date of the order?", "On which date was the order placed?",
            "What is the order date?"),
    ("the date of the order", "the day it was placed"),
)  # fmt: skip
DUE = Spec(
    ("due_date", "delivery_date", "deliver_by", "due", "deliveryDate", "arrives_on"),
    Phrases("should arrive by {v}", "is due on {v}", "must be delivered by {v}", "has to arrive by {v}",
    "will arrive on {v}",
            "is expected on {v}", "is promised for {v}", "will be delivered on {v}"),
    ("Due", "Delivery date", "Due date"),
    Phrases("When should the order arrive?", "What is the delivery date?", "When is the order due?",
    "By when must it be delivered?"),
    ("the delivery date", "the day it is due"),
)  # fmt: skip
GIFT = Spec(
    ("gift", "is_gift", "gift_wrap", "gift_wrapped", "isGift"), Phrases(), ("Gift", "Gift wrap"),
    Phrases("Is the order a gift?", "Should the order be gift wrapped?"), ("whether it is a gift",),
)  # fmt: skip
GIFT_YES = Phrases("is a gift", "should be gift wrapped", "needs gift wrapping", "is meant as a gift",
    "must be wrapped as a gift",
                   "will be given as a gift")  # fmt: skip
GIFT_NO = Phrases("is not a gift", "needs no gift wrapping", "should not be gift wrapped", "is no gift",
    "is not meant as a gift",
                  "does not need gift wrapping")  # fmt: skip
DESTINATION = Spec(
    ("city", "destination", "ship_to", "shipping_city", "delivery_city"),
    Phrases("goes to {v}", "ships to {v}", "will be sent to {v}", "is headed for {v}", "must be delivered to {v}",
    "is bound for {v}",
            "is going to {v}", "is to be shipped to {v}"),
    ("City", "Ship to", "Destination"),
    Phrases("Where does the order go?", "Which city does the order go to?", "What is the destination?",
    "Where is it shipped to?"),
    ("the city it goes to", "the destination"),
)  # fmt: skip
ADDRESS = Spec(
    ("address", "shipping_address", "delivery_address", "shippingAddress"),
    Phrases("goes to {v}", "ships to {v}", "will be sent to {v}", "must be delivered to {v}",
    "is to be delivered at {v}",
            "has the shipping address {v}"),
    ("Address", "Shipping address"), Phrases("What is the shipping address?", "Where is it sent?"),
    ("the shipping address",),
)  # fmt: skip
COUPON = Spec(
    ("coupon", "discount_code", "coupon_code", "voucher", "promo_code"),
    Phrases("uses the coupon {v}", "was placed with the coupon {v}", "has the discount code {v}",
    "applies the code {v}",
            "carries the coupon {v}", "got a discount with {v}"),
    ("Coupon", "Discount code"), Phrases("Which coupon was used?", "What is the discount code?"), ("the coupon",
    "the discount code"),
)  # fmt: skip

_LEADS = Phrases(
    "{customer} ordered {items}", "{customer} has ordered {items}", "{customer} bought {items} on {ordered_on}",
    "on {ordered_on}, {customer} ordered {items}", "{customer} placed an order for {items}", "{customer} wants {items}",
    "{customer} ordered {items} for {total}", "{customer} from {destination} ordered {items}",
    "order {order_id} from {customer} is for {items}", "order {order_id}: {items} for {customer}",
    "{customer} placed order {order_id}", "{customer} placed order {order_id} on {ordered_on}",
    "please send {items} to {customer}",
    "{customer} would like {items}", "an order came in from {customer} for {items}",
    "{customer} paid {total} for {items}", "{customer} needs {items} by {due}",
    "send {items} to {customer} in {destination}",
    "I am {customer} and I ordered {items}", "my name is {customer} and I want {items}",
    "{customer} asked for {items} for {total}",
)  # fmt: skip
_LEADS_WITHOUT_ID = Phrases(*(lead for lead in _LEADS.all if "{order_id}" not in lead))
_ASIDES = Phrases("The previous order was {c}.", "{o} packed it.", "{o} will check it.",
    "An older order, {c}, is closed.",
           "Questions go to {o}.")  # fmt: skip


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
        return Record("The order", ("It", "The order"), facts, (), _LEADS_WITHOUT_ID, _ASIDES, other)
    head = d.pick(("Order {i}", "Order {i}", "Order number {i}", "The order {i}")).format(i=order_id)
    return Record(head, ("It", "The order"), facts, ("order_id",), _LEADS, _ASIDES, other)
