"""What a transaction leaves behind: the record, and the signed file that carries records."""
