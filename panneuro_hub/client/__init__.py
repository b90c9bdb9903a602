"""What a person runs on any machine: ``panneuro``, which brings data in and out.

In a session of the hub it works with the session's own keys; elsewhere with those
that a login gives. `upload` and `download` do the work, over `objects`, which is all
that they know of an object store.
"""
