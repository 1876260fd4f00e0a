"""The noise: models, blind estimate, calibration, and Tweedie's formulas. No torch, no files.

`families` has the noise models. `estimate` and `calibration` measure their parameters. `patterns`
and `pixels` describe noise that rows or single pixels add. `from_score` measures the parameters
with a learned score. All of these share the modules beside them.
"""
