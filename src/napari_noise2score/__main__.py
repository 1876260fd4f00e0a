"""``python -m napari_noise2score``: the command line, where its program is not on the path."""

import sys

from napari_noise2score.cli import main

if __name__ == '__main__':
    sys.exit(main())
