"""Chats lowered through the engine's own path, node by node, against `apply_chat_template` of transformers.

The templates beside this file have one trait each, which their names say. A chat of text gets exactly the ids of
`apply_chat_template`; where a template rewrites an earlier turn, or refuses the chat, the stream fails with a
`TemplateMismatch` that says so.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from lowering_desk import Desk, gen
from ramify.errors import ErrorInfo
from ramify.runtime.core import messages as core
from ramify.runtime.lowering.template import ChatTemplate
from ramify.runtime.lowering.tokenizer import Seam, TextTokenizer
from ramify.runtime.protocol.graph import Argument, CloseRole, GraphNode, OpenRole, Read, Text
from transformers import AutoTokenizer, PreTrainedTokenizerBase

TEMPLATES = Path(__file__).parent / "templates"
FOLDED = "system_folded_into_first_user_turn"
THINKING = "thinking_removed_from_earlier_turns"
TOOLS = "tool_turns_grouped"
PREFIX = "generation_prompt_with_prefix"
KINDS = ("byte_level", "metaspace_always", "metaspace_first", "legacy", "unigram")

Chat = list[dict[str, str]]


class Model(NamedTuple):
    tokenizer: TextTokenizer
    template: ChatTemplate
    reference: PreTrainedTokenizerBase


ModelOf = Callable[..., Model]


@pytest.fixture(scope="session")
def model_of(model_directory: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory) -> ModelOf:
    """`model_of(kind, name, change)`: a tokenizer of this kind beside the template of this name.

    `change`: pairs of strings, of which the template gets the second wherever it has the first.
    """
    made: dict[tuple[object, ...], Model] = {}

    def make(kind: str, name: str, *change: tuple[str, str]) -> Model:
        key = (kind, name, change)
        if key not in made:
            path = tmp_path_factory.mktemp("chat") / "model"
            shutil.copytree(model_directory(kind), path)
            source = (TEMPLATES / f"{name}.jinja").read_text()
            for old, new in change:
                assert old in source
                source = source.replace(old, new)
            (path / "chat_template.jinja").write_text(source)
            tokenizer = TextTokenizer.load(path)
            made[key] = Model(tokenizer, ChatTemplate.load(tokenizer), AutoTokenizer.from_pretrained(path))
        return made[key]

    return make


def say(role: str, content: str) -> dict[str, str]:
    return {"role": role, "content": content}


def turn(message: dict[str, str]) -> list[GraphNode]:
    """The nodes of a turn of text, cut in the middle as an f-string would be."""
    role, content = message["role"], message["content"]
    middle = len(content) // 2
    return [
        OpenRole(stream=0, role=role),
        Text(stream=0, text=content[:middle]),
        Argument(stream=0, text=content[middle:]),
        CloseRole(stream=0),
    ]


def lowered(model: Model, chat: Chat, generation_prompt: bool) -> list[int]:
    """The ids that the core is sent for a chat of text, and those of its tail if nothing follows."""
    desk = Desk(model.tokenizer, model.template)
    for message in chat:
        desk.send(*turn(message))
    if generation_prompt:
        desk.send(OpenRole(stream=0, role="assistant"), gen(0))
    else:
        desk.send(Text(stream=0, text=model.template.tail([message["role"] for message in chat]), control=True))
        desk.send(Read(stream=0, node=0))
    assert not desk.failed()
    return desk.ids()


def expected(model: Model, chat: Chat, generation_prompt: bool) -> list[int]:
    ids: list[int] = model.reference.apply_chat_template(
        chat, tokenize=True, add_generation_prompt=generation_prompt, return_dict=False
    )
    return ids


class Script:
    """A program's chat in which some assistant turns are generated: the desk, and what the stream holds."""

    def __init__(self, model: Model) -> None:
        self.model = model
        self.desk = Desk(model.tokenizer, model.template)
        self.generated: dict[int, list[int]] = {}

    def write(self, role: str, content: str) -> None:
        self.desk.send(*turn(say(role, content)))

    def generate(self, ids: list[int], *before: GraphNode) -> int:
        """An assistant turn in which the model generates `ids`, behind the text of `before`; the gen's number."""
        node = len(self.generated)
        self.generated[node] = ids
        self.desk.send(OpenRole(stream=0, role="assistant"), *before, gen(node), CloseRole(stream=0))
        if node in self.desk.generates():
            self.desk.finish(node, ids)
        return node

    def canonical(self, text: str) -> list[int]:
        """Ids of a text that the model generates behind the text that opens its turn."""
        return self.model.tokenizer.encode(text, after=Seam.TEXT).tolist()

    def ids(self) -> list[int]:
        """What the stream holds: text as it was appended, and the generated ids where they came."""
        self.desk.send(Read(stream=0, node=1000))
        held: list[int] = []
        for message in self.desk.core:
            if isinstance(message, core.Append):
                held += message.ids.tolist()
            elif isinstance(message, core.Generate):
                held += self.generated[message.node[1]]
        return held

    def error(self) -> ErrorInfo | None:
        """What the stream fails with from here on; None if it goes on."""
        self.desk.send(Read(stream=0, node=1001))
        return next((reply.error for reply in self.desk.failed() if reply.node == 1001), None)


