"""Scores the networks of a study under conditions: the same network, on altered test images."""

from collections.abc import Sequence

from common.basics.errors import RecipeError
from common.runs.finished import open_finished
from common.studies.study import Study
from common.studies.study_plan import Planned

SEED = 0
"""Of the changes, whatever the seed of the training."""


def scores(planned: Sequence[Planned], study: Study) -> list[dict[str, float]]:
    """Returns for each finished training the share of right answers under each condition, by its name.

    Args:
        planned: Trainings of a recipe that classifies images.
        study: It has the conditions.

    Raises:
        RecipeError: The recipe classifies no images.
    """
    import numpy as np

    from common.data.altered import alter
    from common.tasks import metrics
    from common.tasks.classification import Classification
    from common.training.loading import load_model
    from common.training.outputs import inference_batches, predict

    found = []
    for number, one in enumerate(planned, 1):
        print(f"[{number} of {len(planned)}] {one.label}: scored under conditions", flush=True)
        run, module = open_finished(one.run.directory)
        if not isinstance(module.TASK, Classification) or module.TASK.kind != "image":
            raise RecipeError(f"{run.recipe} does not classify images: conditions change these")
        test = module.load_data(run.config, run.source).test
        model, images = load_model(run.path("best.keras")), np.asarray(test.x)
        by_name = {}
        for name, change in study.conditions.items():
            answers = predict(model, inference_batches(alter(images, **change, seed=SEED)))
            by_name[name] = metrics.accuracy(test.y, answers.argmax(axis=1))
        found.append(by_name)
    return found
