"""Does nothing of its own."""

from pepeunit import Unit

Unit().run()
