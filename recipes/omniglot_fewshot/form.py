"""The form of images and of the tasks that are reported. Nothing here imports NumPy."""

SIZE = 28
"""Height and width of an image, in pixels."""
WAY, SHOT, QUERIES = 5, 1, 15
"""Of the tasks by which a run is judged: characters, drawings known of each, and asked of each."""
FURTHER = ((5, 5), (20, 1), (20, 5))
"""Way and shot of the other test tasks."""
TEST_TASKS, VALIDATION_TASKS, FURTHER_TASKS = 1_000, 200, 1_000
