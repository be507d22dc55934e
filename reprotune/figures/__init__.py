"""Result files → pictures.

In: a study's trials, read back, or a dataset. Out: SVG and PNG files, the same bytes for the same values.
"""
