"""What recipes share, in rooms: a package imports from itself and from those below it, never from above.

From top to bottom:

    cli > tuning > studies > tasks > explain > report > export > training > runs > layers > data > basics

The docstring of each package, its door, says what lives there, what it may import and where to start
reading. Recipes import `common`; `common` imports no recipe and finds them by name
(`runs/registry.py`). No file that `--help` passes imports Keras or a backend at its top: usage errors
answer in a fraction of a second.
"""
