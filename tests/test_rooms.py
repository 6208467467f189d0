"""The house: which package of common/ imports which, what its door says, and the README's map of it.

The order of the rooms is read from the docstring of common/, the doors from those of its packages. Every
import counts, those inside functions too. `from common.data.types import Split` is an import of the
file types.py: that Python passes the door of common/data on its way there is not counted.
"""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
BY_NAME = {"common.runs.registry"}
"""Files that import whichever recipe they are given the name of."""

README = (ROOT / "README.md").read_text(encoding="utf-8")
BEGIN = "<!-- rooms: from the docstrings of the packages; tests/test_rooms.py prints what it must be -->"
END = "<!-- end of rooms -->"


# Reading imports


def module_name(path, root):
    """Returns the dotted name of a Python file; a package is its `__init__.py`."""
    parts = path.relative_to(root).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports_of(source, name, is_package, known, types=True):
    """Returns the dotted names of common and recipes that a file imports: files, else packages.

    Args:
        source: Its text.
        name: Its dotted name.
        is_package: Whether it is an `__init__.py`.
        known: Set of dotted names of all files.
        types: Whether imports under TYPE_CHECKING count.

    A name that is put together when it is imported ends in an asterisk: `recipes.*`.
    """
    found, tree = set(), ast.parse(source)
    skipped = set() if types else {inner for node in tree.body for inner in _only_typed(node)}
    for node in ast.walk(tree):
        if node in skipped:
            continue
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                package = name.split(".")[: None if is_package else -1]
                package = package[: len(package) - node.level + 1]
                base = ".".join([*package, *filter(None, [base])])
            for alias in node.names:
                whole = f"{base}.{alias.name}"
                found.add(whole if whole in known else base)
        elif isinstance(node, ast.Call) and "import_module" in ast.unparse(node.func):
            found.add(_certain(node.args[0]))
    return {target for target in found if target.split(".")[0] in ("common", "recipes")} - {name}


def _only_typed(node):
    """Yields the nodes of an `if TYPE_CHECKING:` and nothing of another statement."""
    if isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING"):
        for each in node.body:
            yield from ast.walk(each)


def _certain(node):
    """Returns what is certain of a string: all of a constant, the start of an f-string and `*`."""
    if isinstance(node, ast.JoinedStr):
        return f"{_certain(node.values[0])}*"
    return str(node.value) if isinstance(node, ast.Constant) else ""


def read_imports(root, package, types=True):
    """Returns a dict from the dotted name of each file below `root / package` to what it imports.

    Args:
        root: Folder of the project.
        package: "common" or "recipes".
        types: Whether imports under TYPE_CHECKING count.
    """
    files = {module_name(path, root): path for path in sorted(root.glob("*/**/*.py"))}
    return {
        name: imports_of(
            path.read_text(encoding="utf-8"), name, path.stem == "__init__", set(files), types
        )
        for name, path in files.items()
        if name.split(".")[0] == package
    }


def room(name):
    """Returns the package of common/ that a dotted name lies in; None: common itself, or none."""
    parts = name.split(".")
    return parts[1] if parts[0] == "common" and len(parts) > 1 else None


def upwards(imports, rooms):
    """Returns the imports of a room above: a dict from file to a set of files."""
    found = {}
    for name, targets in imports.items():
        above = {
            target
            for target in targets
            if room(name) and room(target) and rooms.index(room(target)) < rooms.index(room(name))
        }
        if above:
            found[name] = above
    return found


def circles(imports):
    """Returns the import circles: the strongly connected components of more than one file, sorted."""

    def reached(start):
        seen, waiting = set(), [start]
        while waiting:
            for target in imports.get(waiting.pop(), ()):
                if target not in seen:
                    seen.add(target)
                    waiting.append(target)
        return seen

    reach = {name: reached(name) for name in imports}
    found = {
        tuple(sorted(other for other in reach[name] if name in reach.get(other, ())))
        for name in imports
        if name in reach[name]
    }
    return sorted(found)


# The doors


def rooms_in_order():
    """Returns the names of the rooms, from top to bottom, as the docstring of common/ lists them."""
    (line,) = re.findall(r"^    (\w+(?: > \w+)+)$", door("common"), re.MULTILINE)
    return line.split(" > ")


def door(package):
    source = (ROOT / package.replace(".", "/") / "__init__.py").read_text(encoding="utf-8")
    return ast.get_docstring(ast.parse(source))


ROOMS = rooms_in_order()


def start(name):
    """Returns the file that a door says to start reading in."""
    return re.search(r"Start reading in `(\w+\.py)`", flat(door(f"common.{name}"))).group(1)


def flat(text):
    return " ".join(text.split())


def table():
    """Returns the README's map: a row for each room."""
    rows = ["| package of common | what lives there | start reading at |", "|---|---|---|"]
    for name in ROOMS:
        first = door(f"common.{name}").splitlines()[0].removesuffix(".")
        file = start(name)
        rows.append(f"| [{name}](common/{name}) | {first} | [{file}](common/{name}/{file}) |")
    return "\n".join(rows)


