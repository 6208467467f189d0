"""`--fix NAME=VALUE`: holds hyperparameters of a search space at one value."""

import contextlib
import dataclasses
from collections.abc import Iterable

from common.basics.errors import UsageError, near_match
from common.runs.types import Config
from common.tuning.ranges import contains, domain, show
from common.tuning.space import Space


def parse(words: Iterable[str]) -> dict[str, str]:
    """Returns `NAME=VALUE` words as a dict from names to values, which stay strings.

    Raises:
        UsageError: A word has no `=`, or a name comes twice.
    """
    fixed = {}
    for word in words:
        name, equals, value = word.partition("=")
        if not (name and equals and value):
            raise UsageError(f"--fix takes NAME=VALUE, e.g. --fix batch_size=128; got {word!r}")
        if name in fixed:
            raise UsageError(f"--fix names {name} twice")
        fixed[name] = value
    return fixed


class FixedSpace:
    """A function `search_space(hp, base)` in which some hyperparameters are held at a value.

    Args:
        search_space: The function of a recipe's tune.py.
        fixed: Dict from names of hyperparameters to their values, as strings; may be empty.
    """

    def __init__(self, search_space, fixed):
        self.search_space, self.fixed, self.asked = search_space, dict(fixed), set()

    def __call__(self, hp, base):
        return self.search_space(_Fixing(hp, self.fixed, self.asked), base)

    def check_names(self) -> None:
        """Checks the names that are held, once the function has been called.

        Raises:
            UsageError: The function has never asked for one of them.
        """
        for name in self.fixed:
            if name not in self.asked:
                known = sorted(self.asked)
                raise UsageError(
                    f"--fix {name}: the search space has no such hyperparameter"
                    f"{near_match(name, known)}; it has {', '.join(known)}"
                )


class _Fixing:
    """KerasTuner's HyperParameters, some of which are held at a value.

    It also gives better messages for a wrong conditional scope. Where a parent was declared outside of
    the open scope, KerasTuner only says that it is not defined.
    """

    def __init__(self, hp, fixed, asked):
        self._hp, self._fixed, self._asked, self._values = hp, fixed, asked, {}
        self._open = []
        # True inside a scope whose condition on a fixed hyperparameter fails: nothing is declared there.
        self._closed = False

    def __getattr__(self, name):
        return getattr(self._hp, name)

    def Choice(self, name, *args, **kwargs):
        return self._ask("Choice", name, *args, **kwargs)

    def Int(self, name, *args, **kwargs):
        return self._ask("Int", name, *args, **kwargs)

    def Float(self, name, *args, **kwargs):
        return self._ask("Float", name, *args, **kwargs)

    def Boolean(self, name, *args, **kwargs):
        return self._ask("Boolean", name, *args, **kwargs)

    @contextlib.contextmanager
    def conditional_scope(self, parent_name, parent_values):
        """As KerasTuner's. Where the parent is held, it is known whether its condition holds."""
        if self._closed:
            yield
        elif parent_name in self._fixed:
            values = parent_values if isinstance(parent_values, list | tuple) else [parent_values]
            self._closed = self._values[parent_name] not in values
            yield
            self._closed = False
        else:
            with contextlib.ExitStack() as stack:
                try:
                    stack.enter_context(self._hp.conditional_scope(parent_name, parent_values))
                except ValueError as error:
                    raise UsageError(self._why_not(parent_name)) from error
                self._open.append(parent_name)
                yield
                self._open.pop()

    def _why_not(self, parent):
        """Returns what is wrong with a scope that KerasTuner refuses, and how to mend it."""
        scope = f'search_space opens conditional_scope("{parent}", ...)'
        if parent in self._open:
            return (
                f"{scope} inside another scope of {parent}: one scope per parent is enough, so leave the "
                "inner one out, or, where it is for other values, put it after the first"
            )
        if parent in self._asked:
            return (
                f'{scope} inside conditional_scope("{self._open[-1]}", ...), but asks for {parent} '
                f"outside of it: the parent of an inner scope must be asked for inside the outer scope, "
                "so ask for it there, or put one scope after the other"
            )
        return (
            f"{scope} before it asks for {parent}{near_match(parent, sorted(self._asked))}; ask for it "
            "first"
        )

    def _ask(self, kind, name, *args, **kwargs):
        self._asked.add(name)
        if name not in self._fixed and not self._closed:
            return getattr(self._hp, kind)(name, *args, **kwargs)
        import keras_tuner

        scratch = keras_tuner.HyperParameters()
        default = getattr(scratch, kind)(name, *args, **kwargs)
        if name not in self._fixed:
            return default
        self._values[name] = _value(scratch.space[0], self._fixed[name])
        return self._values[name]


def _value(entry, text):
    """Returns the value of an entry that the user wrote as text."""
    values = domain(entry)
    if values is not None:
        for value in values:
            if text in (str(value), show(value)):
                return value
            if isinstance(value, bool) and text.lower() == str(value).lower():
                return value
            with contextlib.suppress(ValueError):
                if not isinstance(value, str | bool) and float(text) == value:
                    return value
        offered = [show(value) for value in values]
        if len(offered) > 12:
            offered[2:-1] = ["..."]
        offered = ", ".join(offered)
        raise UsageError(f"--fix {entry.name}={text}: {entry.name} is one of {offered}")
    with contextlib.suppress(ValueError):
        if contains(entry, float(text)):
            return float(text)
    raise UsageError(
        f"--fix {entry.name}={text}: {entry.name} is a number from {show(entry.min_value)} to "
        f"{show(entry.max_value)}"
    )


def ignored_fields(search_space: FixedSpace, start: Config, base: Config) -> list[str]:
    """Returns the names of fields that flags changed, but that every trial replaces.

    A field whose value only shifts the range that is searched, as epochs and batch size do, is not among
    them, even where it is held: the search counts in its value, and the start is trained with it.

    Args:
        search_space: The search space, some of it held.
        start: Config of the preset.
        base: The same Config with fields changed by flags.
    """
    free = FixedSpace(search_space.search_space, {})
    ignored = []
    for field in dataclasses.fields(base):
        name = field.name
        if getattr(start, name) == getattr(base, name):
            continue
        try:
            other = dataclasses.replace(base, **{name: getattr(start, name)})
        except UsageError:  # The field depends on other changed fields.
            other = start
        if _declared(free, base) == _declared(free, other):
            values = [getattr(_default(search_space, config), name) for config in (base, other)]
            ignored += [name] if values[0] == values[1] else []
    return ignored


def _declared(search_space, base):
    import keras_tuner

    hyperparameters = keras_tuner.HyperParameters()
    search_space(hyperparameters, base)
    return Space(hyperparameters).to_list()


def _default(search_space, base):
    import keras_tuner

    return search_space(keras_tuner.HyperParameters(), base)
