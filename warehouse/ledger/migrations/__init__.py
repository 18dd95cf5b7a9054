"""Alembic migrations of the ledger, one numbered file each, none ever changed after a release."""
