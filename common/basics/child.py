"""A process that ends with the one that started it: python -m common.basics.child MODULE WORDS...

Else a training could outlive a killed sweep. It would keep its run folder locked when the sweep is
started again.
"""

import os
import runpy
import subprocess
import sys
import threading
from collections.abc import Iterable
from typing import Any


def run(words: Iterable[str], indent: str = "") -> int:
    """Runs `recipes WORDS...` in a new process and returns its exit code.

    Args:
        words: What follows `recipes`.
        indent: Put in front of each line that the process prints. If empty, the process prints directly
            to the output of this one.

    Raises:
        KeyboardInterrupt: It was interrupted.
    """
    how: dict[str, Any] = {}
    if indent:
        # What it prints must arrive whole, whatever the encoding of this process's own output.
        how = {"stdout": subprocess.PIPE, "encoding": "utf-8", "errors": "replace"}
        how["env"] = {**os.environ, "PYTHONIOENCODING": "utf-8"}
    with start(words, **how) as process:
        for line in process.stdout or ():
            print(f"{indent}{line}", end="", flush=True)
        code = process.wait()
    if code == 130:
        raise KeyboardInterrupt
    return code


def start(words: Iterable[str], **how: Any) -> subprocess.Popen:
    """Starts `recipes WORDS...` in a new process and does not wait for it.

    Args:
        words: What follows `recipes`.
        **how: Further arguments of `subprocess.Popen`.

    Returns:
        The process. It ends when its standard input is closed.
    """
    command = [sys.executable, "-m", "common.basics.child", "recipes", *words]
    return subprocess.Popen(command, stdin=subprocess.PIPE, **how)


def stop(process: subprocess.Popen) -> None:
    """Ends a process that `start` returned; finished epochs of a training are on disk."""
    assert process.stdin is not None  # `start` opened it.
    process.stdin.close()
    try:
        process.wait(5)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def follow_parent() -> None:
    """Ends this process when the one at the other end of its standard input ends, for whatever reason."""
    threading.Thread(target=_wait_for_parent, daemon=True).start()


def _wait_for_parent():
    # Not by sys.stdin: the interpreter cannot close it at its end while a thread reads it.
    while os.read(0, 1):
        pass
    os._exit(143)


def main() -> None:
    """Runs the module named on the command line. That module ends the process with its exit code."""
    from common.basics import streams

    follow_parent()
    streams.be_silent()
    # environment.json records the command as a person would type it.
    del sys.argv[0]
    runpy.run_module(sys.argv[0], run_name="__main__")


if __name__ == "__main__":
    main()
