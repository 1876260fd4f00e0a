"""The noise: models, blind estimate, calibration, and Tweedie's formulas. No torch, no files.

`families` are the noise models, `estimate` and `calibration` measure their parameters, `patterns`
and `pixels` are what rows or single pixels add, `from_score` asks a learned score. The modules
beside them are the ground that these share.
"""
