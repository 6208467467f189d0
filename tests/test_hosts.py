"""A training on several hosts (JAX): what the environment says, what is refused, what the page shows.

tests/test_hosts_training.py trains, with processes of its own.
"""

import re
import subprocess

import pytest

from common.basics import agreement, backend, hosts, places
from common.basics.errors import UsageError
from common.cli import main
from tests.conftest import ROOT

README = (ROOT / "common/training/README.md").read_text(encoding="utf-8")
JAX = {
    "JAX_COORDINATOR_ADDRESS": "node1:12345",
    "JAX_NUM_PROCESSES": "2",
    "JAX_PROCESS_ID": "1",
}
STEP = {
    "SLURM_JOB_ID": "1000",
    "SLURM_STEP_ID": "3",
    "SLURM_NTASKS": "2",
    "SLURM_STEP_NUM_TASKS": "2",
    "SLURM_STEP_NUM_NODES": "2",
    "SLURM_STEP_NODELIST": "node[07-08]",
    "SLURM_PROCID": "1",
    "SLURM_LOCALID": "0",
}


# What the environment says


def test_the_variables_of_jax_make_one_training():
    assert places.found(JAX) == places.Place(2, 1, "node1:12345")
    assert places.found({}) is None


@pytest.mark.parametrize(
    "change",
    [
        {"JAX_NUM_PROCESSES": ""},
        {"JAX_PROCESS_ID": "2"},
        {"JAX_PROCESS_ID": "-1"},
        {"JAX_NUM_PROCESSES": "two"},
        {"JAX_COORDINATOR_ADDRESS": "node1"},
        {"JAX_COORDINATOR_ADDRESS": ""},
    ],
)
def test_incomplete_variables_are_refused(change):
    with pytest.raises(UsageError, match="JAX_"):
        places.found(JAX | change)


def test_a_step_of_slurm_with_a_task_on_each_host_is_one_training():
    place = places.found(STEP)
    assert (place.count, place.index) == (2, 1)
    assert re.fullmatch(r"node07:\d{5}", place.address)
    # Two steps of a job, at the same time, need two ports.
    assert places.found(STEP | {"SLURM_STEP_ID": "4"}).address != place.address
    assert places.found(STEP | {"JAX_COORDINATOR_PORT": "777"}).address == "node07:777"


@pytest.mark.parametrize(
    ("listed", "first"),
    [
        ("node7", "node7"),
        ("node7,node9", "node7"),
        ("node[07-09,12]", "node07"),
        ("node[3,5],other[1-2]", "node3"),
        ("gpu-a[07-09]-ib", "gpu-a07-ib"),
    ],
)
def test_the_first_host_of_a_list_of_slurm(listed, first):
    address = places.found(STEP | {"SLURM_STEP_NODELIST": listed}).address
    assert address.rpartition(":")[0] == first


@pytest.mark.parametrize(
    "change",
    [
        # A job of an array: a task of its own.
        {"SLURM_ARRAY_TASK_ID": "4", "SLURM_STEP_NUM_TASKS": "1", "SLURM_STEP_NUM_NODES": "1"},
        # A script of sbatch, outside srun.
        {"SLURM_STEP_NUM_TASKS": None, "SLURM_STEP_NUM_NODES": None, "SLURM_STEP_NODELIST": None},
        # Several tasks on a host: trainings of their own, each with a GPU.
        {"SLURM_STEP_NUM_TASKS": "4", "SLURM_STEP_NUM_NODES": "2"},
        {"JAX_NUM_PROCESSES": "1"},
    ],
)
def test_tasks_of_their_own_are_no_training_together(change):
    values = {name: value for name, value in (STEP | change).items() if value is not None}
    assert places.found(values) is None


def test_an_array_of_trainings_on_several_hosts_each():
    assert places.found(STEP | {"SLURM_ARRAY_TASK_ID": "4"}).count == 2


# What is refused


@pytest.fixture
def two_processes(monkeypatch):
    for name, value in JAX.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(hosts, "_asked", False)


