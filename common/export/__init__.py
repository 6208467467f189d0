"""A trained model for use without this project: SavedModel, ONNX, LiteRT, each checked.

It may import from training, runs, layers, data and basics. Start reading in `conversion.py`;
`worker.py` is the process that converts and compares.
"""
