"""SQL queries as answers: parsed, run read-only in a process of their own, compared, and read out in plain English.

In come texts that anybody may have written; out go verdicts and rows. Nothing here changes a database.
"""