@pytest.mark.parametrize("name", ["tensorflow", "torch"])
def test_other_backends_refuse_in_one_line(name, two_processes, monkeypatch, in_tmp, capsys):
    monkeypatch.setenv("KERAS_BACKEND", name)
    assert main(["train", "mnist_cnn", "--data", "sample"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert f"needs JAX, and the backend is {name}" in line
    assert "KERAS_BACKEND=jax" in line
    assert "JAX_NUM_PROCESSES=1" in line
    assert list(in_tmp.iterdir()) == []


@pytest.mark.parametrize(
    "words",
    [
        ["tune", "mnist_cnn", "--data", "sample"],
        ["sweep", "mnist_cnn", "--data", "sample"],
        ["results", "mnist_cnn"],
        ["study", "mnist_mlp", "activations"],
        ["train", "mnist_cnn", "--data", "sample", "--seeds", "2"],
    ],
)
def test_what_processes_cannot_share_is_refused_in_one_line(words, two_processes, in_tmp, capsys):
    assert main(words) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "is not shared by the 2 processes" in line
    assert "JAX_NUM_PROCESSES=1" in line
    assert list(in_tmp.iterdir()) == []


def test_a_search_answers_help_anywhere(two_processes, capsys):
    assert main(["tune", "mnist_cnn", "--help"]) == 0
    assert "--storage" in capsys.readouterr().out


def test_nothing_but_a_training_joins(two_processes):
    assert hosts.asked() is None
    hosts.start()
    assert hosts.count() == 1
    assert hosts.leads()


def test_one_process_decides_for_itself():
    assert agreement.agreed(lambda: [1, "two"]) == [1, "two"]
    assert hosts.send(b"three") == b"three"
    agreement.same("the data", "any")
    hosts.end()
    hosts.leave(7)
    error = ValueError("Gloo all-reduce failed")
    assert hosts.explained(error) is error
    assert not backend.on_hosts()


# The examples of the page


def blocks(language):
    """Returns the fenced blocks of a language in the page on several hosts."""
    return re.findall(rf"^```{language}\n(.*?)^```", README, re.MULTILINE | re.DOTALL)


def test_the_scripts_for_slurm_are_scripts():
    found = blocks("bash")
    assert len(found) == 3
    for script in found:
        checked = subprocess.run(["bash", "-n"], input=script, text=True, capture_output=True)
        assert (checked.returncode, checked.stderr) == (0, "")


def options(script):
    """Returns the options that a script gives sbatch."""
    return dict(re.findall(r"^#SBATCH --([\w-]+)=(\S+)", script, re.MULTILINE))


def test_the_training_on_slurm_has_a_task_on_each_host():
    (script,) = [
        script for script in blocks("bash") if "recipes train" in script and "#SB" in script
    ]
    assert script.startswith("#!/bin/bash\n")
    assert (options(script)["nodes"], options(script)["ntasks-per-node"]) == ("2", "1")
    # Without srun, sbatch runs a script on the first host only.
    assert re.search(r"^srun .*recipes train", script, re.MULTILINE)


def test_the_search_on_slurm_is_an_array_of_single_tasks():
    (script,) = [script for script in blocks("bash") if "recipes tune" in script]
    assert options(script)["ntasks"] == "1"
    assert re.fullmatch(r"0-\d+", options(script)["array"])
    assert "postgresql://" in script


def test_the_job_of_kubernetes_is_one_training():
    yaml = pytest.importorskip("yaml")
    (text,) = blocks("yaml")
    service, job = yaml.safe_load_all(text)
    assert (service["kind"], job["kind"]) == ("Service", "Job")
    assert service["spec"]["clusterIP"] == "None"
    spec = job["spec"]
    pod = spec["template"]["spec"]
    assert spec["completionMode"] == "Indexed"
    assert pod["subdomain"] == service["metadata"]["name"]
    assert service["spec"]["selector"] == {"job-name": job["metadata"]["name"]}
    (container,) = pod["containers"]
    index = "metadata.annotations['batch.kubernetes.io/job-completion-index']"
    given = {
        each["name"]: each.get("value") or each["valueFrom"]["fieldRef"]["fieldPath"]
        for each in container["env"]
    }
    assert given.pop("JAX_PROCESS_ID") == index
    assert places.found(given | {"JAX_PROCESS_ID": "1"}).count == spec["completions"]
    assert spec["parallelism"] == spec["completions"]
    first = f"{job['metadata']['name']}-0.{service['metadata']['name']}"
    assert given["JAX_COORDINATOR_ADDRESS"].rpartition(":")[0] == first
    assert given["KERAS_BACKEND"] == "jax"
    mounts = {mount["name"]: mount["mountPath"] for mount in container["volumeMounts"]}
    assert set(mounts) == {volume["name"] for volume in pod["volumes"]}
    words = container["command"] + container["args"]
    assert words[words.index("--run-dir") + 1].startswith(mounts["shared"] + "/")
