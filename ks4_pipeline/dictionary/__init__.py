"""The data dictionary of a data set: read once from the warehouse, rendered as Markdown, HTML or Frictionless JSON.

What it says of tables and columns are the warehouse's own comments and catalogue, so that nothing is described twice.
"""
