"""A study of two arms on a tiny data set: python tests/kill_study.py DATA RUNS_DIR [recipes study flags].

It is killed and started again by test_study.py.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from common.cli import main
from common.studies import study

STUDY = study.Study(
    question="Is a smaller rate worse?",
    base="best",
    arms={"usual": {}, "small": {"learning_rate": 1e-4}},
    settings={"epochs": 3, "batch_size": 16, "validation_fraction": 0.25},
    seeds=1,
)

if __name__ == "__main__":
    study.of_recipe = lambda name: {"rate": STUDY}
    words = ["--data", sys.argv[1], "--runs-dir", sys.argv[2], *sys.argv[3:]]
    raise SystemExit(main(["study", "mnist_cnn", "rate", *words]))
