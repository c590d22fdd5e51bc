"""What a login begins with: its transaction, and each AuthnRequest of ours, under a random id."""

import secrets
from datetime import datetime

from broker.core.login.transaction import AuthnRequest, Outstanding, Transaction
from broker.core.retention import TRANSACTION_BEGUN
from broker.use_cases.transactions.transactions import draw_reference


def make_transaction(
    request: AuthnRequest, now: datetime, *, shared: bool, upstream: str | None = None
) -> Transaction:
    """Return a new transaction, which no browser has yet."""
    return Transaction(
        secrets.token_hex(16),
        draw_reference(),
        now,
        TRANSACTION_BEGUN.until(now),
        request,
        shared=shared,
        upstream=upstream,
    )


def make_authn_request(transaction: Transaction, upstream: str, now: datetime) -> Outstanding:
    """Return a new AuthnRequest to ``upstream``, which is still to be recorded."""
    # The id carries the transaction, so that no RelayState is needed that could be swapped (attacks
    # 16).
    request_id = f"_{transaction.id}{secrets.token_hex(16)}"
    return Outstanding(request_id, upstream, now)
