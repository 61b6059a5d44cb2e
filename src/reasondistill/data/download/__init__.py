"""Published data sets, fetched from their publishers and held to their checksums."""
