"""Tasks: how the answers of each kind of model are scored, compared with baselines and judged.

It may import from explain, report, export, training, runs, layers, data and basics. Start reading
in `task.py`, the interface of every task; `classification.py` is the most common one.
"""
