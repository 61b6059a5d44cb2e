"""Whole pages: an audit, a comparison, a sweep, quality against cost."""
