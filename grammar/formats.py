r"""What `format` means where a pattern can say it to the letter, and which names mean nothing to JSON Schema.

Backends stop at two digits for a day: some let 31 February through, some only 29 February of a common year. Here a
date is a day of the Gregorian calendar. The patterns are ECMA-262 like those of `pattern`, anchored at both ends.

Narrower than the RFCs in two places: there is no year 0000, which Python's dates do not have either, and a leap second
is written 23:59:60 in UTC.
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
_TIME = rf"(?:{_HOUR_MINUTE}:[0-5]\d(?:\.\d+)?(?:[Zz]|[+-]{_HOUR_MINUTE})|23:59:60(?:\.\d+)?(?:[Zz]|[+-]00:00))"
_OCTET = r"(?:25[0-5]|2[0-4]\d|1\d{2}|[1-9]?\d)"

# RFC 3986, appendix A, without IP literals in brackets.
_PERCENT = r"%[0-9A-Fa-f]{2}"
_NAME = r"[A-Za-z0-9._~!$&'()*+,;=-]"
_SEGMENT = rf"(?:{_NAME}|[:@]|{_PERCENT})"
_AUTHORITY = rf"(?:(?:{_NAME}|:|{_PERCENT})*@)?(?:{_NAME}|{_PERCENT})*(?::\d*)?"
_ABSOLUTE = rf"/(?:{_SEGMENT}+(?:/{_SEGMENT}*)*)?"
_ROOTLESS = rf"{_SEGMENT}+(?:/{_SEGMENT}*)*"
_NO_SCHEME = rf"(?:{_NAME}|@|{_PERCENT})+(?:/{_SEGMENT}*)*"
_TAIL = rf"(?:\?(?:{_SEGMENT}|[/?])*)?(?:#(?:{_SEGMENT}|[/?])*)?"
_NET = rf"//{_AUTHORITY}(?:/{_SEGMENT}*)*"
_URI_REFERENCE = (
    rf"(?:[A-Za-z][A-Za-z0-9+.-]*:(?:{_NET}|{_ABSOLUTE}|{_ROOTLESS}|)|{_NET}|{_ABSOLUTE}|{_NO_SCHEME}|){_TAIL}"
)
_POINTER = r"(?:/(?:[^~/]|~[01])*)*"

PATTERNS = MappingProxyType(
    {
        name: f"^(?:{pattern})$"
        for name, pattern in {
            "date": _DATE,
            "time": _TIME,
            "date-time": f"{_DATE}[Tt]{_TIME}",
            "ipv4": rf"{_OCTET}(?:\.{_OCTET}){{3}}",
            "json-pointer": _POINTER.replace("[^~/]", r"[^~\/]"),
            "relative-json-pointer": rf"(?:0|[1-9]\d*)(?:#|{_POINTER})",
            "uri-reference": _URI_REFERENCE,
            "uuid": r"[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}",
        }.items()
    }
)
"""Formats that are a regular language, as patterns."""

DEFINED = frozenset(PATTERNS) | {
    "duration",
    "email",
    "hostname",
    "idn-email",
    "idn-hostname",
    "ipv6",
    "iri",
    "iri-reference",
    "regex",
    "uri",
    "uri-template",
}
"""The formats of JSON Schema 2020-12, section 7.3. Any other name is an annotation there, and here: it is reported."""
