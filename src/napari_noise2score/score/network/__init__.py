"""The networks: residual U-Nets that predict a clean image from a perturbed one.

They work in the unit-noise coordinate, in which noise from every microscope has the variance one.
`parts` has what they have in common, `plain` and `with_context` are the networks, and `choice`
makes one by its settings.
"""
