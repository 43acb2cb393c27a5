"""The package as it is installed: what importing it loads, what the wheel holds, and that nothing is loaded twice."""

from __future__ import annotations

import json
import subprocess
import sys
import tomllib
import zipfile
from importlib import metadata
from pathlib import Path

import pytest
import ramify

ROOT = Path(__file__).resolve().parent.parent
HEAVY = ("torch", "numpy", "xgrammar", "llguidance", "transformers", "tokenizers", "zmq", "rich.console")


def python(code: str) -> str:
    """What a fresh interpreter prints, started away from the checkout."""
    done = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, check=True, cwd="/")
    return done.stdout


def test_import_loads_nothing_heavy() -> None:
    loaded = json.loads(python("import sys, json, ramify; print(json.dumps(sorted(sys.modules)))"))
    assert "ramify.lang.state" in loaded
    assert [name for name in HEAVY if name in loaded] == []


def test_everything_imports_and_no_file_is_loaded_under_two_names() -> None:
    code = (
        "import sys, json, pkgutil, importlib, ramify\n"
        "for m in pkgutil.walk_packages(ramify.__path__, 'ramify.'):\n"
        "    parts = m.name.split('.')\n"
        "    skip = {'tests', 'benchmarks', 'examples', 'docs', 'build', '__main__', 'training', 'setup'}\n"
        "    if not skip & set(parts): importlib.import_module(m.name)\n"
        "files = {}\n"
        "for name, module in list(sys.modules.items()):\n"
        "    file = getattr(module, '__file__', None)\n"
        "    if file and 'ramify' in name: files.setdefault(file, []).append(name)\n"
        "print(json.dumps([names for names in files.values() if len(names) > 1]))\n"
    )
    assert json.loads(python(code).strip().splitlines()[-1]) == []


def test_no_module_of_this_session_has_two_names() -> None:
    """Importmode "importlib" can load the root package again under the checkout's folder name: not here."""
    files: dict[str, list[str]] = {}
    package = Path(ramify.__file__).resolve().parent
    for name, module in list(sys.modules.items()):
        file = getattr(module, "__file__", None)
        if not isinstance(file, str):
            continue
        path = Path(file).resolve()
        ours = path.is_relative_to(ROOT) and path.relative_to(ROOT).parts[0] not in (".venv", "tests")
        if ours or (package != ROOT and path.is_relative_to(package)):
            files.setdefault(str(path), []).append(name)
    assert {file: names for file, names in files.items() if len(names) > 1} == {}


def packages_in_tree() -> list[str]:
    found = ["ramify"]
    for top in ("cli", "grammar", "lang", "radix_cache", "runtime", "seedling"):
        for init in sorted((ROOT / top).rglob("__init__.py")):
            found.append(".".join(["ramify", *init.parent.relative_to(ROOT).parts]))
    return sorted(found)


def test_every_package_is_listed() -> None:
    """Automatic finding leaves the root package out, so a forgotten line would lose a folder from the wheel."""
    listed = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"]
    assert sorted(listed) == packages_in_tree()


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    """A wheel built from a copy of what git knows, so that no build folder is left in the checkout."""
    source, out = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    names = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split("\n")
    for name in names:
        if name and (ROOT / name).is_file() and not name.startswith(("tests/", "benchmarks/", "docs/")):
            target = source / name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes((ROOT / name).read_bytes())
    subprocess.run(
        [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation", "-w", str(out), str(source)],
        check=True,
    )
    (built,) = out.glob("*.whl")
    return zipfile.ZipFile(built)


def test_the_wheel_holds_every_package_and_the_bundled_model(wheel: zipfile.ZipFile) -> None:
    names = set(wheel.namelist())
    for package in packages_in_tree():
        assert package.replace(".", "/") + "/__init__.py" in names
    tracked = subprocess.run(["git", "ls-files", "seedling"], cwd=ROOT, capture_output=True, text=True, check=True)
    data = [name for name in tracked.stdout.split() if name.endswith((".json", ".safetensors", ".jinja", ".md"))]
    assert {f"ramify/{name}" for name in data} <= names
    assert "ramify/py.typed" in names
    assert not [name for name in names if name.startswith(("ramify/tests/", "tests/", "benchmarks/"))]


def test_extras_and_licence() -> None:
    meta = metadata.metadata("ramify")
    assert meta["License-Expression"] == "Apache-2.0"
    requires = metadata.requires("ramify") or []
    core = {r.split(">")[0].split("<")[0].split("=")[0].strip() for r in requires if "extra ==" not in r}
    assert core == {"msgspec", "greenlet", "rich", "ijson"}
    torch = next(r for r in requires if r.startswith("torch"))
    assert ">=2.11" in torch and "<2.14" in torch
