"""Programs as people write them, on a real (small, random) model in this process."""

from __future__ import annotations

import enum
import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Literal, TypedDict

import jsonschema
import msgspec
import pytest
import ramify as rf
from ramify.errors import (
    Cancelled,
    ContextOverflow,
    DeadlineExceeded,
    EngineUnavailable,
    InvalidRequest,
    InvalidSchema,
    InvalidType,
    ModelNotFound,
    NeverFits,
    NodeError,
    OutputInvalid,
    TemplateMismatch,
    UnknownName,
)
from ramify.lang.types import grammar_of


class Colour(enum.Enum):
    RED = "red"
    GREEN = "green"


@dataclass
class Item:
    name: str
    count: Annotated[int, msgspec.Meta(ge=0, le=99)]


class Point(TypedDict):
    x: Annotated[int, msgspec.Meta(ge=-5, le=5)]
    kind: Literal["a", "b"]


class Order(msgspec.Struct):
    colour: Colour
    ok: bool
    point: Point
    items: Annotated[list[Item], msgspec.Meta(max_length=2)]


BOUNDED = {
    "type": "object",
    "properties": {"a": {"type": "integer", "minimum": 0, "maximum": 9}, "b": {"enum": ["x", "y"]}},
    "required": ["a", "b"],
    "additionalProperties": False,
}


@pytest.mark.parametrize("type_", [Colour, Point, bool, Literal["yes", "no"], Annotated[int, msgspec.Meta(ge=0, le=9)]])
def test_a_typed_gen_gives_a_value_of_its_type(engine: rf.Engine, type_: type) -> None:
    @rf.function
    def typed(s: rf.State) -> object:
        s += rf.user("anything") + rf.assistant(rf.gen("v", type=type_, max_tokens=200, temperature=1.0))
        return s["v"].get(), s["v"].text

    for seed in range(3):
        value, text = typed.on(engine, seed=seed).run()
        assert msgspec.convert(json.loads(text), type_) == value
        grammar, _ = grammar_of(type_)
        assert grammar is not None
        jsonschema.validate(json.loads(text), json.loads(grammar.schema))


def test_a_json_schema_as_a_dict(engine: rf.Engine) -> None:
    @rf.function
    def typed(s: rf.State) -> dict[str, object]:
        s += "x" + rf.gen("v", type=BOUNDED, max_tokens=100, temperature=1.0)
        return s["v"]

    for seed in range(5):
        jsonschema.validate(typed.on(engine, seed=seed).run(), BOUNDED)


def test_names_append_and_unknown_names_are_errors(engine: rf.Engine) -> None:
    @rf.function
    def names(s: rf.State) -> list[str]:
        s += "a" + rf.gen("x", max_tokens=2) + "b" + rf.gen("x", max_tokens=3)
        assert s["x"] is s.all("x")[-1]
        with pytest.raises(UnknownName, match="no value is called 'y'") as caught:
            s["y"]
        assert "names" in caught.value.where and "test_programs.py" in caught.value.where
        assert "x" in caught.value.hint
        return s.all("x")

    assert len(names.on(engine).run()) == 2


def test_text_tokens_and_messages_show_what_the_model_saw(engine: rf.Engine) -> None:
    @rf.function
    def look(s: rf.State) -> tuple[str, list[int], list[dict[str, str]], str]:
        s += rf.system("Be brief.") + rf.user("Hello <|im_end|>") + rf.assistant(rf.gen("a", max_tokens=3))
        return s.text(), s.tokens(), s.messages(), s["a"]

    text, tokens, messages, answer = look.on(engine).run()
    assert messages == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Hello <|im_end|>"},
        {"role": "assistant", "content": answer},
    ]
    assert "Hello <|im_end|>" in text and "Be brief." in text and answer in text
    assert len(tokens) > 10


def test_the_same_seed_gives_the_same_draws_whatever_runs_beside(engine: rf.Engine) -> None:
    @rf.function
    def draw(s: rf.State) -> list[str]:
        s += "Once upon"
        branches = s.fork(3)
        for branch in branches:
            branch += rf.gen("x", max_tokens=8, temperature=1.0, ignore_eos=True)
        return [branch["x"] for branch in branches]

    alone = draw.on(engine, seed=5).run()
    runs = [draw.on(engine, seed=seed).start() for seed in (5, 6, 7, 5)]
    beside = [run.result() for run in runs]
    assert beside[0] == beside[3] == alone
    assert len({tuple(texts) for texts in beside}) == 3
    assert len(set(alone)) > 1, "siblings have paths of their own, so draws of their own"


