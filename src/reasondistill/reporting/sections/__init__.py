"""The sections of a report, one module each; `sections.compose` puts them in order."""
