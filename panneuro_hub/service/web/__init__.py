"""Handlers, pages and templates that all parts of the service share."""
