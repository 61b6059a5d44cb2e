"""Distil labels and written explanations into small encoder-decoder students."""
