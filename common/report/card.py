"""The model card of a finished run: Markdown with a YAML header, as model hubs read it.

The form is that of Mitchell et al. 2019 and of the Hugging Face hub: what the model is, how to use it, on
what it was trained and tested, with what result, and what the result does not say. Every figure is read
from the run folder.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from common.basics.files import read_json
from common.basics.wording import number
from common.report import facts
from common.runs import config as configuration
from common.runs import headline, registry
from common.runs.finished import read_metrics

if TYPE_CHECKING:
    from common.runs.run import Run

HUB_TASKS = {"image": "image-classification", "text": "text-classification"}
"""The hub's names of tasks, by the kind of data; others have none here."""
# What another person has to know before using any classifier.
GENERAL = (
    "Test examples come from the same source as the training examples. On others, such as another "
    "camera, hand, author or year, expect less."
)


def card(run: Run, task: facts.ReportedTask, licence: str | None = None) -> str:
    """Returns the model card of a finished run as Markdown.

    Args:
        run: The run.
        task: The recipe's TASK.
        licence: The licence of the weights, as the hub names it, e.g. "apache-2.0". None: the card says
            that none was given.

    Raises:
        RecipeError: A file of the run is absent or damaged.
    """
    metrics = read_metrics(run.directory)
    environment = read_json(run.path("environment.json"), "environment")
    info = run.data_info()
    found = headline.of(metrics)
    page = {
        "recipe": run.recipe,
        "preset": run.preset,
        "what": registry.summary(run.recipe),
        "licence": licence,
        "data": metrics["data"],
        "sample": metrics["data"]["source"] == "sample",
        "rows": facts.data_rows(metrics["data"], info),
        "read": info.get("remarks") or [],
        "headline": found.name,
        "value": found.shown(found.value),
        "interval": " to ".join(found.shown(end) for end in found.interval or ()),
        "count": number(found.count),
        "validation": found.shown(found.validation),
        "baselines": facts.baselines(metrics),
        "verdict": _sentence(task.verdict(metrics)),
        "limits": [*task.remarks(metrics), GENERAL],
        "tiles": task.tiles(metrics),
        "parameters": number(metrics.get("parameters")),
        "seed": metrics["seed"],
        "epochs": metrics["epochs"],
        "best_epoch": metrics["best_epoch"],
        "fields": configuration.to_dict(run.config),
        "environment": facts.environment(environment),
        "versions": environment.get("versions") or {},
        "command": facts.command(environment),
        "header": _header(run, metrics, found, info["kind"], licence),
    }
    return _render(page)


def _header(run, metrics, found, kind, licence):
    """Returns the hub's metadata; JSON is YAML, and needs no rules for quotes."""
    data = metrics["data"]
    result = {
        "dataset": {"name": data["label"], "type": data["name"], "split": "test"},
        "metrics": [{"type": found.name, "name": found.name, "value": found.value}],
    }
    if kind in HUB_TASKS:
        result["task"] = {"type": HUB_TASKS[kind]}
    header = {
        "library_name": "keras",
        "tags": ["keras", run.recipe],
        "model-index": [{"name": f"{run.recipe} {run.preset}", "results": [result]}],
    }
    if data["source"] == "full":
        header["datasets"] = [data["name"]]
    if licence:
        header["license"] = licence
    return {key: json.dumps(value, ensure_ascii=False) for key, value in header.items()}


def _sentence(text):
    return f"{text[:1].upper()}{text[1:]}."


def _render(page):
    import jinja2

    from common.basics.wording import readable

    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("common.report"),
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
        autoescape=False,  # Markdown, not HTML.
    )
    environment.filters["cell"] = _cell
    return readable(environment.get_template("card.md.jinja").render(page))


def _cell(value):
    """Returns a value as text of one line that no sign in it can take out of a table's cell."""
    text = " ".join(str(value).split()).replace("<", "&lt;")
    for sign in "\\|*_`[":
        text = text.replace(sign, f"\\{sign}")
    return text
