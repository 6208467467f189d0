"""Training around Keras' own `fit`: batches, exact resume, the best epoch, progress, precision.

It may import from runs, layers, data and basics. Start reading in `fit.py`; `keeper.py` owns the
state that survives a kill, `batches.py` the order of examples.
"""
