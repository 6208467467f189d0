"""The site: READMEs, notebooks and results as pages whose links lead to pages."""

import re
import subprocess
import sys

import pytest

from common.runs import registry
from docs import collect

pytest.importorskip("latex2mathml", reason="make test EXTRAS=site")


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """Returns the collected site and its folder."""
    folder = tmp_path_factory.mktemp("build")
    return collect.collect(folder), folder


def test_every_link_of_every_page_leads_to_a_page(built):
    _, folder = built
    pages = folder / "pages"
    count = 0
    for page in pages.rglob("*.md"):
        text = collect.FENCE.sub("", page.read_text(encoding="utf-8"))
        for target in collect.LINK.findall(text):
            if re.match(r"[a-z]+:|#", target):
                continue
            count += 1
            assert (page.parent / target.partition("#")[0]).is_file(), f"{page}: {target}"
    assert count > 200


def test_the_gallery_has_every_recipe_with_a_picture(built):
    text = (built[1] / "pages/gallery.md").read_text(encoding="utf-8")
    for name in registry.names():
        assert f"[{name}](recipes/{name}/README.md)" in text
    assert text.count("![") == len(registry.names())


def test_code_becomes_a_page_and_fences_are_left_alone(tmp_path):
    site = collect.Site(tmp_path / "pages")
    text = (
        "[fit](common/training/fit.py) [x](https://a.b/c.py) [y](#here)\n```\n[z](Makefile)\n```\n"
    )
    assert site.linked(text, "README.md") == text.replace("fit.py", "fit.py.md")
    # From a page further down, and to a part of another page.
    assert site.linked("[a](../../README.md#data)", "recipes/mnist_cnn/README.md") == (
        "[a](../../README.md#data)"
    )
    site.collect()
    assert "```python\n" in (tmp_path / "pages/common/training/fit.py.md").read_text()


def test_a_link_to_nothing_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="a page links to recipes/none.md"):
        collect.Site(tmp_path / "pages").linked("[a](none.md)", "recipes/README.md")


def test_equations_become_mathml():
    text = collect.equations("$x$ costs 3 $ and\n$$\nh = f(x W)\n$$\n")
    assert text.count("<math") == 2
    assert 'display="block"' in text
    assert "costs 3 $ and" in text


@pytest.mark.slow
def test_the_generator_finds_nothing_to_warn_of(built):
    pytest.importorskip("mkdocs", reason="make test EXTRAS=site")
    folder = built[1]
    words = ["-m", "mkdocs", "build", "--strict", "--quiet"]
    done = subprocess.run([sys.executable, *words], cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    page = (folder / "site/gallery.html").read_text(encoding="utf-8")
    # No page asks another server for anything.
    assert re.findall(r'(?:src|href)="(https?://[^"]*\.(?:js|css|woff2?))"', page) == []
