"""Federated training, simulated in one place: clients train on their own rows, and a server averages their updates.

In comes a configuration with a block ``federation``; out goes a run like any other, with ``federation.json`` and
``rounds.jsonl`` beside its student.
"""
