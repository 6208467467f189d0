"""Drop-in layers, optimizers and schedules: faster than Keras' own, or what Keras lacks.

It may import from data and basics. Start reading in `batch_norm.py`: it is short. Like the other layers
it has the weights and values of Keras' own.
"""
