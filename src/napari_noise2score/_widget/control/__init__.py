"""Control of the panel without Qt and napari: requests, jobs, models and messages.

`controller` has the requests of the user; `runner` runs one job at a time; `model_store` has
models and scores; `messages` has texts; `target` has a layer with its image; `command` writes the
command line; `recent` lists recent models.
"""
