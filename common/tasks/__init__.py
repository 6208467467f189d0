"""What an answer is and what it is worth: figures of merit, baselines, verdicts.

It may import from explain, report, export, training, runs, layers, data and basics. Start reading
in `metrics.py`: every figure is a function of arrays.
"""
