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
