"""What a search began with: environment.json of its folder, and the data, which must stay the same."""

from pathlib import Path

from common.basics.errors import UsageError
from common.basics.files import read_json, write_json_atomic
from common.data.types import DataInfo

FILE = "environment.json"


class OtherDataError(UsageError):
    """The data differs from that of the search."""


def check_data(begun: str | None, now: str, data: str, where: Path | str | None) -> None:
    """Refuses to continue a search on other data: such scores cannot be compared.

    Args:
        begun: Fingerprint of the data that the search began with; None: not known, all data will do.
        now: Fingerprint of the data that was read now.
        data: The value of `--data`, for the message.
        where: The sweep folder or the database, for the message.

    Raises:
        OtherDataError: The fingerprints differ.
    """
    if begun is not None and begun != now:
        raise OtherDataError(
            f"{where} holds a search on data with fingerprint {begun}, and what --data {data} reads now "
            f"has {now}: its files, or which of its examples belong together, have changed. Bring back "
            "the data as it was, or choose another --sweep-dir, or --fresh to start over"
        )


def fingerprint(directory: Path | str) -> str | None:
    """Returns the fingerprint of the data in a folder's environment.json, or None if there is none."""
    path = Path(directory) / FILE
    data = read_json(path, "environment").get("data") if path.exists() else None
    return (data or {}).get("fingerprint")


def record(directory: Path | str, seed: int, info: DataInfo) -> None:
    """Writes environment.json, unless it is there. Removes a password from an existing one.

    Args:
        directory: The sweep folder.
        seed: Seed of the search.
        info: The data of the search.
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
