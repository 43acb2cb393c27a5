r"""What `format` means where a pattern can say it to the letter, and which names mean nothing to JSON Schema.

Backends stop at two digits for a day: some let 31 February through, some only 29 February of a common year. Here a
date is a day of the Gregorian calendar. The patterns are ECMA-262 like those of `pattern`, anchored at both ends.

Narrower than the RFCs in three places, which reports name: there is no year 0000, which Python's dates do not have
either; no leap second, because which ones there are is a table that grows (RFC 3339, appendix D) and few decoders take
any; no IP literal in brackets in a reference, nor a character for private use or of a plane beyond the third.
"""

from __future__ import annotations

from types import MappingProxyType

_YEAR = r"(?:[1-9]\d{3}|0[1-9]\d{2}|00[1-9]\d|000[1-9])"
_BY_FOUR = r"(?:0[48]|[2468][048]|[13579][26])"
_LEAP_YEAR = rf"(?:\d{{2}}{_BY_FOUR}|{_BY_FOUR}00)"
_DATE = (
    rf"(?:{_YEAR}-(?:(?:0[13578]|1[02])-(?:0[1-9]|[12]\d|3[01])|(?:0[469]|11)-(?:0[1-9]|[12]\d|30)"
    rf"|02-(?:0[1-9]|1\d|2[0-8]))|{_LEAP_YEAR}-02-29)"
)
_HOUR_MINUTE = r"(?:[01]\d|2[0-3]):[0-5]\d"
_TIME = rf"{_HOUR_MINUTE}:[0-5]\d(?:\.\d+)?(?:[Zz]|[+-]{_HOUR_MINUTE})"
_OCTET = r"(?:25[0-5]|2[0-4]\d|1\d{2}|[1-9]?\d)"

_PERCENT = r"%[0-9A-Fa-f]{2}"


def _references(more: str) -> tuple[str, str]:
    """Absolute and any references: RFC 3986, appendix A; with `more` characters RFC 3987, section 2.2."""
    name = rf"[A-Za-z0-9._~!$&'()*+,;={more}-]"
    segment = rf"(?:{name}|[:@]|{_PERCENT})"
    authority = rf"(?:(?:{name}|:|{_PERCENT})*@)?(?:{name}|{_PERCENT})*(?::\d*)?"
    from_root = rf"/(?:{segment}+(?:/{segment}*)*)?"
    rootless = rf"{segment}+(?:/{segment}*)*"
    no_scheme = rf"(?:{name}|@|{_PERCENT})+(?:/{segment}*)*"
    net = rf"//{authority}(?:/{segment}*)*"
    tail = rf"(?:\?(?:{segment}|[/?])*)?(?:#(?:{segment}|[/?])*)?"
    absolute = rf"[A-Za-z][A-Za-z0-9+.-]*:(?:{net}|{from_root}|{rootless}|)"
    return f"{absolute}{tail}", rf"(?:{absolute}|{net}|{from_root}|{no_scheme}|){tail}"


_, _URI_REFERENCE = _references("")
_IRI, _IRI_REFERENCE = _references(
    r"\u00a0-\ud7ff\uf900-\ufdcf\ufdf0-\uffef" + "".join(rf"\u{{{plane}0000}}-\u{{{plane}fffd}}" for plane in (1, 2, 3))
)
_POINTER = r"(?:/(?:[^~/]|~[01])*)*"

PATTERNS = MappingProxyType(
    {
        name: f"^(?:{pattern})$"
        for name, pattern in {
            "date": _DATE,
            "time": _TIME,
            "date-time": f"{_DATE}[Tt]{_TIME}",
            "iri": _IRI,
            "iri-reference": _IRI_REFERENCE,
            "ipv4": rf"{_OCTET}(?:\.{_OCTET}){{3}}",
            "json-pointer": _POINTER.replace("[^~/]", r"[^~\/]"),
            "relative-json-pointer": rf"(?:0|[1-9]\d*)(?:#|{_POINTER})",
            "uri-reference": _URI_REFERENCE,
            "uuid": r"[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}",
        }.items()
    }
)
"""Formats that are a regular language, as patterns."""

LEFT_OUT = MappingProxyType(
    {
        "date": "no year 0000",
        "time": "no leap second",
        "date-time": "no leap second, no year 0000",
        **dict.fromkeys(("iri", "iri-reference", "uri-reference"), "no IP literal in brackets"),
    }
)
"""What the patterns leave out of formats."""

DEFINED = frozenset(PATTERNS) | {
    "duration",
    "email",
    "hostname",
    "idn-email",
    "idn-hostname",
    "ipv6",
    "regex",
    "uri",
    "uri-template",
}
"""The formats of JSON Schema 2020-12, section 7.3. Any other name is an annotation there, and here: it is reported."""
