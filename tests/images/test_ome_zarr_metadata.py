"""What the attributes of an OME-Zarr group state, and what is written into them."""

import warnings

import pytest
from yaozarrs import v05

from napari_noise2score.errors import InputError
from napari_noise2score.images.acquisition import Acquisition, ChannelInfo, Spacing
from napari_noise2score.images.ome_zarr.attributes import described
from napari_noise2score.images.ome_zarr.metadata import Inherited, ome_part, stated
from napari_noise2score.images.region import Region

TYPES = {'t': 'time', 'c': 'channel', 'z': 'space', 'y': 'space', 'x': 'space'}


def image(names='tczyx', scale=None, **more):
    transformations = [] if scale is None else [{'type': 'scale', 'scale': scale}]
    axes = [{'name': name, 'type': TYPES[name]} for name in names]
    dataset = {'path': '0', 'coordinateTransformations': transformations}
    return {'axes': axes, 'datasets': [dataset], **more}


def read(multiscale, ome=None, others=None):
    return stated(multiscale, ome or {}, others or {})


def test_attributes_of_both_versions_are_the_same():
    inside = {'multiscales': [image()], 'omero': {'channels': []}}
    new, others = ome_part({'ome': {**inside, 'version': '0.5'}, 'lab': 1})
    assert {**new, 'version': '0.5'} == {**inside, 'version': '0.5'}
    assert others == {'lab': 1}
    old, others = ome_part({'multiscales': [image(version='0.4')], 'lab': 1})
    assert old['multiscales'][0]['version'] == '0.4'
    assert others == {'lab': 1}


@pytest.mark.parametrize(
    'attributes',
    [{'ome': {'version': '0.6'}}, {'multiscales': [{'version': '0.2'}]}],
)
def test_other_versions_are_refused(attributes):
    with pytest.raises(InputError, match=r'versions 0\.4 and 0\.5 are accepted'):
        ome_part(attributes)


def test_sizes_of_both_transformations_are_multiplied():
    multiscale = image(scale=[1, 1, 0.5, 0.1, 0.2])
    multiscale['datasets'][0]['coordinateTransformations'].append(
        {'type': 'translation', 'translation': [0, 0, 0, 3, 4]}
    )
    multiscale['coordinateTransformations'] = [{'type': 'scale', 'scale': [2, 1, 1, 10, 1]}]
    for axis, unit in zip(multiscale['axes'], ['second', None, *['micrometer'] * 3], strict=True):
        axis['unit'] = unit
    found = read(multiscale)
    assert found.axes == 'TCZYX'
    assert found.acquisition.spacing == {
        'T': Spacing(2, 's'),
        'Z': Spacing(0.5, 'µm'),
        'Y': Spacing(1.0, 'µm'),
        'X': Spacing(0.2, 'µm'),
    }
    assert found.inherited.origin == {'Y': 30.0, 'X': 4.0}
    assert found.notes == ()


def test_axes_may_come_in_any_order():
    assert read(image('xyz')).axes == 'XYZ'
    assert read(image('ctzyx')).axes == 'CTZYX'


def test_spatial_axes_with_other_names_are_taken_in_order():
    multiscale = image('tyx')
    for axis, name in zip(multiscale['axes'], ('time', 'rows', 'columns'), strict=True):
        axis['name'] = name
    assert read(multiscale).axes == 'TYX'


def test_an_axis_of_no_known_kind_gets_a_letter_and_a_note():
    multiscale = image('yx', [1, 1])
    multiscale['axes'].insert(0, {'name': 'fov'})
    multiscale['datasets'][0]['coordinateTransformations'][0]['scale'] = [1, 1, 1]
    found = read(multiscale)
    assert found.axes == 'PYX'
    assert "its axis 'fov' is of no known kind and is read as P" in found.notes[0]


@pytest.mark.parametrize('transformations', [None, [], 'x', [{'type': 'identity'}]])
def test_a_missing_size_is_a_note(transformations):
    multiscale = image('yx')
    multiscale['datasets'][0]['coordinateTransformations'] = transformations
    found = read(multiscale)
    assert found.acquisition.spacing == {}
    assert found.notes == ('its metadata state no pixel size',)


@pytest.mark.parametrize('scale', [[1, 2, 3], ['a', 'b'], [0, 0]])
def test_a_size_that_cannot_be_is_a_note(scale):
    found = read(image('yx', scale))
    assert found.acquisition.spacing == {}
    assert found.notes == ('some of its coordinate transformations are not understood',)


