"""The metrics that come with the package, a file for each family."""
