"""`python -m tests.support.access FILE` writes docs/access.md; `make docs` calls it. Without a file it is printed."""

import sys
from pathlib import Path

from tests.support.access.page import render

text = render()
if sys.argv[1:]:
    Path(sys.argv[1]).write_text(text)
else:
    print(text, end="")
