"""`recipes attack`: how many test images of a finished run withstand attacks."""

from __future__ import annotations

from pathlib import Path

from common.basics import backend
from common.basics.errors import UsageError
from common.cli.arguments import arguments_of
from common.cli.opened import DATA_FLAGS, open_run, splits_of
from common.cli.train import encoder, finished_on, write_run_report


def attack_command(words: list[str]) -> int:
    """Runs `recipes attack`; returns the exit code."""
    arguments = arguments_of(
        "attack",
        "Attacks a run's best model on test images, which may change by at most epsilon.\n\n"
        "From cheap to strong: FGSM; PGD with 20 steps; PGD with 100 steps and restarts; the same by the "
        "margin between the classes; Square, which needs no gradients. The figure to quote is the share "
        "of images that withstand all of them. It is written into the run's attack.json and its report, "
        "with checks of whether the network only hides its gradients.",
        words,
        run=(Path, ..., "Run folder."),
        epsilon=(
            str | None,
            None,
            "Largest change in the norm, where black is 0, white 1, e.g. 0.3 or 8/255 (default: the "
            "recipe's, else 0.3 for grey images and 8/255 for coloured ones; in l2 2 and 0.5).",
        ),
        norm=(
            str,
            "linf",
            "Norm of the change: linf, the largest pixel; l2, the root of the sum of squares.",
        ),
        examples=(int, 1000, "Test images, a random subset that is always the same."),
        restarts=(int, 20, "Random starts of PGD with 100 steps."),
        queries=(int, 5000, "Answers per image that Square may ask for."),
        **DATA_FLAGS,
    )
    from common.tasks import attacked

    if arguments.norm not in attacked.USUAL:
        raise UsageError(f"--norm is {' or '.join(attacked.USUAL)}; got '{arguments.norm}'")
    run, module = open_run(arguments.run)
    attacked.check(run, module)
    splits = splits_of(run, module, arguments)
    finished_on(run, splits)
    backend.start_or_interrupt()
    found = attacked.attack(
        run,
        splits,
        encoder(module, run),
        epsilon=arguments.epsilon,
        norm=arguments.norm,
        examples=arguments.examples,
        restarts=arguments.restarts,
        queries=arguments.queries,
    )
    print(attacked.line(found))
    print(f"Report: {Path(write_run_report(run, module, splits)).resolve()}")
    return 0
