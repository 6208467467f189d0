"""`recipes list` and `recipes compare`: the recipes with their results, and runs side by side."""

import json
from pathlib import Path
from typing import Any

from common.basics.errors import UsageError
from common.cli.arguments import arguments_of
from common.runs import registry


def list_command(words: list[str]) -> int:
    """Runs `recipes list`; returns the exit code."""
    arguments = arguments_of(
        "list", "Lists every recipe.", words, json=(bool, False, "Print JSON.")
    )
    from common.studies import tables

    rows: list[dict[str, Any]] = []
    for name in registry.names():
        module = registry.load(name)
        rows.append(
            {
                "name": name,
                "summary": registry.summary(name),
                "presets": list(module.PRESETS),
                "results": tables.summaries(name),
            }
        )
    if arguments.json:
        print(json.dumps(rows, indent=2))
        return 0
    width = max(len(preset) for row in rows for preset in row["presets"])
    for row in rows:
        print(f"{row['name']:<16} {row['summary']}")
        for preset in row["presets"]:
            # Sample data is never measured.
            absent = "for --data sample" if preset == "sample" else "not measured yet"
            print(f"  --preset {preset:<{width}}  {row['results'].get(preset) or absent}")
    return 0


def compare_command(words: list[str]) -> int:
    """Runs `recipes compare`; returns the exit code."""
    arguments = arguments_of(
        "compare",
        "Prints runs side by side: scores, settings that differ, and tests. Runs that differ only in the "
        "seed are one row: mean, deviation, and a t test against the others. Single runs are compared "
        "on the same test examples.",
        words,
        runs=(tuple[Path, ...], ..., "Run folders."),
    )
    if len(arguments.runs) < 2:
        raise UsageError("recipes compare needs two run folders or more")
    from common.studies.compare import compare

    print(compare(arguments.runs))
    return 0
