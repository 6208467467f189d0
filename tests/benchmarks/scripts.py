"""What people would run instead: the scripts of the articles and the examples on keras.io, as written.

Plain Keras with its defaults (XLA among them), on all training examples; the articles validate where
they validate, on the test set. A script is a function of the arrays (x_train, y_train, x_test, y_test),
raw, and returns (model, x, y, test inputs, arguments for fit).
"""

import keras
import numpy as np
from keras import layers

SPARSE = "sparse_categorical_crossentropy"


def mnist_documents(x_train, y_train, x_test, y_test):
    """Two blocks of two convolutions, 15 % validation, early stopping after 2 epochs without progress."""
    model = keras.Sequential(
        [
            keras.Input((28, 28, 1)),
            layers.Conv2D(64, 3, activation="relu"),
            layers.Conv2D(64, 3, activation="relu"),
            layers.MaxPooling2D(2),
            layers.Conv2D(128, 3, activation="relu"),
            layers.Conv2D(128, 3, activation="relu"),
            layers.GlobalAveragePooling2D(),
            layers.Dropout(0.5),
            layers.Dense(10, activation="softmax"),
        ]
    )
    model.compile(keras.optimizers.Adam(1e-3), SPARSE, metrics=["accuracy"])
    stop = keras.callbacks.EarlyStopping("val_loss", patience=2)
    fit = {"batch_size": 128, "epochs": 20, "validation_split": 0.15, "callbacks": [stop]}
    return model, _unit(x_train), y_train, _unit(x_test), fit


def mnist_keras_io(x_train, y_train, x_test, y_test):
    """keras.io/examples/vision/mnist_convnet: 15 epochs, 10 % validation."""
    model = keras.Sequential(
        [
            keras.Input((28, 28, 1)),
            layers.Conv2D(32, 3, activation="relu"),
            layers.MaxPooling2D(2),
            layers.Conv2D(64, 3, activation="relu"),
            layers.MaxPooling2D(2),
            layers.Flatten(),
            layers.Dropout(0.5),
            layers.Dense(10, activation="softmax"),
        ]
    )
    model.compile("adam", SPARSE, metrics=["accuracy"])
    fit = {"batch_size": 128, "epochs": 15, "validation_split": 0.1}
    return model, _unit(x_train), y_train, _unit(x_test), fit


def cifar10_documents(x_train, y_train, x_test, y_test):
    """Two convolutions, a dense layer, 10 epochs of batches of 32."""
    model = keras.Sequential(
        [
            keras.Input((32, 32, 3)),
            layers.Conv2D(32, 3, padding="same", activation="relu"),
            layers.MaxPooling2D(2),
            layers.Conv2D(64, 3, padding="same", activation="relu"),
            layers.MaxPooling2D(2),
            layers.Flatten(),
            layers.Dense(128, activation="relu"),
            layers.Dropout(0.5),
            layers.Dense(10, activation="softmax"),
        ]
    )
    model.compile("adam", SPARSE, metrics=["accuracy"])
    fit = {"batch_size": 32, "epochs": 10, "validation_data": (_unit(x_test), y_test)}
    return model, _unit(x_train), y_train, _unit(x_test), fit


def imdb_documents(x_train, y_train, x_test, y_test):
    """10,000 words, the last 250, one bidirectional LSTM, averaged over padding too; 3 epochs."""
    encode = _encoder(x_train, 10_000, 250)
    model = keras.Sequential(
        [
            keras.Input((250,), dtype="int32"),
            layers.Embedding(10_000, 64),
            layers.Bidirectional(layers.LSTM(64, return_sequences=True)),
            layers.GlobalAveragePooling1D(),
            layers.Dense(1, activation="sigmoid"),
        ]
    )
    model.compile("adam", "binary_crossentropy", metrics=["accuracy"])
    test = encode(x_test)
    fit = {"batch_size": 32, "epochs": 3, "validation_data": (test, y_test)}
    return model, encode(x_train), y_train, test, fit


def imdb_keras_io(x_train, y_train, x_test, y_test):
    """keras.io/examples/nlp/bidirectional_lstm_imdb: 20,000 words, 200 of them, two layers; 2 epochs."""
    encode = _encoder(x_train, 20_000, 200)
    model = keras.Sequential(
        [
            keras.Input((200,), dtype="int32"),
            layers.Embedding(20_000, 128),
            layers.Bidirectional(layers.LSTM(64, return_sequences=True)),
            layers.Bidirectional(layers.LSTM(64)),
            layers.Dense(1, activation="sigmoid"),
        ]
    )
    model.compile("adam", "binary_crossentropy", metrics=["accuracy"])
    test = encode(x_test)
    fit = {"batch_size": 32, "epochs": 2, "validation_data": (test, y_test)}
    return model, encode(x_train), y_train, test, fit


def _unit(images):
    return images.astype("float32") / 255.0


def _encoder(texts, words, length):
    """Returns a function from texts to int32 `(n, length)`: the last words, padded in front."""
    from common.data.text import TextEncoder

    encoder = TextEncoder.fit(texts, words, length)

    def encode(texts):
        ids = encoder.encode(texts)
        counts = (ids != 0).sum(axis=1)
        return np.stack([np.roll(row, length - n) for row, n in zip(ids, counts, strict=True)])

    return encode


SCRIPTS = {
    "mnist_cnn": {"documents": mnist_documents, "keras.io": mnist_keras_io},
    "cifar10_cnn": {"documents": cifar10_documents},
    "imdb_bilstm": {"documents": imdb_documents, "keras.io": imdb_keras_io},
}
