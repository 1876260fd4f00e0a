"""Denoising with several processes or machines, by a Dask cluster.

The process of the call trains and prepares; workers read images, compute clean planes and write
them. Only `scheduler` imports Dask, and only when a cluster is used.
"""
