"""Plumbing that recipes share: configuration, data, runs, callbacks, evaluation, reports.

It knows no recipe. Nothing here imports Keras, TensorFlow or another backend at the top of a module:
`--help` and usage errors answer in a fraction of a second.
"""
