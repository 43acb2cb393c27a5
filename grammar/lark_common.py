"""The terminals of Lark's own `common` grammar, as regular expressions: what `%import common.NAME` brings.

Written out here because backends carry versions of their own (one lets a newline into ESCAPED_STRING).
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

_DECIMAL = r"(?:[0-9]+\.[0-9]*|\.[0-9]+)"
_EXPONENT = "[eE][+-]?[0-9]+"
_FLOAT = f"(?:[0-9]+{_EXPONENT}|{_DECIMAL}(?:{_EXPONENT})?)"

COMMON: Mapping[str, str] = MappingProxyType(
    {
        "DIGIT": "[0-9]",
        "HEXDIGIT": "[a-fA-F0-9]",
        "INT": "[0-9]+",
        "SIGNED_INT": "[+-]?[0-9]+",
        "DECIMAL": _DECIMAL,
        "FLOAT": _FLOAT,
        "SIGNED_FLOAT": f"[+-]?{_FLOAT}",
        "NUMBER": f"{_FLOAT}|[0-9]+",
        "SIGNED_NUMBER": f"[+-]?(?:{_FLOAT}|[0-9]+)",
        "ESCAPED_STRING": r'"(?:[^"\\\n]|\\[^\n])*"',
        "LCASE_LETTER": "[a-z]",
        "UCASE_LETTER": "[A-Z]",
        "LETTER": "[A-Za-z]",
        "WORD": "[A-Za-z]+",
        "CNAME": "[_A-Za-z][_A-Za-z0-9]*",
        "WS_INLINE": r"[ \t]+",
        "WS": r"[ \t\f\r\n]+",
        "CR": r"\r",
        "LF": r"\n",
        "NEWLINE": r"(?:\r?\n)+",
        "SH_COMMENT": r"#[^\n]*",
        "CPP_COMMENT": r"//[^\n]*",
        "C_COMMENT": r"/\*[^*]*\*+(?:[^/*][^*]*\*+)*/",
        "SQL_COMMENT": r"--[^\n]*",
    }
)
