"""Each block of the pages and the README runs and prints what the page says; each public name is in the reference."""

from __future__ import annotations

import importlib.util
import pkgutil
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
import ramify as rf
from ramify.lang.engines import _named
from ramify.seedling.notation import describe

ROOT = Path(__file__).resolve().parent.parent.parent
DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", *sorted(DOCS.glob("*.md"))]
OTHERS = ("# SGLang", "# guidance", "# instructor", "# not run here")


def load(path: Path) -> ModuleType:
    """A file that is in no package, as a module."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None and spec.loader is not None
    module = sys.modules[spec.name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


make_outputs = load(DOCS / "make_outputs.py")
page_names = load(Path(__file__).parent / "page_names.py")


@pytest.fixture(scope="module")
def engine() -> Iterator[rf.Engine]:
    """One engine for all pages, also under the name that they call it by."""
    before = _named._engines.get("seedling")
    with rf.Engine("seedling", threads=1) as engine:
        _named._engines["seedling"] = engine
        yield engine
    if before is None:
        del _named._engines["seedling"]
    else:
        _named._engines["seedling"] = before


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_blocks_run_and_print_what_the_page_says(
    path: Path, engine: rf.Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    names = {name: getattr(page_names, name) for name in page_names.__all__}
    hidden = {**names, "engine": engine} if path.name in ("README.md", "architecture.md") else {}
    for shown in make_outputs.Page(path, hidden).run():
        where = f"{path.name}:{shown.line}: run `python docs/make_outputs.py`"
        if shown.kind == "output":
            assert shown.printed == shown.written, where
        else:  # the model's words may change with its training, what is said about them does not
            assert [bool(line) for line in shown.printed.splitlines()] == [
                bool(line) for line in shown.written.splitlines()
            ], where


def test_what_a_page_says_wrongly_is_seen_and_rewritten(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    page = tmp_path / "page.md"
    text = "Say:\n\n```python\nprint(1 + 1)\n```\n\n```output\n3\n```\n\n<!-- skip: next -->\n```python\n1 / 0\n```\n"
    page.write_text(text)
    (shown,) = make_outputs.Page(page).run()
    assert (shown.line, shown.written, shown.printed) == (7, "3\n", "2\n")
    assert make_outputs.rewrite(page) == 1
    assert page.read_text() == text.replace("3", "2")
    assert make_outputs.rewrite(page) == 0


def test_lines_of_a_file_in_a_page_are_those_of_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    page = tmp_path / "page.md"
    page.write_text("\n\n```python\n# made.py\n\n\ndef fail() -> None:\n    1 / 0\n```\n\n```python\nfail()\n```\n")
    with pytest.raises(ZeroDivisionError) as caught:
        make_outputs.Page(page).run()
    places = [(entry.path.name, entry.lineno + 1) for entry in caught.traceback]
    assert places[-2:] == [("page.md", 12), ("made.py", 5)]
    assert Path("made.py").read_text().startswith("# made.py\n")


def test_only_code_of_others_is_not_run() -> None:
    for path in PAGES:
        text = path.read_text()
        skipped = re.findall(r"<!-- skip: (\w+) -->\n```(\w+)\n(.*)", text)
        assert len(skipped) == text.count("skip:")
        for action, language, first_line in skipped:
            assert (action, language) == ("next", "python")
            assert first_line.startswith(OTHERS), f"{path.name}: {first_line}"


def documented() -> dict[str, object]:
    """What the reference has a heading for: the names that its pages give, and what they stand for."""
    pages = (DOCS / "api").glob("*.md")
    names = {name for page in pages for name in re.findall(r"^::: (\S+)", page.read_text(), re.MULTILINE)}
    return {name: pkgutil.resolve_name(name) for name in names}


def test_every_public_name_is_in_the_reference() -> None:
    shown = [id(value) for value in documented().values()]
    missing = []
    for name in rf.__all__:
        public = getattr(rf, name)
        if id(public) in shown:
            continue
        if isinstance(public, ModuleType):  # then each class of its own must be
            missing += [
                f"{name}.{key}"
                for key, value in vars(public).items()
                if isinstance(value, type)
                and key in getattr(public, "__all__", [value.__name__] if value.__module__ == public.__name__ else [])
                and not key.startswith("_")
                and id(value) not in shown
            ]
        else:
            missing.append(name)
    assert missing == []
    assert id(describe) in shown or id(sys.modules[describe.__module__]) in shown


def test_what_the_reference_names_has_a_docstring() -> None:
    assert [name for name, value in documented().items() if not value.__doc__] == []


def test_every_page_is_in_the_navigation() -> None:
    navigation = (ROOT / "mkdocs.yml").read_text()
    for path in DOCS.rglob("*.md"):
        name = path.relative_to(DOCS).as_posix()
        assert f" {name}\n" in navigation, f"add {name} to the nav of mkdocs.yml"
