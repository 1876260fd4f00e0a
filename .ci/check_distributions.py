"""Whether an sdist and a wheel have the files they need, and a README that a package index shows.

    python .ci/check_distributions.py DIST

The sdist has exactly the files that git tracks. The wheel has those of the package, and nothing
outside of it. Only the pretrained weights may be large.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Iterable, Mapping
from email.message import Message
from email.parser import Parser
from pathlib import Path, PurePosixPath

PACKAGE = 'napari_noise2score'
LARGEST = 500_000
"""Maximum size of a file that is no weights, bytes."""
MADE = ('PKG-INFO', 'setup.cfg')
"""Files that setuptools adds to an sdist; besides ``*.egg-info``."""
_TARGET = re.compile(r'\]\(([^)\s]+)')
_ELSEWHERE = re.compile(r'[a-z][a-z+.-]*:|#')

Sizes = Mapping[str, int]


def sdist_sizes(path: Path) -> Sizes:
    """Sizes of the files of an sdist, without what setuptools adds; bytes."""
    with tarfile.open(path) as archive:
        found = {
            str(PurePosixPath(*PurePosixPath(member.name).parts[1:])): member.size
            for member in archive.getmembers()
            if member.isfile()
        }
    return {name: size for name, size in found.items() if not _made(name)}


def _made(name: str) -> bool:
    return name in MADE or any(part.endswith('.egg-info') for part in PurePosixPath(name).parts)


def wheel_sizes(path: Path) -> Sizes:
    """Sizes of the files of a wheel, without its metadata; bytes."""
    with zipfile.ZipFile(path) as archive:
        found = {info.filename: info.file_size for info in archive.infolist()}
    return {name: size for name, size in found.items() if '.dist-info/' not in name}


def metadata(path: Path) -> Message:
    """Metadata of a wheel; the payload is the README."""
    with zipfile.ZipFile(path) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith('.dist-info/METADATA'))
        return Parser().parsestr(archive.read(name).decode('utf-8'))


def faults_of_sdist(found: Sizes, tracked: Iterable[str]) -> list[str]:
    """What is wrong with the files of an sdist."""
    wanted = set(tracked)
    faults = [f'sdist: {name} is missing' for name in sorted(wanted - set(found))]
    faults += [f'sdist: {name} is not tracked by git' for name in sorted(set(found) - wanted)]
    return faults + _large('sdist', found)


def faults_of_wheel(found: Sizes, tracked: Iterable[str]) -> list[str]:
    """What is wrong with the files of a wheel."""
    source = f'src/{PACKAGE}/'
    wanted = {name.removeprefix('src/') for name in tracked if name.startswith(source)}
    faults = [f'wheel: {name} is missing' for name in sorted(wanted - set(found))]
    outside = sorted(name for name in found if not name.startswith(f'{PACKAGE}/'))
    faults += [f'wheel: {name} is outside of the package' for name in outside]
    return faults + _large('wheel', found)


def _large(kind: str, found: Sizes) -> list[str]:
    return [
        f'{kind}: {name} has {size} bytes; {LARGEST} are allowed'
        for name, size in found.items()
        if size > LARGEST and not name.endswith('.safetensors')
    ]


def relative_links(readme: str) -> list[str]:
    """Targets of links and images that lead nowhere outside of the repository."""
    targets = _TARGET.findall(readme)
    return [target for target in dict.fromkeys(targets) if not _ELSEWHERE.match(target)]


def faults_of_readme(about: Message) -> list[str]:
    """Relative links, once it is known where the repository is."""
    links = relative_links(about.get_payload())
    if not links:
        return []
    words = f'README.md has {len(links)} relative links, which a package index cannot follow'
    if about.get_all('Project-URL'):
        return [f'{words}: {", ".join(links)}']
    print(f'{words}; see "A release" in CONTRIBUTING.md. No repository is named yet.')
    return []


def tracked_files() -> list[str]:
    """Files that git tracks in this folder."""
    done = subprocess.run(['git', 'ls-files', '-z'], capture_output=True, text=True, check=True)
    return [name for name in done.stdout.split('\0') if name and Path(name).exists()]


def main() -> None:
    folder = Path(sys.argv[1])
    (sdist,), (wheel,) = folder.glob('*.tar.gz'), folder.glob('*.whl')
    tracked = tracked_files()
    in_sdist, in_wheel = sdist_sizes(sdist), wheel_sizes(wheel)
    for path, sizes in ((sdist, in_sdist), (wheel, in_wheel)):
        print(f'{path.name}: {path.stat().st_size / 1e6:.1f} MB, {len(sizes)} files; largest:')
        for name in sorted(sizes, key=lambda name: -sizes[name])[:5]:
            print(f'  {sizes[name] / 1e6:6.2f} MB  {name}')
    faults = faults_of_sdist(in_sdist, tracked) + faults_of_wheel(in_wheel, tracked)
    faults += faults_of_readme(metadata(wheel))
    if faults:
        raise SystemExit('\n'.join(faults))


if __name__ == '__main__':
    main()
