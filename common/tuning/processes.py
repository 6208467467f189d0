"""The worker processes of a sweep on this machine."""

import os
import subprocess
import sys
import time

from common.basics.passwords import VARIABLE, reveal

# Exit code of a worker after an error that every other worker would meet as well. With any other code, a
# process that ends inside a trial (a library may call exit) makes that trial fail.
REFUSED = 70
# Exit code where a disk or a database cannot be used, so that no trial can be run now.
NO_STORAGE = 74


class Worker:
    """A worker process; its output goes to a log in the sweep folder.

    Args:
        directory: The sweep folder.
        index: Number of the worker, 0-based.
        count: Number of workers that share the machine.
        storage: Address of the database as `common.basics.passwords.keep` returned it. None: no database.
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
            # Not in the command line, which all users of the machine can read, and not in a file.
            environment[VARIABLE] = reveal(storage)
        read, words = os.pipe()
        # Reading must not block: a process that the worker left behind may hold the other end open.
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
                # The worker gets no Ctrl-C: the sweep does, and ends its workers by closing their pipes.
                start_new_session=True,
            )
        os.close(words)

    def stop(self) -> None:
        """Ends the worker at once. Finished epochs of its trial are on disk."""
        self.process.stdin.close()
        self._words.close()
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            self.process.kill()

    def last_words(self) -> str:
        """Returns why a worker has ended: its own words, else the last line of its log."""
        text = (self._words.read() or b"").decode(errors="replace")
        if not text:
            lines = self.log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
            text = lines[-1].removeprefix("error: ") if lines else "a worker failed"
        return f"{text} (log: {self.log})"
