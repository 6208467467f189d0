"""Real tables with a number to predict that come with scikit-learn."""

import hashlib

import numpy as np

from common.data.columns import infer
from common.data.sets import NumberTable
from common.data.split import strata, stratified_cut
from common.data.types import Dataset, Split


def load(data_set: NumberTable) -> Dataset:
    """Returns the rows and numbers of a table, with a test split that is always the same.

    Args:
        data_set: Declares it.
    """
    from sklearn import datasets

    held = getattr(datasets, f"load_{data_set.name}")(scaled=False)
    names, targets = list(held.feature_names), np.asarray(held.target, "float64")
    x = np.empty(held.data.shape, object)
    x[:] = [[f"{cell:g}" for cell in row] for row in held.data.tolist()]
    whole = Split(x, targets)
    rows, test_rows = stratified_cut(strata(targets), data_set.test_fraction, seed=0)
    columns = [infer(name, x[:, place].tolist()) for place, name in enumerate(names)]
    digest = hashlib.sha256(held.data.tobytes() + targets.tobytes())
    return Dataset(
        name=data_set.name,
        version="",
        source="full",
        fingerprint=digest.hexdigest(),
        kind="table",
        class_names=[],
        label=data_set.label,
        note="",
        train=whole.take(rows),
        load_test=lambda: whole.take(test_rows),
        test_count=len(test_rows),
        reading={
            "label_column": data_set.target,
            "columns": [column.to_dict() for column in columns],
        },
    )
