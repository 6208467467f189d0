"""Drop-in layers, optimizers and schedules: faster than Keras' own, or what Keras lacks.

It may import from data and basics. Start reading in `batch_norm.py`, short, and like the others in
keeping the weights and values of Keras.
"""
