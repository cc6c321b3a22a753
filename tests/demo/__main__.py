"""`make demo`: plays the main job and exits with 0, or with 1 and the name of the step that did not happen."""

import argparse
import asyncio
import sys
import tempfile
from pathlib import Path

from tests.demo.scenario import Scenario
from tests.demo.stage import Stage
from tests.demo.steps import StepError, Steps


def say(text: str) -> None:
    print(text, flush=True)


async def play(folder: Path) -> int:
    """Return the exit code; everything that was started is stopped again."""
    steps = Steps(say)
    stage = Stage(folder)
    scenario = Scenario(stage, steps)
    try:
        await scenario.play()
        await scenario.end()
    except StepError as failure:
        say(f"\nFAILED at the step: {failure.name}\n  {failure.reason}\n\n{stage.tails()}")
        return 1
    finally:
        await stage.close()
        scenario.close()
    say(f"\nThe main job, end to end:\n{steps.table()}")
    return 0


def main() -> int:
    parser = argparse.ArgumentParser(prog="make demo", description=__doc__)
    parser.add_argument("--keep", metavar="FOLDER", type=Path, help="play in this new folder and leave it there")
    keep = parser.parse_args().keep
    if keep is not None:
        keep.mkdir(parents=True)
        return asyncio.run(play(keep.resolve()))
    with tempfile.TemporaryDirectory(prefix="pepeunit-demo-") as folder:
        return asyncio.run(play(Path(folder)))


if __name__ == "__main__":
    sys.exit(main())
