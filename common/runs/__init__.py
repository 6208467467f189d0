"""A run folder and what is kept in it: configuration, environment, headline, scores.

It may import from layers, data and basics. Start reading in `run.py`; `config.py` makes a command
line and a file of a recipe's Config, `registry.py` finds recipes by name.
"""
