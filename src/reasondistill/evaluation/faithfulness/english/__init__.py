"""What is English in the tests: templates that read explanations, and words to insert."""
