"""The files around the code: one version, one licence, hooks that are `make lint`, links that lead on."""

import importlib
import re
import subprocess
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
PAGES = ["README.md", "CONTRIBUTING.md", "CHANGELOG.md", "recipes/README.md"]


def read(name):
    return (ROOT / name).read_text(encoding="utf-8")


def citation():
    """Returns the top-level values of CITATION.cff that are one line."""
    return dict(re.findall(r"^([\w-]+): (.+)$", read("CITATION.cff"), re.MULTILINE))


def test_one_version_stands_everywhere():
    assert citation()["version"] == PROJECT["version"]
    headings = re.findall(r"^## \[(.+?)\]", read("CHANGELOG.md"), re.MULTILINE)
    assert headings[:2] == ["Unreleased", PROJECT["version"]]


def test_the_changelog_keeps_its_form():
    lines = [line for line in read("CHANGELOG.md").splitlines() if line.startswith("#")]
    assert lines[0] == "# Changelog"
    for line in lines[1:]:
        kinds = "Added|Changed|Deprecated|Removed|Fixed|Security"
        release = r"## \[(Unreleased|\d+\.\d+\.\d+\] - \d{4}-\d\d-\d\d$)"
        assert re.fullmatch(rf"### ({kinds})", line) or re.match(release, line), line


def test_the_citation_has_what_its_format_requires():
    values = citation()
    assert values["cff-version"] == "1.2.0"
    assert {"message", "title", "version", "license"} <= set(values)
    assert "\nauthors:\n  - name: The keras-recipe-box contributors\n" in read("CITATION.cff")


def test_the_licence_that_is_named_is_there():
    assert citation()["license"] == PROJECT["license"] == "Apache-2.0"
    assert PROJECT["license-files"] == ["LICENSE"]
    assert "Apache License" in read("LICENSE")


def test_the_console_script_names_a_function():
    for target in PROJECT["scripts"].values():
        module, _, function = target.partition(":")
        assert callable(getattr(importlib.import_module(module), function))


def test_the_hooks_run_what_make_lint_runs_and_need_no_network():
    hooks = read(".pre-commit-config.yaml")
    assert re.findall(r"repo: (\S+)", hooks) == ["local"]
    assert set(re.findall(r"language: (\S+)", hooks)) == {"system"}
    done = subprocess.run(["make", "-n", "lint"], cwd=ROOT, capture_output=True, text=True)
    wanted = [line for line in done.stdout.splitlines() if re.search("/(ruff|mypy)", line)]
    assert len(wanted) == 3
    assert re.findall(r"entry: (.+)", hooks) == wanted


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_to_files_and_headings(page):
    for link in re.findall(r"\]\(([^)\s]+)\)", read(page)):
        if "://" in link:
            continue
        path, _, anchor = link.partition("#")
        target = (ROOT / page).parent / path if path else ROOT / page
        assert target.exists(), f"{page} links to {link}"
        if anchor:
            headings = re.findall(r"^#+ (.+)$", target.read_text(encoding="utf-8"), re.MULTILINE)
            anchors = {
                re.sub(r"[^\w -]", "", title).lower().replace(" ", "-") for title in headings
            }
            assert anchor in anchors, f"{page} links to {link}"


def test_the_make_targets_that_contributors_are_told_of_exist():
    targets = re.findall(r"^([a-z-]+%?):", read("Makefile"), re.MULTILINE)
    named = re.findall(r"(?:^|`)make ([a-z][\w-]*)", read("CONTRIBUTING.md"), re.MULTILINE)
    assert {"setup", "test", "lint", "tables"} <= set(named)
    for name in named:
        prefix = re.sub(r"-\w+$", "-%", name)
        assert name in targets or prefix in targets, name
