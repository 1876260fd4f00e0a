"""A reader of bioio for the tests: the scenes of a file are the arrays of an .npz file.

It has the interface of `bioio_base.reader.Reader` as far as it is used. Planes are read one by
one, and `READ` lists them.
"""

import datetime as dt
from collections import namedtuple
from types import SimpleNamespace

import dask.array as da
import numpy as np
import xarray

READ: list[tuple[int, ...]] = []
Sizes = namedtuple('Sizes', 'Z Y X')


class ReaderMetadata:
    @staticmethod
    def get_supported_extensions():
        return ['nd2', '.fake']

    @staticmethod
    def get_reader():
        return Reader


class Reader:
    def __init__(self, path, chunk_dims=()):
        assert chunk_dims == ['Y', 'X']
        with np.load(path) as file:
            self._scenes = {name: file[name] for name in file.files}
        self._number = 0

    @property
    def scenes(self):
        return tuple(name.rpartition('|')[0] for name in self._scenes)

    def set_scene(self, number):
        self._number = number

    @property
    def _scene(self):
        name = list(self._scenes)[self._number]
        return self._scenes[name], name.rpartition('|')[2]

    @property
    def xarray_dask_data(self):
        data, dims = self._scene
        chunks = [(1,) * side for side in data.shape[:-2]] + [(side,) for side in data.shape[-2:]]

        def plane(block_info=None):
            (place,) = [tuple(slice(*at) for at in block_info[None]['array-location'])]
            READ.append(tuple(at.start for at in place[:-2]))
            if data[place].max() == 666:
                raise KeyError('a damaged plane')
            return data[place]

        lazy = da.map_blocks(plane, chunks=chunks, dtype=data.dtype)
        return xarray.DataArray(lazy, dims=[*dims])

    @property
    def physical_pixel_sizes(self):
        return Sizes(0.5, 0.1, 0.1)

    @property
    def time_interval(self):
        return dt.timedelta(milliseconds=250)

    @property
    def channel_names(self):
        data, dims = self._scene
        return [f'ch{n}' for n in range(data.shape[dims.index('C')])] if 'C' in dims else None

    @property
    def dimension_properties(self):
        unit = SimpleNamespace(unit='nanometer') if 'nm' in self.scenes else None
        return SimpleNamespace(X=unit)

    @property
    def ome_metadata(self):
        raise NotImplementedError
