"""The command-line words that set a field, for whoever tells a person what to type."""


def flag(name):
    """Returns the command-line flag of a field: `batch_size` -> `--batch-size`."""
    return "--" + name.replace("_", "-")


def words(name, value):
    """Returns the command-line words that set a field, a list of strings."""
    if isinstance(value, bool):
        return [flag(name if value else f"no_{name}")]
    values = value if isinstance(value, (list, tuple)) else [value]
    return [flag(name), *map(str, values)]


def flags(values):
    """Returns the command-line words that set the fields of a dict, a list of strings."""
    return [word for name, value in values.items() for word in words(name, value)]
