"""Progress of `igf eval`."""

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn


class Bars:
    """A progress bar for each thing that is done, the images of a method or the steps of a study."""

    def __init__(self, screen: Console, images: int) -> None:
        self.images = images
        columns = (
            TextColumn("{task.description:<46}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
        )
        self.progress = Progress(*columns, console=screen)
        self.tasks: dict[str, TaskID] = {}

    def __enter__(self) -> "Bars":
        self.progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.progress.stop()

    def advance(self, text: str, total: int | None = None) -> None:
        """One more of `text`, of `total` or of as many as there are images."""
        if text not in self.tasks:
            for task in self.tasks.values():
                self.progress.stop_task(task)
            self.tasks[text] = self.progress.add_task(text, total=total or self.images)
        self.progress.advance(self.tasks[text])
