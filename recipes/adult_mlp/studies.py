"""Questions about the census table, answered by trainings: `recipes study adult_mlp`."""

from common.studies.study import Study

STUDIES = {
    "fairness": Study(
        question="What do steps towards equal treatment of men and women cost?",
        base="best",
        # What they change for the groups: `python -m recipes.adult_mlp.fairness`.
        arms={
            "all-columns": {},
            "without-sex": {"drop_columns": "sex"},
            # Wives and husbands tell their sex.
            "without-sex-relationship": {"drop_columns": "sex, relationship"},
            "reweighed": {"reweigh_column": "sex"},
        },
        seeds=5,
    ),
    "columns": Study(
        question="Which way of preparing columns is best?",
        base="best",
        arms={
            "bins-embeddings": {},
            "bins-one-hot": {"embedding_units": 0},
            "standardised-embeddings": {"bins": 0},
            "standardised-one-hot": {"bins": 0, "embedding_units": 0},
        },
        seeds=3,
    ),
}
