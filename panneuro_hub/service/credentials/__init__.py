"""Decide about tickets, record in the ledger, and issue credentials."""
