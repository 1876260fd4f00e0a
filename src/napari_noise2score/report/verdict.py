"""What the measurements mean, in words: what is good, what is doubtful, what to do."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from napari_noise2score.images.axes import plane_words
from napari_noise2score.noise.digits import percent
from napari_noise2score.noise.families import family_from_dict
from napari_noise2score.report.findings import ChannelFindings, Findings, ResultFindings
from napari_noise2score.report.spectra import Spectra

_BLURRED = 0.9
"""Share of the amplitude below which visible details count as weakened."""
_STRONGER = 0.05
"""Share by which details must be stronger to count as added."""
_SURE = 3.0
"""Standard errors from which a value counts."""
_NOISY, _TOO_MUCH = 0.5, 1.2
"""Variances of what was removed, relative to the noise, that are doubtful."""
_EDGES = 1.4
"""The same at edges, relative to flat places."""
_POWER = 2.0
"""The same at single places."""
_BIAS = 0.1
"""Mean of what was removed that is doubtful, noise standard deviations."""
_STRUCTURE = 0.1
"""Difference of the correlations of neighbouring pixels that is doubtful."""
_PROCESSED = (
    ' But the noisy image was processed before, so it may itself be blurred, and its noise cannot '
    'be known well.'
)
_OWN = 0.5
"""Part of the plane itself below which an event is weakened much."""


@dataclass(slots=True)
class Verdict:
    """Three answers, and lists of sentences.

    Attributes
    ----------
    blurred, invented, settings : str
        Answers to: is it blurred, is something invented, which settings were used.
    good, doubtful, to_do : list of str
        Sentences.
    """

    blurred: str = ''
    invented: str = ''
    settings: str = ''
    good: list[str] = field(default_factory=list)
    doubtful: list[str] = field(default_factory=list)
    to_do: list[str] = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        """Plain representation for JSON."""
        return {
            'is_it_blurred': self.blurred,
            'is_something_invented': self.invented,
            'which_settings': self.settings,
            'good': self.good,
            'doubtful': self.doubtful,
            'to_do': self.to_do,
        }

    def _doubt(self, sentence: str, *to_do: str) -> None:
        self.doubtful.append(sentence)
        self.to_do += [text for text in to_do if text not in self.to_do]


def verdict_of(findings: Findings) -> Verdict:
    """The verdict on an image."""
    verdict = Verdict(settings=_settings(findings))
    several = len(findings.channels) > 1
    blurred, invented = [], []
    for channel in findings.channels:
        where = f'{channel.noisy.words}: ' if several else ''
        _noise(verdict, channel, where)
        if channel.result is None:
            continue
        if channel.result.unchanged:
            blurred.append(f'{where}No, it is the noisy image.')
            invented.append(f'{where}No, it is the noisy image.')
            verdict._doubt(f'{where}The clean image is the noisy one: nothing was removed.')
            continue
        doubt = _PROCESSED if channel.was_processed else ''
        answer = where + _blurred(verdict, channel.result, where) + doubt
        invented.append(where + _invented(verdict, channel, where))
        _removed(verdict, channel.result, where, channel)
        blurred.append(answer + _time(verdict, channel.result, where))
    verdict.blurred, verdict.invented = ' '.join(blurred), ' '.join(invented)
    _recorded(verdict, findings)
    return verdict


def _noise(verdict: Verdict, channel: ChannelFindings, where: str) -> None:
    """What was noticed about the noisy image."""
    if channel.prepared is None:
        verdict.good.append(f'{where}The channel is constant: there is no noise to remove.')
        return
    if channel.processing.was_jpeg:
        verdict._doubt(
            f'{where}The noisy image was compressed in blocks of 8 x 8 pixels (JPEG): pixels '
            f'differ {100 * channel.processing.blocks:.0f} % more across their borders.',
            'Use the file that the microscope wrote. A JPEG has lost details, and its noise '
            'follows no law.',
        )
    if channel.processing.was_stretched:
        verdict._doubt(
            f'{where}{100 * channel.processing.gaps:.0f} % of the grey levels between the usual '
            'ones do not occur: the contrast was changed after the recording.',
            'Use the raw image, before any change of brightness, contrast or gamma.',
        )
    fit = channel.prepared.fit
    if fit is not None and channel.is_smooth:
        verdict._doubt(
            f'{where}The noise of neighbouring pixels is alike '
            f'({fit.correlation.neighbours:.2f}): the image was smoothed, resized or demosaicked '
            'before, or the camera did it.',
            'Check whether the microscope software filters images, and switch this off.',
        )
    for warning in channel.warnings:
        if not (channel.is_smooth and warning.startswith('The noise is correlated')):
            verdict.doubtful.append(where + warning)
    if not channel.warnings and not channel.processing.was_jpeg:
        verdict.good.append(f'{where}The noise is that of a detector: {channel.prepared.family}.')


def _blurred(verdict: Verdict, result: ResultFindings, where: str) -> str:
    found = result.spectra
    if found is None:
        return 'Unknown: the image is too small to tell.'
    visible = np.flatnonzero(found.visible)
    if not len(visible):
        return (
            'Unknown: the noisy image shows no details clearly above its noise, to compare with.'
        )
    lost = [i for i in visible if found.most[i] + _SURE * found.kept_error[i] < _BLURRED]
    if lost:
        worst = min(lost, key=lambda i: found.most[i])
        verdict._doubt(
            f'{where}Details that the noisy image shows clearly were weakened: those of about '
            f'{_size(found, worst)} pixels to {percent(found.most[worst])} of their contrast '
            'at most.',
            'Smooth less: check the noise parameters (too strong a noise was assumed?), or use '
            'another method.',
        )
        first = min(lost)
        return (
            f'Yes: of details of about {_size(found, worst)} pixels '
            f'{percent(found.least[worst])} to {percent(found.most[worst])} of the contrast '
            f'is left, though the noisy image shows them clearly. The loss begins at about '
            f'{_size(found, first)} pixels.'
        )
    finest = visible[-1]
    unsaid = 'The noisy image does not show finer details clearly enough to tell.'
    if found.least[finest] > 1 + _STRONGER:
        return f'No: details of about {_size(found, finest)} pixels have more contrast. {unsaid}'
    verdict.good.append(
        f'{where}All details that the noisy image shows clearly (down to about '
        f'{_size(found, finest)} pixels) have their contrast.'
    )
    least, most = (percent(min(share[finest], 1.0)) for share in (found.least, found.most))
    return (
        f'No: of details down to about {_size(found, finest)} pixels {least} to {most} of the '
        f'contrast is left. {unsaid}'
    )


def _invented(verdict: Verdict, channel: ChannelFindings, where: str) -> str:
    result = channel.result
    assert result is not None
    answers = list(_added(verdict, result, where))
    places = [place for place in result.places if place.power > _POWER]
    if places:
        verdict._doubt(
            f'{where}At some places the clean image differs from the noisy one by up to '
            f'{max(p.power for p in places) ** 0.5:.1f} times the noise (marked below).',
            'Look at the marked places: they were changed more than noise explains.',
        )
        answers.append(
            f'{len(places)} or more places differ by more than noise explains; see the pictures.'
        )
    if answers:
        return 'Possibly: ' + ' '.join(answers)
    verdict.good.append(f'{where}Nothing was found in it that the noisy image does not show.')
    return (
        'Nothing was found. No test without ground truth can exclude details that are weaker than '
        'the noise.'
    )


def _added(verdict: Verdict, result: ResultFindings, where: str) -> Iterator[str]:
    found = result.spectra
    if found is None:
        return
    stronger = [
        i
        for i in range(len(found.frequency))
        if found.added[i] + _SURE * found.added_error[i] < -_STRONGER
        and -found.added[i] * found.clean[i] > _STRONGER * found.noise[i]
    ]
    if stronger:
        most = min(stronger, key=lambda i: found.added[i])
        share = 1 / (1 + max(float(found.added[most]), -0.9)) - 1
        change = (
            f'{100 * share:.0f} % stronger than in the noisy image'
            if share < 1
            else 'much stronger than in the noisy image, or not in it at all'
        )
        sentence = f'etails of about {_size(found, most)} pixels are {change}'
        verdict._doubt(
            f'{where}D{sentence}: sharpened, or added.',
            'Do not measure sizes, distances or brightness of fine details in this image.',
        )
        yield f'd{sentence}.'


def _removed(
    verdict: Verdict, result: ResultFindings, where: str, channel: ChannelFindings
) -> None:
    """What was removed, compared with the noise."""
    units, found = result.units, result.agreement
    if not units.same:
        verdict._doubt(
            f'{where}The grey levels are others: about {units.scale:.3g} x noisy '
            f'{units.offset:+.3g}. They were converted for this report.',
            'Do not compare the brightness with that of other images before converting it back.',
        )
    if found.whole_variance < _NOISY:
        verdict._doubt(
            f'{where}Only {100 * found.whole_variance:.0f} % of the noise power was removed: much '
            'noise is left.',
            'Check the noise parameters (too weak a noise was assumed?), or denoise more.',
        )
    elif found.whole_variance > _TOO_MUCH:
        verdict._doubt(
            f'{where}{found.whole_variance:.1f} times the noise power was removed: details or '
            'fine texture may be lost, or the noise is stronger than estimated.',
            'Look at what was removed: it must look like noise, without structure.',
        )
    else:
        verdict.good.append(
            f'{where}{100 * found.whole_variance:.0f} % of the noise power was removed.'
        )
    if found.edges > _EDGES * max(found.flat, 0.3):
        verdict._doubt(
            f'{where}At edges {found.edges / max(found.flat, 1e-3):.1f} times as much was removed '
            'as in flat places: edges were changed.',
            'Look at what was removed: it must look like noise, without structure.',
        )
    if abs(found.whole_mean) > max(_BIAS, _SURE * found.pixels**-0.5):
        change = 'darker' if found.whole_mean > 0 else 'brighter'
        verdict._doubt(
            f'{where}The clean image is {change} on the average by {abs(found.whole_mean):.2g} '
            'noise standard deviations.',
            'Check offset and gain before measuring intensities.',
        )
    else:
        verdict.good.append(f'{where}The average brightness was kept.')
    model = channel.prepared.correlation if channel.prepared is not None else None
    noise = 0.0 if model is None else model.neighbours
    centre = len(found.correlation) // 2
    near = max(
        found.correlation[centre, centre + 1], found.correlation[centre + 1, centre], key=abs
    )
    if near - noise > _STRUCTURE:
        verdict._doubt(
            f'{where}What was removed is alike in neighbouring pixels ({near:.2f}; the noise '
            f'{noise:.2f}): it has structure of the image in it.',
            'Look at what was removed: it must look like noise, without structure.',
        )


def _time(verdict: Verdict, result: ResultFindings, where: str) -> str:
    """Whether planes were mixed, as an addition to the answer whether it is blurred."""
    found = result.response
    if found is None:
        return ''
    plane, planes = plane_words(found.axis)
    steady, unsteady = (
        f'{percent(found.own(which))} of the changes of its noisy {plane} and '
        f'{percent(found.beside(which))} of those of all {planes} around it'
        for which in ('steady', 'unsteady')
    )
    if found.own('steady') < _OWN and found.beside('steady') > 0.2:
        verdict._doubt(
            f'{where}The {planes} were mixed: where little changes, a clean {plane} has {steady}; '
            f'where most changes, {unsteady}. (Most changes of noisy {planes} are noise. What is '
            'kept of a weak event is stated where the result was made.)',
            f'Do not measure single {planes} of weak events; see the response below.',
        )
        along = 'time' if found.axis == 'T' else 'depth'
        return f' But along {along} the {planes} were mixed, where little changes: see below.'
    verdict.good.append(f'{where}The {planes} were hardly mixed: a clean {plane} has {steady}.')
    return ''


def _recorded(verdict: Verdict, findings: Findings) -> None:
    """What a result of this program states itself."""
    risks = findings.record.get('risk', {})
    risk = risks.get(findings.record.get('correction'))
    if risk and risk['value'] is None:
        verdict.doubtful.append('The error of the clean image could not be estimated.')
    elif risk:
        power = risk.get('noise') or 1.0  # of few photons it is below 1
        share, error = risk['value'] / power, risk.get('standard_error')
        doubt = '' if error is None else f' +- {error / power:.3f}'
        sentence = (
            f'Estimated error of the clean image: {share:.3f}{doubt} of the noise power (1 is the '
            'noisy image).'
        )
        (verdict.good if share < 1 else verdict.doubtful).append(sentence)
    for warning in findings.record.get('warnings', []):
        if not any(warning in known for known in verdict.doubtful):
            verdict.doubtful.append(f'Noticed when it was made: {warning}')
    if not verdict.to_do:
        verdict.to_do.append(
            'Nothing needs to be done. Look once at what was removed: it must look like noise.'
        )


def _trained(record: Mapping[str, Any]) -> str:
    asked = record.get('settings', {}).get('training', {})
    seconds, steps = asked.get('seconds'), asked.get('steps')
    if seconds == 0 or not (seconds or steps):
        return 'without training'
    limits = [f'{seconds:g} s'] if seconds else []
    limits += [f'{steps} steps'] if steps else []
    words = f'training of up to {" or ".join(limits)}'
    done = record.get('training') or {}
    return f'a {words} was not applied' if done.get('delivered_step') == 0 else f'after {words}'


def _settings(findings: Findings) -> str:
    record: Mapping[str, Any] = findings.record
    if findings.clean is None:
        return 'No clean image was given.'
    if not record:
        return (
            'The file does not state how it was made. Ask for the settings and the version of the '
            'program, or denoise the noisy image again.'
        )
    versions = record.get('versions', {})
    used = [one['noise'] for one in record.get('channels', []) if one.get('noise')]
    measured = [one.family for one in findings.channels if one.family is not None]
    noise = dict.fromkeys(map(str, [family_from_dict(one) for one in used] or measured))
    context = record.get('settings', {}).get('context', 'none')
    return (
        f'napari-noise2score {versions.get("napari-noise2score", "?")}, {_trained(record)}; noise '
        f'model {", ".join(noise) or "none"}; context {context}, correction '
        f'{record.get("correction")}, seed {record.get("seed")}. All settings are listed below.'
    )


def _size(found: Spectra, index: int | np.signedinteger[Any]) -> str:
    """Size of details of a frequency, pixels."""
    size = 0.5 / found.frequency[index]
    return f'{size:.0f}' if size >= 3 else f'{size:.1f}'