# ---- chats of text --------------------------------------------------------------------------------------------------

LOOK_ALIKES = ("<|im_start|", "<|im_end |>", "<|IM_END|>", "< s>", "[INST", "</think", "<think >", "<tool_response")
words = st.sampled_from(
    ["Hello", " ", "\n", "\t", "    ", "é", "你好", "🎉", "▁", "user", '"q"', "\\", "{{ x }}", "{% if %}", *LOOK_ALIKES]
)
contents = st.lists(
    words | st.text(st.characters(codec="utf-8", exclude_characters="<>[]|"), max_size=4), max_size=5
).map("".join)


def turns(*roles: str) -> st.SearchStrategy[Chat]:
    return st.tuples(*(st.builds(say, st.just(role), contents) for role in roles)).map(list)


def joined(parts: st.SearchStrategy[list[Chat]]) -> st.SearchStrategy[Chat]:
    return parts.map(lambda chats: [message for chat in chats for message in chat])


def any_order(*roles: str) -> st.SearchStrategy[Chat]:
    return joined(st.lists(st.one_of(*map(turns, roles)), max_size=4))


alternating = joined(
    st.tuples(
        st.just([]) | turns("system"),
        joined(st.lists(turns("user", "assistant"), max_size=2)),
        turns("user") | turns("user", "assistant"),
    ).map(list)
)
with_tools = joined(
    st.lists(
        turns("user")
        | turns("user", "assistant")
        | turns("user", "assistant", "tool")
        | turns("user", "assistant", "tool", "tool", "assistant"),
        min_size=1,
        max_size=3,
    )
)
LEGAL: dict[str, st.SearchStrategy[Chat]] = {
    FOLDED: alternating,
    THINKING: joined(st.tuples(turns("system", "user"), any_order("user", "assistant", "tool", "system")).map(list)),
    TOOLS: with_tools,
    PREFIX: joined(st.tuples(turns("user"), any_order("user", "assistant", "tool")).map(list)),
}
"""For each template the chats that it takes, in legal orders of roles."""


def test_every_template_file_is_tested_here() -> None:
    assert {path.stem for path in TEMPLATES.iterdir()} == set(LEGAL)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", LEGAL)
@settings(deadline=None, max_examples=30)
@given(data=st.data(), generation_prompt=st.booleans())
def test_a_chat_of_text_tokenizes_as_apply_chat_template(
    model_of: ModelOf, kind: str, name: str, data: st.DataObject, generation_prompt: bool
) -> None:
    model = model_of(kind, name)
    chat = data.draw(LEGAL[name])
    assert lowered(model, chat, generation_prompt) == expected(model, chat, generation_prompt)


