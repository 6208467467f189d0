"""What any program needs: errors, whole files, child processes, streams, the backend, numbers in words.

It may import from nothing else in common. Start reading in `errors.py`, then in `files.py`: most other
modules use them.
"""
