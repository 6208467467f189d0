"""The worker processes of a sweep on this machine."""

import os
import subprocess
import sys
import time

# How a worker exits after an error that would meet the next one as well. Whatever else ends a process in
# the middle of a trial (a library may call exit) is that trial's failure.
REFUSED = 70


class Worker:
    """A worker process; its output goes to a log in the sweep folder.

    Args:
        directory: The sweep folder.
        index: Its place, 0-based.
        count: How many share the machine.
    """

    def __init__(self, directory, index, count):
        import socket

        from common.processor import cpu_count

        self.index = index
        self.log = directory / "logs" / f"worker-{index}.log"
        self.log.parent.mkdir(parents=True, exist_ok=True)
        self.name = f"{socket.gethostname()}-{os.getpid()}-{index}-{time.time_ns() % 10**9}"
        environment = {**os.environ, "PYTHONIOENCODING": "utf-8"}
        if count > 1:
            threads = str(max(cpu_count() // count, 1))
            for name in ("TF_NUM_INTRAOP_THREADS", "OMP_NUM_THREADS"):
                environment.setdefault(name, threads)
        with self.log.open("a") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "common.tuning.worker", str(directory), self.name],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                env=environment,
                # A Ctrl-C is the sweep's to handle: it ends its workers by closing their pipes.
                start_new_session=True,
            )

    def stop(self):
        """Ends it at once; finished epochs of its trial are on disk."""
        self.process.stdin.close()
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            self.process.kill()

    def last_words(self):
        """Returns the last line of its log."""
        lines = self.log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
        text = lines[-1].removeprefix("error: ") if lines else "a worker failed"
        return f"{text} (log: {self.log})"
