"""What every image passes from noisy to clean: noise models, training, score, correction, report.

`run` is where to begin: generators of events that panel, command line and Python listen to.
The other modules are its stages; importing this package loads none of them.
"""
