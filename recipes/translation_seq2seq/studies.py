"""A claim about beam search, answered by trainings: `recipes study translation_seq2seq`."""

from common.studies.study import Claim, Study

STUDIES = {
    "forgetting": Study(
        question="Does beam search keep a network from forgetting sums while it learns dates?",
        base="addition",
        arms={
            "greedy": {"beam": 1},
            "beam-8": {"beam": 8},
            "no-dates": {"beam": 1, "then_dates": 0},
        },
        seeds=5,
        # Tokens and lengths for both. About as many steps of dates as the preset of that name has.
        settings={
            "vocabulary_size": 96,
            "max_source": 60,
            "max_target": 24,
            "then_dates": 1,
            "schedule": "constant",
            "learning_rate": 2e-3,
        },
        claims=(
            Claim(
                "beam search helps avoid catastrophic forgetting",
                "Improving networks",
                "beam-8",
                "better",
            ),
        ),
    ),
}