# The project


def test_every_package_of_common_is_a_room():
    folders = {path.parent.name for path in (ROOT / "common").glob("*/*.py")}
    assert folders == set(ROOMS)
    assert [path.name for path in (ROOT / "common").glob("*.py")] == ["__init__.py"]


def test_no_import_points_upwards():
    found = upwards(read_imports(ROOT, "common"), ROOMS)
    assert not any(found.values()), f"imports of a room above: {found}"


def test_no_files_import_each_other_in_a_circle():
    # A recipe's model.py names the Config of its train.py in its types only.
    recipes = read_imports(ROOT, "recipes", types=False)
    assert circles({**read_imports(ROOT, "common"), **recipes}) == []


def test_common_knows_no_recipe():
    imports = read_imports(ROOT, "common")
    found = {
        name for name, targets in imports.items() if any(t.startswith("recipes") for t in targets)
    }
    assert found == BY_NAME
    for name in BY_NAME:
        assert {t for t in imports[name] if t.startswith("recipes")} <= {"recipes", "recipes.*"}


def test_recipes_import_common_and_never_each_other():
    for name, targets in read_imports(ROOT, "recipes").items():
        others = {t for t in targets if t.startswith("recipes.")}
        own = ".".join(name.split(".")[:2])
        assert {t for t in others if t != own and not t.startswith(f"{own}.")} == set(), name


@pytest.mark.parametrize("name", ROOMS)
def test_a_door_says_what_may_be_imported_and_where_to_start(name):
    first, may, *_ = door(f"common.{name}").split("\n\n")
    assert re.fullmatch(r"[A-Z][^\n]*[^.]\.", first), "the first sentence is one line"
    below = ROOMS[ROOMS.index(name) + 1 :]
    if below:
        said = re.match(r"It may import from ([a-z, ]+)[.;]", flat(may)).group(1)
        assert re.split(r", | and ", said) == below
    else:
        assert flat(may).startswith("It may import from nothing else in common.")
    assert (ROOT / "common" / name / start(name)).is_file()


def test_the_readme_has_the_map():
    shown = README.partition(BEGIN)[2].partition(END)[0].strip()
    assert shown == table(), f"between the lines around the map in README.md belongs:\n{table()}"


def test_what_the_doors_and_the_readme_name_is_there():
    for name in ROOMS:
        said = re.findall(r"`(\w+\.py)`", door(f"common.{name}"))
        assert [file for file in said if not (ROOT / "common" / name / file).is_file()] == []
    linked = re.findall(r"\]\(((?:common|recipes|tests)/[\w./]*)\)", README)
    assert len(linked) > len(ROOMS)
    assert [path for path in linked if not (ROOT / path).exists()] == []


# The checks themselves


@pytest.fixture
def house(tmp_path):
    """Returns a function that writes files of a project and reads the imports of its common/."""

    def build(files):
        for path, text in files.items():
            (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / path).write_text(text)
        return read_imports(tmp_path, "common")

    return build


def test_an_import_upwards_is_found_wherever_it_stands(house):
    imports = house(
        {
            "common/top/a.py": "from common.low.b import x\n",
            "common/low/b.py": "def f():\n    from common.top import a\n",
            "common/low/c.py": "from ..top.a import y\n",
            "common/low/d.py": "import importlib\nimportlib.import_module('common.top.a')\n",
            "common/low/e.py": "import importlib\nimportlib.import_module(f'recipes.{1}.train')\n",
            "common/low/f.py": "from . import b\nimport common.low.c as c\nimport os\n",
        }
    )
    assert imports["common.low.e"] == {"recipes.*"}
    assert imports["common.low.f"] == {"common.low.b", "common.low.c"}
    above = {"common.top.a"}
    assert upwards(imports, ["top", "low"]) == {f"common.low.{name}": above for name in "bcd"}
    assert upwards(imports, ["low", "top"]) == {"common.top.a": {"common.low.b"}}


def test_a_circle_is_found_once(house):
    imports = house(
        {
            "common/one/a.py": "from common.one import b\n",
            "common/one/b.py": "def f():\n    from common.one.c import x\n",
            "common/one/c.py": "from common.one import a, d\n",
            "common/one/d.py": "import os\n",
            "common/one/e.py": "from common.one import a\n",
        }
    )
    assert circles(imports) == [("common.one.a", "common.one.b", "common.one.c")]


def test_imports_for_types_are_left_out_where_that_is_asked(tmp_path):
    (tmp_path / "common/low").mkdir(parents=True)
    (tmp_path / "common/low/a.py").write_text(
        "from common.low import b\nif TYPE_CHECKING:\n    from common.top import c\n"
    )
    for types, found in ((True, {"common.low", "common.top"}), (False, {"common.low"})):
        assert read_imports(tmp_path, "common", types) == {"common.low.a": found}
