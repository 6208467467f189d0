"""The user's own texts: CSV files with a column of texts and one of labels."""

import csv

import numpy as np

from common.data.types import OwnArrays, Split, fingerprint_of
from common.errors import RecipeError


def find(path):
    """Returns the CSV files of a folder by split; nothing where there is no train.csv."""
    files = {part: path / f"{part}.csv" for part in ("train", "test")}
    files = {part: file for part, file in files.items() if file.is_file()}
    return files if "train" in files else {}


def read(files, reading):
    """Reads texts and their labels.

    Args:
        files: Dict from "train", and perhaps "test", to a CSV file.
        reading: common.data.types.Reading.

    Returns:
        OwnArrays.

    Raises:
        RecipeError: What is there cannot be used.
    """
    rows = {part: _read_csv(file) for part, file in files.items()}
    names = {label for _, label in rows["train"]}
    # Numbers in the order of numbers, so that class 10 does not come before class 2.
    numeric = all(name.isdecimal() for name in names)
    class_names = sorted(names, key=(lambda name: (int(name), name)) if numeric else None)
    index = {name: label for label, name in enumerate(class_names)}
    splits = {}
    for part, pairs in rows.items():
        unknown = [label for _, label in pairs if label not in index]
        if unknown:
            raise RecipeError(f"{files[part]}: label '{unknown[0]}' does not occur in train.csv")
        texts = np.empty(len(pairs), object)
        texts[:] = [text for text, _ in pairs]
        splits[part] = Split(texts, np.array([index[label] for _, label in pairs], np.int32))
    fingerprint = fingerprint_of((part, file) for part, file in files.items())
    return OwnArrays("text", fingerprint, class_names, splits["train"], splits.get("test"))


def _read_csv(path):
    """Returns a list of `(text, label)`."""
    # The default limit of 131,072 characters would refuse long documents.
    csv.field_size_limit(2**31 - 1)
    rows = []
    try:
        # utf-8-sig drops the byte order mark that spreadsheets write.
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file, strict=True)
            header = [name.strip().lower() for name in next(reader, [])]
            missing = [name for name in ("text", "label") if name not in header]
            if missing:
                raise RecipeError(
                    f"{path}: expected columns text and label, column {missing[0]} is missing; "
                    f"found: {', '.join(header) or 'an empty file'}"
                )
            text_column, label_column = header.index("text"), header.index("label")
            for row in reader:
                if not row:
                    continue
                if len(row) != len(header):
                    raise RecipeError(
                        f"{path}, line {reader.line_num}: {len(row)} fields where the header has "
                        f"{len(header)}; texts with commas need quotes"
                    )
                text, label = row[text_column], row[label_column].strip()
                if not text.strip() or not label:
                    empty = "text" if label else "label"
                    raise RecipeError(
                        f"{path}, line {reader.line_num}: the {empty} is empty; fill it or "
                        "remove the row"
                    )
                rows.append((text, label))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise RecipeError(f"{path} is not a readable UTF-8 CSV file: {error}") from error
    if not rows:
        raise RecipeError(f"{path} holds no rows below its header")
    return rows
