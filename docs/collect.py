"""Collects the pages of the site from READMEs, notebooks and results: `make site`.

    python -m docs.collect build      writes build/pages and build/mkdocs.yml

Nothing is written twice: a page is the README itself. Files of code that a page links to become pages, so
that no link leads out of the site; a folder without a README becomes a list of its files. The gallery and
the navigation come from the recipes that are there.
"""

from __future__ import annotations

import base64
import json
import os
import posixpath
import re
import shutil
import sys
from pathlib import Path

from common.runs import registry
from common.studies import tables

ROOT = Path(__file__).resolve().parents[1]

# The target of a Markdown link or picture, without a title.
LINK = re.compile(r"(?<=\]\()([^()\s]+)(?=\))")
PICTURE = re.compile(r"!\[([^\]]*)\]\(([^)\s]+)\)")
FENCE = re.compile(r"^(```|~~~).*?^\1", re.MULTILINE | re.DOTALL)
LANGUAGES = {".py": "python", ".json": "json", ".toml": "toml", ".yml": "yaml"}
MARKER = re.compile(r"^<!-- .* -->\n?", re.MULTILINE)
BLOCK, INLINE = re.compile(r"\$\$(.+?)\$\$", re.DOTALL), re.compile(r"(?<!\$)\$([^$\n]+?)\$(?!\$)")
STYLE = "extra.css"
PROMISE = (
    "Figures are of real data, mean and deviation over n seeds. Pictures of notebooks may show the small "
    "built-in data."
)


