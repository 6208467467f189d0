"""A run folder and what is kept in it: configuration, environment, headline, scores.

It may import from layers, data and basics. Start reading in `run.py`. `config.py` reads and writes a
recipe's Config, `command_line.py` makes flags of it, `registry.py` finds recipes by name.
"""
