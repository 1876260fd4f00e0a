"""Offsets that whole rows, columns or waves have in common: found, estimated, taken off.

`shared` has the types; `rows`, `waves` and `spectrum` find them; `sinusoids` and `offsets`
estimate them.
"""
