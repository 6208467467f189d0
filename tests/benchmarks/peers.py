"""Networks of recipes in plain PyTorch, for comparison (extra [torch])."""

import torch
from torch import nn


class MnistCNN(nn.Module):
    """64-64 and 128-128 convolutions, valid, pooling between, global average."""

    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(1, 64, 3), nn.ReLU(), nn.Conv2d(64, 64, 3), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(64, 128, 3), nn.ReLU(), nn.Conv2d(128, 128, 3), nn.ReLU(),
        )  # fmt: skip
        self.head = nn.Sequential(nn.Dropout(0.5), nn.Linear(128, 10))

    def forward(self, x):
        return self.head(self.features(x / 255.0).mean(dim=(2, 3)))


class Cifar10CNN(nn.Module):
    """32 and 64 filters, each pooled; flatten, dense 128, dropout."""

    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(3, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(32, 64, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
            nn.Flatten(), nn.Linear(64 * 8 * 8, 128), nn.ReLU(), nn.Dropout(0.5),
            nn.Linear(128, 10),
        )  # fmt: skip

    def forward(self, x):
        return self.layers(x / 255.0)


class Block(nn.Module):
    """Two 3 x 3 convolutions and a shortcut, option A."""

    def __init__(self, incoming, filters, stride):
        super().__init__()
        self.stride, self.missing = stride, filters - incoming
        self.first = nn.Conv2d(incoming, filters, 3, stride, 1, bias=False)
        self.second = nn.Conv2d(filters, filters, 3, 1, 1, bias=False)
        self.norms = nn.ModuleList([nn.BatchNorm2d(filters), nn.BatchNorm2d(filters)])

    def forward(self, x):
        y = self.norms[1](self.second(torch.relu(self.norms[0](self.first(x)))))
        if self.stride > 1:
            half = self.missing // 2
            pad = (0, 0, 0, 0, half, self.missing - half)
            x = nn.functional.pad(x[:, :, ::2, ::2], pad)
        return torch.relu(x + y)


class ResNet20(nn.Module):
    """He et al. 2015, n = 3."""

    def __init__(self):
        super().__init__()
        layers, incoming = (
            [nn.Conv2d(3, 16, 3, 1, 1, bias=False), nn.BatchNorm2d(16), nn.ReLU()],
            16,
        )
        for stage, filters in enumerate((16, 32, 64)):
            for block in range(3):
                layers.append(Block(incoming, filters, 2 if stage and not block else 1))
                incoming = filters
        self.features, self.head = nn.Sequential(*layers), nn.Linear(64, 10)

    def forward(self, x):
        return self.head(self.features((x - 120.0) / 64.0).mean(dim=(2, 3)))


class ImdbBiLSTM(nn.Module):
    """Embedding 64, bidirectional LSTM 64, the mean over words, one logit.

    As it is usually written: read backwards, a row begins with its padding.
    """

    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(10_000, 64)
        self.lstm = nn.LSTM(64, 64, bidirectional=True, batch_first=True)
        self.head = nn.Linear(128, 1)

    def forward(self, ids):
        mask = (ids != 0).unsqueeze(-1).float()
        states, _ = self.lstm(self.embedding(ids))
        return self.head((states * mask).sum(1) / mask.sum(1))


class PackedImdbBiLSTM(ImdbBiLSTM):
    """The same without reading padding: the values of the recipe's network."""

    def forward(self, ids):
        lengths = (ids != 0).sum(1)
        packed = nn.utils.rnn.pack_padded_sequence(
            self.embedding(ids), lengths, batch_first=True, enforce_sorted=False
        )
        states, _ = nn.utils.rnn.pad_packed_sequence(self.lstm(packed)[0], batch_first=True)
        return self.head(states.sum(1) / lengths[:, None])


class Seq2Seq(nn.Module):
    """The network of translation_seq2seq: packed sources, attention by products.

    Args:
        config: Config of the recipe, one layer.
    """

    def __init__(self, config):
        super().__init__()
        vectors, units = config.embedding_units, config.units
        self.words = nn.ModuleList(nn.Embedding(config.vocabulary_size, vectors) for _ in "xy")
        self.encoder = nn.LSTM(vectors, units // 2, bidirectional=True, batch_first=True)
        self.bridge = nn.Linear(units, 2 * units)
        self.decoder = nn.LSTM(vectors, units, batch_first=True)
        self.query = nn.Linear(units, units, bias=False)
        self.combine = nn.Linear(2 * units, units)
        self.logits = nn.Linear(units, config.vocabulary_size)
        self.dropout = nn.Dropout(config.dropout_rate)

    def forward(self, source, target):
        words = source != 0
        packed = nn.utils.rnn.pack_padded_sequence(
            self.dropout(self.words[0](source)),
            words.sum(1),
            batch_first=True,
            enforce_sorted=False,
        )
        memory, (last, _) = self.encoder(packed)
        memory, _ = nn.utils.rnn.pad_packed_sequence(
            memory, batch_first=True, total_length=source.shape[1]
        )
        first = torch.tanh(self.bridge(torch.cat([last[0], last[1]], -1))).chunk(2, -1)
        state = tuple(each[None].contiguous() for each in first)
        x, _ = self.decoder(self.dropout(self.words[1](target)), state)
        scores = self.query(x) @ memory.transpose(1, 2) / memory.shape[-1] ** 0.5
        looked = scores.masked_fill(~words[:, None], -1e9).softmax(-1)
        x = torch.tanh(self.combine(torch.cat([x, looked @ memory], -1)))
        return self.logits(self.dropout(x))


NETWORKS = {
    "mnist_cnn": MnistCNN,
    "cifar10_cnn": Cifar10CNN,
    "cifar10_resnet": ResNet20,
    "imdb_bilstm": ImdbBiLSTM,
    "imdb_bilstm, packed": PackedImdbBiLSTM,
}


def trainer(name, x, y, learning_rate):
    """Returns a function that trains one step on a batch that stays the same.

    Args:
        name: Of the network.
        x: NumPy batch as the recipe's model takes it.
        y: One-hot labels `(n, classes)`, or `(n, 1)`.
        learning_rate: Of Adam, or of SGD for ResNet-20.
    """
    torch.manual_seed(0)
    network = NETWORKS[name]().train()
    sgd = name == "cifar10_resnet"
    options = {"momentum": 0.9, "weight_decay": 1e-4} if sgd else {}
    optimizer = (torch.optim.SGD if sgd else torch.optim.Adam)(
        network.parameters(), learning_rate, **options
    )
    labels = torch.from_numpy(y)
    if x.ndim == 4:
        inputs = torch.from_numpy(x).permute(0, 3, 1, 2).float().contiguous()
    else:
        inputs = torch.from_numpy(x).long()
    loss_of = nn.functional.binary_cross_entropy_with_logits
    if y.shape[1] > 1:
        loss_of, labels = nn.functional.cross_entropy, labels.argmax(1)

    def step():
        optimizer.zero_grad()
        loss = loss_of(network(inputs), labels)
        loss.backward()
        optimizer.step()
        return float(loss)

    return step
