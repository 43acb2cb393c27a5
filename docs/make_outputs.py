"""Runs the pages as a reader would type them, and writes what their blocks print into them.

    python docs/make_outputs.py [docs/tutorial.md ...]

A page is one Python session: its blocks share their names and run from top to bottom, in an empty folder. What happens
to a block is said by its language:

    python        is executed; one that begins with "# name.py" is that file, and is saved as well
    output        is what was printed since the last such block
    model-output  the same, where the words are those of the bundled model: another training may change them
    console       each line "$ ramify ..." is executed, the others are what it printed (in words of the model, too)

`<!-- skip: next -->` in front of a block leaves it out: code of other libraries. The tests run the same pages and
compare; nothing here compares.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import shlex
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import ModuleType
from typing import Literal, NamedTuple
from unittest import mock

import sybil
from sybil.evaluators.python import PythonEvaluator
from sybil.parsers.markdown import CodeBlockParser, SkipParser

DOCS = Path(__file__).resolve().parent
FILE_NAME = re.compile(r"# (\w+\.py)\n")

Kind = Literal["output", "model-output", "console"]


class Shown(NamedTuple):
    """An output in a page.

    Attributes:
        line: of the page.
        kind: how it is to be compared.
        written: what the page says.
        printed: what was printed.
        start, end: where `written` stands in the page's text.
    """

    line: int
    kind: Kind
    written: str
    printed: str
    start: int
    end: int


class Page:
    """A page of the documentation.

    Args:
        path: a Markdown file.
        names: what the blocks find already there, for pages that leave out what does not matter to a reader.
    """

    def __init__(self, path: Path, names: Mapping[str, object] | None = None) -> None:
        self.path = path
        self._outputs: list[Shown] = []
        self._printed = io.StringIO()
        self._execute = PythonEvaluator()
        self.document = sybil.Document.parse(
            str(path),
            CodeBlockParser("python", self._run_python),
            CodeBlockParser("console", self._run_console),
            CodeBlockParser("output", lambda example: self._show(example, "output")),
            CodeBlockParser("model-output", lambda example: self._show(example, "model-output")),
            SkipParser(),
        )
        self.document.path = path.name  # what errors and graphs call it, on any machine
        # Dataclasses and annotations are looked up in the module that their code says it is in.
        module = ModuleType(f"page_{path.stem.replace('-', '_')}")
        sys.modules[module.__name__] = module
        self.document.namespace = vars(module)
        self.document.namespace.update(names or {})

    def run(self) -> list[Shown]:
        """Execute all blocks in the current folder. What a block raises is raised, with the page's line numbers."""
        for example in self.document.examples():
            example.evaluate()
        return self._outputs

    def _run_python(self, example: sybil.Example) -> None:
        named = FILE_NAME.match(example.parsed)
        if named is not None:
            Path(named[1]).write_text(example.parsed)
            example.path, example.line = named[1], 0  # its lines are those of the file
        with contextlib.redirect_stdout(self._printed):
            self._execute(example)

    def _run_console(self, example: sybil.Example) -> None:
        from ramify.cli.main import main

        printed = ""
        for line in example.parsed.splitlines():
            if line.startswith("$ ramify "):
                out = io.StringIO()
                with (
                    contextlib.redirect_stdout(out),
                    contextlib.redirect_stderr(out),
                    contextlib.suppress(SystemExit),  # how --help ends
                    mock.patch.dict(os.environ, COLUMNS="100"),
                ):
                    main(shlex.split(line)[2:])
                printed += f"{line}\n{out.getvalue()}"
        self._add(example, "console", printed)

    def _show(self, example: sybil.Example, kind: Kind) -> None:
        printed, self._printed = self._printed.getvalue(), io.StringIO()
        self._add(example, kind, printed)

    def _add(self, example: sybil.Example, kind: Kind, printed: str) -> None:
        printed = "".join(f"{line.rstrip()}\n" for line in printed.rstrip().splitlines())
        start = example.start + example.parsed.offset
        end = start + len(example.parsed)
        self._outputs.append(Shown(example.line, kind, str(example.parsed), printed, start, end))


@contextlib.contextmanager
def empty_folder() -> Iterator[None]:
    """A new folder as the current one."""
    before = os.getcwd()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        try:
            yield
        finally:
            os.chdir(before)


def rewrite(path: Path) -> int:
    """Write what is printed into a page; how many outputs changed."""
    with empty_folder():
        outputs = Page(path).run()
    text = path.read_text()
    for shown in reversed(outputs):
        text = text[: shown.start] + shown.printed + text[shown.end :]
    path.write_text(text)
    return sum(shown.printed != shown.written for shown in outputs)


def main() -> None:
    """Rewrite the pages that are named, or all that have outputs."""
    pages = [Path(name).resolve() for name in sys.argv[1:]] or sorted(DOCS.glob("*.md"))
    for path in pages:
        if re.search(r"^```(output|model-output|console)$", path.read_text(), re.MULTILINE):
            print(f"{path.name}: {rewrite(path)} outputs changed")


if __name__ == "__main__":
    main()
