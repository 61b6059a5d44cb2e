"""Training: the joint loss, the trainer, checkpoints, and a whole run from a configuration to a student's folder.

In come a configuration and examples; out goes a run. Everything here needs PyTorch.
"""
