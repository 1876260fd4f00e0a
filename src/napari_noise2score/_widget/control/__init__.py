"""What the panel does, without Qt and napari: requests, runs, models, and messages.

controller -> what a user can ask for; runner -> one job at a time; learned -> models and scores;
messages -> texts; target -> a layer and the image read from it; command, recent -> see there.
"""
