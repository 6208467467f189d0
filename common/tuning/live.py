"""What a process tells a database of an attempt that it runs: that it is alive, and its curve."""

import math
import threading
import time
from collections.abc import Sequence

from common.tuning.database import Database

# Seconds between two writes of a running trial's curve.
SHOW_SECONDS = 1


class Live:
    """An attempt that this process runs. It sends heartbeats at regular intervals until `stop`.

    Optuna's own heartbeat thread belongs to Study.optimize, which is not used here.

    Args:
        database: Where the attempt is.
        number: Number of the attempt.
        seconds: Seconds between heartbeats.
    """

    def __init__(self, database: Database, number: int, seconds: float):
        self.database, self.number = database, number
        # The record as it was last written.
        self.record: str | None = None
        self._written: dict[int, float] = {}
        self._next = 0.0
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._beat, args=(seconds,), daemon=True)
        self._thread.start()

    def _beat(self, seconds):
        while not self._stopped.wait(seconds):
            self.database.beat(self.number)

    def show(self, curve: Sequence[float], last: bool = False) -> None:
        """Writes those values of a curve that have not been written.

        Args:
            curve: The objective after each epoch. What is no finite number is left out.
            last: Whether the curve is complete. If not, it is written only once in SHOW_SECONDS.
        """
        if not last and time.monotonic() < self._next:
            return
        new = {
            epoch: value
            for epoch, value in enumerate(curve, 1)
            if math.isfinite(value) and self._written.get(epoch) != value
        }
        if self.database.show(self.number, new):
            self._written.update(new)
        self._next = time.monotonic() + SHOW_SECONDS

    def stop(self) -> None:
        """Ends the heartbeats."""
        self._stopped.set()
        self._thread.join()
