"""`open`: a state in the hands of a plain thread, or of an event loop of one's own."""

from __future__ import annotations

import asyncio
import gc
import threading
from typing import Any

import pytest
import ramify as rf
from ramify.errors import Cancelled, InvalidRequest, NodeError, WorkerError, to_info
from ramify.lang.events import NodeDone
from ramify.lang.run_options import ProgramOptions
from ramify.lang.session import Session
from ramify.lang.testing import Call, Raw, Scripted
from ramify.runtime.protocol.graph import EngineFailed


def echo(call: Call) -> str:
    return f"{len(call.messages)}:{call.messages[-2]['content']}"


def test_a_chat_by_hand() -> None:
    with rf.open(Scripted(echo)) as s:
        for word in ("one", "two"):
            s += rf.user(word) + rf.assistant(rf.gen("a"))
            print(s["a"])
        assert s["a"] == "4:two"
        assert [str(a) for a in s.all("a")] == ["2:one", "4:two"]
        assert s.messages().get()[-1] == {"role": "assistant", "content": "4:two"}
        assert s.text().get() == "one2:onetwo4:two"
        with pytest.raises(rf.errors.UnknownName):
            s["b"]


def test_everything_a_program_can_do_to_a_state() -> None:
    with rf.open(Scripted(lambda call: {"n": 7, "c": "x" * len(call.text)}[call.name])) as s:
        with s.user():
            s += "How many? "
        with s.assistant():
            n = s.gen("n", type=int, check=lambda n: None)
        branches = s.fork(2)
        for i, branch in enumerate(branches):
            branch += rf.fmt("[{i} of {n}]", i=str(i), n=n) + rf.gen("c")
        assert n == 7 and int(n) == 7
        assert [len(str(b["c"])) for b in branches] == [len("How many? 7[0 of 7]")] * 2
        assert n.get(timeout=5) == 7


def test_history_goes_in_front_and_comes_out_again() -> None:
    history = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "hi"}]
    with rf.open(Scripted(["yes", "no"]), history=history) as s:
        s += rf.assistant(rf.gen("a"))
        later = s.messages().get()
    assert later == [*history, {"role": "assistant", "content": "yes"}]
    with rf.open(Scripted(["x"]), history=later) as s:
        assert s.messages().get() == later


WRONG = ["hi", {"role": "user"}, {"role": "user", "content": 3}, {"role": "u", "content": "", "x": 1}]


@pytest.mark.parametrize("wrong", WRONG)
def test_history_that_is_none_is_refused_with_its_place(wrong: Any) -> None:
    with pytest.raises(InvalidRequest, match="is not a message") as caught:
        rf.open(Scripted([]), history=[{"role": "user", "content": "a"}, wrong])
    assert caught.value.where == "history[1]"


def test_async_with_is_awaited_in_the_callers_own_loop() -> None:
    async def main() -> None:
        async with rf.open(Scripted(echo)) as s:
            s += rf.user("one") + rf.assistant(rf.gen("a"))
            value = s["a"]
            assert await value == "2:one"
            assert (await s.messages())[-1]["content"] == "2:one" and await s.text() == "one2:one"
            with pytest.raises(InvalidRequest) as caught:
                s += rf.user("x") + rf.assistant(rf.gen("b"))
                str(s["b"])
            assert "await" in caught.value.hint
            await s["b"]

    asyncio.run(main())


def test_errors_surface_where_they_are_looked_at_and_at_the_end() -> None:
    with rf.open(Scripted({"a": WorkerError("out of memory")})) as s:
        s += "x" + rf.gen("a")
        with pytest.raises(NodeError) as caught:
            s["a"].get()
        assert isinstance(caught.value.__cause__, WorkerError) and "test_session.py" in caught.value.site

    with pytest.raises(ExceptionGroup) as group, rf.open(Scripted({"a": Raw("x")})) as s:
        s += "x" + rf.gen("a", type=int)
    assert len(group.value.exceptions) == 1

    async def main() -> None:
        async with rf.open(Scripted({"a": Raw("x")})) as s:
            s += "x" + rf.gen("a", type=int)

    with pytest.raises(ExceptionGroup):
        asyncio.run(main())


def test_an_exception_in_the_block_cancels_the_run() -> None:
    with pytest.raises(KeyError), rf.open(Scripted({"a": "b"})) as s:
        s += "x" + rf.gen("a")
        raise KeyError("mine")
    with pytest.raises(Cancelled):
        s.run.result(10)
    with pytest.raises(Cancelled):
        s += "more"


def test_a_closed_session_takes_nothing_more_and_keeps_what_it_has() -> None:
    s = rf.open(Scripted({"a": "b"}), run_id="notes", events=True)
    s += "x" + rf.gen("a")
    s.close()
    s.close()
    assert s["a"] == "b" and s.run.done and repr(s) == "<Session notes, closed>"
    assert [type(e) for e in s.run.events()][-1] is NodeDone
    with pytest.raises(Cancelled, match="the run is over"):
        s += "more"


def test_a_session_that_is_dropped_ends() -> None:
    s = rf.open(Scripted({"a": "b"}))
    run = s.run
    del s
    gc.collect()
    with pytest.raises(Cancelled):
        run.result(10)


def test_a_type_that_has_no_schema_and_a_turn_in_a_turn_are_errors_of_the_caller() -> None:
    with rf.open(Scripted({})) as s:
        with pytest.raises(rf.errors.InvalidType) as caught:
            s.gen("x", type=object())
        assert "test_session.py" in caught.value.where
        with s.user(), pytest.raises(InvalidRequest, match="inside another turn"):
            s += rf.user("no")


@pytest.mark.parametrize("asynchronous", [False, True])
def test_events_end_when_the_engine_is_lost(asynchronous: bool) -> None:
    """Also those of a session, whose run goes on until it is closed; and of one that is opened on what is left."""
    with rf.open(Scripted({"a": "b"}), events=True) as s:
        s += "x" + rf.gen("a")
        s["a"].get()
        read: list[str] = []

        async def follow() -> None:
            read.extend([type(event).__name__ async for event in s.run.events()])

        def read_all() -> None:
            if asynchronous:
                asyncio.run(follow())
            else:
                read.extend(type(event).__name__ for event in s.run.events())

        reader = threading.Thread(target=read_all, daemon=True)
        reader.start()
        link = s.run.link
        link.on_reply(EngineFailed(to_info(WorkerError("out of memory"))))
        reader.join(10)
        assert not reader.is_alive() and read == ["NodeStarted", "TextDelta", "NodeDone"]

    late = Session(link, ProgramOptions(events=True), ())
    assert list(late.run.events()) == []
    late.run.cancel()
