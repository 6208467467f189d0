"""What an answer rests on: heat maps, attributions and erased words, each with a check.

It may import from report, export, training, runs, layers, data and basics. Start reading in
`explanation.py`, which `recipes explain` calls, then in `methods.py`.
"""
