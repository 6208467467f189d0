"""`recipes results`: trains presets over seeds; `python -m common.cli.results` writes the tables again.

All result tables in READMEs are written here, from results of runs.
"""

import dataclasses
import inspect
import time
from collections.abc import Iterator
from pathlib import Path

from common.basics import child, hosts, streams
from common.basics.errors import DIVERGED, RecipeError, UsageError
from common.basics.files import locked, read_json
from common.runs import command_line, registry
from common.runs import config as configuration
from common.runs.bounds import PositiveInt, check_bounds
from common.studies import attack_table, results, tables


@dataclasses.dataclass(frozen=True)
class Arguments:
    """Trains presets over seeds on the real data and writes results.json and the tables.

    Each run is a process of its own, in a folder of runs/NAME/results/. Finished runs are reused, so an
    interrupted series continues where it stopped.
    """

    seeds: PositiveInt = 3
    """Seeds 0 to n - 1."""
    presets: str = "best,article"
    """Names of presets, separated by commas."""
    data_dir: Path | None = None
    """Folder of TensorFlow Datasets (default: TFDS_DATA_DIR, else ~/tensorflow_datasets)."""
    runs_dir: Path = Path("runs")
    """Where the runs are kept."""
    attack: bool = False
    """Also attack each run, for the table of what attacks leave; of recipes that train against them."""
    search: Path | None = None
    """Train nothing; write the finished search in this folder into tuning.json and the README."""
    debug: bool = False
    """Show tracebacks of errors."""


def results_command(words: list[str]) -> int:
    """Runs `recipes results`; returns the exit code."""
    streams.goes_on("the series of trainings")
    if not words or words[0].startswith("-"):
        if words and words[0] in ("-h", "--help"):
            print("usage: recipes results NAME [flags]    (recipes results NAME --help)")
            return 0
        raise UsageError("recipes results needs the name of a recipe first")
    name = registry.check(words[0])
    arguments = command_line.parse(
        Arguments,
        words[1:],
        prog=f"recipes results {name}",
        description=inspect.getdoc(Arguments),
    )
    check_bounds(arguments)
    if arguments.search is not None:
        from common.tuning import evidence

        with locked(results.file(name).parent):
            evidence.record(name, arguments.search)
        write_tables()
        print(evidence.section(name))
        return 0
    module = registry.load(name)
    if arguments.attack and not attack_table.belongs_to(name):
        raise UsageError(f"--attack is for recipes that train against attacks; {name} does not")
    presets = [preset.strip() for preset in arguments.presets.split(",") if preset.strip()]
    planned = [(preset, seed) for preset in presets for seed in range(arguments.seeds)]
    for preset in presets:
        configuration.preset(module.PRESETS, preset)
    hosts.refuse("recipes results")
    start = time.perf_counter()
    for index, (preset, seed) in enumerate(planned):
        directory = arguments.runs_dir / name / "results" / f"{preset}-seed{seed}"
        print(f"[{index + 1} of {len(planned)}] {name} {preset}, seed {seed}", flush=True)
        if not _train(name, module, preset, seed, directory, arguments.data_dir):
            print(f"diverged, and recorded as that: {directory}", flush=True)
            results.record_diverged(name, directory)
            write_tables()
            continue
        if arguments.attack and not (directory / "attack.json").exists():
            _attack(directory, arguments.data_dir)
        results.record(name, directory)
        write_tables()
    print(
        f"{len(planned)} runs in {(time.perf_counter() - start) / 60:.0f} min: {results.file(name)}"
    )
    print(tables.recipe_table(name))
    return 0


def _train(name, module, preset, seed, directory, data_dir):
    """Trains a preset, unless that was done before; returns False if the loss was not finite."""
    config = dataclasses.replace(module.PRESETS[preset], seed=seed)
    if (directory / "metrics.json").exists() and (directory / "report.html").exists():
        held = read_json(directory / "config.json", "run configuration")["config"]
        if held == configuration.to_dict(config):
            print(f"finished before: {directory}", flush=True)
            return True
    words = ["train", name, "--preset", preset, "--seed", str(seed), "--run-dir", str(directory)]
    if data_dir:
        words += ["--data-dir", str(data_dir)]
    stale = directory / "config.json"
    if stale.exists() and read_json(stale, "run configuration")["config"] != (
        configuration.to_dict(config)
    ):
        words.append("--overwrite")
    code = child.run(words)
    if code not in (0, DIVERGED):
        raise RecipeError(f"the run in {directory} failed with exit code {code}")
    return code == 0


def _attack(directory, data_dir):
    more = ["--data-dir", str(data_dir)] if data_dir else []
    code = child.run(["attack", str(directory), *more])
    if code:
        raise RecipeError(f"the attack on {directory} failed with exit code {code}")


def readmes() -> Iterator[tuple[Path, str, str, str]]:
    """Yields each generated section of a README: the file, the text, the lines before and after it."""
    from common.studies import claims, study_record
    from common.studies.study import of_recipe
    from common.tuning import evidence

    folder = registry.recipes_folder()
    root = folder.parent / "README.md"
    yield root, tables.overview_table(), tables.BEGIN, tables.END
    yield root, claims.table(), claims.BEGIN, claims.END
    for name in registry.names():
        path = folder / name / "README.md"
        yield path, tables.recipe_table(name), tables.BEGIN, tables.END
        yield path, evidence.section(name), evidence.BEGIN, evidence.END
        if attack_table.belongs_to(name):
            yield path, attack_table.section(name), attack_table.BEGIN, attack_table.END
        if of_recipe(name):
            yield path, study_record.section(name), study_record.BEGIN, study_record.END


def write_tables() -> None:
    """Writes the generated sections of all READMEs."""
    # Else this process could write old tables over those with new results of another process.
    with locked(registry.recipes_folder()):
        for readme in readmes():
            tables.write_section(*readme)


if __name__ == "__main__":
    write_tables()
