"""Teachers: an LLM, a classifier, a student or a recorded file writes explanations and labels.

In come a configuration and examples; out goes a folder with answers, accepted and rejected rows and what they cost.
``backends/`` reach teachers; replies are kept in one store that runs share; ``filters/`` say what is accepted.
"""
