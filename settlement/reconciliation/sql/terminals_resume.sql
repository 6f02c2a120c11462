-- The terminals as the last closed day left them.

INSERT INTO terminal_before FROM read_parquet(getvariable('terminals'));
INSERT INTO terminal_gap_before FROM read_parquet(getvariable('gaps')) WHERE state = gap_open();
INSERT INTO psam_before FROM read_parquet(getvariable('psams'));
INSERT INTO psam_day_before FROM read_parquet(getvariable('psam_days'));
