"""Export reports as a table for a reader."""

from keras_bert.reports.tables import render


def export_table(reports) -> str:
    """One line for each report of `Bert.export`: size, load time, latency, difference, agreement."""
    rows = [
        [
            report["format"],
            f"{report['bytes'] / 1e6:.1f}",
            f"{report['load_seconds']:.2f}",
            f"{report['latency_ms']:.1f}",
            f"{report['max_difference']:.1e}",
            f"{100 * report['agreement']:.1f} %",
            str(report["path"]),
        ]
        for report in reports
    ]
    columns = ["format", "size MB", "load s", "ms, one text", "largest difference", "agreement", "path"]
    return render(columns, rows)


def proof_table(rows) -> str:
    """One line for everything that the rows of an evaluation file were put to.

    Args:
        rows: the `proof` of a report of `Bert.export`.
    """
    metric = rows[0]["metric"]
    lines = [
        [
            f"{row['artefact']} ({row['asked']})",
            f"{row['bytes'] / 1e6:.1f}",
            f"{row['load_seconds']:.2f}",
            f"{row['latency_ms']:.1f}",
            f"{row['latency_p99_ms']:.1f}",
            f"{row['examples_per_second']:.0f}",
            f"{row['score']:.4f}",
            f"{row['change']:+.2f}",
            f"{100 * row['agreement']:.2f} %",
            f"{row['max_difference']:.1e}",
        ]
        for row in rows
    ]
    columns = [
        "artefact", "size MB", "load s", "p50 ms", "p99 ms", "examples/s", metric, "points", "agreement",
        "largest difference",
    ]  # fmt: skip
    return render(columns, lines)
