-- What all migrations come to in a new SQLite file, in their order. Written by
-- tests/settlement/store/newest_schema.py, and a test proves that it is the same: never by hand.
CREATE TABLE alembic_version (
	version_num VARCHAR(32) NOT NULL, 
	CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);
CREATE TABLE runs (
	run_id VARCHAR(64) NOT NULL, 
	settlement_day DATE NOT NULL, 
	registry_sha256 VARCHAR(64) NOT NULL, 
	outputs TEXT NOT NULL, 
	totals TEXT NOT NULL, 
	output_hash VARCHAR(64) NOT NULL, review_sha256 VARCHAR(64), load_logs TEXT, rulings TEXT, 
	CONSTRAINT pk_runs PRIMARY KEY (run_id)
);
CREATE INDEX ix_runs_settlement_day ON runs (settlement_day);
CREATE TABLE days (
	settlement_day DATE NOT NULL, 
	run_id VARCHAR(64) NOT NULL, 
	output_hash VARCHAR(64) NOT NULL, 
	ledger_root VARCHAR(64) NOT NULL, 
	previous_seal VARCHAR(64) NOT NULL, 
	seal VARCHAR(64) NOT NULL, 
	closed_at DATETIME NOT NULL, closed_by VARCHAR(80), registry_changes BIGINT, confirmed_by VARCHAR(80), set_aside TEXT, number BIGINT, key_version INTEGER, signature VARCHAR(128), audit_entries BIGINT, refused_files BIGINT, 
	CONSTRAINT pk_days PRIMARY KEY (settlement_day), 
	CONSTRAINT fk_days_run_id FOREIGN KEY(run_id) REFERENCES runs (run_id), 
	CONSTRAINT uq_days_run_id UNIQUE (run_id), 
	CONSTRAINT uq_days_previous_seal UNIQUE (previous_seal), 
	CONSTRAINT uq_days_seal UNIQUE (seal)
);
CREATE TABLE files (
	content_hash VARCHAR(64) NOT NULL, 
	sender BIGINT NOT NULL, 
	sequence BIGINT NOT NULL, 
	key_version INTEGER NOT NULL, 
	business_day DATE NOT NULL, 
	created_at DATETIME NOT NULL, 
	received_at DATETIME NOT NULL, 
	size_bytes BIGINT NOT NULL, 
	record_count INTEGER NOT NULL, 
	register_count INTEGER NOT NULL, 
	debit_fen BIGINT NOT NULL, 
	load_fen BIGINT NOT NULL, 
	hash_total VARCHAR(16) NOT NULL, 
	answer INTEGER NOT NULL, 
	missing TEXT NOT NULL, 
	row_hash VARCHAR(64) NOT NULL, 
	settlement_day DATE, version INTEGER DEFAULT 1 NOT NULL, 
	CONSTRAINT pk_files PRIMARY KEY (content_hash), 
	CONSTRAINT fk_files_settlement_day FOREIGN KEY(settlement_day) REFERENCES days (settlement_day), 
	CONSTRAINT uq_files_sender_sequence UNIQUE (sender, sequence), 
	CONSTRAINT ck_files_sequence_from_one CHECK (sequence >= 1)
);
CREATE INDEX ix_files_settlement_day ON files (settlement_day);
CREATE TABLE facts (
	content_hash VARCHAR(64) NOT NULL, 
	bucket INTEGER NOT NULL, 
	row_count INTEGER NOT NULL, 
	sha256 VARCHAR(64) NOT NULL, unjudged_count INTEGER DEFAULT '0' NOT NULL, 
	CONSTRAINT pk_facts PRIMARY KEY (content_hash, bucket), 
	CONSTRAINT fk_facts_content_hash FOREIGN KEY(content_hash) REFERENCES files (content_hash)
);
CREATE TABLE refusals (
	number INTEGER NOT NULL, 
	content_hash VARCHAR(64) NOT NULL, 
	sender_claim BIGINT, 
	sequence_claim BIGINT, 
	answer INTEGER NOT NULL, 
	detail TEXT NOT NULL, 
	is_alarm INTEGER NOT NULL, 
	received_at DATETIME NOT NULL, 
	CONSTRAINT pk_refusals PRIMARY KEY (number)
);
CREATE TABLE entries (
	number BIGINT NOT NULL, 
	settlement_day DATE NOT NULL, 
	kind VARCHAR(16) NOT NULL, 
	bucket INTEGER, 
	participant BIGINT, 
	previous_hash VARCHAR(64) NOT NULL, 
	hash VARCHAR(64) NOT NULL, ruling BIGINT, 
	CONSTRAINT pk_entries PRIMARY KEY (number), 
	CONSTRAINT fk_entries_settlement_day FOREIGN KEY(settlement_day) REFERENCES days (settlement_day)
);
CREATE INDEX ix_entries_settlement_day ON entries (settlement_day);
CREATE TABLE postings (
	entry BIGINT NOT NULL, 
	line INTEGER NOT NULL, 
	account VARCHAR(64) NOT NULL, 
	amount_fen BIGINT NOT NULL, 
	previous_hash VARCHAR(64) NOT NULL, 
	hash VARCHAR(64) NOT NULL, 
	CONSTRAINT pk_postings PRIMARY KEY (entry, line), 
	CONSTRAINT fk_postings_entry FOREIGN KEY(entry) REFERENCES entries (number)
);
CREATE INDEX ix_postings_account ON postings (account);
CREATE TABLE positions (
	settlement_day DATE NOT NULL, 
	account VARCHAR(64) NOT NULL, 
	gross_debit_fen BIGINT NOT NULL, 
	gross_credit_fen BIGINT NOT NULL, 
	net_fen BIGINT NOT NULL, 
	CONSTRAINT pk_positions PRIMARY KEY (settlement_day, account), 
	CONSTRAINT fk_positions_settlement_day FOREIGN KEY(settlement_day) REFERENCES days (settlement_day)
);
CREATE TABLE discounts (
	settlement_day DATE NOT NULL, 
	operator BIGINT NOT NULL, 
	fare_class VARCHAR(32) NOT NULL, 
	record_count BIGINT NOT NULL, 
	tariff_fen BIGINT NOT NULL, 
	charged_fen BIGINT NOT NULL, known_discount_fen BIGINT DEFAULT 0 NOT NULL, 
	CONSTRAINT pk_discounts PRIMARY KEY (settlement_day, operator, fare_class), 
	CONSTRAINT fk_discounts_settlement_day FOREIGN KEY(settlement_day) REFERENCES days (settlement_day)
);
CREATE TRIGGER days_refuse_update BEFORE UPDATE ON days BEGIN SELECT RAISE(ABORT, 'days is append-only'); END;
CREATE TRIGGER days_refuse_delete BEFORE DELETE ON days BEGIN SELECT RAISE(ABORT, 'days is append-only'); END;
CREATE TRIGGER discounts_refuse_update BEFORE UPDATE ON discounts BEGIN SELECT RAISE(ABORT, 'discounts is append-only'); END;
CREATE TRIGGER discounts_refuse_delete BEFORE DELETE ON discounts BEGIN SELECT RAISE(ABORT, 'discounts is append-only'); END;
CREATE TRIGGER entries_refuse_update BEFORE UPDATE ON entries BEGIN SELECT RAISE(ABORT, 'entries is append-only'); END;
CREATE TRIGGER entries_refuse_delete BEFORE DELETE ON entries BEGIN SELECT RAISE(ABORT, 'entries is append-only'); END;
CREATE TRIGGER facts_refuse_delete BEFORE DELETE ON facts BEGIN SELECT RAISE(ABORT, 'facts is append-only'); END;
CREATE TRIGGER positions_refuse_update BEFORE UPDATE ON positions BEGIN SELECT RAISE(ABORT, 'positions is append-only'); END;
CREATE TRIGGER positions_refuse_delete BEFORE DELETE ON positions BEGIN SELECT RAISE(ABORT, 'positions is append-only'); END;
CREATE TRIGGER postings_refuse_update BEFORE UPDATE ON postings BEGIN SELECT RAISE(ABORT, 'postings is append-only'); END;
CREATE TRIGGER postings_refuse_delete BEFORE DELETE ON postings BEGIN SELECT RAISE(ABORT, 'postings is append-only'); END;
CREATE TRIGGER refusals_refuse_update BEFORE UPDATE ON refusals BEGIN SELECT RAISE(ABORT, 'refusals is append-only'); END;
CREATE TRIGGER refusals_refuse_delete BEFORE DELETE ON refusals BEGIN SELECT RAISE(ABORT, 'refusals is append-only'); END;
CREATE TRIGGER files_refuse_delete BEFORE DELETE ON files BEGIN SELECT RAISE(ABORT, 'files is append-only'); END;
CREATE TRIGGER files_refuse_update BEFORE UPDATE ON files WHEN OLD.settlement_day IS NOT NULL OR NEW.row_hash <> OLD.row_hash BEGIN SELECT RAISE(ABORT, 'files is append-only'); END;
CREATE TABLE gaps (
	settlement_day DATE NOT NULL, 
	issuer VARCHAR(16) NOT NULL, 
	card_number VARCHAR(20) NOT NULL, 
	application INTEGER NOT NULL, 
	gap INTEGER NOT NULL, 
	opened_day DATE NOT NULL, 
	counter_kind INTEGER NOT NULL, 
	first_counter BIGINT NOT NULL, 
	last_counter BIGINT NOT NULL, 
	price_fen BIGINT NOT NULL, 
	state INTEGER NOT NULL, 
	CONSTRAINT pk_gaps PRIMARY KEY (settlement_day, issuer, card_number, application, gap), 
	CONSTRAINT fk_gaps_settlement_day_days FOREIGN KEY(settlement_day) REFERENCES days (settlement_day)
);
CREATE TRIGGER gaps_refuse_update BEFORE UPDATE ON gaps BEGIN SELECT RAISE(ABORT, 'gaps is append-only'); END;
CREATE TRIGGER gaps_refuse_delete BEFORE DELETE ON gaps BEGIN SELECT RAISE(ABORT, 'gaps is append-only'); END;
CREATE TABLE file_terminals (
	terminal VARCHAR(12) NOT NULL, 
	last_serial BIGINT NOT NULL, 
	first_serial BIGINT NOT NULL, 
	content_hash VARCHAR(64) NOT NULL, 
	CONSTRAINT pk_file_terminals PRIMARY KEY (terminal, last_serial, first_serial, content_hash), 
	CONSTRAINT fk_file_terminals_content_hash FOREIGN KEY(content_hash) REFERENCES files (content_hash)
)
 WITHOUT ROWID

