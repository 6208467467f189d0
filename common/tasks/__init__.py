"""What an answer is and what it is worth: the task that each recipe names, scores, baselines, verdicts.

It may import from explain, report, export, training, runs, layers, data and basics. Start reading
in `task.py`, what every task is asked; `classification.py` is the commonest one.
"""