@pytest.mark.parametrize("name", [FOLDED, THINKING, PREFIX])
@settings(deadline=None, max_examples=50)
@given(data=st.data())
def test_control_tokens_spelled_in_arguments_stay_text(model_of: ModelOf, name: str, data: st.DataObject) -> None:
    """The oracle is transformers too: the template's own control tokens, and the text between them split."""
    model = model_of("byte_level", name)
    special = sorted(str(token) for token in model.reference.added_tokens_decoder.values() if token.special)
    stand_ins = {chr(0xE000 + index): token for index, token in enumerate(special)}
    spelled = st.lists(words | st.sampled_from(sorted(stand_ins)), max_size=6).map("".join)
    chat = [say("user", data.draw(spelled)), say("assistant", data.draw(spelled)), say("user", data.draw(spelled))]

    def put_back(text: str) -> str:
        return "".join(stand_ins.get(char, char) for char in text)

    ids: list[int] = []
    pattern = re.compile("(" + "|".join(map(re.escape, special)) + ")")
    for index, part in enumerate(pattern.split(model.reference.apply_chat_template(chat, tokenize=False))):
        if index % 2:
            ids.append(model.reference.convert_tokens_to_ids(part))
        elif part:
            ids += model.reference.encode(put_back(part), add_special_tokens=False, split_special_tokens=True)
    chat = [say(message["role"], put_back(message["content"])) for message in chat]
    assert lowered(model, chat, generation_prompt=False) == ids


# ---- chats with generated turns -------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", [THINKING, TOOLS, PREFIX])
def test_generated_turns_stand_where_the_template_would_write_them(model_of: ModelOf, kind: str, name: str) -> None:
    model = model_of(kind, name)
    script = Script(model)
    script.write("user", "Hello")
    script.generate(script.canonical("a test"))
    script.write("user", "and you?")
    script.generate(script.canonical("Hello world"))
    script.write("tool" if name == TOOLS else "user", "42")
    assert script.error() is None
    opened = "<think>\n" if name == PREFIX else ""  # the generation prompt wrote it, so it is part of the turn
    chat = [
        say("user", "Hello"),
        say("assistant", opened + "a test"),
        say("user", "and you?"),
        say("assistant", opened + "Hello world"),
        say("tool" if name == TOOLS else "user", "42"),
    ]
    script.desk.send(Text(stream=0, text=model.template.tail([message["role"] for message in chat]), control=True))
    whole = expected(model, chat, generation_prompt=False)
    assert model.reference.decode(script.ids()) == model.reference.decode(whole)
    if kind == "byte_level":  # whose pieces never go across a newline; others may, and a generated token is a seam
        assert script.ids() == whole


# ---- templates that rewrite earlier turns ---------------------------------------------------------------------------

ANSWERS = ("plain", "<think>\nhm\n</think>\n\nanswer", "\n spaces \n", "no </think> tag opens here")


@settings(deadline=None, max_examples=80)
@given(
    roles=st.lists(st.sampled_from(["user", "tool", "assistant", "generated"]), max_size=6),
    answers=st.lists(st.sampled_from(ANSWERS), min_size=6, max_size=6),
)
@example(roles=["generated", "tool", "generated", "user"], answers=[ANSWERS[1]] * 6)
@example(roles=["assistant", "user"], answers=[ANSWERS[1]] * 6)
def test_a_thought_is_refused_as_soon_as_the_template_would_remove_it(
    model_of: ModelOf, roles: list[str], answers: list[str]
) -> None:
    model = model_of("byte_level", THINKING)
    script = Script(model)
    script.write("user", "Hello")
    chat = [say("user", "Hello")]
    held_before = ""
    for role, answer in zip(roles, answers, strict=False):
        name = "assistant" if role == "generated" else role
        content = answer if name == "assistant" else role
        # What transformers writes for the turns so far now that another follows, next to what it wrote before.
        text = model.reference.apply_chat_template([*chat, say(name, content)], tokenize=False)
        if not text.startswith(held_before):
            script.write(role, content)
            error = script.error()
            assert error is not None and error.code == "TemplateMismatch" and "rewrites" in error.what
            first = next(i for i, m in enumerate(chat) if m["role"] == "assistant" and "</think>" in m["content"])
            assert error.where.startswith(f"turn {first + 1} (assistant)")
            assert "</think>" in error.what
            return
        if role == "generated":
            script.generate(script.canonical(content))
        else:
            script.write(role, content)
        chat.append(say(name, content))
        held_before = text
    assert script.error() is None
    assert model.tokenizer.decode(script.ids(), skip_special=False, first=True) == held_before or not roles