def test_a_size_of_1_without_a_unit_is_not_known():
    assert read(image('yx', [1, 0.5])).acquisition.spacing == {'X': Spacing(0.5, '')}


@pytest.mark.parametrize('axes', [None, 'yx', ['y', 'x']])
def test_axes_of_early_versions_are_refused(axes):
    with pytest.raises(InputError, match='a list of axes with a name and a type is needed'):
        read({**image('yx'), 'axes': axes})


@pytest.mark.parametrize('datasets', [None, [], [{}], ['0']])
def test_without_an_array_it_is_refused(datasets):
    with pytest.raises(InputError, match='name no array'):
        read({**image('yx'), 'datasets': datasets})


def test_channels_have_names_and_colours():
    omero = {'channels': [{'label': 'DAPI', 'color': '0000FF'}, {'color': 'nonsense'}]}
    assert read(image(), {'omero': omero}).acquisition.channels == (
        ChannelInfo('DAPI', (0, 0, 255)),
        ChannelInfo(),
    )


def test_wavelengths_of_channels():
    channel = {'label': 'DAPI', 'emissionWave': 461, 'excitationWave': 358.5}
    (found,) = read(image(), {'omero': {'channels': [channel]}}).acquisition.channels
    assert found == ChannelInfo('DAPI', None, Spacing(461, 'nm'), Spacing(358.5, 'nm'))


def test_what_is_not_known_is_handed_on_and_nothing_else():
    ome = {
        'version': '0.5',
        'multiscales': [],
        'labels': ['cells'],
        'future': 1,
        'omero': {'rdefs': {'model': 'color'}},
    }
    multiscale = image(name='cells', type='gaussian', metadata={'sigma': 1}, lab='7b')
    found = read(multiscale, ome, {'lab': 1, 'noise2score': {'old': True}}).inherited
    assert found.attributes == {'lab': 1}
    assert found.ome == {'future': 1}
    assert found.multiscale == {'lab': '7b'}
    assert found.omero == {'rdefs': {'model': 'color'}}
    assert found.name == 'cells'


def test_a_region_has_its_own_origin_and_channels():
    spacing = {'Y': Spacing(0.5, 'µm')}
    whole = Inherited(omero={'channels': ['a', 'b', 'c']}, origin={'Y': 1.0, 'X': 2.0})
    part = whole.part(Region({'Y': (4, 8), 'X': (3, 5), 'C': (1, 3)}), spacing)
    assert part.origin == {'Y': 3.0, 'X': 2.0}
    assert part.omero == {'channels': ['b', 'c']}


ACQUISITION = Acquisition(
    {'T': Spacing(2, 's'), 'Y': Spacing(0.1, 'µm'), 'X': Spacing(0.1, 'µm')},
    (ChannelInfo('DAPI', (0, 0, 255)), ChannelInfo('GFP')),
)
SHAPES = [(3, 2, 600, 600), (3, 2, 300, 300)]
STEPS = [(1.0,) * 4, (1.0, 1.0, 2.0, 2.0)]
LIMITS = [(0.0, 9.0), (1.0, 5.0)]


def written(axes='TCYX', acquisition=ACQUISITION, shapes=SHAPES, limits=LIMITS, **more):
    """Attributes, after yaozarrs found them valid without a word."""
    attributes = described(
        axes, shapes, acquisition, name='new', steps=STEPS, limits=limits, **more
    )
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        v05.Image.model_validate(attributes['ome'])
    return attributes


def test_what_is_written_is_read_again():
    attributes = written()
    ome, others = ome_part(attributes)
    found = stated(ome['multiscales'][0], ome, others)
    assert (found.axes, found.dataset, found.notes) == ('TCYX', '0', ())
    assert found.acquisition.spacing == ACQUISITION.spacing
    assert [channel.name for channel in found.acquisition.channels] == ['DAPI', 'GFP']
    assert found.acquisition.channels[0].colour == (0, 0, 255)
    assert found.inherited.name == 'new'


def test_a_smaller_level_lies_centred_on_the_pixels_that_it_is_of():
    first, second = written()['ome']['multiscales'][0]['datasets']
    assert first['coordinateTransformations'] == [{'type': 'scale', 'scale': [2, 1, 0.1, 0.1]}]
    assert second['coordinateTransformations'] == [
        {'type': 'scale', 'scale': [2.0, 1.0, 0.2, 0.2]},
        {'type': 'translation', 'translation': [0.0, 0.0, 0.05, 0.05]},
    ]


