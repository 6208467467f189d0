"""Questions about residual networks, answered by trainings: `recipes study cifar10_resnet`."""

from common.studies.study import Study

STUDIES = {
    "depth": Study(
        question="What does depth do to a network without shortcuts, and to one with them?",
        base="short_20",
        arms={
            "plain-20": {"residual": False, "blocks_per_stage": 3},
            "plain-32": {"residual": False, "blocks_per_stage": 5},
            "plain-44": {"residual": False, "blocks_per_stage": 7},
            "ResNet-20": {"residual": True, "blocks_per_stage": 3},
            "ResNet-32": {"residual": True, "blocks_per_stage": 5},
            "ResNet-44": {"residual": True, "blocks_per_stage": 7},
        },
        seeds=3,
        # Enough to see it, and an hour or two on two cores; the paper trains 182.
        settings={"epochs": 5},
    ),
}
