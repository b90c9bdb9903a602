"""The revisions of the schema, one module each in `versions`; alembic runs them.

A new revision is a new module there, named by its number and by what it changes. Its
`down_revision` is the one before it. While a deployment is upgraded, the replicas of the version
before go on with the new schema for some minutes, and they may start again. So a revision adds
tables, indexes, and columns that may be empty. It renames and removes only what the version
before does not use any more.
"""