def test_the_source_says_how_channels_are_displayed():
    shown = [
        {'color': 'FF0000', 'window': {'start': 2, 'end': 3}, 'family': 'linear'},
        {'active': False},
    ]
    inherited = Inherited(omero={'channels': shown, 'rdefs': {'model': 'color'}})
    omero = written(inherited=inherited)['ome']['omero']
    assert omero['rdefs'] == {'model': 'color'}
    first, second = omero['channels']
    assert first['window'] == {'min': 0, 'max': 9, 'start': 2, 'end': 3}
    assert (first['color'], first['family'], first['label']) == ('FF0000', 'linear', 'DAPI')
    assert second['window'] == {'min': 1, 'max': 5, 'start': 1, 'end': 5}
    assert (second['active'], second['label']) == (False, 'GFP')


def test_wavelengths_are_written_in_nanometres():
    channel = ChannelInfo('DAPI', None, Spacing(0.461, 'µm'), Spacing(1, 's'))
    acquisition = Acquisition({}, (channel, ChannelInfo('GFP')))
    first, second = written(acquisition=acquisition)['ome']['omero']['channels']
    assert (first['emissionWave'], 'excitationWave' in first) == (461, False)
    assert 'emissionWave' not in second
    inherited = Inherited(omero={'channels': [{'emissionWave': 500, 'inverted': True}, {}]})
    omero = written(acquisition=acquisition, inherited=inherited)['ome']['omero']
    assert (omero['channels'][0]['emissionWave'], omero['channels'][0]['inverted']) == (500, True)


def test_channels_of_another_number_are_not_taken_over():
    inherited = Inherited(omero={'channels': [{'label': 'only'}], 'rdefs': {}})
    labels = [one['label'] for one in written(inherited=inherited)['ome']['omero']['channels']]
    assert labels == ['DAPI', 'GFP']


def test_displays_that_are_not_understood_do_no_harm():
    shown = [{'color': 255, 'window': {'start': 'low', 'end': 4}}, None]
    ome = {'omero': {'channels': shown}}
    assert read(image(), ome).acquisition.channels == ()
    assert read(image(), {'omero': {'channels': 7}}).acquisition.channels == ()
    omero = written(inherited=Inherited(omero=ome['omero']))['ome']['omero']
    assert [one['color'] for one in omero['channels']] == ['0000FF', 'FF00FF']
    assert omero['channels'][0]['window'] == {'min': 0, 'max': 9, 'start': 0, 'end': 4}


def test_nothing_is_said_of_channels_that_nothing_is_known_of():
    assert 'omero' not in written(acquisition=Acquisition())['ome']


def test_colours_become_channels_with_their_names():
    shapes = [(3, 600, 600), (3, 300, 300)]
    attributes = described(
        'SYX', shapes, Acquisition(), name='rgb', steps=[(1.0,) * 3] * 2, limits=[(0, 1)] * 3
    )
    assert attributes['ome']['multiscales'][0]['axes'][0] == {'name': 'c', 'type': 'channel'}
    channels = attributes['ome']['omero']['channels']
    assert [(one['label'], one['color']) for one in channels] == [
        ('Red', 'FF0000'),
        ('Green', '00FF00'),
        ('Blue', '0000FF'),
    ]


def test_attributes_of_the_source_stand_beside_ours_and_replace_nothing():
    inherited = Inherited(
        {'lab': 1, 'ome': 'nonsense', 'noise2score': 'old'},
        {'future': 2, 'version': '9'},
        {'fluorophore': 'x', 'axes': 'nonsense'},
        name='cells',
    )
    attributes = written(inherited=inherited, record={'risk': float('nan')})
    assert (attributes['lab'], attributes['noise2score']) == (1, {'risk': None})
    ome = attributes['ome']
    assert (ome['future'], ome['version']) == (2, '0.5')
    multiscale = ome['multiscales'][0]
    assert (multiscale['fluorophore'], multiscale['name']) == ('x', 'cells')
    assert len(multiscale['axes']) == 4


def test_units_are_written_as_words_and_pixels_have_none():
    spacing = {'T': Spacing(3, 'min'), 'Y': Spacing(2, ''), 'X': Spacing(0.3, 'Å')}
    axes = written(acquisition=Acquisition(spacing))['ome']['multiscales'][0]['axes']
    assert [axis.get('unit') for axis in axes] == ['minute', None, None, 'angstrom']
