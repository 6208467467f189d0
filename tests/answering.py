"""What a command prints, and which packages it has imported by then, from a process of its own.

Processes are forked from one that has imported the commands and nothing else. That takes a fifth of the
time that an interpreter needs to start.
"""

import concurrent.futures
import contextlib
import io
import multiprocessing
import os
import sys


def _answer(words, folder, heavy):
    from common.cli import main

    os.chdir(folder)
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = main(words)
    return code, [name for name in heavy if name in sys.modules], err.getvalue()


def answers():
    """Returns a pool of processes; each answers one command."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["common.cli.entry"])
    return concurrent.futures.ProcessPoolExecutor(1, context, max_tasks_per_child=1)


def answer(pool, words, folder, heavy):
    """Returns the exit code of a command, which of the packages it has imported, and its errors.

    Args:
        pool: As `answers` returns it.
        words: Words after `recipes`.
        folder: Where it is run.
        heavy: Names of the packages.
    """
    return pool.submit(_answer, words, str(folder), heavy).result(timeout=60)
