"""Many runs as one answer: comparisons and their tests, series of seeds, results.json, tables.

It may import from tasks, explain, report, export, training, runs, layers, data and basics. Start
reading in `compare.py`, then in `results.py`, which the tables of the READMEs are made from.
"""
