"""The suite's tables: each test says which row it is, the end of the run prints them."""

from collections import defaultdict

import pytest
from docker_fixtures import engine, far_end, images  # noqa: F401  fixtures

ROWS = defaultdict(dict)


@pytest.fixture
def row(request):
    """`row(table, *columns)`: the line of the closing table that this test is about."""

    def say(table, *columns):
        request.node.user_properties.append(("row", (table, " · ".join(columns))))

    return say


def pytest_runtest_logreport(report):
    for kind, row in report.user_properties:
        if kind == "row" and (report.when == "call" or report.outcome != "passed"):
            reason = f": {report.longrepr[2]}" if report.skipped and isinstance(report.longrepr, tuple) else ""
            table, line = row
            if ROWS[table].get(line) in (None, "ok"):
                ROWS[table][line] = {"passed": "ok", "failed": "FAILED", "skipped": "SKIPPED"}[report.outcome] + reason


def pytest_terminal_summary(terminalreporter):
    for table, lines in ROWS.items():
        terminalreporter.section(table)
        for line, result in lines.items():
            terminalreporter.write_line(f"{result:8} {line}" if not result.startswith("SKIPPED:") else f"SKIPPED  {line} ({result[9:]})")
