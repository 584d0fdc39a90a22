"""What `igf export` and `igf verify` print: the distances, errors and times of a build."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.table import Table

    from igf_mobile.manifest import Manifest


def parity_table(manifest: "Manifest") -> "Table":
    """A row per artifact."""
    from rich.table import Table

    table = Table(title=f"{manifest.name} {manifest.version}")
    for column in ("Backend", "Scheme", "Step", "KB", "SQNR dB", "max |error|", "SAD", "SAD / float", "ms"):
        text = column in ("Backend", "Scheme", "Step")
        table.add_column(column, justify="left" if text else "right", no_wrap=True)
    table.add_column("Ran on")
    for record in manifest.artifacts:
        parity, latency = record.parity, record.latency
        values = ["-"] * 5
        if parity is not None:
            ratio = parity.matte.sad / parity.float_matte.sad
            values = [parity.step, f"{parity.alpha.sqnr_db:.1f}", f"{parity.alpha.max_abs:.2g}"]
            values += [f"{parity.matte.sad:.3f}", f"{ratio:.4f}"]
        table.add_row(
            record.backend,
            record.scheme,
            values[0],
            f"{record.bytes / 1000:.0f}",
            *values[1:],
            f"{latency.median_ms:.1f}" if latency else "-",
            record.ran_on,
        )
    return table
