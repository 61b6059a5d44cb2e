"""What is English in the tests: words to insert."""