;
CREATE TRIGGER file_terminals_refuse_update BEFORE UPDATE ON file_terminals BEGIN SELECT RAISE(ABORT, 'file_terminals is append-only'); END;
CREATE TRIGGER file_terminals_refuse_delete BEFORE DELETE ON file_terminals BEGIN SELECT RAISE(ABORT, 'file_terminals is append-only'); END;
CREATE TABLE registry_changes (
	number BIGINT NOT NULL, 
	kind VARCHAR(16) NOT NULL, 
	subject VARCHAR(80) NOT NULL, 
	content TEXT, 
	valid_from DATE, 
	valid_to DATE, 
	changed_by VARCHAR(80) NOT NULL, 
	why TEXT NOT NULL, 
	changed_at DATETIME NOT NULL, 
	previous_hash VARCHAR(64) NOT NULL, 
	hash VARCHAR(64) NOT NULL, 
	CONSTRAINT pk_registry_changes PRIMARY KEY (number), 
	CONSTRAINT uq_registry_changes_hash UNIQUE (hash)
);
CREATE INDEX ix_registry_changes_kind_subject ON registry_changes (kind, subject);
CREATE TRIGGER registry_changes_refuse_update BEFORE UPDATE ON registry_changes BEGIN SELECT RAISE(ABORT, 'registry_changes is append-only'); END;
CREATE TRIGGER registry_changes_refuse_delete BEFORE DELETE ON registry_changes BEGIN SELECT RAISE(ABORT, 'registry_changes is append-only'); END;
CREATE TABLE load_logs (
	content_hash VARCHAR(64) NOT NULL, 
	issuer VARCHAR(16) NOT NULL, 
	first_number BIGINT NOT NULL, 
	entry_count INTEGER NOT NULL, 
	key_version BIGINT NOT NULL, 
	previous VARCHAR(64) NOT NULL, 
	digest VARCHAR(64) NOT NULL, 
	created_at DATETIME NOT NULL, 
	received_at DATETIME NOT NULL, 
	size_bytes BIGINT NOT NULL, 
	amount_fen BIGINT NOT NULL, 
	answer INTEGER NOT NULL, 
	missing TEXT NOT NULL, 
	row_hash VARCHAR(64) NOT NULL, 
	CONSTRAINT pk_load_logs PRIMARY KEY (content_hash), 
	CONSTRAINT ck_load_logs_ck_load_logs_first_number_from_one CHECK (first_number >= 1), 
	CONSTRAINT uq_load_logs_issuer_first_number UNIQUE (issuer, first_number)
);
CREATE TABLE allowed_loads (
	issuer VARCHAR(16) NOT NULL, 
	number BIGINT NOT NULL, 
	content_hash VARCHAR(64) NOT NULL, 
	application INTEGER NOT NULL, 
	card_number VARCHAR(20) NOT NULL, 
	key_version INTEGER NOT NULL, 
	random VARCHAR(8) NOT NULL, 
	online_counter INTEGER NOT NULL, 
	balance_before_fen BIGINT NOT NULL, 
	amount_fen BIGINT NOT NULL, 
	terminal VARCHAR(12) NOT NULL, 
	time DATETIME NOT NULL, 
	mac1 VARCHAR(8) NOT NULL, 
	mac2 VARCHAR(8) NOT NULL, 
	funding INTEGER NOT NULL, 
	debit_terminal VARCHAR(12) NOT NULL, 
	debit_serial BIGINT NOT NULL, 
	CONSTRAINT pk_allowed_loads PRIMARY KEY (issuer, number), 
	CONSTRAINT fk_allowed_loads_content_hash FOREIGN KEY(content_hash) REFERENCES load_logs (content_hash)
);
CREATE INDEX ix_allowed_loads_card_number ON allowed_loads (card_number);
CREATE TRIGGER load_logs_refuse_update BEFORE UPDATE ON load_logs BEGIN SELECT RAISE(ABORT, 'load_logs is append-only'); END;
CREATE TRIGGER load_logs_refuse_delete BEFORE DELETE ON load_logs BEGIN SELECT RAISE(ABORT, 'load_logs is append-only'); END;
CREATE TRIGGER allowed_loads_refuse_update BEFORE UPDATE ON allowed_loads BEGIN SELECT RAISE(ABORT, 'allowed_loads is append-only'); END;
CREATE TRIGGER allowed_loads_refuse_delete BEFORE DELETE ON allowed_loads BEGIN SELECT RAISE(ABORT, 'allowed_loads is append-only'); END;
CREATE TRIGGER facts_refuse_update BEFORE UPDATE ON facts WHEN NEW.content_hash <> OLD.content_hash OR NEW.bucket <> OLD.bucket OR NEW.row_count <> OLD.row_count OR (SELECT settlement_day FROM files WHERE files.content_hash = OLD.content_hash) IS NOT NULL BEGIN SELECT RAISE(ABORT, 'facts of a closed day are append-only'); END;
CREATE UNIQUE INDEX ix_days_number ON days (number);
CREATE TABLE audit_log (
	number BIGINT NOT NULL, 
	act VARCHAR(16) NOT NULL, 
	proposal BIGINT, 
	"by" VARCHAR(64) NOT NULL, 
	at DATETIME NOT NULL, 
	content TEXT NOT NULL, 
	signature VARCHAR(128) NOT NULL, 
	previous_hash VARCHAR(64) NOT NULL, 
	hash VARCHAR(64) NOT NULL, 
	CONSTRAINT pk_audit_log PRIMARY KEY (number), 
	CONSTRAINT fk_audit_log_proposal FOREIGN KEY(proposal) REFERENCES audit_log (number), 
	CONSTRAINT uq_audit_log_previous_hash UNIQUE (previous_hash), 
	CONSTRAINT uq_audit_log_proposal UNIQUE (proposal)
);
CREATE TABLE wrong_secrets (
	number INTEGER NOT NULL, 
	person VARCHAR(64) NOT NULL, 
	at DATETIME NOT NULL, 
	log_count BIGINT NOT NULL, 
	CONSTRAINT pk_wrong_secrets PRIMARY KEY (number)
);
CREATE INDEX ix_wrong_secrets_person ON wrong_secrets (person);
CREATE TRIGGER audit_log_refuse_update BEFORE UPDATE ON audit_log BEGIN SELECT RAISE(ABORT, 'audit_log is append-only'); END;
CREATE TRIGGER audit_log_refuse_delete BEFORE DELETE ON audit_log BEGIN SELECT RAISE(ABORT, 'audit_log is append-only'); END;
CREATE TRIGGER wrong_secrets_refuse_update BEFORE UPDATE ON wrong_secrets BEGIN SELECT RAISE(ABORT, 'wrong_secrets is append-only'); END;
CREATE TRIGGER wrong_secrets_refuse_delete BEFORE DELETE ON wrong_secrets BEGIN SELECT RAISE(ABORT, 'wrong_secrets is append-only'); END;
INSERT INTO alembic_version VALUES ('0013');
