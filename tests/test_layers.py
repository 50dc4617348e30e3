"""The layers and what is never done, read off the syntax trees of all sources; each rule is shown to find a breach."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath

import pytest

ROOT = Path(__file__).resolve().parents[1]
CORE = "transmodal"
MATHEMATICS = ("networks", "losses", "schedulers", "metrics", "projection")
PLUMBING = (
    *("transforms", "data", "dicom", "modality", "inferers", "engines", "handlers"),
    *("checkpoints", "exported", "published", "phantom", "files", "stages", "tensors", "trained_range"),
    "ways_to_weights",
)
FLOORS = {"errors": 0, "__init__": 0, **dict.fromkeys(MATHEMATICS, 1), **dict.fromkeys(PLUMBING, 2)}
TOOLS = {"tools", *(path.stem for path in (ROOT / "tools").iterdir() if path.suffix == ".py" or path.is_dir())}
OF_FILES_AND_ENGINES = (
    *("os", "io", "pathlib", "json", "csv", "ignite", "nibabel", "itk", "pydicom", "PIL", "matplotlib"),
    *("monai.engines", "monai.handlers", "monai.data", "monai.bundle", "monai.apps"),
)
SURROUNDINGS = {"os.environ", "os.getenv", "os.getcwd", "os.chdir", "sys.argv", "Path.cwd", "Path.home", "os.getlogin"}
AT_IMPORT = re.compile(
    r"(.*\.)?(print|seed|manual_seed|set_determinism|urlopen|urlretrieve|\w*download\w*|exec|eval|compile|jit\.script|jit\.trace)"
)
MACHINE_PATH = re.compile(r"(/(home|Users|root|mnt|tmp|work|data|opt|var)(/|$)|[A-Z]:\\)")
APP = "monailabel_app"
"""No package of ours: MONAI Label puts the folder on its search path."""
LONGEST_FILE, LONGEST_NETWORK_FILE, LONGEST_BODY, LONGEST_FUNCTION = 300, 400, 40, 60


@dataclass(frozen=True)
class Source:
    """A source file: its path from the root, and its text."""

    path: PurePosixPath
    text: str

    @cached_property
    def nodes(self) -> list[ast.AST]:
        return list(ast.walk(ast.parse(self.text)))

    @property
    def room(self) -> str:
        """The part of the core that the file belongs to; empty outside the core."""
        return self.path.parts[2].removesuffix(".py") if self.path.parts[:2] == ("common", CORE) else ""

    def imports(self) -> Iterator[tuple[int, str]]:
        """Line and full dotted name of everything imported, ``from a import b`` as a.b, relative ones resolved."""
        for node in self.nodes:
            if isinstance(node, ast.Import):
                yield from ((node.lineno, alias.name) for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                package = [*self.path.parts[1:-1]][: len(self.path.parts) - 1 - node.level] if node.level else []
                yield from (
                    (node.lineno, ".".join([*package, *filter(None, [node.module]), a.name])) for a in node.names
                )

    def calls(self) -> Iterator[tuple[ast.Call, str]]:
        yield from ((node, dotted(node.func)) for node in self.nodes if isinstance(node, ast.Call))

    def texts(self) -> Iterator[tuple[int, str]]:
        for node in self.nodes:
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield node.lineno, node.value


Rule = Callable[[Source], Iterator[str]]
"""Yields a line per breach."""


def dotted(node: ast.AST) -> str:
    """``a.b.c`` for a chain of attributes; what is not a name becomes an underscore."""
    if isinstance(node, ast.Attribute):
        return f"{dotted(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else "_"


def executed_at_import(node: ast.AST) -> Iterator[ast.AST]:
    """Everything below a node but the bodies of functions."""
    for child in ast.iter_child_nodes(node):
        yield child
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
            for part in [*child.decorator_list, *child.args.defaults, *filter(None, child.args.kw_defaults)]:
                yield part
                yield from executed_at_import(part)
        elif not isinstance(child, ast.Lambda):
            yield from executed_at_import(child)


def imports_point_downward(source: Source) -> Iterator[str]:
    if not source.room:
        return
    if source.room not in FLOORS:
        yield f"the core has no room '{source.room}'; give it a floor"
        return
    for line, name in source.imports():
        head, _, rest = f"{name}.".partition(".")
        if head == CORE and FLOORS.get(rest.partition(".")[0], 0) > FLOORS[source.room]:
            yield f"{line}: {source.room} imports {name}, which is a floor higher"


def mathematics_knows_no_files_and_no_engines(source: Source) -> Iterator[str]:
    if source.room in MATHEMATICS:
        for line, name in source.imports():
            if any(f"{name}.".startswith(f"{module}.") for module in OF_FILES_AND_ENGINES):
                yield f"{line}: {name}"
        yield from (f"{call.lineno}: open()" for call, name in source.calls() if name == "open")


def only_a_bundle_imports_its_code(source: Source) -> Iterator[str]:
    own = source.path.parts[2] if source.path.parts[0] == "bundles" else ""
    for line, name in source.imports():
        head = name.partition(".")[0]
        if head.endswith("_bundle") and head != own:
            yield f"{line}: {name}"


def nothing_imports_tools_or_tests(source: Source) -> Iterator[str]:
    of_tools = source.path.parts[0] == "tools"
    for line, name in source.imports():
        head = name.partition(".")[0]
        if head == "tests" or (head in TOOLS and not of_tools):
            yield f"{line}: {name}"


def surroundings_are_not_read(source: Source) -> Iterator[str]:
    names = [(node.lineno, dotted(node)) for node in source.nodes if isinstance(node, ast.Attribute)]
    for line, name in [*names, *source.imports()]:
        if name.removeprefix("pathlib.") in SURROUNDINGS:
            yield f"{line}: {name}"
    for line, text in source.texts():
        if MACHINE_PATH.match(text):
            yield f"{line}: the fixed path {text!r}"


def the_search_path_is_left_alone(source: Source) -> Iterator[str]:
    names = [(node.lineno, dotted(node)) for node in source.nodes if isinstance(node, ast.Attribute)]
    for line, name in [*names, *source.imports()]:
        if name in ("sys.path", "sys.meta_path", "site.addsitedir"):
            yield f"{line}: {name}"


def importing_does_nothing(source: Source) -> Iterator[str]:
    for node in executed_at_import(ast.parse(source.text)):
        if isinstance(node, ast.Call) and AT_IMPORT.fullmatch(dotted(node.func)) and dotted(node.func) != "re.compile":
            yield f"{node.lineno}: {dotted(node.func)}() when the module is imported"


def the_device_is_an_argument(source: Source) -> Iterator[str]:
    yield from (f"{call.lineno}: .cuda()" for call, name in source.calls() if name.endswith(".cuda"))
    yield from (f"{line}: {text!r}" for line, text in source.texts() if re.fullmatch(r"cuda:\d+", text))


def weights_are_whole_and_hold_no_code(source: Source) -> Iterator[str]:
    for call, name in source.calls():
        for keyword in call.keywords:
            false = isinstance(keyword.value, ast.Constant) and keyword.value.value is False
            if false and (keyword.arg == "weights_only" or (keyword.arg == "strict" and name != "zip")):
                yield f"{call.lineno}: {name}({keyword.arg}=False)"


def errors_are_exceptions_and_are_named(source: Source) -> Iterator[str]:
    for node in source.nodes:
        if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Constant | ast.JoinedStr):
            yield f"{node.lineno}: raises a string"
        if isinstance(node, ast.ExceptHandler) and node.type is None:
            yield f"{node.lineno}: bare except"


def names_say_what_they_hold(source: Source) -> Iterator[str]:
    for part in source.path.parts[1:]:
        if part == "stand_ins":  # below it all is called as what it stands for
            return
        if part in ("scripts", "utils.py", "utils", "helpers.py") or part.startswith(("monai", "new_")):
            yield from [] if part == APP else [f"'{part}'"]


def files_and_functions_are_short(source: Source) -> Iterator[str]:
    limit = LONGEST_NETWORK_FILE if source.room == "networks" or source.path.name == "networks.py" else LONGEST_FILE
    if (lines := source.text.count("\n")) > limit:
        yield f"{lines} lines; wanted at most {limit}"
    for node in source.nodes:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            documented = ast.get_docstring(node) is not None and len(node.body) > 1
            whole, body = (node.end_lineno - first + 1 for first in (node.lineno, node.body[documented].lineno))
            if whole > LONGEST_FUNCTION or body > LONGEST_BODY:
                yield f"{node.lineno}: {node.name} has {whole} lines, {body} of them its body"


EVERYWHERE, SHIPPED = ("common", "bundles", "tools"), ("common", "bundles")
RULES: dict[Rule, tuple[str, ...]] = {
    imports_point_downward: ("common",),
    mathematics_knows_no_files_and_no_engines: ("common",),
    only_a_bundle_imports_its_code: EVERYWHERE,
    nothing_imports_tools_or_tests: EVERYWHERE,
    surroundings_are_not_read: SHIPPED,
    the_search_path_is_left_alone: SHIPPED,
    importing_does_nothing: EVERYWHERE,
    the_device_is_an_argument: EVERYWHERE,
    weights_are_whole_and_hold_no_code: EVERYWHERE,
    errors_are_exceptions_and_are_named: EVERYWHERE,
    names_say_what_they_hold: EVERYWHERE,
    files_and_functions_are_short: EVERYWHERE,
}
"""Each rule and where it holds."""

LOSS, HANDLER = "common/transmodal/losses/l1.py", "common/transmodal/handlers/ema.py"
BUNDLE, TOOL = "bundles/ct_mr_a_translation/a_bundle/networks.py", "tools/pack.py"
BREACHES: list[tuple[Rule, str, str]] = [
    (imports_point_downward, LOSS, "from transmodal.handlers import EMAHandler"),
    (imports_point_downward, LOSS, "from transmodal import data"),
    (imports_point_downward, LOSS, "from ..engines import Phase"),
    (imports_point_downward, "common/transmodal/errors.py", "def f():\n    import transmodal.losses"),
    (imports_point_downward, "common/transmodal/attic/old.py", ""),
    (mathematics_knows_no_files_and_no_engines, LOSS, "from pathlib import Path"),
    (mathematics_knows_no_files_and_no_engines, LOSS, "from monai.data import MetaTensor"),
    (mathematics_knows_no_files_and_no_engines, LOSS, "def f(x):\n    return open(x)"),
    (only_a_bundle_imports_its_code, HANDLER, "import a_bundle.networks"),
    (only_a_bundle_imports_its_code, BUNDLE, "from b_bundle.networks import Generator"),
    (nothing_imports_tools_or_tests, HANDLER, "import pack"),
    (nothing_imports_tools_or_tests, BUNDLE, "from tools import pack"),
    (nothing_imports_tools_or_tests, TOOL, "from tests.conftest import ROOT"),
    (surroundings_are_not_read, HANDLER, "import os\ndef f():\n    return os.environ['HOME']"),
    (surroundings_are_not_read, HANDLER, "from os import getenv"),
    (surroundings_are_not_read, HANDLER, "import pathlib\ndef f():\n    return pathlib.Path.cwd()"),
    (surroundings_are_not_read, BUNDLE, "import sys\ndef f():\n    return sys.argv[1]"),
    (surroundings_are_not_read, BUNDLE, "DATA = '/data/ct_mr'"),
    (the_search_path_is_left_alone, BUNDLE, "import sys\nsys.path.insert(0, '..')"),
    (the_search_path_is_left_alone, BUNDLE, "from sys import path"),
    (importing_does_nothing, HANDLER, "print('hello')"),
    (importing_does_nothing, HANDLER, "import torch\nclass A:\n    torch.manual_seed(0)"),
    (importing_does_nothing, HANDLER, "def f(x=monai.utils.set_determinism(0)): ..."),
    (importing_does_nothing, BUNDLE, "import torch\n@torch.compile()\ndef f(): ..."),
    (importing_does_nothing, BUNDLE, "WEIGHTS = hf_hub_download('a', 'b')"),
    (the_device_is_an_argument, BUNDLE, "def f(x):\n    return x.cuda()"),
    (the_device_is_an_argument, BUNDLE, "def f(x):\n    return x.to('cuda:0')"),
    (weights_are_whole_and_hold_no_code, TOOL, "def f(x):\n    return torch.load(x, weights_only=False)"),
    (weights_are_whole_and_hold_no_code, TOOL, "def f(x, y):\n    x.load_state_dict(y, strict=False)"),
    (errors_are_exceptions_and_are_named, TOOL, "def f():\n    raise 'wrong'"),
    (errors_are_exceptions_and_are_named, TOOL, "def f(x):\n    try:\n        x()\n    except:\n        pass"),
    (names_say_what_they_hold, "bundles/ct_mr_a_translation/scripts/networks.py", ""),
    (names_say_what_they_hold, "common/transmodal/data/utils.py", ""),
    (names_say_what_they_hold, "common/monai_transmodal/data/cases.py", ""),
    (files_and_functions_are_short, HANDLER, "x = 1\n" * 301),
    (files_and_functions_are_short, BUNDLE, "x = 1\n" * 401),
    (files_and_functions_are_short, HANDLER, "def f():\n" + "    x = 1\n" * 41),
    (files_and_functions_are_short, HANDLER, "def f():\n    '''\n" + "\n" * 60 + "'''\n    return 1"),
]
LOOKALIKES: list[tuple[Rule, str, str]] = [
    (imports_point_downward, HANDLER, "from transmodal.losses import L1\nfrom transmodal.data import ImagePool"),
    (imports_point_downward, LOSS, "from transmodal.errors import InputError\nfrom transmodal import require"),
    (mathematics_knows_no_files_and_no_engines, HANDLER, "from pathlib import Path"),
    (only_a_bundle_imports_its_code, BUNDLE, "from a_bundle.networks import Generator"),
    (nothing_imports_tools_or_tests, TOOL, "from contract import Bundle"),
    (surroundings_are_not_read, HANDLER, "import os\ndef f(x):\n    return os.path.join(x, 'data/ct')"),
    (importing_does_nothing, HANDLER, "import re\nP = re.compile('a')\ndef f():\n    print('now')"),
    (the_device_is_an_argument, BUNDLE, "def f():\n    return torch.cuda.is_available()"),
    (weights_are_whole_and_hold_no_code, BUNDLE, "def f(x, y):\n    return zip(x, y, strict=False)"),
    (errors_are_exceptions_and_are_named, BUNDLE, "def f():\n    raise\n"),
    (files_and_functions_are_short, BUNDLE, "x = 1\n" * 400),
]


def named(value: object) -> str:
    return getattr(value, "__name__", "")


@pytest.mark.parametrize("rule", RULES, ids=named)
def test_every_source_file_keeps_the_rule(rule: Rule) -> None:
    breaches = []
    for path in sorted(path for folder in RULES[rule] for path in (ROOT / folder).rglob("*.py")):
        source = Source(PurePosixPath(path.relative_to(ROOT).as_posix()), path.read_text(encoding="utf-8"))
        breaches += [f"{source.path}:{breach}" for breach in rule(source)]
    assert breaches == []


@pytest.mark.parametrize(("rule", "path", "text"), BREACHES, ids=named)
def test_the_rule_finds_a_breach(rule: Rule, path: str, text: str) -> None:
    assert list(rule(Source(PurePosixPath(path), text))) != []


@pytest.mark.parametrize(("rule", "path", "text"), LOOKALIKES, ids=named)
def test_the_rule_lets_pass_what_only_looks_like_a_breach(rule: Rule, path: str, text: str) -> None:
    assert list(rule(Source(PurePosixPath(path), text))) == []


def test_each_rule_is_proven() -> None:
    assert {rule for rule, _, _ in BREACHES} == set(RULES)