class Site:
    """The pages, collected from some first ones by the links on them.

    Args:
        folder: Where they are written; what it holds is replaced.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.waiting: list[str] = []
        self.pages: dict[str, str] = {}
        """The page of each path of the project that is on the site."""
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)

    def add(self, path: str) -> str:
        """Makes a path of the project a page, unless it is one; returns the page's own path.

        Raises:
            FileNotFoundError: A page links to it, and it is not there.
        """
        if path not in self.pages:
            file = ROOT / path
            if not file.exists():
                raise FileNotFoundError(f"a page links to {path}, which is not there")
            self.pages[path] = self._page_of(path, file)
            self.waiting.append(path)
        return self.pages[path]

    def _page_of(self, path, file):
        if file.is_dir():
            readme = f"{path}/README.md".removeprefix("./")
            return readme if (ROOT / readme).exists() else f"{path}/index.md"
        if file.suffix in (".md", ".ipynb", ".png"):
            return path
        return f"{path}.md"

    def collect(self) -> None:
        """Writes all pages that are waiting, and those that they link to."""
        while self.waiting:
            path = self.waiting.pop()
            file, page = ROOT / path, self.pages[path]
            if file.is_dir():
                if (ROOT / page).exists():
                    self.add(page)
                else:
                    self.write(page, self.listing(path))
            elif file.suffix == ".md":
                self.write(page, self.linked(file.read_text(encoding="utf-8"), path))
            elif file.suffix == ".ipynb":
                self.write(page, json.dumps(self.notebook(file, path)))
            elif file.suffix == ".png":
                self.write(page, file.read_bytes())
            else:
                self.write(page, code(path, file.read_text(encoding="utf-8")))

    def write(self, page: str, content: str | bytes) -> None:
        """Writes a page or a picture."""
        target = self.folder / page
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content if isinstance(content, bytes) else content.encode())

    def linked(self, text: str, path: str) -> str:
        """Returns Markdown with its links leading to pages of the site; those become pages.

        Args:
            text: The Markdown.
            path: Where it stands in the project.
        """
        parts, start = [], 0
        # Code is left as it is: a[0](x) is no link.
        for fence in FENCE.finditer(text):
            parts += [self._relinked(text[start : fence.start()], path), fence.group()]
            start = fence.end()
        return MARKER.sub("", "".join([*parts, self._relinked(text[start:], path)]))

    def _relinked(self, text, path):
        def replaced(match):
            target, hash_, anchor = match.group(1).partition("#")
            if not target or re.match(r"[a-z]+:", target):
                return match.group(1)
            place = posixpath.normpath(posixpath.join(posixpath.dirname(path), target))
            return self.between(self.pages.get(path, path), self.add(place)) + hash_ + anchor

        return LINK.sub(replaced, text)

    def between(self, page: str, other: str) -> str:
        """Returns the link from a page to another."""
        return posixpath.relpath(other, posixpath.dirname(page) or ".")

    def listing(self, path: str) -> str:
        """Returns the page of a folder without a README: its files and folders."""
        lines = [f"# {path}", ""]
        for file in sorted((ROOT / path).iterdir()):
            if file.name.startswith(("__", ".")) and file.name != "__init__.py":
                continue
            if file.suffix in (".py", ".md", ".json", ".png", ".ipynb") or file.is_dir():
                here = f"{path}/{file.name}"
                link = self.between(self.pages[path], self.add(here))
                lines.append(f"- [{file.name}]({link}){summary(file)}")
        return "\n".join(lines) + "\n"

    def notebook(self, file: Path, path: str) -> dict:
        """Returns a notebook with the links of its texts leading to pages."""
        content = json.loads(file.read_text(encoding="utf-8"))
        for cell in content["cells"]:
            if cell["cell_type"] == "markdown":
                cell["source"] = equations(self.linked("".join(cell["source"]), path))
        return content


def equations(text: str) -> str:
    """Returns Markdown with its TeX as MathML, which browsers draw without a script."""
    from latex2mathml.converter import convert

    text = BLOCK.sub(lambda match: convert(match.group(1).strip(), display="block"), text)
    return INLINE.sub(lambda match: convert(match.group(1)), text)


def code(path: str, text: str) -> str:
    """Returns the page of a file of code."""
    fence = "`" * (3 + max(map(len, re.findall("`{3,}", text)), default=0))
    return f"# {path}\n\n{fence}{LANGUAGES.get(Path(path).suffix, '')}\n{text}\n{fence}\n"


def summary(file: Path) -> str:
    """Returns ": " and the first line of a Python file's or package's docstring, or nothing."""
    file = file / "__init__.py" if file.is_dir() else file
    if file.suffix != ".py" or not file.exists():
        return ""
    match = re.match(r'"""(.+?)(?:"""|\n)', file.read_text(encoding="utf-8"))
    return f": {match.group(1)}" if match else ""


def first_picture(name: str, site: Site) -> tuple[str, str] | None:
    """Returns alternative text and page of a first picture: of the README, else of the notebook."""
    readme = (ROOT / f"recipes/{name}/README.md").read_text(encoding="utf-8")
    match = PICTURE.search(readme)
    if match:
        return match.group(1), site.add(posixpath.normpath(f"recipes/{name}/{match.group(2)}"))
    file = ROOT / f"notebooks/{name}.ipynb"
    cells = json.loads(file.read_text(encoding="utf-8"))["cells"] if file.exists() else []
    for output in (each for cell in cells for each in cell.get("outputs", [])):
        if "image/png" in output.get("data", {}):
            page = f"pictures/{name}.png"
            site.write(page, base64.b64decode("".join(output["data"]["image/png"])))
            return f"A picture of the notebook of {name}", page
    return None


def gallery(site: Site) -> str:
    """Returns the Markdown of the gallery: of each recipe a picture, what it is, and its figure."""
    lines = ["# Gallery", "", PROMISE, ""]
    lines += ['<div class="grid cards" markdown>', ""]
    for name in registry.names():
        title, measured = registry.summary(name), tables.summaries(name)
        picture = first_picture(name, site)
        card = [f"**[{name}]({site.add(f'recipes/{name}/README.md')})**", title]
        if picture:
            card.insert(1, f"![{picture[0]}]({picture[1]}){{ loading=lazy }}")
        preset = "best" if "best" in measured else next(iter(measured), None)
        card.append(f"`{preset}`: {measured[preset]}" if preset else "not measured yet")
        if (ROOT / f"notebooks/{name}.ipynb").exists():
            card.append(f"[Notebook]({site.add(f'notebooks/{name}.ipynb')})")
        lines += ["-   " + card[0], *("\n    " + part for part in card[1:]), ""]
    return "\n".join([*lines, "</div>", ""])


def navigation(names: list[str]) -> list:
    """Returns the navigation: recipes and notebooks in the order of their names."""
    notebooks = sorted(file.name for file in (ROOT / "notebooks").glob("*.ipynb"))
    return [
        {"Start": "README.md"},
        {"Gallery": "gallery.md"},
        {
            "Recipes": [
                {"All recipes": "recipes/README.md"},
                *({name: f"recipes/{name}/README.md"} for name in names),
            ]
        },
        {
            "Notebooks": [
                {"How to use them": "notebooks/README.md"},
                *({Path(name).stem: f"notebooks/{name}"} for name in notebooks),
            ]
        },
        {"Tuning": "common/tuning/README.md"},
        {"Several hosts": "common/training/README.md"},
        {"Speed": "tests/benchmarks/README.md"},
        {"Contributing": [{"How to": "CONTRIBUTING.md"}, {"Changelog": "CHANGELOG.md"}]},
    ]


def pages_of(entries: list) -> list[str]:
    """Returns the pages that a navigation names."""
    found = []
    for entry in entries:
        for value in entry.values():
            found += pages_of(value) if isinstance(value, list) else [value]
    return found


def collect(folder: Path) -> Site:
    """Collects the site into `folder/pages` and writes `folder/mkdocs.yml`."""
    site = Site(folder / "pages")
    navigated = navigation(registry.names())
    site.write("gallery.md", gallery(site))
    for page in pages_of(navigated):
        if page != "gallery.md":
            site.add(page)
    site.collect()
    shutil.copy(ROOT / "docs" / STYLE, site.folder)
    parent = os.path.relpath(ROOT / "docs/mkdocs.yml", folder)
    text = f"INHERIT: {parent}\nnav: {json.dumps(navigated)}\n"
    (folder / "mkdocs.yml").write_text(text, encoding="utf-8")
    return site


if __name__ == "__main__":
    collect(Path(sys.argv[1]))
