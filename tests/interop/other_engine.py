"""Works on the tables of a lake as another engine does, with Python's deltalake.

Usage: other_engine.py LAKE ACTION [ARGUMENT]. An action that loses against a commit made meanwhile is tried again.
"""

import os
import sys
import time

from deltalake import DeltaTable
from deltalake.exceptions import CommitFailedError
from deltalake.schema import Field, PrimitiveType


def delete(table, predicate):
    table.delete(predicate)


def optimize(table, _):
    table.optimize.compact()


def z_order(table, _):
    table.optimize.z_order(["recipient"])


def vacuum(table, _):
    """Takes the files that the log has removed, however young."""
    table.vacuum(retention_hours=0, enforce_retention_duration=False, dry_run=False)


def vacuum_full(table, _):
    """Takes what no version names, if it is a week old."""
    table.vacuum(dry_run=False, full=True)


def forget(table, _):
    """Sums up the log, and deletes what was summed up."""
    table.alter.set_table_properties({"delta.logRetentionDuration": "interval 0 seconds"})
    table.create_checkpoint()
    table.cleanup_metadata()


def add_column(table, name):
    table.alter.add_columns([Field(name, PrimitiveType("string"))])


def constrain(table, _):
    table.alter.add_constraint({"known": "event_id IS NOT NULL"})


def restore(table, version):
    table.restore(int(version))


def busy(table, _):
    """All that is harmless, one after the other."""
    for action in (optimize, vacuum, z_order, vacuum_full, vacuum, forget):
        patiently(action, "")
    patiently(delete, "event_type = 'open'")


ACTIONS = [delete, optimize, z_order, vacuum, vacuum_full, forget, add_column, constrain, restore, busy]


def open_table():
    return DeltaTable(os.path.join(sys.argv[1], "events"))


def patiently(action, argument):
    for _ in range(50):
        try:
            return action(open_table(), argument)
        except CommitFailedError as error:
            print(f"{action.__name__}: {error}", file=sys.stderr)
            time.sleep(0.05)
    sys.exit(f"{action.__name__} never got through")


def main():
    name = sys.argv[2]
    argument = sys.argv[3] if len(sys.argv) > 3 else ""
    if name == "optimize_twice":
        # Two at once: both see the same files before either commits.
        first, second = open_table(), open_table()
        print(first.version())
        optimize(first, "")
        optimize(second, "")
        return
    patiently(next(action for action in ACTIONS if action.__name__ == name), argument)


main()
