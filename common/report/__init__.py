"""The page of a run: report.html with its figures, one file without scripts.

It may import from export, training, runs, layers, data and basics. Start reading in `page.py`; what
it says of the run is put together in `facts.py`.
"""
