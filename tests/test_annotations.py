"""Public functions say the types of what they take and return; `make lint` checks them with mypy."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
FOLDERS = sorted(
    str(path.parent.relative_to(ROOT))
    for whole in ("common", "recipes")
    for path in ROOT.glob(f"{whole}/*/__init__.py")
)


def untyped(tree, owner=""):
    """Yields the names of public functions and methods with an argument or a result of unsaid type.

    Functions inside functions are private, and special methods have known types.
    """
    for node in tree.body:
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            yield from untyped(node, f"{node.name}.")
        if not isinstance(node, ast.FunctionDef) or node.name.startswith("_"):
            continue
        named = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
        named += [each for each in (node.args.vararg, node.args.kwarg) if each]
        said = [each.annotation for each in named if each.arg not in ("self", "cls")]
        if None in (*said, node.returns):
            yield f"{owner}{node.name}"


@pytest.mark.parametrize("folder", FOLDERS)
def test_public_functions_say_their_types(folder):
    found = {
        path.name: list(untyped(ast.parse(path.read_text(encoding="utf-8"))))
        for path in sorted((ROOT / folder).rglob("*.py"))
    }
    assert {name: functions for name, functions in found.items() if functions} == {}


def test_a_missing_type_is_found():
    source = (
        "def f(x: int): ...\n"
        "class A:\n"
        "    def g(self, *, y=1) -> None: ...\n"
        "    def h(self) -> int: ...\n"
    )
    assert list(untyped(ast.parse(source))) == ["f", "A.g"]
