-- The bucket as the last closed day left it.

INSERT INTO card_before FROM read_parquet(getvariable('cards'));
INSERT INTO gap_before FROM read_parquet(getvariable('gaps')) WHERE state = gap_open();
INSERT INTO settled_day_before FROM read_parquet(getvariable('settled_days'));
