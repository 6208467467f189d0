"""As if TensorFlow were not installed: looking for it finds nothing.

A plugin of pytest, `-p tests.without_tensorflow`, and the module to import first in a process of its own.
"""

import sys

ABSENT = ("tensorflow", "tensorflow_datasets")


class Without:
    """A finder of modules that finds all but these."""

    def __init__(self, finder):
        self.finder = finder

    def find_spec(self, name, *args):
        if name.split(".")[0] in ABSENT:
            return None
        return self.finder.find_spec(name, *args)

    def __getattr__(self, name):
        return getattr(self.finder, name)


sys.meta_path[:] = [Without(finder) for finder in sys.meta_path]
