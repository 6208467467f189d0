"""The worker processes of a sweep on this machine."""

import os
import subprocess
import sys
import time

from common.basics.passwords import VARIABLE, reveal

# How a worker exits after an error that would meet the next one as well. Whatever else ends a process in
# the middle of a trial (a library may call exit) is that trial's failure.
REFUSED = 70
# And where a disk or a database cannot be used, so that no trial can be run now.
NO_STORAGE = 74


class Worker:
    """A worker process; its output goes to a log in the sweep folder.

    Args:
        directory: The sweep folder.
        index: Its place, 0-based.
        count: How many share the machine.
        storage: Address of the database, if there is one, as `common.basics.passwords.keep` returned it.
    """

    def __init__(self, directory, index, count, storage=None):
        import socket

        from common.basics.processor import cpu_count

        self.index = index
        self.log = directory / "logs" / f"worker-{index}.log"
        self.log.parent.mkdir(parents=True, exist_ok=True)
        self.name = f"{socket.gethostname()}-{os.getpid()}-{index}-{time.time_ns() % 10**9}"
        environment = {**os.environ, "PYTHONIOENCODING": "utf-8"}
        if count > 1:
            threads = str(max(cpu_count() // count, 1))
            for name in ("TF_NUM_INTRAOP_THREADS", "OMP_NUM_THREADS"):
                environment.setdefault(name, threads)
        if storage is not None:
            # Neither in the command line, which all users of the machine can read, nor in a file.
            environment[VARIABLE] = reveal(storage)
        read, words = os.pipe()
        # A process that the worker left behind may have the other end open.
        os.set_blocking(read, False)
        self._words = os.fdopen(read, "rb", buffering=0)
        command = [sys.executable, "-m", "common.tuning.worker", str(directory), self.name]
        with self.log.open("a") as log:
            self.process = subprocess.Popen(
                [*command, str(words)],
                pass_fds=(words,),
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                env=environment,
                # A Ctrl-C is the sweep's to handle: it ends its workers by closing their pipes.
                start_new_session=True,
            )
        os.close(words)

    def stop(self) -> None:
        """Ends it at once; finished epochs of its trial are on disk."""
        self.process.stdin.close()
        self._words.close()
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            self.process.kill()

    def last_words(self) -> str:
        """Returns what ended it, once it has: as it said, else the last line of its log."""
        text = (self._words.read() or b"").decode(errors="replace")
        if not text:
            lines = self.log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
            text = lines[-1].removeprefix("error: ") if lines else "a worker failed"
        return f"{text} (log: {self.log})"
