"""`recipes study`: trains the arms of a study and says how they differ."""

import inspect
import shlex
import sys
from collections.abc import Sequence

from common.basics import backend, hosts, streams
from common.basics.files import write_bytes_atomic, write_json_atomic
from common.basics.flags import flags
from common.cli.arguments import names_recipe
from common.runs import command_line, registry
from common.studies import study as studies
from common.studies import study_plan


def study_command(words: list[str]) -> int:
    """Runs `recipes study`; returns the exit code."""
    if not names_recipe("study", words):
        return 0
    name, words = registry.check(words[0]), words[1:]
    if not words or words[0].startswith("-"):
        if words and words[0] not in ("-h", "--help"):
            studies.find(name, words[0])
        print(listing(name))
        return 0
    title, words = words[0], words[1:]
    study = studies.find(name, title)
    options = command_line.parse(
        study_plan.StudyOptions,
        words,
        prog=f"recipes study {name} {title}",
        description=f"{study.question}\n\n{inspect.getdoc(study_plan.StudyOptions)}",
    )
    planned = study_plan.plan(name, title, study, options)
    backend.check()
    hosts.refuse("recipes study")
    streams.goes_on("the study")
    return run(name, title, study, options, planned)


def listing(name: str) -> str:
    """Returns the studies of a recipe, a line each with the question, and how to run one."""
    found = studies.of_recipe(name)
    if not found:
        return f"{name} has no studies; recipes/README.md says how to write one."
    width = max(map(len, found))
    lines = [
        f"  {title:<{width}}  {study.question} ({study.trainings} trainings)"
        for title, study in found.items()
    ]
    usage = f"recipes study {name} {next(iter(found))}    (--help: all flags)"
    return "\n".join([f"Studies of {name}:", *lines, "", usage])


def run(
    name: str,
    title: str,
    study: studies.Study,
    options: study_plan.StudyOptions,
    planned: Sequence[study_plan.Planned],
) -> int:
    """Trains a study, prints its answer and writes its files; returns the exit code.

    Args:
        name: Name of the recipe.
        title: Name of the study.
        study: The study.
        options: Flags of the command.
        planned: Its trainings.
    """
    from common.studies import study_runs, study_tuned

    tuned = None
    try:
        if study.tuned:
            tuning = study_plan.tuning(name, title, study, options)
            study_runs.fit_to_data(tuning)
            study_runs.train(tuning, options.workers)
            tuned = study_tuned.choose(tuning, study)
            planned = study_plan.plan(name, title, study, options, study_tuned.chosen(tuned))
        study_runs.fit_to_data(planned)
        study_runs.train(planned, options.workers)
    except KeyboardInterrupt:
        print(_interrupted(planned), file=sys.stderr)
        return 130
    from common.studies import study_answer, study_conditions, study_picture, study_record

    scores = study_conditions.scores(planned, study) if study.conditions else ()
    again = command(name, title, options)
    found = study_answer.answer(planned, title, study, again, conditions=scores, tuned=tuned)
    directory = study_plan.folder(name, title, options)
    pictures = {"": study_picture.draw(found)}
    if tuned:
        pictures["-tuned"] = study_picture.draw_tuned(found)
    write_json_atomic(directory / "study.json", found)
    for suffix, picture in pictures.items():
        write_bytes_atomic(directory / f"study{suffix}.png", picture)
    if found["data"]["source"] == "sample":
        print("Sample data: this says nothing about the real task.")
    print(
        f"\n{study.question}\n{found['answer']}\n\n{study_record.table(found)}\n\n{directory}/study.png"
    )
    if options.record:
        from common.cli.results import write_tables

        # The pictures come first: `record` and the tables refer to them.
        for suffix, picture in pictures.items():
            write_bytes_atomic(study_record.picture_file(name, title + suffix), picture)
        study_record.record(found)
        write_tables()
        print(f"Recorded: {study_record.file(name)}")
    return 0


def command(name: str, title: str, options: study_plan.StudyOptions) -> str:
    """Returns the command line that repeats a study: with the flags that change its answer only."""
    words = ["recipes", "study", name, title]
    for field in ("seeds", "arms", "epochs"):
        if getattr(options, field) is not None:
            words += flags({field: getattr(options, field)})
    if options.data != "full":
        words += ["--data", options.data, *flags(options.reading.to_dict())]
    return shlex.join(words)


def _interrupted(planned):
    done = {one for one in planned if one.finished()}
    text = f"{len(done)} of {len(planned)} trainings are done; the same command continues."
    whole = 0
    while any(one.seed == whole for one in planned) and all(
        one in done for one in planned if one.seed == whole
    ):
        whole += 1
    return text + (f" With --seeds {whole} the finished ones give an answer." if whole else "")
