"""What a search was begun with: environment.json of its folder, and data that must stay the same."""

from pathlib import Path

from common.basics.errors import UsageError
from common.basics.files import read_json, write_json_atomic
from common.data.types import DataInfo

FILE = "environment.json"


class OtherDataError(UsageError):
    """The data is not that of the search."""


def check_data(begun: str | None, now: str, data: str, where: Path | str | None) -> None:
    """Refuses to go on with a search on other data: scores on different data are no contest.

    Args:
        begun: Fingerprint of the data that the search was begun with; None: it is not known.
        now: That of the data that was read now.
        data: `--data`, for the message.
        where: The sweep folder or the database.

    Raises:
        OtherDataError: They differ.
    """
    if begun is not None and begun != now:
        raise OtherDataError(
            f"{where} holds a search on data with fingerprint {begun}, and what --data {data} reads now "
            f"has {now}: its files, or which of its examples belong together, have changed. Bring back "
            "the data as it was, or choose another --sweep-dir, or --fresh to start over"
        )


def fingerprint(directory: Path | str) -> str | None:
    """Returns the fingerprint in a folder's environment.json, or None where it says nothing."""
    path = Path(directory) / FILE
    data = read_json(path, "environment").get("data") if path.exists() else None
    return (data or {}).get("fingerprint")


def record(directory: Path | str, seed: int, info: DataInfo) -> None:
    """Writes environment.json the first time; leaves no password in what was written before.

    Args:
        directory: The sweep folder.
        seed: Of the search.
        info: DataInfo of its data.
    """
    from common.runs import environment

    path = Path(directory) / FILE
    if not path.exists():
        write_json_atomic(path, environment.describe(seed, info.to_dict()))
        return
    held = read_json(path, "environment")
    shown = {**held, "command": environment.without_passwords(str(held.get("command", "")))}
    if shown != held:
        write_json_atomic(path, shown)
