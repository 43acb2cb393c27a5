"""The two tools of the agent task, really executed: a calculator over `ast`, and a lookup in a table.

The calculator takes numbers, `+ - * /`, unary minus and parentheses, nothing else; nothing is ever evaluated as Python.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping
from fractions import Fraction

MAX_EXPRESSION = 200
MAX_DIGITS = 18


def calculate(expression: str) -> str:
    """The value of an arithmetic expression with at most six decimals, or a text that starts with `error`."""
    try:
        if len(expression) > MAX_EXPRESSION:
            return "error: expression too long"
        value = _value(ast.parse(expression.strip(), mode="eval").body)
    except ZeroDivisionError:
        return "error: division by zero"
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return "error: not an expression"
    text = f"{float(value):.6f}".rstrip("0").rstrip(".")
    return "0" if text == "-0" else text


def _value(node: ast.expr) -> Fraction:
    if isinstance(node, ast.Constant) and type(node.value) in (int, float):
        text = str(node.value)
        if len(text) > MAX_DIGITS:
            raise ValueError(text)
        return Fraction(text)
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        return -_value(node.operand)
    if isinstance(node, ast.BinOp):
        left, right = _value(node.left), _value(node.right)
        if isinstance(node.op, ast.Add):
            return left + right
        if isinstance(node.op, ast.Sub):
            return left - right
        if isinstance(node.op, ast.Mult):
            return left * right
        if isinstance(node.op, ast.Div):
            return left / right
    raise ValueError(ast.dump(node))


def look_up(table: Mapping[str, str], key: str) -> str:
    """The entry for `key`, letter case and outer blanks aside, or `not found`."""
    wanted = key.strip().lower()
    for name, value in table.items():
        if name.lower() == wanted:
            return value
    return "not found"


def call(tool: str, text: str, table: Mapping[str, str]) -> str:
    """The result of one tool call."""
    if tool == "calculator":
        return calculate(text)
    if tool == "lookup":
        return look_up(table, text)
    return f"error: no tool called {tool}"
