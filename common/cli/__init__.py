"""The words people type: one file for each family of commands, and what notebooks call.

It may import from tuning, studies, tasks, explain, report, export, training, runs, layers, data and
basics; nothing imports it but the recipes' own scripts. Start reading in `entry.py`: it finds the
command, and turns an error into one line and an exit code.
"""

from common.cli.entry import main, run_script, tune_script

__all__ = ["main", "run_script", "tune_script"]
