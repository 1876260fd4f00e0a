"""The pipeline from a noisy to a clean image: noise models, training, score, correction, report.

`api` has the functions for scripts. `run` has the generators of events for the panel and the
command line. The other modules are the stages; importing this package loads none of them.
"""
