"""Formats as patterns, against validators that know nothing of them: the standard library, and what RFCs list."""

from __future__ import annotations

import datetime
import re
from functools import cache

import pytest
from ramify.grammar.ecma import search_expression
from ramify.grammar.formats import LEFT_OUT, PATTERNS
from ramify.grammar.regex_text import write_regex


@cache
def compiled(name: str) -> re.Pattern[str]:
    expression = search_expression(PATTERNS[name])
    assert expression is not None
    return re.compile(write_regex(expression))


def fits(name: str, text: str) -> bool:
    return compiled(name).fullmatch(text) is not None


def test_dates_are_those_of_the_calendar() -> None:
    for year in (1, 4, 100, 400, 1900, 1999, 2000, 2023, 2024, 9999):
        for month in range(14):
            for day in range(33):
                try:
                    datetime.date(year, month, day)
                    exists = True
                except ValueError:
                    exists = False
                assert fits("date", f"{year:04}-{month:02}-{day:02}") == exists


@pytest.mark.parametrize("zone", ["Z", "z", "+00:00", "-23:59", "+05:30"])
def test_every_time_that_fits_is_one_that_python_reads(zone: str) -> None:
    for text in ("00:00:00", "23:59:59", "12:30:45.123456"):
        assert fits("time", text + zone) and fits("date-time", f"2024-02-29T{text}{zone}")
        assert datetime.datetime.fromisoformat(f"2024-02-29T{text}{zone.upper()}")
    for text in ("24:00:00", "23:60:00", "23:59:61", "23:59", "1:00:00"):
        assert not fits("time", text + zone)
    assert not fits("time", f"23:59:60{zone}") and "leap" in LEFT_OUT["time"]  # RFC 3339 allows some


def test_references() -> None:
    """Examples of RFC 3986, sections 1.1.2 and 5.4, and of RFC 3987."""
    absolute = ["http://www.ietf.org/rfc/rfc2396.txt", "mailto:a@example.com", "urn:oasis:names:docbook:dtd", "tel:+1"]
    relative = ["g", "./g?y#s", "//g", "?y", "", "../..", "#s"]
    for text in (*absolute, *relative):
        assert fits("uri-reference", text) and fits("iri-reference", text), text
        assert fits("iri", text) == (text in absolute), text
    for text in ("http://résumé.example.org/日本", "urn:é"):
        assert fits("iri", text) and not fits("uri-reference", text)
    for text in ("a b", "http://a/%zz", "<>", "a\\b", "http://\ue000/"):
        assert not fits("iri-reference", text), text
