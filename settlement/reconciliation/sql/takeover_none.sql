-- A city of its own: no card came from anywhere.

CREATE TABLE opening_after AS FROM opening_before;
CREATE VIEW unexplained_segment AS FROM segment_after;