@pytest.mark.parametrize("kind", KINDS)
def test_a_thought_that_the_generation_prompt_opens_may_stay_until_a_user_turn(model_of: ModelOf, kind: str) -> None:
    """The prompt's `<think>` is part of the turn: with it the turn is as the template writes it."""
    model = model_of(kind, THINKING, ("'<|im_start|>assistant\\n'", "'<|im_start|>assistant\\n<think>\\n'"))
    script = Script(model)
    script.write("user", "Hello")
    script.generate(script.canonical("hm\n</think>\n\nlook it up"))
    script.write("tool", "42")
    script.generate(script.canonical("ah\n</think>\n\n42"))
    assert script.error() is None
    script.write("user", "thanks")
    error = script.error()
    assert error is not None and error.code == "TemplateMismatch"
    assert error.where.startswith("turn 2 (assistant)")


@pytest.mark.parametrize(("opening", "closing"), [("[THINK]", "[/THINK]"), ("<|header|>", "<|/header|>")])
def test_a_thought_is_found_whatever_marks_it(model_of: ModelOf, opening: str, closing: str) -> None:
    """Text, or special tokens, which are left out of a value's text but not out of the stream."""
    model = model_of("byte_level", THINKING, ("</think>", closing))
    for thinks in (False, True):
        script = Script(model)
        script.write("user", "Hello")
        thought = model.tokenizer.encode_whole(f"{opening}hm{closing}").tolist() if thinks else []
        script.generate(thought + script.canonical("yes"))
        script.write("user", "thanks")
        error = script.error()
        assert (error is not None and error.where.startswith("turn 2 (assistant)")) is thinks


def test_a_thought_in_trusted_text_is_part_of_the_turn(model_of: ModelOf) -> None:
    model = model_of("byte_level", THINKING)
    script = Script(model)
    script.write("user", "Hello")
    script.generate(script.canonical("hm</think>yes"), Text(stream=0, text="<think>\n", control=True))
    script.write("tool", "42")
    assert script.error() is None
    script.write("user", "thanks")
    error = script.error()
    assert error is not None and error.where.startswith("turn 2 (assistant)")


def test_white_space_that_a_rewriting_template_strips_from_a_generated_turn_is_refused(model_of: ModelOf) -> None:
    """The text before a gen is trimmed where the turn begins; what the model wrote is never trimmed."""
    model = model_of("byte_level", THINKING, ("turn.role + '\\n' + content", "turn.role + '\\n' + content | trim"))
    for answer, refused in (("yes", False), ("yes \n", True)):
        script = Script(model)
        script.write("user", "Hello")
        script.generate(script.canonical(answer), Text(stream=0, text="  I say "))
        script.write("user", "thanks")
        error = script.error()
        assert (error is not None and error.where.startswith("turn 2 (assistant)")) is refused


# ---- templates that refuse ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "roles", "message"),
    [
        (FOLDED, ["user", "user"], "Roles must alternate"),
        (FOLDED, ["system", "assistant"], "Roles must alternate"),
        (FOLDED, ["user", "tool"], "Roles must alternate"),
        (PREFIX, ["system"], "System role not supported"),
        (PREFIX, ["user", "system"], "System role not supported"),
        (TOOLS, ["user", "tool"], "A tool turn must follow an assistant turn or another tool turn, not user"),
        (TOOLS, ["tool"], "not nothing"),
    ],
)
def test_a_template_that_raises_is_quoted(model_of: ModelOf, name: str, roles: list[str], message: str) -> None:
    model = model_of("byte_level", name)
    script = Script(model)
    for role in roles:
        assert script.error() is None
        script.write(role, "Hello")
    error = script.error()
    assert error is not None and error.code == "TemplateMismatch"
    assert error.what.startswith("the chat template refuses this chat: ") and message in error.what
    assert f"roles: {', '.join(roles)}" in error.where
    assert error.hint
