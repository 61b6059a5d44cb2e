"""What a student is asked: fields, labels or choices, output orders; prompts and targets as text, and parsing them.

In come examples; out go texts whose pieces carry the loss term that their tokens belong to.
"""
