"""Hyperparameter search on KerasTuner, safe against kill -9, over any field of a recipe's Config.

It may import from studies, tasks, explain, report, export, training, runs, layers, data and basics.
Start reading in `sweep.py`, which is `recipes tune` from beginning to end.

space      a KerasTuner search space: its size, points, random points, neighbours, vectors
ranges     one hyperparameter of it: conditions, values, neighbours
store      the trials of a sweep, one file each: the whole state of a search
oracle     SweepOracle, a KerasTuner Oracle over the store; its subclasses are in methods, bayesian,
           hyperband and tpe, and choice finds them by name
tuner      RecipeTuner: a trial is a call of the recipe's own train(); point makes its Config, folds
           its data, and trial_run decides when it stops early
shared_store, database: trials in a database, for several machines
worker     a process that runs trials; searching starts such processes and watches them; folder locks
           the sweep folder, begun records the data of the search
retraining trains the winner and the start with new seeds at the end; measures holds the results,
           verdict compares them and says what to do
report     sweep.html (table writes trials.csv); contest compares methods on one budget; evidence keeps
           the results of searches in a recipe's tuning.json
"""
