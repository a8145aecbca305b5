"""The change report of a version: one HTML page that people read, made from the published warehouse alone.

``reading`` asks the warehouse (aggregates only), ``content`` is what was found, ``wording`` puts it into words,
``charts`` and ``page`` draw it, ``making`` puts the page into its place, ``beside`` has a process of its own do all of
it. Nothing here changes a warehouse.
"""