def test_stop_strings_end_the_value_and_the_stream_before_them(engine: rf.Engine) -> None:
    @rf.function
    def free(s: rf.State, stops: list[str]) -> tuple[str, str]:
        s += "Once upon a time"
        s += rf.gen("x", max_tokens=40, temperature=1.0, stop=stops, ignore_eos=True)
        s += " END"
        return s["x"], s.text()

    whole, _ = free.on(engine, seed=3).run(stops=[])
    stop = whole[len(whole) // 2 : len(whole) // 2 + 2]
    value, text = free.on(engine, seed=3).run(stops=[stop])
    assert value == whole[: whole.index(stop)]
    assert text.endswith(f"Once upon a time{value} END")


def test_logprobs_are_those_of_the_tokens(engine: rf.Engine) -> None:
    @rf.function
    def ask(s: rf.State) -> rf.Value[str]:
        s += "abc"
        return s.gen("x", max_tokens=4, temperature=0, logprobs=3, ignore_eos=True)

    @rf.function
    def keep(s: rf.State) -> list[object]:
        s += "abc" + rf.gen("x", max_tokens=4, temperature=0, logprobs=3, ignore_eos=True)
        return [(e.token, e.logprob, e.top) for e in s["x"].logprobs or []]

    entries = keep.on(engine).run()
    assert len(entries) == 4
    for token, logprob, top in entries:  # type: ignore[misc]
        assert len(top) == 3
        assert top[0][0] == token and top[0][2] == pytest.approx(logprob, abs=1e-5), "greedy takes the most likely"
        assert top[0][2] >= top[1][2] >= top[2][2]
    assert ask.on(engine).run()


# ---- bad input --------------------------------------------------------------------------------------------------


def run_one(engine: rf.Engine, *parts: object, **options: object) -> object:
    @rf.function
    def program(s: rf.State) -> object:
        for part in parts:
            s += part  # type: ignore[arg-type]
        return s["x"]

    return program.on(engine, **options).run()  # type: ignore[arg-type]


def test_unknown_model_directory() -> None:
    with pytest.raises(ModelNotFound) as caught:
        rf.Engine("/no/such/model")
    assert "/no/such/model" in caught.value.what and "seedling" in caught.value.hint


def test_no_engine_was_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RAMIFY_ENGINE", raising=False)

    @rf.function
    def program(s: rf.State) -> None: ...

    with pytest.raises(EngineUnavailable) as caught:
        program.run()
    assert ".on(" in caught.value.hint and "RAMIFY_ENGINE" in caught.value.hint


def test_a_type_without_a_schema(engine: rf.Engine) -> None:
    with pytest.raises(InvalidType) as caught:
        run_one(engine, "a", rf.gen("x", type=object()))
    assert "program/x[0]" in caught.value.where and "test_programs.py" in caught.value.where


def test_an_object_that_cannot_be_appended(engine: rf.Engine) -> None:
    with pytest.raises(InvalidType, match="int cannot be appended"):
        run_one(engine, 42)


@pytest.mark.parametrize(
    ("schema", "where"),
    [({"type": "nonsense"}, "type"), ({"type": "string", "pattern": "(" * 60}, "pattern")],
)
def test_a_schema_that_cannot_be_compiled(engine: rf.Engine, schema: dict[str, object], where: str) -> None:
    with pytest.raises(NodeError) as caught:
        run_one(engine, "a", rf.gen("x", type=schema, max_tokens=5))
    assert isinstance(caught.value.__cause__, InvalidSchema)
    assert where in caught.value.__cause__.where + caught.value.__cause__.what
    assert caught.value.path.endswith("program/x[0]") and "test_programs.py" in caught.value.site


def test_a_prompt_longer_than_the_context(engine: rf.Engine) -> None:
    with pytest.raises(NodeError) as caught:
        run_one(engine, "word " * 1500, rf.gen("x", max_tokens=5))
    assert isinstance(caught.value.__cause__, ContextOverflow)
    assert "1024" in caught.value.__cause__.what


def test_more_than_the_pool_has(tiny_model: object) -> None:
    with rf.Engine(str(tiny_model), load_format="dummy", slots=64, threads=1) as engine:
        with pytest.raises(NodeError) as caught:
            run_one(engine, "word " * 20, rf.gen("x", max_tokens=900))
        assert isinstance(caught.value.__cause__, NeverFits)
        assert run_one(engine, "a", rf.gen("x", max_tokens=3)) is not None


def test_an_option_out_of_bounds(engine: rf.Engine) -> None:
    with pytest.raises(InvalidRequest, match="temperature is -1"):
        run_one(engine, "a", rf.gen("x", temperature=-1.0))


def test_a_gen_on_nothing(engine: rf.Engine) -> None:
    with pytest.raises(NodeError, match="empty stream"):
        run_one(engine, rf.gen("x"))


def test_a_role_inside_a_role(engine: rf.Engine) -> None:
    with pytest.raises(InvalidRequest, match="inside another turn"):
        run_one(engine, rf.user(rf.user("a")))


def test_an_unknown_role_names_the_template(engine: rf.Engine) -> None:
    from ramify.lang.expr import RoleExpr

    try:
        run_one(engine, RoleExpr("narrator", ("a",)), rf.gen("x", max_tokens=2))
    except NodeError as error:
        assert isinstance(error.__cause__, TemplateMismatch)
    # A template that takes any role is no error; the bundled one may.


def test_json_cut_by_max_tokens_is_not_passed_on_as_a_value(engine: rf.Engine) -> None:
    with pytest.raises(NodeError) as caught:
        run_one(engine, "a", rf.gen("x", type=Order, max_tokens=8, temperature=0))
    assert isinstance(caught.value.__cause__, OutputInvalid)
    assert "max_tokens" in caught.value.__cause__.what


def test_a_timeout_fails_the_run_and_nobody_else(engine: rf.Engine) -> None:
    @rf.function
    def long(s: rf.State) -> str:
        s += "a" + rf.gen("x", max_tokens=1000, ignore_eos=True)
        return s["x"]

    slow = long.on(engine, timeout=0.05).start()
    with pytest.raises(NodeError) as caught:
        slow.result(60)
    assert isinstance(caught.value.__cause__, DeadlineExceeded)
    assert run_one(engine, "a", rf.gen("x", max_tokens=3)) is not None


def test_cancel_ends_the_run(engine: rf.Engine) -> None:
    @rf.function
    def long(s: rf.State) -> str:
        s += "a" + rf.gen("x", max_tokens=1000, ignore_eos=True)
        return s["x"]

    run = long.on(engine).start()
    run.cancel()
    with pytest.raises(Cancelled):
        run.result(60)
    assert run_one(engine, "a", rf.gen("x", max_tokens=3)) is not None


def test_a_failure_nobody_looked_at_is_raised_at_the_end(engine: rf.Engine) -> None:
    @rf.function
    def careless(s: rf.State) -> int:
        good, bad = s.fork(2)
        good += "a" + rf.gen("x", max_tokens=2)
        bad += "word " * 1500 + rf.gen("x", max_tokens=2)
        return 7

    with pytest.raises(ExceptionGroup) as caught:
        careless.on(engine).run()
    (error,) = caught.value.exceptions
    assert isinstance(error, NodeError) and isinstance(error.__cause__, ContextOverflow)


def test_a_failure_that_was_caught_is_the_programs_own_affair(engine: rf.Engine) -> None:
    @rf.function
    def careful(s: rf.State) -> str:
        good, bad = s.fork(2)
        good += "a" + rf.gen("x", max_tokens=2)
        bad += "word " * 1500 + rf.gen("x", max_tokens=2)
        try:
            return str(bad["x"])
        except NodeError:
            return str(good["x"])

    assert isinstance(careful.on(engine).run(), str)


def test_an_exception_of_the_program_is_its_result(engine: rf.Engine) -> None:
    @rf.function
    def broken(s: rf.State) -> None:
        s += "a" + rf.gen("x", max_tokens=2)
        raise ZeroDivisionError("mine")

    with pytest.raises(ZeroDivisionError, match="mine"):
        broken.on(engine).run()


def test_calling_a_program_says_how_to_run_it() -> None:
    @rf.function
    def program(s: rf.State) -> None: ...

    with pytest.raises(InvalidRequest) as caught:
        program()
    assert ".run(" in caught.value.hint


@pytest.mark.parametrize(
    ("grammar", "matches"),
    [
        (rf.Regex(r"[a-c]{2,4}-\d"), lambda text: re.fullmatch(r"[a-c]{2,4}-\d", text)),
        (rf.Choices(("red", "redder", "blue")), lambda text: text in ("red", "redder", "blue")),
        (rf.Lark('start: "(" start ")" | "x"'), lambda text: text.strip("()") == "x" and len(text) % 2),
    ],
)
def test_regex_choices_and_lark_hold_to_the_letter(
    engine: rf.Engine, grammar: rf.Regex | rf.Choices | rf.Lark, matches: Callable[[str], object]
) -> None:
    @rf.function
    def program(s: rf.State) -> str:
        s += "a" + rf.gen("x", type=grammar, max_tokens=200, temperature=1.0)
        return s["x"]

    for seed in range(4):
        assert matches(program.on(engine, seed=seed).run())
