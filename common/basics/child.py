"""A process that ends with the one that started it: python -m common.basics.child MODULE WORDS...

A training that outlived a killed sweep would keep its run folder from the same command given again.
"""

import os
import runpy
import subprocess
import sys
import threading


def run(words, indent=""):
    """Runs `recipes WORDS...` in a new process.

    Args:
        words: What follows `recipes`.
        indent: What its printed lines get in front. Without, it prints where this process does.

    Returns:
        Its exit code.

    Raises:
        KeyboardInterrupt: It was interrupted.
    """
    how = {}
    if indent:
        # Its words must arrive whole, whatever the encoding of this process's own output.
        how = {"stdout": subprocess.PIPE, "encoding": "utf-8", "errors": "replace"}
        how["env"] = {**os.environ, "PYTHONIOENCODING": "utf-8"}
    with start(words, **how) as process:
        for line in process.stdout or ():
            print(f"{indent}{line}", end="", flush=True)
        code = process.wait()
    if code == 130:
        raise KeyboardInterrupt
    return code


def start(words, **how):
    """Starts `recipes WORDS...` in a new process, for who has more than one of them.

    Args:
        words: What follows `recipes`.
        **how: As of `subprocess.Popen`.

    Returns:
        The `subprocess.Popen`; its standard input is what it lives by.
    """
    command = [sys.executable, "-m", "common.basics.child", "recipes", *words]
    return subprocess.Popen(command, stdin=subprocess.PIPE, **how)


def stop(process):
    """Ends a process that `start` returned; finished epochs of a training are on disk."""
    process.stdin.close()
    try:
        process.wait(5)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def follow_parent():
    """Ends this process with the one at the other end of its standard input, however that one ends."""
    threading.Thread(target=_wait_for_parent, daemon=True).start()


def _wait_for_parent():
    # Not through sys.stdin: the interpreter could not close it while it is being read.
    while os.read(0, 1):
        pass
    os._exit(143)


def main():
    """Runs the module that the process was started with, which ends the process with its exit code."""
    from common.basics import streams

    follow_parent()
    streams.be_silent()
    # The run's environment.json tells the command as one would type it.
    del sys.argv[0]
    runpy.run_module(sys.argv[0], run_name="__main__")


if __name__ == "__main__":
    main()
