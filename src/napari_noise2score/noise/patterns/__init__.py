"""Offsets that whole rows, columns or waves have in common: detection, estimation, subtraction.

`shared` has the types; `rows`, `waves` and `spectrum` detect the offsets; `sinusoids` and
`offsets` estimate them.
"""
