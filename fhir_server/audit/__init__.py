"""The audit trail: who did what, in compact rows, chained and read as AuditEvents (product.md 11, IHE BALP)."""
