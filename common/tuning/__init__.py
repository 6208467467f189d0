"""Hyperparameter search on KerasTuner, safe against kill -9, over any field of a recipe's Config.

It may import from studies, tasks, explain, report, export, training, runs, layers, data and basics.
Start reading in `sweep.py`, which is `recipes tune` from beginning to end.

space      a KerasTuner space as a set: size, points, random points, neighbours, vectors
store      the trials of a sweep, one file each: the whole state of a search
oracle     SweepOracle: KerasTuner's Oracle over the store; methods, bayesian, hyperband and tpe
           are its subclasses, choice finds them by name
tuner      RecipeTuner: a trial is a call of the recipe's own train(); point says with which Config,
           folds on what, trial_run when it stops early
shared_store, database: the same in a database, for several machines
worker     a process that runs trials; searching starts such processes and watches them; folder says who
           works on a sweep folder, begun on which data it works
retraining the end of a sweep: the winner with new seeds, beside what the search started from;
           measures holds what each came to, verdict says what that shows, and what to do then
report     trials.csv and sweep.html; contest compares methods on one budget; evidence keeps what
           searches found in a recipe's tuning.json
"""
