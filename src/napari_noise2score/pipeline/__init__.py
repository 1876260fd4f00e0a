"""What every image passes from noisy to clean: noise models, training, score, correction, report.

`api` has the functions for scripts; `run` the generators of events that panel and command line
listen to. The other modules are the stages; importing this package loads none of them.
"""
